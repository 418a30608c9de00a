#include "server/snapshot/delta.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <vector>

namespace tailrace::server {
namespace {

// Fewer bytes that are the same are not worth a step.
constexpr std::size_t kSameMin = 8;
// Where bytes differ, the strings most often go on alike a few bytes later. Only then is it asked where the
// bytes may have moved to.
constexpr std::size_t kInPlace = 32;
// What has moved is found by blocks of the older string.
constexpr std::size_t kBlock = 16;

std::uint64_t word_at(std::string_view bytes, std::size_t at) {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes.data() + at, sizeof word);
  return word;
}

std::size_t same_length(std::string_view a, std::string_view b) {
  const std::size_t size = std::min(a.size(), b.size());
  std::size_t at = 0;
  for (; at + 8 <= size; at += 8) {
    const std::uint64_t differing = word_at(a, at) ^ word_at(b, at);
    if (differing != 0) return at + static_cast<std::size_t>(std::countr_zero(differing)) / 8;
  }
  while (at < size && a[at] == b[at]) ++at;
  return at;
}

// Where blocks of a string stand: of equal ones, the first.
class Blocks {
 public:
  static constexpr std::size_t kNowhere = SIZE_MAX;

  explicit Blocks(std::string_view bytes) : bytes_(bytes) {
    const std::size_t count = bytes.size() / kBlock;
    shift_ = 64 - static_cast<unsigned>(std::countr_zero(std::bit_ceil(2 * count + 2)));
    places_.resize(std::size_t{1} << (64 - shift_));
    for (std::size_t i = count; i > 0; --i)
      places_[hash_at(bytes_, (i - 1) * kBlock)] = static_cast<std::uint32_t>(i);
  }
  // Where the block at `at` of another string stands.
  std::size_t find(std::string_view other, std::size_t at) const {
    const std::uint32_t place = places_[hash_at(other, at)];
    if (place == 0) return kNowhere;
    const std::size_t found = (place - std::size_t{1}) * kBlock;
    return std::memcmp(bytes_.data() + found, other.data() + at, kBlock) == 0 ? found : kNowhere;
  }

 private:
  std::size_t hash_at(std::string_view bytes, std::size_t at) const {
    const std::uint64_t mixed =
        (word_at(bytes, at) * 0x9E3779B97F4A7C15U) ^ (word_at(bytes, at + 8) * 0xC2B2AE3D27D4EB4FU);
    return mixed * 0x9E3779B97F4A7C15U >> shift_;
  }

  std::string_view bytes_;
  unsigned shift_ = 0;
  std::vector<std::uint32_t> places_;  // one more than the block's number; 0: none
};

class Comparing {
 public:
  Comparing(std::string_view before, std::string_view after) : before_(before), after_(after) {}

  std::string run() && {
    while (at_ < after_.size()) {
      const std::size_t same =
          there_ < before_.size() ? same_length(before_.substr(there_), after_.substr(at_)) : 0;
      if (same >= kSameMin || (same > 0 && at_ + same == after_.size())) {
        put_step(same);
      } else {
        find_same(same);
      }
    }
    if (new_from_ < at_) put_step(0);
    return std::move(delta_);
  }

 private:
  // Goes on to where both are the same again, or to the end. The first `known` bytes are too few.
  void find_same(std::size_t known) {
    const std::size_t begin = at_;
    at_ += known + 1;
    there_ += known + 1;
    for (; at_ + 8 <= after_.size(); ++at_, ++there_) {
      if (there_ + 8 <= before_.size() && word_at(before_, there_) == word_at(after_, at_)) return;
      if (at_ < begin + kInPlace || at_ + kBlock > after_.size() || before_.size() < kBlock) continue;
      if (blocks_.empty()) blocks_.emplace_back(before_);
      // Those passed by without asking come first.
      if (at_ == begin + kInPlace) {
        for (std::size_t earlier = begin; earlier < at_; ++earlier) {
          if (go_to_block(earlier)) return;
        }
      }
      if (go_to_block(at_)) return;
    }
    at_ = after_.size();
  }
  bool go_to_block(std::size_t at) {
    std::size_t found = blocks_.front().find(after_, at);
    if (found == Blocks::kNowhere) return false;
    while (at > new_from_ && found > 0 && before_[found - 1] == after_[at - 1]) {
      --at;
      --found;
    }
    at_ = at;
    there_ = found;
    return true;
  }
  void put_step(std::size_t same) {
    const std::size_t fresh = at_ - new_from_;
    put(fresh);
    delta_ += after_.substr(new_from_, fresh);
    put(same);
    const auto shift = static_cast<std::int64_t>(there_) - static_cast<std::int64_t>(ended_ + fresh);
    put(same == 0 ? 0 : static_cast<std::uint64_t>(shift) << 1 ^ static_cast<std::uint64_t>(shift >> 63));
    at_ += same;
    there_ += same;
    new_from_ = at_;
    ended_ = there_;
  }
  void put(std::uint64_t number) {
    for (; number >= 0x80; number >>= 7) delta_ += static_cast<char>(number | 0x80);
    delta_ += static_cast<char>(number);
  }

  const std::string_view before_, after_;
  std::size_t at_ = 0;          // in `after`
  std::size_t there_ = 0;       // in `before`, where it may be the same; perhaps beyond its end
  std::size_t new_from_ = 0;    // in `after`: what no step has
  std::size_t ended_ = 0;       // in `before`: the last step
  std::vector<Blocks> blocks_;  // of `before`, once needed
  std::string delta_;
};

std::unexpected<Error> no_delta() { return fail(Error::Code::corrupt, "it is no delta to these bytes"); }

Result<std::uint64_t> take_number(std::string_view& bytes) {
  std::uint64_t number = 0;
  for (unsigned shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    number |= std::uint64_t{byte & 0x7FU} << shift;
    if (byte < 0x80) return number;
  }
  return no_delta();
}

}  // namespace

std::string delta_of(std::string_view before, std::string_view after) {
  return Comparing(before, after).run();
}

Result<std::string> apply_delta(std::string_view before, std::string_view delta, std::size_t bytes_max) {
  std::string after;
  std::uint64_t ended = 0;
  while (!delta.empty()) {
    const auto fresh = TRY(take_number(delta));
    if (fresh > delta.size() || fresh > bytes_max - after.size()) return no_delta();
    after += delta.substr(0, fresh);
    delta.remove_prefix(fresh);
    const auto same = TRY(take_number(delta));
    const auto written = TRY(take_number(delta));
    const std::uint64_t shift = written >> 1 ^ (~(written & 1) + 1);
    if (same == 0) continue;
    // Unsigned, so that what lies before the beginning is far behind the end.
    const std::uint64_t begin = ended + fresh + shift;
    if (begin > before.size() || same > before.size() - begin || same > bytes_max - after.size())
      return no_delta();
    after += before.substr(begin, same);
    ended = begin + same;
  }
  return after;
}

}  // namespace tailrace::server
