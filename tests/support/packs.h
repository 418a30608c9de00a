// Packs for tests of warehouse destinations. Their files are no Parquet: they begin with "PAR1" and go on as
// CSV without quotes, which the stand-ins of warehouses read. What a destination does with a file it does
// without looking into it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "destinations/warehouse_destination.h"

namespace tailrace::testing {

using PackRow = std::map<std::string, std::string>;  // column to value; absent: null
using PackRows = std::vector<PackRow>;

// A pack and the bytes of its files, by path.
struct TestPack {
  destinations::Pack pack;
  std::map<std::string, std::string> bytes;
};

// Two tables: `events` (append; message_id, name, revenue, at) and `people` (latest; person, email, version).
std::vector<destinations::WarehouseTable> test_tables();

// sequence n of the sync "warehouse": rows of `events` in as many files as there are lists, then of `people`.
TestPack make_pack(std::uint64_t sequence, const std::vector<PackRows>& events, const PackRows& people,
                   std::vector<destinations::WarehouseTable> tables = test_tables());

std::string to_file(const std::vector<std::string>& columns, const PackRows& rows);
// Empty columns: the bytes are no file of ours.
struct ReadFile {
  std::vector<std::string> columns;
  PackRows rows;
};
ReadFile read_file(std::string_view bytes);

// "email=ada@example.com person=1 version=3", the rows in order of their texts.
std::string describe(const PackRows& rows);

}  // namespace tailrace::testing
