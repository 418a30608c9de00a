#include "io/address.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <span>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace tailrace::io {
namespace {

using Bytes4 = std::array<std::uint8_t, 4>;
using Bytes16 = std::array<std::uint8_t, 16>;

struct Range {
  Bytes16 first;  // the bytes that count, then zeros
  int bits;

  bool holds(std::span<const std::uint8_t> address) const {
    std::size_t at = 0;
    for (int left = bits; left > 0; left -= 8, ++at) {
      const int mask = left >= 8 ? 0xff : 0xff << (8 - left);
      if ((address[at] & mask) != (first[at] & mask)) return false;
    }
    return true;
  }
};

constexpr Range kLoopback4{{127}, 8};  // this machine
constexpr std::array kNotPublic4{
    Range{{0}, 8},         // this network
    Range{{10}, 8},        // private
    Range{{100, 64}, 10},  // carriers
    kLoopback4,
    Range{{169, 254}, 16},      // link-local, metadata
    Range{{172, 16}, 12},       // private
    Range{{192, 0, 0}, 24},     // protocols
    Range{{192, 0, 2}, 24},     // documentation
    Range{{192, 88, 99}, 24},   // 6to4 relays
    Range{{192, 168}, 16},      // private
    Range{{198, 18}, 15},       // benchmarks
    Range{{198, 51, 100}, 24},  // documentation
    Range{{203, 0, 113}, 24},   // documentation
    Range{{224}, 3},            // multicast, reserved, broadcast
};
constexpr Range kPublic6{{0x20}, 3};  // all that is assigned to networks
constexpr std::array kNotPublic6{
    Range{{0x20, 0x01, 0x00, 0x00}, 23},  // protocols, Teredo among them: an IPv4 address stands inside
    Range{{0x20, 0x01, 0x0d, 0xb8}, 32},  // documentation
    Range{{0x20, 0x02}, 16},              // 6to4: an IPv4 address stands inside
    Range{{0x3f, 0xff}, 20},              // documentation
};
// An IPv4 address behind a prefix of 96 bits.
constexpr Range kMapped{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96};
constexpr Range kLoopback6{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 128};
constexpr Range kTranslated{{0, 0x64, 0xff, 0x9b}, 96};

bool in_any(std::span<const Range> ranges, std::span<const std::uint8_t> address) {
  return std::ranges::any_of(ranges, [&](const Range& range) { return range.holds(address); });
}

bool is_public4(std::span<const std::uint8_t> address) { return !in_any(kNotPublic4, address); }

bool is_public6(const Bytes16& address) {
  const std::span<const std::uint8_t> bytes(address);
  if (kMapped.holds(bytes) || kTranslated.holds(bytes)) return is_public4(bytes.last<4>());
  return kPublic6.holds(bytes) && !in_any(kNotPublic6, bytes);
}

}  // namespace

bool is_public(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    Bytes4 bytes{};
    std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in&>(address).sin_addr, bytes.size());
    return is_public4(bytes);
  }
  if (address.sa_family == AF_INET6) {
    Bytes16 bytes{};
    std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr, bytes.size());
    return is_public6(bytes);
  }
  return false;
}

bool is_loopback(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    Bytes4 bytes{};
    std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in&>(address).sin_addr, bytes.size());
    return kLoopback4.holds(bytes);
  }
  if (address.sa_family == AF_INET6) {
    Bytes16 bytes{};
    std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr, bytes.size());
    const std::span<const std::uint8_t> all(bytes);
    return kLoopback6.holds(all) || (kMapped.holds(all) && kLoopback4.holds(all.last<4>()));
  }
  return false;
}

bool is_public(std::string_view address) {
  const std::string text(address.substr(0, address.find('%')));
  Bytes4 bytes4{};
  if (inet_pton(AF_INET, text.c_str(), bytes4.data()) == 1) return is_public4(bytes4);
  Bytes16 bytes16{};
  return inet_pton(AF_INET6, text.c_str(), bytes16.data()) == 1 && is_public6(bytes16);
}

std::string to_text(const sockaddr& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* bytes = nullptr;
  if (address.sa_family == AF_INET) bytes = &reinterpret_cast<const sockaddr_in&>(address).sin_addr;
  if (address.sa_family == AF_INET6) bytes = &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
  if (bytes == nullptr || inet_ntop(address.sa_family, bytes, text.data(), text.size()) == nullptr)
    return "no IP address";
  return text.data();
}

std::string not_routed(std::string_view address) {
  return fmt::format(
      "it is at {}, an address that the internet does not route; where that is meant, set "
      "`allow_private_addresses: true` at the destination",
      address);
}

}  // namespace tailrace::io
