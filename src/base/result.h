// How failure travels: a value or an Error, passed up with TRY. Used for bad input, missing files and broken
// bytes; a broken invariant is TR_ASSERT (assert.h), and what a destination says of one record is an Outcome.
#pragma once

#include <expected>
#include <string>
#include <type_traits>
#include <utility>

namespace tailrace {

struct Error {
  enum class Code {
    invalid_argument,  // the caller's input is wrong; the message says what, where and how to mend it
    not_found,
    conflict,     // the state forbids it: a lock is held, a resume does not fit what was started
    unavailable,  // try again later: back-pressure, a peer that does not answer
    io,           // the system said no: disk full, permission, a broken pipe
    corrupt,      // stored bytes fail their checksum or their grammar
    unsupported,  // a store or a request of a version we do not speak
  };
  Code code = Code::invalid_argument;
  std::string message;

  bool operator==(const Error&) const = default;
};

template <class T>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(Error::Code code, std::string message) {
  return std::unexpected(Error{code, std::move(message)});
}
inline std::unexpected<Error> invalid(std::string message) {
  return fail(Error::Code::invalid_argument, std::move(message));
}

namespace detail {
template <class T>
T take(Result<T>&& result) {
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}
}  // namespace detail

}  // namespace tailrace

// TRY(expression) is the value of a Result, or returns its error from the enclosing function.
//   Settings settings = TRY(parse(text));   TRY(file.sync());
#define TRY(...) TR_TRY_NAMED(TR_TRY_JOIN(tr_result_, __COUNTER__), __VA_ARGS__)
#define TR_TRY_JOIN(a, b) TR_TRY_JOIN_NOW(a, b)
#define TR_TRY_JOIN_NOW(a, b) a##b
#define TR_TRY_NAMED(name, ...)                                 \
  __extension__({                                               \
    auto name = (__VA_ARGS__);                                  \
    if (!name) return std::unexpected(std::move(name).error()); \
    ::tailrace::detail::take(std::move(name));                  \
  })
