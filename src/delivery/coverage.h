// How many people of an audience can be uploaded to its platform, by which identifiers, and why others
// cannot: before anything is sent.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "delivery/delivery.h"

namespace tailrace::delivery {

class Coverage {
 public:
  // Lends the connection.
  explicit Coverage(const Connection& connection);
  void add(const PersonProfile& profile);

  struct Kind {
    IdentifierKind kind = IdentifierKind::email;
    bool used = false;              // by the sync
    std::uint64_t people = 0;       // who have one that can be uploaded
    std::uint64_t identifiers = 0;  // that can be uploaded
    // Of a kind that the sync does not use: people whom the platform could know by it alone, and those of
    // whom it would know one more.
    std::uint64_t more_people = 0;
    std::uint64_t more_of_people = 0;
  };
  std::uint64_t people() const { return people_; }
  std::uint64_t usable() const { return usable_; }  // people with one of the kinds that the sync uses
  // Every kind that the destination can match by, those the sync uses first.
  const std::vector<Kind>& kinds() const { return kinds_; }
  // Identifiers that cannot be uploaded, of kinds that the sync uses: reason -> how many.
  const std::map<std::string, std::uint64_t>& unusable() const { return unusable_; }

 private:
  const Connection& connection_;
  std::uint64_t people_ = 0;
  std::uint64_t usable_ = 0;
  std::vector<Kind> kinds_;
  std::map<std::string, std::uint64_t> unusable_;
};

}  // namespace tailrace::delivery
