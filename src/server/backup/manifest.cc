#include "server/backup/manifest.h"

#include <algorithm>
#include <charconv>
#include <span>

#include <fmt/format.h>

#include "base/hash.h"
#include "log/frame.h"
#include "server/formats.h"
#include "server/snapshot/manifest.h"

namespace tailrace::server {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";

std::string with_sum(std::string text) {
  const std::string sum = sha256_hex(text);
  return text + "sum " + sum + "\n";
}

std::unexpected<Error> damaged(std::string_view what) {
  return fail(Error::Code::corrupt, fmt::format("it is damaged: {}", what));
}

// The text before the sum, which is right, and begins with a line that names this format, or one before
// that is read as well.
Result<std::string_view> checked(std::string_view text, std::string_view format,
                                 std::span<const std::string_view> before = {}) {
  const std::string_view kind = format.substr(0, format.rfind(' ') + 1);
  const std::string_view first = text.substr(0, text.find('\n'));
  if (!first.starts_with(kind)) return damaged(fmt::format("it does not begin with `{}`", format));
  if (first != format && std::ranges::find(before, first) == before.end()) {
    return fail(
        Error::Code::unsupported,
        fmt::format("its format is \"{}\", and this tailrace reads \"{}\": use the version that wrote "
                    "it, or a newer one",
                    first.substr(0, 40), format));
  }
  const std::size_t sum = text.rfind("sum ");
  if (sum == std::string_view::npos || sum == 0 || text[sum - 1] != '\n') return damaged("it ends too early");
  if (text.substr(sum) != "sum " + sha256_hex(text.substr(0, sum)) + "\n")
    return damaged("its checksum is wrong");
  return text.substr(0, sum);
}

// Words of lines, one line after the other. What is not as asked for leaves ok() false for good.
class Lines {
 public:
  explicit Lines(std::string_view text) : rest_(text) {}

  // The next line begins with this word, and becomes the one that is read. An empty word: whatever it is.
  bool next(std::string_view word) {
    const std::string_view line = rest_.substr(0, rest_.find('\n'));
    if (rest_.empty()) return false;
    if (!word.empty() && line != word && !line.starts_with(std::string(word) + " ")) return false;
    rest_.remove_prefix(std::min(rest_.size(), line.size() + 1));
    line_ = line;
    if (!word.empty()) static_cast<void>(text());
    return true;
  }
  void expect(std::string_view word) { ok_ = ok_ && next(word); }
  std::string_view text() {
    const std::size_t end = line_.find(' ');
    const std::string_view word = line_.substr(0, end);
    line_.remove_prefix(end == std::string_view::npos ? line_.size() : end + 1);
    if (word.empty()) ok_ = false;
    return word;
  }
  template <class Number>
  Number number() {
    Number value{};
    const std::string_view word = text();
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc() || end != word.data() + word.size()) ok_ = false;
    return value;
  }
  void fail() { ok_ = false; }
  bool at_end() const { return rest_.empty(); }
  bool line_done() const { return line_.empty(); }
  bool ok() const { return ok_; }

 private:
  std::string_view rest_;
  std::string_view line_;
  bool ok_ = true;
};

bool is_plain_name(std::string_view name) {
  return !name.empty() && name.front() != '.' && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
  });
}

// In a store, and nowhere else: a manifest may come from anybody.
bool is_place(std::string_view place) {
  if (place == kSnapshotName || parse_snapshot_file_name(place)) return true;
  for (const std::string_view log : {"log/", "changes/"}) {
    if (place.starts_with(log)) return log::parse_file_name(place.substr(log.size())).has_value();
  }
  if (place.starts_with("sources/")) {
    const std::string_view rest = place.substr(8);
    const std::size_t slash = std::min(rest.find('/'), rest.size());
    return slash < rest.size() && is_plain_name(rest.substr(0, slash)) &&
           is_plain_name(rest.substr(slash + 1));
  }
  return place.starts_with("ledger/") && is_plain_name(place.substr(7));
}
bool is_name(std::string_view name, std::string_view place) {
  return name.starts_with(place) && is_plain_name(name.substr(name.rfind('/') + 1));
}

}  // namespace

std::string to_text(const Manifest& manifest) {
  std::string text = fmt::format(
      "{}\nmade {}\nlog {} {} {} {} {}\n", kBackupFormat, format_time(manifest.made), manifest.log_format,
      manifest.log_end.value, manifest.records, manifest.log.first_received_at.ms, manifest.log.first_length);
  if (manifest.snapshot) text += fmt::format("snapshot {}\n", manifest.snapshot->value);
  text += fmt::format("ledger {}\n", manifest.ledger_format);
  for (const BackupFile& file : manifest.files)
    text += fmt::format("file {} {} {} {}\n", file.sha256, file.bytes, file.place, file.name);
  return with_sum(std::move(text));
}

std::vector<std::string> source_folders(const Manifest& manifest) {
  std::vector<std::string> folders;
  for (const BackupFile& file : manifest.files) {
    if (!file.place.starts_with("sources/")) continue;
    std::string folder = file.place.substr(0, file.place.rfind('/'));
    if (std::ranges::find(folders, folder) == folders.end()) folders.push_back(std::move(folder));
  }
  return folders;
}

Result<Manifest> parse_manifest(std::string_view text) {
  Lines lines(TRY(checked(text, kBackupFormat, kBackupFormatsBefore)));
  lines.expect("tailrace");
  Manifest manifest;
  lines.expect("made");
  const auto made = parse_time(lines.text());
  if (!made) return damaged("its time is unreadable");
  manifest.made = *made;
  lines.expect("log");
  manifest.log_format = lines.number<std::uint32_t>();
  manifest.log_end = Position{lines.number<std::uint64_t>()};
  manifest.records = lines.number<std::uint64_t>();
  manifest.log.first_received_at = Time{lines.number<std::int64_t>()};
  manifest.log.first_length = lines.number<std::uint32_t>();
  if (lines.next("snapshot")) manifest.snapshot = Position{lines.number<std::uint64_t>()};
  lines.expect("ledger");
  manifest.ledger_format = lines.number<std::uint32_t>();
  while (lines.ok() && lines.next("file")) {
    BackupFile file;
    file.sha256 = lines.text();
    file.bytes = lines.number<std::uint64_t>();
    file.place = lines.text();
    file.name = lines.text();
    const bool hex =
        file.sha256.size() == 64 && file.sha256.find_first_not_of(kHexDigits) == std::string::npos;
    if (!hex || !is_place(file.place) || !is_name(file.name, file.place)) lines.fail();
    manifest.files.push_back(std::move(file));
  }
  if (!lines.ok() || !lines.at_end()) return damaged("a line of it is not of this format");
  return manifest;
}

std::string to_text(const Deletions& deletions) {
  std::string text = fmt::format("{}\nfirst {} {}\n", kDeletionsFormat, deletions.log.first_received_at.ms,
                                 deletions.log.first_length);
  for (const log::Tombstone& each : deletions.tombstones) {
    text += fmt::format("{} {} {} {}\n", each.position.value, each.received_at.ms, each.length,
                        each.created_person ? 1 : 0);
  }
  return with_sum(std::move(text));
}

Result<Deletions> parse_deletions(std::string_view text) {
  Lines lines(TRY(checked(text, kDeletionsFormat)));
  lines.expect("tailrace");
  Deletions deletions;
  lines.expect("first");
  deletions.log.first_received_at = Time{lines.number<std::int64_t>()};
  deletions.log.first_length = lines.number<std::uint32_t>();
  while (lines.ok() && lines.next("")) {
    log::Tombstone each;
    each.position = Position{lines.number<std::uint64_t>()};
    each.received_at = Time{lines.number<std::int64_t>()};
    each.length = lines.number<std::uint32_t>();
    each.created_person = lines.number<unsigned>() == 1;
    const bool ascending =
        deletions.tombstones.empty() || deletions.tombstones.back().position < each.position;
    if (!ascending || !lines.line_done()) lines.fail();
    deletions.tombstones.push_back(each);
  }
  if (!lines.ok()) return damaged("a line of it is not of this format");
  return deletions;
}

}  // namespace tailrace::server
