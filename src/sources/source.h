// A source that speaks HTTP in somebody else's words: the webhooks of a platform, or an API whose clients are
// to work unmodified. It says of itself what it is, knows who may send, and turns a request into records;
// everything else (limits, the log, answers that wait for the disk) is shared and lives in server/. One
// folder per source:
//   <name>.cc          the description, and how it reads
//   <name>_test.cc     its cases
//   <name>_fuzz.cc     any bytes as a request
// A folder is all there is to add: the build lists them (CMakeLists.txt).
//
// (The Segment-style API, segment.h, is known by its write keys and stands beside these.)
//
// Pure: the same arguments give the same bytes; no clock, no randomness, no I/O.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/http.h"
#include "base/result.h"
#include "base/time.h"
#include "sources/raw_records.h"

namespace tailrace::sources {

// One setting of a source. The check and the reference page come from this.
struct Setting {
  std::string_view name = {};
  bool required = false;
  bool secret = false;  // only by reference (env or file), only in `credentials`
  std::string_view default_value = {};
  bool is_count = false;                       // a whole number
  std::vector<std::string_view> choices = {};  // empty: any text
  std::string_view about = {};
};

// A source as the workspace has it, with defaults filled in and secrets resolved. Never printed.
struct SourceConfig {
  std::string name;  // of the records' source too
  std::map<std::string, std::string> settings;
  std::map<std::string, std::string> secrets;
  const std::string& setting(const std::string& key) const;  // "" where absent
  const std::string& secret(const std::string& key) const;
};

struct Request {
  const HttpRequest& http;
  std::string_view path;   // of its target, not decoded
  std::string_view query;  // behind the '?', not decoded
  std::string_view body;   // decompressed
  Time now;
  std::uint64_t entropy = 0;  // unique per request
};

// What a request came to.
struct Taken {
  RawRecords records;
  HttpResponse answer;  // given when they are on disk
};

class HttpSource {
 public:
  virtual ~HttpSource() = default;

  virtual std::string_view type() const = 0;   // "customerio_webhooks"
  virtual std::string_view title() const = 0;  // "Customer.io reporting webhooks"
  virtual std::string_view about() const = 0;  // Markdown, for its reference page
  virtual std::span<const Setting> settings() const = 0;

  // Whether a path is of the API that it plays. One that plays none is reached by its name, at
  // /sources/NAME.
  virtual bool serves(std::string_view) const { return false; }
  // Is the sender the one whose secrets these are? The request's http.body is as it came over the wire: what
  // was signed. Errors: invalid_argument, saying what is wrong and never what would be right.
  virtual Result<void> authenticate(const SourceConfig& config, const Request& request) const = 0;
  // Of a request that is authentic. What is not taken is answered with a 4xx.
  virtual Taken take(const SourceConfig& config, const Request& request) const = 0;
  // A refusal in the words of its API.
  virtual HttpResponse refusal(int status, std::string_view why) const;
};

// All sources, in the order of their types.
std::span<const HttpSource* const> registry();
// nullptr: there is none of that type.
const HttpSource* find_source(std::string_view type);

// Gives every setting that is absent its default.
void fill_defaults(const HttpSource& source, SourceConfig& config);

HttpResponse json_answer(int status, std::string body);

// Whether two secrets, or two signatures, are the same; the time it takes tells nothing of where they differ.
bool same_secret(std::string_view a, std::string_view b);

// Undoes %XX, of one segment of a path. Missing: a % without its two digits, or no UTF-8.
std::optional<std::string> percent_decoded(std::string_view text);

// Whole seconds since 1970, as JSON number or as text. Missing: it is none, or beyond the years 0001 to 9999.
std::optional<Time> time_of_seconds(std::string_view text);

// A page of docs/sources/.
std::string reference_markdown(const HttpSource& source);

}  // namespace tailrace::sources
