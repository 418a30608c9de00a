// How much memory is held, counted by those who hold it. What the allocator keeps for itself, a few per cent,
// is not in it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tailrace {

struct MemoryUse {
  std::uint64_t bytes = 0;
  std::uint64_t unused = 0;  // of these: room for what may come
  MemoryUse& operator+=(const MemoryUse& other) {
    bytes += other.bytes;
    unused += other.unused;
    return *this;
  }
};

// Of the elements themselves, without what they point to.
template <class T>
MemoryUse memory_of(const std::vector<T>& values) {
  return {values.capacity() * sizeof(T), (values.capacity() - values.size()) * sizeof(T)};
}
inline MemoryUse memory_of(const std::vector<bool>& values) {
  return {values.capacity() / 8, (values.capacity() - values.size()) / 8};
}
inline MemoryUse memory_of(const std::string& text) {
  const bool inside = text.capacity() <= std::string().capacity();
  return inside ? MemoryUse{} : MemoryUse{text.capacity() + 1, text.capacity() - text.size()};
}
template <class T>
MemoryUse memory_of(const std::deque<T>& values) {
  return {values.size() * sizeof(T), 0};
}
// Of an open-addressed table of Boost: 15 places in a group, with 16 bytes beside them.
template <class Table>
MemoryUse memory_of_table(const Table& table) {
  constexpr std::uint64_t kPlace = sizeof(typename Table::value_type);
  const std::uint64_t places = table.bucket_count();
  return {places * kPlace + places / 15 * 16, (places - table.size()) * kPlace};
}

// By part, in the order in which they were first named.
class MemoryParts {
 public:
  struct Part {
    std::string name;
    MemoryUse use;
  };
  void add(std::string_view name, const MemoryUse& use) {
    const auto known =
        std::find_if(parts_.begin(), parts_.end(), [&](const Part& part) { return part.name == name; });
    if (known != parts_.end()) {
      known->use += use;
    } else {
      parts_.push_back({std::string(name), use});
    }
  }
  std::span<const Part> parts() const { return parts_; }
  MemoryUse total() const {
    MemoryUse sum;
    for (const Part& part : parts_) sum += part.use;
    return sum;
  }

 private:
  std::vector<Part> parts_;
};

}  // namespace tailrace
