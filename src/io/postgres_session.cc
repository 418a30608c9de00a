#include "io/postgres_session.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <libpq-fe.h>
#include <poll.h>
#include <unistd.h>

namespace tailrace::io {
namespace {

constexpr int kPollMillis = 200;
// Debian, Ubuntu, Alpine; Fedora and its kin.
constexpr std::array<const char*, 2> kAuthorities{"/etc/ssl/certs/ca-certificates.crt",
                                                  "/etc/pki/tls/certs/ca-bundle.crt"};

using Connection = std::unique_ptr<PGconn, decltype(&PQfinish)>;
using Answer = std::unique_ptr<PGresult, decltype(&PQclear)>;

std::unexpected<Error> stopped() {
  return fail(Error::Code::unavailable, "given up, because tailrace stops");
}

// Whether the same may work later without anybody's help.
bool may_pass(std::string_view code) {
  constexpr std::array<std::string_view, 4> kClasses{"08", "40", "53", "58"};
  constexpr std::array<std::string_view, 6> kCodes{"57P01", "57P02", "57P03", "57014", "55P03", "25006"};
  return std::ranges::find(kClasses, code.substr(0, 2)) != kClasses.end() ||
         std::ranges::find(kCodes, code) != kCodes.end();
}

// The server repeats values in the words of these: what was not a number, which key is there twice.
bool speaks_of_values(std::string_view code) { return code.starts_with("22") || code.starts_with("23"); }

std::string first_line(std::string_view text) {
  return std::string(text.substr(0, std::min(text.find('\n'), text.size())));
}

std::string_view field(const PGresult* answer, int name) {
  const char* text = PQresultErrorField(answer, name);
  return text == nullptr ? std::string_view() : std::string_view(text);
}

std::unexpected<Error> error_of(PGconn* connection, const PGresult* answer) {
  const std::string_view code = answer == nullptr ? std::string_view() : field(answer, PG_DIAG_SQLSTATE);
  if (code.empty())
    return fail(Error::Code::unavailable,
                fmt::format("the connection broke: {}", first_line(PQerrorMessage(connection))));
  std::string what;
  if (speaks_of_values(code)) {
    what = "a value does not fit";
    if (const auto table = field(answer, PG_DIAG_TABLE_NAME); !table.empty())
      what += fmt::format(", table {}", table);
    if (const auto column = field(answer, PG_DIAG_COLUMN_NAME); !column.empty())
      what += fmt::format(", column {}", column);
    if (const auto constraint = field(answer, PG_DIAG_CONSTRAINT_NAME); !constraint.empty())
      what += fmt::format(", constraint {}", constraint);
  } else {
    what = first_line(field(answer, PG_DIAG_MESSAGE_PRIMARY));
  }
  return fail(may_pass(code) ? Error::Code::unavailable : Error::Code::invalid_argument,
              fmt::format("{}: {}", code, what));
}

bool is_error(const PGresult* answer) {
  const ExecStatusType status = PQresultStatus(answer);
  return status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE;
}

// Waits until the socket can be read or written, in slices.
Result<void> wait_for(PGconn* connection, short events, const PostgresOptions& options) {
  for (;;) {
    if (options.stopping()) return stopped();
    pollfd socket{.fd = PQsocket(connection), .events = events, .revents = 0};
    const int ready = ::poll(&socket, 1, kPollMillis);
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return fail(Error::Code::unavailable, "the connection broke");
  }
}

class PostgresSession final : public SqlSession {
 public:
  PostgresSession(Connection connection, PostgresOptions options)
      : connection_(std::move(connection)), options_(std::move(options)) {}

  Result<Rows> run(const std::string& sql, std::span<const std::optional<std::string>> parameters) override {
    TRY(send(sql, parameters));
    return take_rows();
  }

  Result<Rows> run_one(const std::string& sql) override {
    TRY(send_one(sql, {}));
    return take_rows();
  }

  Result<std::uint64_t> copy_in(const std::string& sql,
                                const std::function<Result<void>(const Put&)>& feed) override {
    TRY(send(sql, {}));
    const Answer answer = TRY(next_answer());
    if (PQresultStatus(answer.get()) != PGRES_COPY_IN) {
      const bool refused = answer != nullptr && is_error(answer.get());
      auto error =
          refused ? error_of(connection(), answer.get()) : invalid("the statement is no COPY FROM STDIN");
      TRY(drain());
      return error;
    }
    auto fed = feed([this](std::string_view bytes) { return put(bytes); });
    if (!fed) {
      const bool told = PQputCopyEnd(connection(), "given up") == 1;
      if (told) (void)take_rows();  // the server's word for it is the one just said
      return std::unexpected(std::move(fed).error());
    }
    if (PQputCopyEnd(connection(), nullptr) != 1) return error_of(connection(), nullptr);
    return TRY(take_rows())
    .affected;
  }

 private:
  PGconn* connection() const { return connection_.get(); }

  Result<void> send(const std::string& sql, std::span<const std::optional<std::string>> parameters) {
    if (!parameters.empty()) return send_one(sql, parameters);
    if (PQsendQuery(connection(), sql.c_str()) != 1) return error_of(connection(), nullptr);
    return {};
  }
  // By the extended protocol, in which the server takes one statement alone.
  Result<void> send_one(const std::string& sql, std::span<const std::optional<std::string>> parameters) {
    std::vector<const char*> values;
    for (const auto& each : parameters) values.push_back(each ? each->c_str() : nullptr);
    if (PQsendQueryParams(connection(), sql.c_str(), static_cast<int>(values.size()), nullptr, values.data(),
                          nullptr, nullptr, 0) != 1)
      return error_of(connection(), nullptr);
    return {};
  }

  Result<void> put(std::string_view bytes) {
    // libpq takes an int; and between pieces a stop is seen.
    constexpr std::size_t kPiece = std::size_t{1} << 20;
    while (!bytes.empty()) {
      if (options_.stopping()) return stopped();
      const std::string_view piece = bytes.substr(0, kPiece);
      if (PQputCopyData(connection(), piece.data(), static_cast<int>(piece.size())) != 1)
        return error_of(connection(), nullptr);
      bytes.remove_prefix(piece.size());
    }
    return {};
  }

  // nullptr: there are no more.
  Result<Answer> next_answer() {
    while (PQisBusy(connection()) != 0) {
      if (auto ready = wait_for(connection(), POLLIN, options_); !ready) {
        cancel();
        return std::unexpected(std::move(ready).error());
      }
      if (PQconsumeInput(connection()) != 1) return error_of(connection(), nullptr);
    }
    return Answer(PQgetResult(connection()), &PQclear);
  }

  // Reads all answers of a statement: the last one's rows, or the first error.
  Result<Rows> take_rows() {
    Rows rows;
    std::optional<Error> failed;
    for (;;) {
      const Answer answer = TRY(next_answer());
      if (!answer) break;
      if (failed) continue;
      if (is_error(answer.get())) {
        failed = error_of(connection(), answer.get()).error();
        if (PQstatus(connection()) != CONNECTION_OK) break;
      } else {
        rows = read(answer.get());
      }
    }
    if (failed) return std::unexpected(*std::move(failed));
    return rows;
  }

  Result<void> drain() {
    while (TRY(next_answer())) continue;
    return {};
  }

  static Rows read(const PGresult* answer) {
    Rows rows;
    const int columns = PQnfields(answer);
    for (int column = 0; column < columns; ++column)
      rows.columns.push_back({PQfname(answer, column), PQftype(answer, column)});
    for (int row = 0; row < PQntuples(answer); ++row) {
      auto& out = rows.rows.emplace_back();
      for (int column = 0; column < columns; ++column) {
        if (PQgetisnull(answer, row, column) != 0) {
          out.emplace_back();
        } else {
          out.emplace_back(std::string(PQgetvalue(answer, row, column),
                                       static_cast<std::size_t>(PQgetlength(answer, row, column))));
        }
      }
    }
    // "" where nothing was changed.
    for (const char* digit = PQcmdTuples(const_cast<PGresult*>(answer)); *digit != '\0'; ++digit)
      rows.affected = rows.affected * 10 + static_cast<std::uint64_t>(*digit - '0');
    return rows;
  }

  // A server that goes on would hold its locks against whoever comes next.
  void cancel() {
    const std::unique_ptr<PGcancel, decltype(&PQfreeCancel)> request(PQgetCancel(connection()),
                                                                     &PQfreeCancel);
    std::array<char, 256> why{};
    if (request) PQcancel(request.get(), why.data(), static_cast<int>(why.size()));
  }

  Connection connection_;
  PostgresOptions options_;
};

// What the text leaves open, by keyword. Those it names itself come later and win.
std::vector<std::pair<std::string, std::string>> defaults() {
  std::vector<std::pair<std::string, std::string>> values{
      {"sslmode", "verify-full"},  {"connect_timeout", "10"},
      {"keepalives_idle", "30"},   {"keepalives_interval", "10"},
      {"keepalives_count", "3"},   {"tcp_user_timeout", "60000"},
      {"client_encoding", "UTF8"}, {"fallback_application_name", "tailrace"}};
  return values;
}

struct Parameters {
  std::vector<std::pair<std::string, std::string>> values;
};

Result<Parameters> read_connection(const std::string& text) {
  Parameters parameters{defaults()};
  char* why = nullptr;
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options(
      PQconninfoParse(text.c_str(), &why), &PQconninfoFree);
  // Its words repeat the text, where a password may be.
  if (why != nullptr) PQfreemem(why);
  if (!options)
    return invalid(
        "the connection is not written as PostgreSQL wants it, such as `host=db.example.com dbname=shop`");
  for (const PQconninfoOption* each = options.get(); each->keyword != nullptr; ++each) {
    if (each->val == nullptr) continue;
    std::erase_if(parameters.values, [&](const auto& value) { return value.first == each->keyword; });
    parameters.values.emplace_back(each->keyword, each->val);
  }
  const auto names = [&](std::string_view keyword) {
    return std::ranges::find(parameters.values, keyword, [](const auto& value) { return value.first; });
  };
  // With authorities at hand `require` would mean `verify-ca`.
  const bool verifies = names("sslmode")->second.starts_with("verify");
  if (verifies && names("sslrootcert") == parameters.values.end()) {
    for (const char* file : kAuthorities) {
      if (::access(file, R_OK) != 0) continue;
      parameters.values.emplace_back("sslrootcert", file);
      break;
    }
  }
  return parameters;
}

// "connection to server at ... failed: FATAL:  28P01: password authentication failed": the code stands
// between two colons.
std::string code_in(std::string_view words) {
  for (std::size_t at = words.find(": "); at != std::string_view::npos; at = words.find(": ", at + 1)) {
    std::string_view rest = words.substr(at + 1);
    while (rest.starts_with(' ')) rest.remove_prefix(1);
    if (rest.size() < 6 || rest[5] != ':') continue;
    const std::string_view code = rest.substr(0, 5);
    const bool plain =
        std::ranges::all_of(code, [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); });
    if (plain && code.find_first_of("0123456789") != std::string_view::npos) return std::string(code);
  }
  return {};
}

std::unexpected<Error> connect_error(PGconn* connection) {
  const std::string words = first_line(PQerrorMessage(connection));
  if (const std::string code = code_in(words); !code.empty()) {
    const std::size_t at = words.find(code);
    return fail(may_pass(code) ? Error::Code::unavailable : Error::Code::invalid_argument, words.substr(at));
  }
  for (const std::string_view distrust :
       {"certificate", "does not support SSL", "SSL error", "no password supplied", "sslmode"}) {
    if (words.find(distrust) != std::string::npos) return invalid(words);
  }
  return fail(Error::Code::unavailable, words);
}

}  // namespace

Result<std::unique_ptr<SqlSession>> connect_postgres(const std::string& connection,
                                                     const PostgresOptions& options) {
  const Parameters parameters = TRY(read_connection(connection));
  std::vector<const char*> names;
  std::vector<const char*> values;
  for (const auto& [name, value] : parameters.values) {
    names.push_back(name.c_str());
    values.push_back(value.c_str());
  }
  names.push_back(nullptr);
  values.push_back(nullptr);
  Connection opened(PQconnectStartParams(names.data(), values.data(), 0), &PQfinish);
  if (!opened) return fail(Error::Code::io, "no memory for a connection");
  // So that a refusal says its code.
  PQsetErrorVerbosity(opened.get(), PQERRORS_VERBOSE);
  int waited = 0;
  for (PostgresPollingStatusType next = PGRES_POLLING_WRITING; next != PGRES_POLLING_OK;) {
    if (PQstatus(opened.get()) == CONNECTION_BAD || next == PGRES_POLLING_FAILED)
      return connect_error(opened.get());
    if (options.stopping()) return stopped();
    pollfd socket{.fd = PQsocket(opened.get()),
                  .events = static_cast<short>(next == PGRES_POLLING_READING ? POLLIN : POLLOUT),
                  .revents = 0};
    const int ready = ::poll(&socket, 1, kPollMillis);
    if (ready < 0 && errno != EINTR) return fail(Error::Code::unavailable, "the connection broke");
    constexpr int kConnectMillisMax = 15'000;
    if (ready == 0) waited += kPollMillis;
    if (ready == 0 && waited >= kConnectMillisMax)
      return fail(Error::Code::unavailable, "the server does not answer");
    if (ready > 0) next = PQconnectPoll(opened.get());
  }
  PQsetNoticeProcessor(opened.get(), [](void*, const char*) {}, nullptr);
  return std::make_unique<PostgresSession>(std::move(opened), options);
}

}  // namespace tailrace::io
