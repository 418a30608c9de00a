#include "support/redshift_server.h"

#include <fmt/format.h>

#include "base/result.h"
#include "model/json.h"
#include "support/warehouse_tables.h"

namespace tailrace::testing {

class RedshiftServer::Session final : public SqlSession {
 public:
  Session(std::unique_ptr<SqlSession> session, RedshiftServer& server)
      : session_(std::move(session)), server_(server) {}

  Result<Rows> run(const std::string& sql, std::span<const std::optional<std::string>> parameters) override {
    if (sql == "SELECT pg_last_copy_count()") return Rows{{}, {{fmt::format("{}", copied_)}}, 0};
    if (sql.starts_with("COPY ")) return copy(sql);
    if (sql.find("ON CONFLICT") != std::string::npos || sql.find("RETURNING") != std::string::npos)
      server_.problems.push_back("Redshift does not know: " + sql);
    std::string theirs = sql;
    if (const auto at = theirs.find("getdate()"); at != std::string::npos) theirs.replace(at, 9, "now()");
    return session_->run(theirs, parameters);
  }
  Result<Rows> run_one(const std::string& sql) override { return run(sql, {}); }
  Result<std::uint64_t> copy_in(const std::string& sql,
                                const std::function<Result<void>(const Put&)>&) override {
    server_.problems.push_back("Redshift has no COPY FROM STDIN: " + sql);
    return fail(Error::Code::invalid_argument, "0A000: COPY FROM STDIN is not supported");
  }

 private:
  Result<std::string> object(const std::string& url) {
    const auto found = server_.files_.objects.find(url.substr(std::string("s3://").size()));
    if (found == server_.files_.objects.end())
      return fail(Error::Code::invalid_argument,
                  "XX000: S3ServiceException: The specified key does not exist");
    return found->second.bytes;
  }

  Result<Rows> copy(const std::string& sql) {
    const auto groups = matched(
        sql,
        R"(COPY (\S+) \((.+)\) FROM '(s3://\S+)' IAM_ROLE 'arn:aws:iam::123456789012:role/copy' REGION 'us-east-1' MANIFEST FORMAT AS CSV NULL AS '(\S+)' TIMEFORMAT 'auto' COMPUPDATE OFF)");
    if (groups.empty()) {
      server_.problems.push_back("copy: " + sql);
      return fail(Error::Code::invalid_argument, "42601: syntax error");
    }
    if (!server_.refuse_copies.empty()) return fail(Error::Code::invalid_argument, server_.refuse_copies);
    const auto manifest = parse_json(TRY(object(groups[3])));
    const Value* entries = manifest ? manifest->find_path("entries") : nullptr;
    if (entries == nullptr) return fail(Error::Code::invalid_argument, "XX000: the manifest cannot be read");
    copied_ = 0;
    for (const Value& entry : entries->list) {
      const std::string bytes = TRY(object(entry.find_path("url")->string));
      copied_ += TRY(session_->copy_in(
          fmt::format("COPY {} ({}) FROM STDIN (FORMAT csv, NULL '{}')", groups[1], groups[2], groups[4]),
          [&](const Put& put) { return put(bytes); }));
    }
    copied_ -= std::min(copied_, server_.rows_left_out);
    return Rows{};
  }

  std::unique_ptr<SqlSession> session_;
  RedshiftServer& server_;
  std::uint64_t copied_ = 0;
};

std::unique_ptr<SqlSession> RedshiftServer::over(std::unique_ptr<SqlSession> session) {
  return std::make_unique<Session>(std::move(session), *this);
}

}  // namespace tailrace::testing
