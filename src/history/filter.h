// Which filtered streams an event belongs to, without asking every stream. A workspace has thousands of
// filters of the kind `category = "shoes"`, each with its own constant: those are found by the value the
// event has there. Only the others are asked one by one.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <boost/container_hash/hash.hpp>
#include <boost/unordered/unordered_flat_map.hpp>

#include "base/id.h"
#include "base/text_hash.h"
#include "model/value.h"

namespace tailrace::history {

using StreamId = Id<struct StreamTag>;  // index of a stream

// Decides from an event's properties whether it belongs to a filtered stream.
using Accepts = std::function<bool(const Value& properties)>;

// What an event that is accepted has for certain: at the path, one of these values.
struct Needs {
  // Steps. The values that Value::find_all() finds at the first below the properties, at the next below each
  // of those, and so on.
  std::vector<std::string> path;
  // Strings, booleans, and numbers that are decimals (Number::as_decimal). Equal is what Value's == says.
  std::vector<Value> values;
  bool suffice = false;  // an event that has one of them is accepted
};

// A `where`, as far as history needs to know it.
struct Filter {
  Accepts accepts;                    // null: everything
  std::vector<std::string> looks_at;  // the paths of properties
  std::optional<Needs> needs;
};

class FilterIndex {
 public:
  struct Candidate {
    StreamId stream;
    bool certain;  // else its filter has to be asked
  };

  // needs: of the stream's filter, if it says any. In ascending order of streams.
  void add(StreamId stream, const std::optional<Needs>& needs);
  // All streams that an event with these properties may belong to, ascending. Valid until the next call.
  // Cost: a look-up for each path and each value found there, and the streams without needs.
  std::span<const Candidate> find(const Value& properties);

 private:
  using Decimal = std::pair<std::int64_t, int>;  // the mantissa, and the smallest scale
  struct ByPath {
    std::vector<std::string> path;
    boost::unordered_flat_map<std::string, std::vector<Candidate>, TextHash, std::equal_to<>> strings;
    boost::unordered_flat_map<Decimal, std::vector<Candidate>, boost::hash<Decimal>> numbers;
    std::array<std::vector<Candidate>, 2> booleans;
    // A number that is no decimal may still equal one, as doubles compare: it is for the filters to say.
    std::vector<Candidate> all_of_numbers;
  };
  void add_found(const ByPath& by_path, const Value& value);
  void add_found(const std::vector<Candidate>& streams);

  std::vector<ByPath> paths_;
  std::vector<Candidate> others_;  // those without needs
  std::vector<Candidate> found_;
  std::vector<const Value*> values_, below_;
};

}  // namespace tailrace::history
