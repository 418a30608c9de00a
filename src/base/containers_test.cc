// The containers that grow while records flow, against plain ones.
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/flat_table.h"
#include "base/growing_array.h"
#include "base/hash.h"
#include "base/person_map.h"
#include "base/random.h"
#include "base/text_arena.h"

namespace tailrace {
namespace {

struct Count {
  std::uint64_t value = 0;
};

TEST(PersonMap, is_a_map_by_person_and_key) {
  Random random(1);
  PersonMap<Count> map;
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint64_t> plain;
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    const auto person = static_cast<std::uint32_t>(random.below(50));
    const auto key = static_cast<std::uint32_t>(random.below(40));
    switch (random.below(4)) {
      case 0:
        map.erase(PersonId(person), key);
        plain.erase({person, key});
        break;
      case 1:
        if (random.below(100) > 0) break;
        map.clear(PersonId(person));
        std::erase_if(plain, [&](const auto& entry) { return entry.first.first == person; });
        break;
      default:
        map.entry(PersonId(person), key).value += i;
        plain[{person, key}] += i;
    }
  }
  ByteWriter out;
  map.save(out);
  const std::string bytes = out.take();
  PersonMap<Count> restored;
  ByteReader in(bytes);
  ASSERT_TRUE(restored.restore(in));
  EXPECT_TRUE(in.done());
  for (const auto* one : {&map, &restored}) {
    std::size_t entries = 0;
    for (std::uint32_t person = 0; person < 50; ++person) entries += one->values(PersonId(person)).size();
    EXPECT_EQ(entries, plain.size());
    for (const auto& [place, value] : plain) {
      const Count* found = one->find(PersonId(place.first), place.second);
      ASSERT_NE(found, nullptr);
      EXPECT_EQ(found->value, value);
    }
  }
}

TEST(PersonMap, knows_nothing_of_people_it_has_not_met) {
  PersonMap<Count> map;
  EXPECT_EQ(map.find(PersonId(7), 0), nullptr);
  map.erase(PersonId(7), 0);
  map.clear(PersonId(7));
  EXPECT_TRUE(map.values(PersonId(7)).empty());
}

TEST(PersonMap, refuses_damaged_bytes) {
  PersonMap<Count> map;
  map.entry(PersonId(3), 1).value = 5;
  ByteWriter out;
  map.save(out);
  const std::string bytes = out.take();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    PersonMap<Count> restored;
    ByteReader in(std::string_view(bytes).substr(0, size));
    EXPECT_FALSE(restored.restore(in)) << size;
  }
}

TEST(FlatTable, finds_what_was_added_and_nothing_else) {
  FlatTable<std::uint64_t> table;
  for (std::uint64_t i = 1; i <= 100'000; ++i) {
    const std::uint64_t key = hash64({reinterpret_cast<const char*>(&i), sizeof i});
    ASSERT_EQ(table.find(key), nullptr);
    table.add(key, i);
  }
  // Neighbours in one shard share places at first.
  for (std::uint64_t key = 1; key <= 1'000; ++key) table.add(key, key * 2);
  EXPECT_EQ(table.size(), 101'000u);
  for (std::uint64_t i = 1; i <= 100'000; ++i) {
    const auto* found = table.find(hash64({reinterpret_cast<const char*>(&i), sizeof i}));
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(*found, i);
  }
  for (std::uint64_t key = 1; key <= 1'000; ++key) EXPECT_EQ(*table.find(key), key * 2);
  std::uint64_t entries = 0;
  for (std::size_t shard = 0; shard < FlatTable<std::uint64_t>::kShards; ++shard)
    table.each_in(shard, [&](std::uint64_t, std::uint64_t) { ++entries; });
  EXPECT_EQ(entries, table.size());
}

TEST(TextArena, keeps_texts_of_every_length_through_a_restart) {
  TextArena arena;
  std::vector<std::pair<std::uint64_t, std::string>> texts;
  const auto add = [&](std::string text) {
    const std::uint64_t offset = arena.add(text);
    texts.emplace_back(offset, std::move(text));
  };
  for (std::size_t i = 0; i < 50'000; ++i) add(std::string(i % 70, "abcde"[i % 5]));
  add(std::string(5'000'000, 'x'));  // longer than a part
  add("after");
  ByteWriter out;
  arena.save(out);
  const std::string bytes = out.take();
  TextArena restored;
  ByteReader in(bytes);
  ASSERT_TRUE(restored.restore(in));
  restored.add("one more");
  for (const auto& [offset, text] : texts) {
    EXPECT_EQ(arena.view(offset, text.size()), text);
    EXPECT_TRUE(text.empty() || restored.holds(offset, text.size()));
    EXPECT_EQ(restored.view(offset, text.size()), text);
  }
  EXPECT_FALSE(restored.holds(std::uint64_t{1} << 40, 1));
}

TEST(GrowingArray, keeps_its_elements_as_it_grows_and_adds_zeros) {
  GrowingArray<std::uint64_t> array;
  for (const std::size_t size : {1U, 7U, 1'000U, 200'000U, 5'000'000U}) {
    const std::size_t before = array.size();
    array.grow_to(size);
    for (std::size_t i = before; i < size; ++i) {
      ASSERT_EQ(array[i], 0u);
      array[i] = i * 3;
    }
  }
  for (std::size_t i = 0; i < array.size(); ++i) ASSERT_EQ(array[i], i * 3);
  GrowingArray<std::uint64_t> moved = std::move(array);
  EXPECT_EQ(moved.size(), 5'000'000u);
  EXPECT_EQ(moved[4'999'999], 4'999'999u * 3);
}

}  // namespace
}  // namespace tailrace
