// Sources in tests: a request of a few words, and what came of it as lines that read like a log.
#pragma once

#include <map>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "base/assert.h"
#include "base/hash.h"
#include "model/record.h"
#include "sources/source.h"

namespace tailrace::testing {

constexpr Time kSourceNow{1'772'359'200'000};  // 2026-03-01T10:00:00Z

// identify kim@example.com 2026-03-01T10:00:00.000Z user=u-17 {"plan":"pro"}
inline std::string line_of(const RecordView& record) {
  static constexpr const char* kKinds[] = {"tombstone", "identify", "track",  "page",      "screen",
                                           "group",     "alias",    "delete", "workspace", "rejected"};
  std::string line = kKinds[static_cast<std::size_t>(record.kind)];
  const auto add = [&](std::string_view name, std::string_view value) {
    if (!value.empty()) line += fmt::format(" {}={}", name, value);
  };
  if (!record.event.empty()) line += fmt::format(" \"{}\"", record.event);
  if (!record.message_id.starts_with("auto-")) add("id", record.message_id);
  if (record.time != kSourceNow) add("at", format_time(record.time));
  add("user", record.user_id);
  add("anonymous", record.anonymous_id);
  add("previous", record.previous_id);
  add("context", record.context);
  if (record.kind == RecordKind::rejected) return line + fmt::format(" because {}", record.reason);
  if (!record.payload.empty()) line += fmt::format(" {}", record.payload);
  return line;
}

inline std::string lines_of(const sources::RawRecords& records) {
  std::string lines;
  for (std::size_t i = 0; i < records.ends.size(); ++i) {
    const auto record = decode_record(records.at(i));
    TR_ASSERT(record.has_value());
    lines += line_of(*record) + "\n";
  }
  return lines;
}

// One source under test.
class SourceScene {
 public:
  explicit SourceScene(const sources::HttpSource& source) : source_(source) {
    config_.name = "test";
    sources::fill_defaults(source, config_);
  }
  sources::SourceConfig& config() { return config_; }

  // Missing: whoever sent it may. Else why not.
  std::string stranger(const HttpRequest& http, Time now = kSourceNow) const {
    const auto known = source_.authenticate(config_, request_of(http, now));
    return known ? std::string() : known.error().message;
  }
  sources::Taken take(const HttpRequest& http) const {
    return source_.take(config_, request_of(http, kSourceNow));
  }
  // "200" and the lines; of a refusal its status and body.
  std::string taken(const HttpRequest& http) const {
    const sources::Taken came = take(http);
    if (came.answer.status >= 400) {
      TR_ASSERT(came.records.ends.empty());
      return fmt::format("{} {}\n", came.answer.status, came.answer.body);
    }
    return fmt::format("{}\n{}", came.answer.status, lines_of(came.records));
  }

 private:
  static sources::Request request_of(const HttpRequest& http, Time now) {
    const std::string_view target = http.url;
    const std::size_t question = std::min(target.find('?'), target.size());
    return {.http = http,
            .path = target.substr(0, question),
            .query = {},
            .body = http.body,
            .now = now,
            .entropy = 1};
  }

  const sources::HttpSource& source_;
  sources::SourceConfig config_;
};

}  // namespace tailrace::testing
