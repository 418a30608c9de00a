#include "server/metrics.h"

#include <fmt/format.h>

#include "io/process_memory.h"
#include "server/core.h"
#include "workspace/audience.h"

namespace tailrace::server {
namespace {

std::string escaped(std::string_view label) {
  std::string result;
  for (const char c : label) {
    if (c == '"' || c == '\\') result += '\\';
    result += c == '\n' ? ' ' : c;
  }
  return result;
}

struct Text {
  std::string out;
  void kind(std::string_view name, std::string_view type, std::string_view help) {
    out += fmt::format("# HELP {0} {2}\n# TYPE {0} {1}\n", name, type, help);
  }
  void value(std::string_view name, std::uint64_t value) { out += fmt::format("{} {}\n", name, value); }
  void single(std::string_view name, std::string_view type, std::string_view help, std::uint64_t number) {
    kind(name, type, help);
    value(name, number);
  }
};

void write_lag(Text& text, std::string_view name, std::string_view help, const LagHistogram& lag) {
  text.kind(name, "histogram", help);
  std::uint64_t sum = 0;
  for (std::size_t bucket = 0; bucket < LagHistogram::kMicrosecondsMax.size(); ++bucket) {
    sum += lag.count(bucket);
    const double end = static_cast<double>(LagHistogram::kMicrosecondsMax[bucket]) / 1e6;
    text.value(fmt::format("{}_bucket{{le=\"{}\"}}", name, end), sum);
  }
  sum += lag.count(LagHistogram::kMicrosecondsMax.size());
  text.value(fmt::format("{}_bucket{{le=\"+Inf\"}}", name), sum);
  text.out += fmt::format("{}_sum {}\n", name, static_cast<double>(lag.microseconds()) / 1e6);
  text.value(fmt::format("{}_count", name), sum);
}

void write_expiries(Text& text, const engine::Engine& engine) {
  const auto zone = Zone::named(engine.workspace()->time_zone);
  const auto& syncs = engine.workspace()->syncs;
  text.kind("tailrace_sync_expired", "gauge",
            "People past the sync's expiry: left out of a target audience, still in a suppression.");
  for (std::uint32_t i = 0; i < syncs.size(); ++i) {
    if (const auto expired = engine.expired(SyncId(i)))
      text.value(fmt::format("tailrace_sync_expired{{sync=\"{}\"}}", escaped(syncs[i].name)),
                 engine.size(*expired));
  }
  text.kind("tailrace_sync_review_passed", "gauge", "1 from the sync's review date on.");
  for (const auto& sync : syncs) {
    const auto review = zone ? workspace::review_at(sync, *zone) : std::nullopt;
    if (review)
      text.value(fmt::format("tailrace_sync_review_passed{{sync=\"{}\"}}", escaped(sync.name)),
                 *review <= engine.now() ? 1 : 0);
  }
}

void write_engine(Text& text, const engine::Engine& engine) {
  const engine::Counts counts = engine.counts();
  text.single("tailrace_records_total", "counter", "Records applied, of every kind.", counts.records);
  text.single("tailrace_events_total", "counter", "Events admitted.", counts.events);
  text.single("tailrace_duplicates_total", "counter", "Messages seen before.", counts.duplicates);
  text.single("tailrace_people", "gauge", "People known.", counts.people);
  text.single("tailrace_quarantined", "gauge", "Records held back.", counts.quarantined);
  const auto progress = engine.progress();
  text.single("tailrace_filling", "gauge", "1 while a new workspace is being filled.",
              engine.work_pending() ? 1 : 0);
  text.kind("tailrace_filled_ratio", "gauge", "How much of it is, estimated; 1 when none is being filled.");
  text.out += fmt::format("tailrace_filled_ratio {:.4f}\n", progress.share);
  text.kind("tailrace_memory_bytes", "gauge", "Memory by what holds it; the sum is what the process takes.");
  const MemoryParts memory = memory_of_process(engine);
  for (const auto& [name, use] : memory.parts())
    text.value(fmt::format("tailrace_memory_bytes{{part=\"{}\"}}", name), use.bytes);
  if (engine.workspace() == nullptr) return;
  text.kind("tailrace_segment_members", "gauge", "Members of a segment.");
  const auto& segments = engine.workspace()->segments;
  for (std::uint32_t i = 0; i < segments.size(); ++i) {
    text.value(fmt::format("tailrace_segment_members{{segment=\"{}\"}}", escaped(segments[i].name)),
               engine.size(SegmentId(i)));
  }
  write_expiries(text, engine);
}

// A metric that each sync has.
template <class Status, class NumberOf>
void of_each(Text& text, const std::vector<Status>& syncs, std::string_view name, std::string_view type,
             std::string_view help, const NumberOf& number) {
  text.kind(name, type, help);
  for (const Status& sync : syncs) {
    text.value(fmt::format("{}{{sync=\"{}\",destination=\"{}\"}}", name, escaped(sync.sync),
                           escaped(sync.destination)),
               number(sync));
  }
}

std::uint64_t millis_or_zero(std::optional<Millis> millis) {
  return static_cast<std::uint64_t>(std::max(millis.value_or(Millis{0}).count, std::int64_t{0}));
}

void write_streams(Text& text, const std::vector<delivery::StreamStatus>& streams, Time now) {
  if (streams.empty()) return;
  const auto each = [&](std::string_view name, std::string_view type, std::string_view help, auto number) {
    of_each(text, streams, name, type, help, number);
  };
  using Status = delivery::StreamStatus;
  each("tailrace_stream_sent_total", "counter", "Events put into requests, resends counted once.",
       [](const Status& s) { return s.sent; });
  each("tailrace_stream_accepted_total", "counter", "Events the platform acknowledged.",
       [](const Status& s) { return s.accepted; });
  each("tailrace_stream_rejected_total", "counter", "Events the platform refused.",
       [](const Status& s) { return s.rejected; });
  each("tailrace_stream_never_sent_total", "counter",
       "Events that were not sent for a reason, such as their age; `tailrace status` has the reasons.",
       [](const Status& s) { return s.refused; });
  each("tailrace_stream_waiting", "gauge", "Events read, and neither acknowledged nor refused.",
       [](const Status& s) { return s.unsettled; });
  each("tailrace_stream_behind_bytes", "gauge", "Of the log, from the oldest of these to its end.",
       [](const Status& s) { return s.behind_bytes; });
  each("tailrace_stream_oldest_milliseconds", "gauge", "Age of the oldest of these, since it was received.",
       [now](const Status& s) { return millis_or_zero(now - s.oldest.value_or(now)); });
  each("tailrace_stream_dead_letters", "gauge", "Events refused or never answered; see `tailrace dlq`.",
       [](const Status& s) { return s.dead_letters; });
  each("tailrace_stream_stopped", "gauge", "1 while it cannot go on until somebody mends the cause.",
       [](const Status& s) { return s.stopped ? 1u : 0u; });
  each("tailrace_stream_latency_p50_milliseconds", "gauge", "Live event received to acknowledged, median.",
       [](const Status& s) { return millis_or_zero(s.latency_p50); });
  each("tailrace_stream_latency_p95_milliseconds", "gauge",
       "Live event received to acknowledged, 95th percentile.",
       [](const Status& s) { return millis_or_zero(s.latency_p95); });
  each("tailrace_stream_latency_p99_milliseconds", "gauge",
       "Live event received to acknowledged, 99th percentile.",
       [](const Status& s) { return millis_or_zero(s.latency_p99); });
  each("tailrace_stream_live_events", "gauge", "Live events whose latency is known.",
       [](const Status& s) { return s.latency_count; });
}

void write_delivery(Text& text, const std::vector<delivery::SyncStatus>& syncs, Time now) {
  const auto each = [&](std::string_view name, std::string_view type, std::string_view help, auto number) {
    of_each(text, syncs, name, type, help, number);
  };
  using Status = delivery::SyncStatus;
  each("tailrace_sync_desired", "gauge", "People who should be in the audience.",
       [](const Status& s) { return s.desired; });
  each("tailrace_sync_delivered", "gauge", "People the platform acknowledged.",
       [](const Status& s) { return s.delivered; });
  each("tailrace_sync_pending", "gauge", "Changes not yet acknowledged.",
       [](const Status& s) { return s.pending; });
  each("tailrace_sync_renewing", "gauge", "Members who are to be added again as they are.",
       [](const Status& s) { return s.renewing; });
  each("tailrace_sync_held", "gauge", "1 while its guards hold changes back.",
       [](const Status& s) { return s.held ? 1u : 0u; });
  each("tailrace_sync_stopped", "gauge", "1 while it cannot go on until somebody mends the cause.",
       [](const Status& s) { return s.stopped ? 1u : 0u; });
  each("tailrace_sync_sent_total", "counter", "Records sent.", [](const Status& s) { return s.sent; });
  each("tailrace_sync_accepted_total", "counter", "Records accepted.",
       [](const Status& s) { return s.accepted; });
  each("tailrace_sync_rejected_total", "counter", "Records rejected.",
       [](const Status& s) { return s.rejected; });
  each("tailrace_sync_latency_p50_milliseconds", "gauge", "Live event received to acknowledged, median.",
       [](const Status& s) { return millis_or_zero(s.latency_p50); });
  each("tailrace_sync_latency_p99_milliseconds", "gauge",
       "Live event received to acknowledged, 99th percentile.",
       [](const Status& s) { return millis_or_zero(s.latency_p99); });
  each("tailrace_sync_latency_p95_milliseconds", "gauge",
       "Live event received to acknowledged, 95th percentile.",
       [](const Status& s) { return millis_or_zero(s.latency_p95); });
  each("tailrace_sync_objective_milliseconds", "gauge", "What the sync promises of that latency.",
       [](const Status& s) { return static_cast<std::uint64_t>(s.objective.count); });
  each("tailrace_sync_live_changes", "gauge", "Live changes whose latency is known.",
       [](const Status& s) { return s.latency_count; });
  each("tailrace_sync_within_objective", "gauge", "How many of them kept the objective.",
       [](const Status& s) { return s.latency_within; });
  each("tailrace_sync_identifiers", "gauge", "Identifiers of its members that the platform has accepted.",
       [](const Status& s) { return s.identifiers; });
  each("tailrace_sync_credentials_end_seconds", "gauge",
       "When the first credential of its destination ends, as Unix time; 0: nobody said so.",
       [](const Status& s) {
         return static_cast<std::uint64_t>(
             std::max<std::int64_t>(s.credentials_end_at.value_or(Time{0}).ms, 0) / kSecond.count);
       });
  each("tailrace_sync_dry_run", "gauge", "1 where it sends nothing, for it is in a dry run.",
       [](const Status& s) { return s.mode == workspace::Mode::dry_run ? 1u : 0u; });
  each("tailrace_sync_dead_letters", "gauge",
       "Refused, or with nothing usable to upload; see `tailrace dlq`.",
       [](const Status& s) { return s.dead_letters; });
  each("tailrace_sync_dropped", "gauge", "Dead letters that were dropped.",
       [](const Status& s) { return s.dropped; });
  each("tailrace_sync_unprotected", "gauge",
       "People whom ads may still reach: protective changes not yet acknowledged.",
       [](const Status& s) { return s.unprotected.people; });
  each("tailrace_sync_unprotected_oldest_milliseconds", "gauge", "Age of the oldest of these changes.",
       [now](const Status& s) { return millis_or_zero(now - s.unprotected.since.value_or(now)); });
}

}  // namespace

Metrics& metrics() {
  static Metrics instance;
  return instance;
}

MemoryParts memory_of_process(const engine::Engine& engine) {
  MemoryParts memory = engine.memory();
  const std::uint64_t counted = memory.total().bytes;
  const std::uint64_t resident = io::resident_bytes();
  memory.add("rest", {resident > counted ? resident - counted : 0, 0});
  return memory;
}

void write_metrics(Core& core, std::unique_ptr<io::Responder> responder) {
  auto text = std::make_shared<Text>();
  const Metrics& counters = metrics();
  text->single("tailrace_http_requests_total", "counter", "Requests received.",
               counters.http_requests.value());
  text->single("tailrace_http_unauthorised_total", "counter", "Requests without a known write key.",
               counters.http_unauthorised.value());
  text->single("tailrace_http_refused_total", "counter", "Requests with an unreadable body.",
               counters.http_refused.value());
  text->single("tailrace_http_throttled_total", "counter", "Requests answered 429.",
               counters.http_throttled.value());
  text->single("tailrace_messages_total", "counter", "Messages received.", counters.messages.value());
  text->single("tailrace_messages_rejected_total", "counter", "Messages that could not become a record.",
               counters.messages_rejected.value());
  text->single("tailrace_queued_bytes", "gauge", "Committed but not yet applied.", core.queued_bytes());
  auto shared = std::make_shared<std::unique_ptr<io::Responder>>(std::move(responder));
  const auto respond = [text, shared] {
    (*shared)->respond({.status = 200,
                        .headers = {{"Content-Type", "text/plain; version=0.0.4"}},
                        .body = std::move(text->out)});
  };
  core.post([text, respond, courier = core.courier(), now = core.now()](engine::Engine& engine) {
    // Here, so that it is of the same moment: all that was committed before this was asked has been applied.
    write_lag(
        *text, "tailrace_apply_lag_seconds",
        "From a record being on disk, just before it is acknowledged, to the changes of segments it caused.",
        metrics().apply_lag);
    write_engine(*text, engine);
    if (courier == nullptr) return respond();
    courier->post([text, respond, now, courier](delivery::Delivery* delivery) {
      if (delivery != nullptr) write_delivery(*text, delivery->status(), now);
      if (courier->streams() != nullptr) write_streams(*text, courier->streams()->status(), now);
      respond();
    });
  });
}

}  // namespace tailrace::server
