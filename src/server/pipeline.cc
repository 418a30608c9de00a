#include "server/pipeline.h"

#include <spdlog/spdlog.h>

#include "server/event_log.h"

namespace tailrace::server {
namespace {

constexpr Millis kRedactAfter{2'000};
constexpr std::size_t kRouted = 512;

delivery::Delivery::Origin origin_of(std::string_view source) {
  return source.find('#') == std::string_view::npos ? delivery::Delivery::Origin::live
                                                    : delivery::Delivery::Origin::backfill;
}

}  // namespace

Result<std::unique_ptr<Pipeline>> Pipeline::open(std::unique_ptr<Store> store,
                                                 std::unique_ptr<delivery::Ledger> ledger, Time now) {
  std::unique_ptr<Pipeline> pipeline(new Pipeline(std::move(store), std::move(ledger)));
  pipeline->applied_ = pipeline->store_->log().end();
  pipeline->records_since_snapshot_ = pipeline->store_->opened().replayed;
  pipeline->deletions_ = pipeline->store_->take_deletions();
  engine::Engine& engine = pipeline->engine();
  if (engine.workspace() == nullptr) return pipeline;
  engine::Output unused;  // delivery is given the whole sets
  for (const auto& sync : engine.workspace()->syncs) {
    TRY(pipeline->ledger_->for_each_entry(
        sync.name, [&](PersonId person, Time at) { engine.enter_sync(sync.name, person, at, unused); }));
  }
  engine.advance(now, unused);
  if (pipeline->store_->changes() != nullptr) pipeline->store_->changes()->note(unused, engine);
  TRY(pipeline->look_at_changes());
  return pipeline;
}

void Pipeline::deliver_to(Outlet& outlet, Secrets secrets, Running running) {
  outlet_ = &outlet;
  secrets_ = std::move(secrets);
  running_ = std::move(running);
}

Result<void> Pipeline::apply(const log::CommittedBatch& batch, Time now,
                             const std::function<void()>& changed) {
  TRY(look_at_changes());
  std::vector<delivery::Delivery::Origin> origins;  // of the records decoded so far
  origins.reserve(batch.size());
  const auto record_at = [&](std::size_t i) -> Result<engine::Engine::Located> {
    const RecordView record = TRY(decode_record(batch.record(i)));
    origins.push_back(origin_of(record.source));
    return engine::Engine::Located{batch.positions[i], record};
  };
  // What many records changed is handed on at once: each hand-over wakes a thread.
  const auto after = [&](std::size_t i, const RecordView&) {
    const bool go_on = i + 1 < origins.size() && origins[i + 1] == origins[i] && (i + 1) % kRouted != 0;
    if (go_on || output_.empty()) return;
    if (changed && !output_.deltas.empty()) changed();
    route(origins[i], now);
  };
  if (auto applied = engine().apply_all(batch.size(), output_, record_at, after); !applied) {
    output_.clear();
    return applied;
  }
  applied_ = batch.next;
  records_since_snapshot_ += batch.size();
  const bool streams = engine().workspace() != nullptr && !engine().workspace()->streams.empty();
  if (outlet_ != nullptr && streams) outlet_->logged();
  return {};
}

Result<void> Pipeline::let_time_pass(Time now) {
  TRY(look_at_changes());
  engine().advance(now, output_);
  TRY(engine().sound());
  route(delivery::Delivery::Origin::live, now);
  return {};
}

Result<void> Pipeline::work(Time now) {
  if (!filling_since_) filling_since_ = now;
  TRY(engine().work());
  TRY(look_at_changes());
  if (!engine().work_pending()) filling_since_.reset();
  return {};
}

// A workspace becomes live in work(), or when a question finishes that: what is applied next is of the new
// one.
Result<void> Pipeline::look_at_changes() {
  if (engine().generation() == looked_generation_) return {};
  looked_generation_ = engine().generation();
  return store_->look_at_changes();
}

std::optional<Pipeline::Filling> Pipeline::filling() const {
  const engine::Engine& engine = store_->engine();
  if (!engine.work_pending()) return std::nullopt;
  return Filling{engine.progress(), filling_since_.value_or(engine.now())};
}

void Pipeline::enter(const std::vector<delivery::Delivery::Entry>& entries, Time now) {
  if (engine().workspace() == nullptr) return;
  for (const auto& entry : entries) {
    const auto& syncs = engine().workspace()->syncs;
    if (entry.sync.value < syncs.size())
      engine().enter_sync(syncs[entry.sync.value].name, entry.person, entry.at, output_);
  }
  route(delivery::Delivery::Origin::live, now);
}

void Pipeline::route(delivery::Delivery::Origin origin, Time now) {
  if (outlet_ != nullptr && delivered_generation_ == engine().generation() &&
      engine().workspace() != nullptr) {
    const auto& syncs = engine().workspace()->syncs;
    std::vector<std::pair<SyncId, Delta>> changes;
    for (const Delta& delta : output_.deltas) {
      const auto sync = engine().sync_of(delta.segment);
      if (sync && !held_out(syncs[sync->value], delta.person)) changes.emplace_back(*sync, delta);
    }
    if (!changes.empty()) outlet_->change(std::move(changes), origin);
    if (!output_.changed_profiles.empty() && !syncs.empty())
      outlet_->profiles_changed(output_.changed_profiles);
    if (!output_.changed_attributes.empty()) outlet_->attributes_changed(output_.changed_attributes);
  }
  if (store_->changes() != nullptr) store_->changes()->note(output_, engine());
  if (deletions_.empty() && !output_.deletions.empty()) redact_at_ = now + kRedactAfter;
  deletions_.insert(deletions_.end(), output_.deletions.begin(), output_.deletions.end());
  output_.clear();
}

void Pipeline::start_delivery() {
  if (outlet_ == nullptr || engine().workspace() == nullptr || delivered_generation_ == engine().generation())
    return;
  delivered_generation_ = engine().generation();
  auto connections = connect(*engine().workspace(), secrets_, running_);
  if (!connections) {
    spdlog::error("delivery stopped: {}", connections.error().message);
    return;
  }
  Outlet::Configuration configuration;
  for (std::uint32_t sync = 0; sync < connections->size(); ++sync) {
    auto people = engine().members(engine().audience(SyncId(sync)));
    std::erase_if(people, [&](PersonId person) { return held_out((*connections)[sync].sync, person); });
    configuration.desired.push_back(std::move(people));
  }
  configuration.connections = std::move(*connections);
  auto streams = connect_streams(*engine().workspace(), secrets_, running_);
  if (!streams) {
    spdlog::error("delivery stopped: {}", streams.error().message);
    return;
  }
  configuration.streams = std::move(*streams);
  configuration.keep_deliveries = !engine().workspace()->warehouses.empty();
  // It may be a while until answers to the workspace before have come, and this one is taken up.
  for (delivery::StreamConnection& stream : configuration.streams) stream.became_live = applied_;
  configuration.destinations = engine().workspace()->destinations;
  outlet_->configure(std::move(configuration));
}

Result<void> Pipeline::redact(log::Log& log, Time now) {
  redact_at_ = now + kMinute;
  TRY(store_->drop_snapshot());
  std::vector<Position> positions;
  std::vector<Position> creators;
  std::vector<Pin> pins;
  const auto reader = TRY(log.read_from(log.begin()));
  log::Frame frame;
  while (TRY(reader->next(frame))) {
    const RecordView record = TRY(decode_record(frame.record));
    if (std::ranges::any_of(deletions_, [&](const engine::Deletion& deletion) {
          return engine().is_theirs(deletion, frame.position, record);
        }))
      positions.push_back(frame.position);
  }
  for (const auto& deletion : deletions_) {
    creators.insert(creators.end(), deletion.created_by.begin(), deletion.created_by.end());
    pins.insert(pins.end(), deletion.pins.begin(), deletion.pins.end());
  }
  // A record that made the person known is theirs, whatever it says.
  positions.insert(positions.end(), creators.begin(), creators.end());
  TRY(log.redact(std::move(positions), std::move(creators), std::move(pins)));
  deletions_.clear();
  return {};
}

std::vector<PersonProfile> Pipeline::profiles(std::span<const PersonId> people) {
  std::vector<PersonProfile> result;
  result.reserve(people.size());
  for (const PersonId person : people) result.push_back(engine().profile(person));
  return result;
}

Result<delivery::EventSource::Page> Pipeline::read(Position from, Position until, std::size_t records,
                                                   const Question& question) {
  auto read = TRY(read_records(store_->log(), from, until, records));
  return judge(engine(), applied_, std::move(read), question);
}

Result<std::vector<delivery::LoggedEvent>> Pipeline::at(std::span<const Position> positions,
                                                        const Question& question) {
  auto read = TRY(read_records(store_->log(), positions));
  return judge(engine(), applied_, std::move(read), question).events;
}

}  // namespace tailrace::server
