// Identifiers made ready for upload, each by itself: normalised as a platform documents it, and hashed.
// Google Benchmark; every option of it works (--benchmark_filter=...).
#include <cstdint>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "base/hash.h"
#include "destinations/audience_destination.h"
#include "workload.h"

namespace tailrace::bench {
namespace {

constexpr std::uint64_t kPeople = 65'536;

using Raw = std::vector<std::string>;

// As shops have them: one of eight in mixed case, with blanks around it or with a tag; two of three at Gmail.
Raw emails() {
  constexpr const char* kForms[] = {"Ada.Lovelace{}@Example.com", " ada.lovelace{}@gmail.com ",
                                    "ada.lovelace+shop{}@gmail.com"};
  Raw raw;
  for (std::uint64_t i = 0; i < kPeople; ++i) {
    const std::uint64_t draw = random_at(i);
    const char* form = draw % 8 == 0   ? kForms[draw / 8 % 3]
                       : draw % 3 == 0 ? "ada.lovelace{}@example.com"
                                       : "ada.lovelace{}@gmail.com";
    raw.push_back(fmt::format(fmt::runtime(form), draw % 100'000'000));
  }
  return raw;
}

Raw emails_beyond_ascii() {
  Raw raw;
  for (std::uint64_t i = 0; i < kPeople; ++i)
    raw.push_back(fmt::format("Zoë.Świątek{}@Bücher.example", random_at(i) % 100'000'000));
  return raw;
}

// count different ones, in the form of a country.
Raw phones(const char* form, std::uint64_t count) {
  Raw raw;
  for (std::uint64_t i = 0; i < count; ++i)
    raw.push_back(fmt::format(fmt::runtime(form), random_at(i) % 1'000'000));
  return raw;
}

void measure(benchmark::State& state, const char* type, IdentifierKind kind, const Raw& raw) {
  const auto* destination = destinations::find_audience_destination(type);
  destinations::Config config;
  config.default_region = "GB";
  std::size_t n = 0;
  std::size_t refused = 0;
  for (auto _ : state) {
    const auto normalised = destination->normalise(kind, raw[n++ % raw.size()], config);
    refused += !normalised.has_value();
    benchmark::DoNotOptimize(normalised);
  }
  if (refused > 0) state.SkipWithError("an identifier was refused");
  state.SetItemsProcessed(state.iterations());
}

void email(benchmark::State& state, const char* type) {
  static const Raw kRaw = emails();
  measure(state, type, IdentifierKind::email, kRaw);
}
BENCHMARK_CAPTURE(email, meta, "meta_custom_audiences");
BENCHMARK_CAPTURE(email, google, "google_data_manager");
BENCHMARK_CAPTURE(email, tiktok, "tiktok_audiences");

void email_beyond_ascii(benchmark::State& state) {
  static const Raw kRaw = emails_beyond_ascii();
  measure(state, "meta_custom_audiences", IdentifierKind::email, kRaw);
}
BENCHMARK(email_beyond_ascii);

// The part of it that is SHA-256.
void sha256_of_an_email(benchmark::State& state) {
  static const Raw kRaw = emails();
  std::size_t n = 0;
  for (auto _ : state) benchmark::DoNotOptimize(sha256_hex(kRaw[n++ % kRaw.size()]));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(sha256_of_an_email);

void phone_with_its_country(benchmark::State& state) {
  static const Raw kRaw = phones("+44 20 7{:06}0", kPeople);
  measure(state, "meta_custom_audiences", IdentifierKind::phone, kRaw);
}
BENCHMARK(phone_with_its_country);

// Of a person who is sent to several platforms: the number was read before.
void phone_without_country_again(benchmark::State& state) {
  static const Raw kRaw = phones("020 7{:06}0", 1000);
  measure(state, "meta_custom_audiences", IdentifierKind::phone, kRaw);
}
BENCHMARK(phone_without_country_again);

// More than the cache holds, so that each is new to it.
void phone_without_country_new(benchmark::State& state) {
  static const Raw kRaw = phones("020 7{:06}0", 4 * kPeople);
  measure(state, "meta_custom_audiences", IdentifierKind::phone, kRaw);
}
BENCHMARK(phone_without_country_new);

}  // namespace
}  // namespace tailrace::bench

BENCHMARK_MAIN();
