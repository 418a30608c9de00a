// Writes one Parquet file, row by row, in bounded memory. The same rows give the same file.
//
//   auto writer = TRY(ParquetWriter::create(table, "events.parquet"));
//   writer->put(0, "order-1"); writer->put_time(1, at); TRY(writer->end_row());     // what is not put is
//   null TRY(writer->finish());
//
// Values wait as the file will have them: in pages of at most 256 KiB, compressed when they are full, until a
// group of rows is whole and goes to the disk. One thread at a time.
//
// Facts: the Parquet format, https://github.com/apache/parquet-format: data pages of version 1, so that every
// warehouse reads them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/number.h"
#include "base/result.h"
#include "base/time.h"
#include "model/warehouse_table.h"

namespace tailrace::columnar {

// What a decimal column holds of a number: in units of 10^-9. Missing: it does not fit (more than 9 digits
// behind the point, or 29 before it), or is no decimal.
__extension__ using Decimal = __int128;
std::optional<Decimal> to_decimal(const Number& number);

class ParquetWriter {
 public:
  // The file must not be there yet. Errors: io.
  static Result<std::unique_ptr<ParquetWriter>> create(const WarehouseTable& table, const std::string& path);
  virtual ~ParquetWriter() = default;

  // column: its place in the table. The type must be the column's: text and json take put(), UTF-8.
  virtual void put(std::size_t column, std::string_view text) = 0;
  virtual void put_boolean(std::size_t column, bool value) = 0;
  virtual void put_integer(std::size_t column, std::int64_t value) = 0;
  virtual void put_decimal(std::size_t column, Decimal value) = 0;
  virtual void put_real(std::size_t column, double value) = 0;
  virtual void put_time(std::size_t column, Time value) = 0;
  virtual Result<void> end_row() = 0;  // errors: io
  virtual std::uint64_t rows() const = 0;

  // The file is whole on return; nothing is put after that. Errors: io.
  virtual Result<void> finish() = 0;
};

}  // namespace tailrace::columnar
