#include "sim/machine.h"

#include <algorithm>

#include "model/record.h"

namespace tailrace::testing {
namespace {

constexpr std::uint64_t kSnapshotEveryRecords = 20;

}  // namespace

log::Options Machine::log_options() { return {.file_bytes = 16 << 10, .preallocate_bytes = 4 << 10}; }

Result<void> Machine::boot(std::uint64_t seed) {
  environment_ = std::make_unique<LedgerEnvironment>(disk_, clock_);
  const auto start = [&]() -> Result<void> {
    auto store =
        TRY(server::Store::open(disk_, {.directory = kStore, .log = log_options(), .reads_ahead = false}));
    auto ledger = TRY(delivery::Ledger::open(std::string(kStore) + "/ledger", environment_.get()));
    pipeline_ = TRY(server::Pipeline::open(std::move(store), std::move(ledger), clock_));
    dispatch_ = std::make_unique<server::Dispatch>(pipeline_->ledger(), *pipeline_, *pipeline_, Random(seed));
    pipeline_->deliver_to(*dispatch_, [](const workspace::SecretReference&) -> Result<std::string> {
      return std::string("sandbox-token");
    });
    return {};
  };
  auto started = start();
  if (!started) power_off(MemoryDisk::Survives::everything, 0);
  return started;
}

void Machine::power_off(MemoryDisk::Survives survives, std::uint64_t seed) {
  // First the disk: nothing that ends must write any more.
  disk_.crash(survives, seed);
  dispatch_.reset();
  pipeline_.reset();
  environment_.reset();
}

Result<void> Machine::submit(const std::vector<RecordView>& records) {
  log::Log& log = pipeline_->store().log();
  log::CommittedBatch batch;
  batch.received_at = std::max(clock_, log.last_received_at());
  for (const RecordView& record : records) {
    const std::size_t begin = batch.bytes.size();
    TRY(encode_record(record, batch.bytes));
    stamp_received_at(batch.bytes, begin, batch.received_at);
    batch.positions.push_back(
        TRY(log.append(std::string_view(batch.bytes).substr(begin), batch.received_at)));
    batch.ends.push_back(static_cast<std::uint32_t>(batch.bytes.size()));
  }
  TRY(log.commit());
  batch.first = batch.positions.front();
  batch.next = log.end();
  return pipeline_->apply(batch, clock_);
}

Result<std::vector<delivery::Send>> Machine::step() {
  TRY(pipeline_->let_time_pass(clock_));
  if (engine().work_pending()) TRY(pipeline_->work(clock_));
  pipeline_->start_delivery();
  // None of these stops the process: what fails is tried again.
  if (pipeline_->redaction_due(clock_) && pipeline_->redact(pipeline_->store().log(), clock_)) ++redactions_;
  if (const auto compressed = pipeline_->store().log().compress_file(); compressed && *compressed)
    ++compressed_files_;
  if (pipeline_->records_since_snapshot() >= kSnapshotEveryRecords && pipeline_->can_save_snapshot()) {
    pipeline_->snapshot_begun();
    if (pipeline_->store().save_snapshot(pipeline_->applied())) ++snapshots_;
  }
  dispatch_->settle(clock_);
  if (const auto entries = dispatch_->take_entries(); !entries.empty()) pipeline_->enter(entries, clock_);
  auto sends = dispatch_->poll(clock_);
  environment_->run_jobs();
  return sends;
}

void Machine::on_reply(std::uint64_t send_id, Result<HttpResponse> reply) {
  dispatch_->on_reply(send_id, std::move(reply), clock_);
}

Time Machine::next_step_at() const {
  engine::Engine& engine = pipeline_->engine();
  if (engine.work_pending()) return clock_;
  Time next = std::min(engine.next_change(), dispatch_->next_poll_at());
  if (pipeline_->redaction_pending()) next = std::min(next, clock_ + kSecond);
  return next;
}

}  // namespace tailrace::testing
