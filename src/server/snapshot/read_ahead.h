// Pieces that a thread of its own reads and checks while those before them are taken in: a restart takes as
// long as the longer of the two.
//
//   ReadAhead ahead(*snapshot);
//   ByteReader in(ahead);
//   TRY(engine.restore(in));
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <string>
#include <thread>

#include "base/bytes.h"

namespace tailrace::server {

class ReadAhead final : public PieceSource {
 public:
  // Nobody else uses the source until this is gone.
  explicit ReadAhead(PieceSource& source);
  ~ReadAhead() override;
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  std::uint64_t bytes() const override { return bytes_; }
  Result<std::string_view> next() override;

 private:
  static constexpr std::size_t kPieces = 8;  // of a mebibyte at most

  void read();
  // False: nobody waits for it any more.
  bool hand_on(Result<std::string> piece);

  PieceSource& source_;
  const std::uint64_t bytes_;
  std::string piece_;  // that was given last
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Result<std::string>> pieces_;
  std::exception_ptr thrown_;  // out of memory
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace tailrace::server
