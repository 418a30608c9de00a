#include "base/bytes.h"

#include <algorithm>
#include <memory>

#include <gtest/gtest.h>

#include "base/random.h"

namespace tailrace {
namespace {

// Pieces in memory. Each is handed out in a place of its own, and the one before becomes unreadable.
class Pieces final : public PieceSink, public PieceSource {
 public:
  void put(std::uint64_t key, std::string_view piece) override {
    keys.push_back(key);
    pieces.emplace_back(piece);
  }
  std::uint64_t bytes() const override {
    std::uint64_t bytes = 0;
    for (const std::string& piece : pieces) bytes += piece.size();
    return bytes;
  }
  Result<std::string_view> next() override {
    if (next_ == damaged) return fail(Error::Code::corrupt, "damaged");
    handed_out_ = std::make_unique<std::string>(pieces.at(next_++));
    return *handed_out_;
  }

  std::vector<std::uint64_t> keys;
  std::vector<std::string> pieces;
  std::size_t damaged = SIZE_MAX;

 private:
  std::unique_ptr<std::string> handed_out_;
  std::size_t next_ = 0;
};

std::string text_of(Random& random, std::size_t length) {
  std::string text(length, '\0');
  for (char& c : text) c = static_cast<char>(random.below(256));
  return text;
}

TEST(Pieces, hold_what_one_string_would_and_are_cut_at_parts_and_at_their_greatest_size) {
  Random random(7);
  const std::string longest = text_of(random, 3 * kPieceBytes + 5);
  const auto write = [&](ByteWriter& out) {
    out.begin_part("first");
    out.put<std::uint32_t>(1);
    out.put_string("short");
    out.begin_part("second", 4);
    out.put_string(longest);
    for (std::uint64_t range = 1; range < 4; ++range) {
      out.begin_range(range);
      out.put_array(std::vector<std::uint64_t>(100'000, range));
    }
    out.finish();
  };
  ByteWriter whole;
  write(whole);
  Pieces pieces;
  ByteWriter cut(pieces);
  write(cut);
  std::string together;
  for (const std::string& piece : pieces.pieces) {
    EXPECT_LE(piece.size(), kPieceBytes);
    together += piece;
  }
  EXPECT_EQ(together, whole.take());
  EXPECT_EQ(pieces.pieces.size(), 1u + 4u + 3u);
  // One name for each, and the same ones again.
  Pieces again;
  ByteWriter out(again);
  write(out);
  EXPECT_EQ(again.keys, pieces.keys);
  std::sort(again.keys.begin(), again.keys.end());
  EXPECT_EQ(std::unique(again.keys.begin(), again.keys.end()), again.keys.end());
}

TEST(Pieces, are_read_as_one_string_wherever_they_were_cut) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Random random(seed);
    std::vector<std::string> texts;
    ByteWriter out;
    for (int i = 0; i < 20; ++i) {
      texts.push_back(text_of(random, random.below(50)));
      out.put_string(texts.back());
      out.put<std::uint16_t>(static_cast<std::uint16_t>(i));
      out.put_array(std::vector<std::uint32_t>(random.below(20), 77));
    }
    const std::string bytes = out.take();
    Pieces pieces;
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t size = std::min<std::size_t>(1 + random.below(30), bytes.size() - at);
      pieces.put(0, std::string_view(bytes).substr(at, size));
      at += size;
    }
    ByteReader in(pieces);
    for (int i = 0; i < 20; ++i) {
      if (i % 2 == 0) {
        EXPECT_EQ(*in.get_view(), texts[static_cast<std::size_t>(i)]);
      } else {
        EXPECT_EQ(*in.get_string(), texts[static_cast<std::size_t>(i)]);
      }
      EXPECT_EQ(*in.get<std::uint16_t>(), i);
      if (i % 3 == 0) {
        GrowingArray<std::uint32_t> array;
        ASSERT_TRUE(in.get_into(array));
        for (const std::uint32_t value : array.view()) EXPECT_EQ(value, 77u);
      } else {
        const auto array = in.get_array<std::uint32_t>();
        ASSERT_TRUE(array);
        for (const std::uint32_t value : *array) EXPECT_EQ(value, 77u);
      }
    }
    EXPECT_TRUE(in.done());
    EXPECT_EQ(in.get<char>().error().code, Error::Code::corrupt);
  }
}

TEST(Pieces, that_are_damaged_give_their_error_and_counts_are_bounded_by_what_is_there) {
  ByteWriter out;
  out.put<std::uint64_t>(1'000'000);
  out.put_string("abcdefgh");
  const std::string bytes = out.take();
  Pieces pieces;
  pieces.put(0, bytes.substr(0, 12));
  pieces.put(1, bytes.substr(12));
  {
    ByteReader in(pieces);
    EXPECT_EQ(in.get_array<std::uint64_t>().error().message, "the bytes end too early");
  }
  Pieces damaged = {};
  damaged.pieces = pieces.pieces;
  damaged.damaged = 1;
  ByteReader in(damaged);
  EXPECT_EQ(*in.get<std::uint64_t>(), 1'000'000u);
  EXPECT_EQ(in.get_string().error().message, "damaged");
}

TEST(Ranges, of_a_table_are_about_a_piece_each) {
  EXPECT_EQ(shards_of_range(0, 256), 256u);
  EXPECT_EQ(shards_of_range(kPieceBytes, 256), 256u);
  EXPECT_EQ(shards_of_range(8 * kPieceBytes, 256), 32u);
  EXPECT_EQ(shards_of_range(8 * kPieceBytes + 1, 256), 16u);
  EXPECT_EQ(shards_of_range(100'000 * kPieceBytes, 256), 1u);
}

}  // namespace
}  // namespace tailrace
