#include "sources/messages.h"

#include <zlib.h>

#include <filesystem>

namespace tailrace::sources {
namespace {
class JsonLines final : public MessageReader {
 public:
  explicit JsonLines(const std::string& path) : file_(gzopen(path.c_str(), "rb")), total_(std::filesystem::file_size(path)) {}
  ~JsonLines() override { gzclose(file_); }
  Result<bool> next(Message& message) override {
    while (true) {
      message = {};
      ++line_;
      int c = 0;
      bool any = false;
      while ((c = gzgetc(file_)) != -1 && c != '\n') {
        any = true;
        message.json += static_cast<char>(c);
      }
      if (c == -1 && !any) return false;
      if (message.json.find_first_not_of(" \t\r") == std::string::npos) continue;
      message.line = line_;
      return true;
    }
  }
  std::uint64_t bytes_read() const override { return static_cast<std::uint64_t>(gzoffset(file_)); }
  std::uint64_t bytes_total() const override { return total_; }

 private:
  gzFile file_;
  std::uint64_t total_;
  std::uint64_t line_ = 0;
};
}  // namespace
Result<std::unique_ptr<MessageReader>> MessageReader::open(const std::string& path, const std::string&) {
  return std::unique_ptr<MessageReader>(new JsonLines(path));
}
}  // namespace tailrace::sources
