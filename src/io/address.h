// Which internet addresses are public: routed between networks that know nothing of each other.
#pragma once

#include <string>
#include <string_view>

struct sockaddr;

namespace tailrace::io {

// By the registries of special-purpose addresses (RFC 6890 and its successors): not this machine, private
// networks, carriers' networks, link-local addresses (the metadata services of clouds among them), multicast,
// documentation, benchmarks, nor an IPv4 address of these in any IPv6 form. What is not IP is not public.
bool is_public(const sockaddr& address);
bool is_public(std::string_view address);   // "192.0.2.1", "2001:db8::1"; what cannot be read is not
bool is_loopback(const sockaddr& address);  // this machine
std::string to_text(const sockaddr& address);
// Why nobody is reached at one that is not public, and what to do where that is meant.
std::string not_routed(std::string_view address);

}  // namespace tailrace::io
