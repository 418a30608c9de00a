#include "io/address.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace tailrace::io {
namespace {

TEST(Address, is_public_when_networks_route_it_between_them) {
  for (const char* address :
       {"8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.0.0.1", "128.0.0.1",
        "169.253.255.255", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0", "198.17.255.255",
        "198.20.0.0", "223.255.255.255", "2606:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8"}) {
    EXPECT_TRUE(is_public(address)) << address;
  }
}

TEST(Address, is_not_public_where_it_leads_to_this_machine_or_network) {
  for (const char* address : {"0.0.0.0",
                              "10.0.0.1",
                              "100.64.0.1",
                              "127.0.0.1",
                              "127.255.255.255",
                              "169.254.169.254",
                              "172.16.0.1",
                              "172.31.255.255",
                              "192.0.0.170",
                              "192.0.2.1",
                              "192.168.0.1",
                              "198.18.0.1",
                              "198.19.255.255",
                              "203.0.113.9",
                              "224.0.0.1",
                              "240.0.0.1",
                              "255.255.255.255",
                              "::",
                              "::1",
                              "::ffff:127.0.0.1",
                              "::ffff:169.254.169.254",
                              "::127.0.0.1",
                              "64:ff9b::10.0.0.1",
                              "64:ff9b:1::1",
                              "fc00::1",
                              "fd00:ec2::254",
                              "fe80::1",
                              "fe80::1%eth0",
                              "fec0::1",
                              "ff02::1",
                              "2001:db8::1",
                              "2001::1",
                              "2002:7f00:1::",
                              "3fff::1",
                              "100::1",
                              "",
                              "example.com",
                              "127.1",
                              "0x7f000001"}) {
    EXPECT_FALSE(is_public(address)) << address;
  }
}

TEST(Address, is_loopback_on_this_machine_alone) {
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  const auto is_here = [&](const char* address) {
    if (inet_pton(AF_INET, address, &v4.sin_addr) == 1)
      return is_loopback(reinterpret_cast<const sockaddr&>(v4));
    EXPECT_EQ(inet_pton(AF_INET6, address, &v6.sin6_addr), 1) << address;
    return is_loopback(reinterpret_cast<const sockaddr&>(v6));
  };
  for (const char* here : {"127.0.0.1", "127.3.2.1", "::1", "::ffff:127.0.0.1"})
    EXPECT_TRUE(is_here(here)) << here;
  for (const char* there : {"0.0.0.0", "10.0.0.1", "192.0.2.1", "::", "::2", "fe80::1", "::ffff:10.0.0.1"})
    EXPECT_FALSE(is_here(there)) << there;
}

}  // namespace
}  // namespace tailrace::io
