// What destinations share that speak PostgreSQL's protocol: how the server is reached, what its catalog and
// the table of packs say, and what an error asks for.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/sql_session.h"
#include "destinations/checks.h"
#include "destinations/warehouse_sql/bring_tables.h"

namespace tailrace::destinations::postgres_session {

// Rows for the table of a destination; `port` is its own, because its default is.
inline constexpr Setting kDatabaseSetting{
    .name = "database", .required = true, .example = "analytics", .about = "The database."};
inline constexpr Setting kUserSetting{
    .name = "user", .required = true, .example = "tailrace", .about = "Who writes: see the rights below."};
inline constexpr Setting kSchemaSetting{
    .name = "schema",
    .default_value = "tailrace",
    .about = "Where the tables are kept; made where it is missing. One sync has it for itself."};
inline constexpr Setting kSslModeSetting{
    .name = "sslmode",
    .default_value = "verify-full",
    .about =
        "`verify-full`: the server's certificate and name are verified; `verify-ca`: its certificate; "
        "`require`: encrypted, to whomever answers; `disable`: in the clear, to this machine only."};
inline constexpr Setting kSslRootCertSetting{
    .name = "sslrootcert",
    .about = "A file with the certificate authorities to trust, PEM; without it the system's."};
inline constexpr Setting kPasswordSetting{
    .name = "password", .secret = true, .example = "secret password", .about = "The user's password."};

void check(const Config& config, Problems& problems);
// As libpq reads it: the settings and the password.
std::string connection(const Config& config);

Result<bool> has_schema(SqlSession& session, const std::string& schema);
Result<TablesThere> tables_there(SqlSession& session, const std::string& schema);
// In what words one server makes tables, and what it calls types.
struct Dialect {
  std::string (*create_table)(const std::string& schema, const WarehouseTable& table);
  std::string (*add_column)(const std::string& schema, const std::string& table,
                            const WarehouseColumn& column);
  std::string_view (*type_of)(ColumnType type);
  bool (*takes)(std::string_view type_there, ColumnType type);
};
// Makes what a pack's tables lack there. Errors: as of destinations::bring_tables, and of the session.
Result<void> bring_tables(SqlSession& session, const std::string& schema, const Pack& pack,
                          const PacksThere& there, std::string_view where, const Dialect& dialect);
// pack, there: of the same sync.
Result<PacksThere> packs_there(SqlSession& session, const std::string& schema, const Pack& pack);
// now: what the server calls the time, "now()".
Result<void> insert_pack(SqlSession& session, const std::string& schema, const Pack& pack,
                         std::string_view now);

struct Advice {
  std::string_view begins;  // of the error: its code, and more where that says too little
  std::string_view mend;
};
// The server's answer with what to do about it. where: "the schema analytics".
Error advised(Error error, std::string_view where, std::span<const Advice> advice);

}  // namespace tailrace::destinations::postgres_session
