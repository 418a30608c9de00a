#include "server/snapshot/read_ahead.h"

#include <atomic>
#include <new>

#include <gmock/gmock.h>

namespace tailrace::server {
namespace {

using ::testing::HasSubstr;

// A hundred pieces of ten bytes each, of which one may be damaged, or be one for which there is no memory.
class Pieces final : public PieceSource {
 public:
  std::uint64_t bytes() const override { return 1000; }
  Result<std::string_view> next() override {
    if (given_ == throws_at) throw std::bad_alloc();
    if (given_ == fails_at) return fail(Error::Code::corrupt, "piece 50 is damaged");
    piece_.assign(10, static_cast<char>('a' + given_++ % 26));
    return piece_;
  }
  std::uint64_t given() const { return given_; }

  std::uint64_t fails_at = UINT64_MAX;
  std::uint64_t throws_at = UINT64_MAX;

 private:
  std::string piece_;
  std::atomic<std::uint64_t> given_ = 0;
};

TEST(ReadAhead, gives_what_its_source_gives_in_order) {
  Pieces pieces;
  ReadAhead ahead(pieces);
  EXPECT_EQ(ahead.bytes(), 1000u);
  for (int i = 0; i < 100; ++i) {
    const auto piece = ahead.next();
    ASSERT_TRUE(piece) << piece.error().message;
    EXPECT_EQ(*piece, std::string(10, static_cast<char>('a' + i % 26)));
  }
}

TEST(ReadAhead, gives_what_was_whole_before_it_says_what_was_not) {
  Pieces pieces;
  pieces.fails_at = 50;
  ReadAhead ahead(pieces);
  for (int i = 0; i < 50; ++i) EXPECT_TRUE(ahead.next());
  EXPECT_THAT(ahead.next().error().message, HasSubstr("piece 50"));
}

TEST(ReadAhead, is_out_of_memory_where_its_source_is) {
  Pieces pieces;
  pieces.throws_at = 3;
  ReadAhead ahead(pieces);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(ahead.next());
  EXPECT_THROW(static_cast<void>(ahead.next()), std::bad_alloc);
}

// Where what is read makes no sense, reading ends before the end.
TEST(ReadAhead, ends_when_nobody_asks_any_more_and_reads_a_bounded_number_ahead) {
  Pieces pieces;
  {
    ReadAhead ahead(pieces);
    EXPECT_TRUE(ahead.next());
  }
  EXPECT_LT(pieces.given(), 20u);
}

}  // namespace
}  // namespace tailrace::server
