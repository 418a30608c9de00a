#include "support/scripted_transport.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace tailrace::testing {
namespace {

class ScriptedSession final : public SqlSession {
 public:
  ScriptedSession(std::unique_ptr<SqlSession> session, ScriptedTransport& transport)
      : session_(std::move(session)), transport_(transport) {}
  Result<Rows> run(const std::string& sql, std::span<const std::optional<std::string>> parameters) override {
    return transport_.step(sql, [&] { return session_->run(sql, parameters); });
  }
  Result<Rows> run_one(const std::string& sql) override {
    return transport_.step(sql, [&] { return session_->run_one(sql); });
  }
  Result<std::uint64_t> copy_in(const std::string& sql,
                                const std::function<Result<void>(const Put&)>& feed) override {
    return transport_.step(sql, [&] { return session_->copy_in(sql, feed); });
  }

 private:
  std::unique_ptr<SqlSession> session_;
  ScriptedTransport& transport_;
};

// As a file of the pack was written: of a null nothing, of an empty text nothing too (these rows have none).
std::string quoted(const std::string& value) {
  if (value.find('"') == std::string::npos) return value;
  std::string out = "\"";
  for (const char c : value) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

std::string csv_of(std::string_view bytes, const std::vector<std::string>& columns) {
  std::string text = fmt::format("{}\n", fmt::join(columns, ","));
  for (const PackRow& row : read_file(bytes).rows) {
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (i > 0) text += ',';
      if (const auto value = row.find(columns[i]); value != row.end()) text += quoted(value->second);
    }
    text += '\n';
  }
  return text;
}

}  // namespace

Result<HttpResponse> ScriptedTransport::send(HttpRequest request) {
  return step(request.method + " " + request.url.substr(0, 300), [&] { return server(request); });
}

bool ScriptedTransport::wait(Millis time) {
  waits.push_back(time);
  clock = clock + time;
  return !dead_;
}

Result<std::string> ScriptedTransport::read(const destinations::PackFile& file, std::uint64_t offset,
                                            std::uint64_t length) {
  const auto found = files.find(file.path);
  if (found == files.end()) return fail(Error::Code::io, "no such file: " + file.path);
  return found->second.substr(std::min<std::uint64_t>(offset, found->second.size()), length);
}

Result<void> ScriptedTransport::read_csv(const destinations::PackFile& file,
                                         const std::vector<std::string>& columns,
                                         const std::function<Result<void>(std::string_view)>& take) {
  const std::string text = csv_of(TRY(read(file, 0, file.bytes)), columns);
  // In two pieces, cut anywhere.
  TRY(take(std::string_view(text).substr(0, text.size() / 2)));
  return take(std::string_view(text).substr(text.size() / 2));
}

Result<std::unique_ptr<SqlSession>> ScriptedTransport::connect_sql(const std::string& text) {
  connection = text;
  return step("connect", [&]() -> Result<std::unique_ptr<SqlSession>> {
    return std::make_unique<ScriptedSession>(TRY(sql_server(text)), *this);
  });
}

Result<void> ScriptedTransport::write_file(const std::string& path, std::string_view bytes) {
  return step("write " + path, [&]() -> Result<void> {
    files[path] = bytes;
    return {};
  });
}

Result<void> ScriptedTransport::place_file(const destinations::PackFile& file, const std::string& path) {
  return step("place " + path, [&]() -> Result<void> {
    files[path] = TRY(read(file, 0, file.bytes));
    return {};
  });
}

Result<std::optional<std::string>> ScriptedTransport::read_file(const std::string& path) {
  const auto found = files.find(path);
  if (found == files.end()) return std::nullopt;
  return found->second;
}

Result<void> ScriptedTransport::remove_file(const std::string& path) {
  return step("remove " + path, [&]() -> Result<void> {
    files.erase(path);
    return {};
  });
}

}  // namespace tailrace::testing
