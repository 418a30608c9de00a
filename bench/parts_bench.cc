// The parts an event passes on its way, each by itself: de-duplication, the identity directory, the
// properties, the evaluation of a condition. Google Benchmark; every option of it works
// (--benchmark_filter=...).
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "harness.h"
#include "ingest/deduplication.h"
#include "model/json.h"
#include "profiles/directory.h"
#include "workload.h"
#include "workspace/workspace.h"

namespace tailrace::bench {
namespace {

const ingest::Deduplication::Compare kOther = [](Position) { return ingest::Deduplication::Earlier::other; };
const ingest::Deduplication::Compare kSame = [](Position) { return ingest::Deduplication::Earlier::same; };

// Filled anew in each round: what growing costs is in it.
void deduplication_new(benchmark::State& state) {
  const auto count = static_cast<std::uint64_t>(state.range(0));
  for (auto _ : state) {
    ingest::Deduplication messages(kDay * 30);
    std::uint64_t seen = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
      seen += messages.seen(random_at(i), Position(i), Time{static_cast<std::int64_t>(i)}, kOther) ? 1u : 0u;
    }
    benchmark::DoNotOptimize(seen);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(deduplication_new)->Arg(1'000'000)->Arg(10'000'000)->Unit(benchmark::kMillisecond);

void deduplication_again(benchmark::State& state) {
  const auto count = static_cast<std::uint64_t>(state.range(0));
  ingest::Deduplication messages(kDay * 30);
  const Time now{0};
  for (std::uint64_t i = 0; i < count; ++i) messages.seen(random_at(i), Position(i), now, kOther);
  std::uint64_t n = 0;
  for (auto _ : state) {
    // One that was seen, anywhere in the table.
    benchmark::DoNotOptimize(messages.seen(random_at(random_at(n++) % count), Position(count), now, kSame));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(deduplication_again)->Arg(1'000'000)->Arg(10'000'000);

std::string identifier(std::uint64_t n) { return fmt::format("u{}", n); }

profiles::Directory directory_of(std::uint64_t count) {
  profiles::Directory directory;
  for (std::uint64_t i = 0; i < count; ++i) {
    directory.put(IdentifierKind::external_id, identifier(i), PersonId(static_cast<std::uint32_t>(i)));
  }
  return directory;
}

void directory_put(benchmark::State& state) {
  const auto count = static_cast<std::uint64_t>(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(directory_of(count).size());
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(directory_put)->Arg(1'000'000)->Arg(10'000'000)->Unit(benchmark::kMillisecond);

void directory_find(benchmark::State& state) {
  const auto count = static_cast<std::uint64_t>(state.range(0));
  const profiles::Directory directory = directory_of(count);
  std::vector<std::string> asked;
  for (std::uint64_t i = 0; i < 65'536; ++i) asked.push_back(identifier(random_at(i) % count));
  std::size_t n = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(directory.find(IdentifierKind::external_id, asked[n++ % asked.size()]));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(directory_find)->Arg(1'000'000)->Arg(10'000'000);

void directory_find_unknown(benchmark::State& state) {
  const auto count = static_cast<std::uint64_t>(state.range(0));
  const profiles::Directory directory = directory_of(count);
  std::vector<std::string> asked;
  for (std::uint64_t i = 0; i < 65'536; ++i) asked.push_back(identifier(count + random_at(i) % count));
  std::size_t n = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(directory.find(IdentifierKind::external_id, asked[n++ % asked.size()]));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(directory_find_unknown)->Arg(1'000'000)->Arg(10'000'000);

// An order as a shop's page sends it: two of its members are looked at.
constexpr std::string_view kOrder =
    R"({"product_id":"sku-281","category":"serum","revenue":118.40,"currency":"USD","order_id":"o-77120","coupon":null,"products":[{"sku":"sku-281","quantity":2,"price":59.20},{"sku":"sku-12","quantity":1,"price":0}],"shipping":{"method":"standard","country":"US"}})";

void properties_whole(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(parse_json(kOrder));
  state.SetItemsProcessed(state.iterations());
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kOrder.size()));
}
BENCHMARK(properties_whole);

void properties_two_members(benchmark::State& state) {
  const std::vector<std::string> wanted{"category", "revenue"};
  Value value;
  for (auto _ : state) benchmark::DoNotOptimize(read_members(kOrder, wanted, {}, value));
  state.SetItemsProcessed(state.iterations());
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kOrder.size()));
}
BENCHMARK(properties_two_members);

// 10,000 people with 300,000 events, and the seven segments live, so that nothing is filled when one is asked
// for. An item is one person's evaluation, without what the engine remembers of the present.
struct Shopful {
  InProcess in_process;
  Shopful() {
    const Shape shape{.people = 10'000, .events = 300'000};
    in_process.apply_workspace(workspace_json(segment_texts(kNamedSegments)));
    const std::size_t first = in_process.records().size();
    in_process.append_people(shape);
    Shop shop(shape);
    for (std::uint64_t i = 0; i < shape.events; ++i) in_process.append_event(shape, shop.next());
    in_process.apply_from(first);
  }
};

void evaluation(benchmark::State& state) {
  static const auto shop = std::make_unique<Shopful>();
  engine::Engine& engine = shop->in_process.engine();
  const auto segment = segment_texts(kNamedSegments)[static_cast<std::size_t>(state.range(0) - 1)];
  const auto expr = must(workspace::resolve_segment(*engine.workspace(), segment.who));
  for (auto _ : state) {
    benchmark::DoNotOptimize(must(engine.members_at(*engine.workspace(), expr, engine.now())));
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(engine.counts().people));
  state.SetLabel(segment.who);
}
BENCHMARK(evaluation)->DenseRange(1, kNamedSegments)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace tailrace::bench

BENCHMARK_MAIN();
