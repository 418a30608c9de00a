// Files as messages: the lines of a JSONL file, or the rows of a CSV file by a mapping, each as the JSON text
// of one Segment-style call. Files may be gzip-compressed (by content, whatever the name).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"

namespace tailrace::sources {

struct Message {
  std::uint64_t line = 0;  // where it begins in the file, from 1
  std::string json;        // what the line holds; for CSV, the call made from the row
  std::string problem;  // not empty: the line cannot become a call, and why (a CSV row with too many fields);
                        // json: the raw text
};

class MessageReader {
 public:
  // mapping: the YAML file that says how a CSV row becomes a call; docs/import.md. Empty for JSONL.
  // Errors: not_found, io, invalid_argument (a mapping that is wrong: its file, line and column; a CSV
  // without its columns).
  static Result<std::unique_ptr<MessageReader>> open(const std::string& path, const std::string& mapping);
  virtual ~MessageReader() = default;
  // The next message that is not a blank line; false at the end. Errors: io, invalid_argument (damaged gzip,
  // a line over 16 MiB).
  virtual Result<bool> next(Message& message) = 0;
  // Of the file's bytes on disk, how many were read.
  virtual std::uint64_t bytes_read() const = 0;
  virtual std::uint64_t bytes_total() const = 0;
};

}  // namespace tailrace::sources
