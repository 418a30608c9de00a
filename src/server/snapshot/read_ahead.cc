#include "server/snapshot/read_ahead.h"

#include "base/thread_name.h"

namespace tailrace::server {

ReadAhead::ReadAhead(PieceSource& source) : source_(source), bytes_(source.bytes()) {
  thread_ = std::thread([this] {
    name_thread("snapshot-reader");
    try {
      read();
    } catch (...) {
      const std::lock_guard lock(mutex_);
      thrown_ = std::current_exception();
      changed_.notify_one();
    }
  });
}

ReadAhead::~ReadAhead() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void ReadAhead::read() {
  for (std::uint64_t left = bytes_; left > 0;) {
    const auto piece = source_.next();
    if (!piece) {
      hand_on(std::unexpected(piece.error()));
      return;
    }
    left -= std::min<std::uint64_t>(left, piece->size());
    if (!hand_on(std::string(*piece))) return;
  }
}

bool ReadAhead::hand_on(Result<std::string> piece) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return stopped_ || pieces_.size() < kPieces; });
  if (stopped_) return false;
  pieces_.push_back(std::move(piece));
  changed_.notify_one();
  return true;
}

Result<std::string_view> ReadAhead::next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !pieces_.empty() || thrown_ != nullptr; });
  if (pieces_.empty()) std::rethrow_exception(thrown_);
  Result<std::string> piece = std::move(pieces_.front());
  pieces_.pop_front();
  changed_.notify_one();
  if (!piece) return std::unexpected(piece.error());
  piece_ = std::move(*piece);
  return piece_;
}

}  // namespace tailrace::server
