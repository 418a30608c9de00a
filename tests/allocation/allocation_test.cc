// The n-th allocation of the process fails, for every n of a short run of log, engine, snapshot, ledger and
// delivery on a simulated machine. What is promised: the process ends, or the operation says that it failed;
// started again on the same disk, every acknowledged record is in the log, the ledger is sound and knows
// everything that stands at a platform, and all goes on until the platforms hold what is desired.
//
// Each n has a process of its own (fork), since nobody can go on in one where anything may be half done.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <spdlog/spdlog.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "model/json.h"
#include "property/play.h"
#include "sim/machine.h"
#include "sim/network.h"
#include "sim/story.h"

namespace {

bool g_counting = false;
std::uint64_t g_count = 0;
std::uint64_t g_failing = 0;  // 0: none

void* allocate(std::size_t size) {
  if (g_counting && !tailrace::testing::MemoryDisk::working() && ++g_count == g_failing)
    throw std::bad_alloc();
  if (void* const memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
void* allocate(std::size_t size, std::align_val_t alignment) {
  if (g_counting && !tailrace::testing::MemoryDisk::working() && ++g_count == g_failing)
    throw std::bad_alloc();
  const auto align = static_cast<std::size_t>(alignment);
  if (void* const memory = std::aligned_alloc(align, (size + align - 1) / align * align)) return memory;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t size) { return allocate(size); }
void* operator new[](std::size_t size) { return allocate(size); }
void* operator new(std::size_t size, std::align_val_t alignment) { return allocate(size, alignment); }
void* operator new[](std::size_t size, std::align_val_t alignment) { return allocate(size, alignment); }
// Of temporary buffers, which do without where there is none.
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  try {
    return allocate(size);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void* operator new[](std::size_t size, const std::nothrow_t& without) noexcept {
  return operator new(size, without);
}
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace tailrace::testing {
namespace {

constexpr std::uint64_t kSeed = 106;  // two syncs, in which people are added
constexpr std::size_t kBefore = 12;   // inputs before the first allocation fails
constexpr std::size_t kDuring = 12;
constexpr int kLost = 3;  // exit codes of a child
constexpr int kStuck = 4;

// What fails: allocations of the program itself, none of the disk, the network and this test.
struct Counting {
  Counting() { g_counting = true; }
  ~Counting() { g_counting = false; }
};

class Scene {
 public:
  Scene() : random_(kSeed), story_(random_story(random_)), network_(random_.next()) {
    clock_ = story_.workspaces.front().first;
    acknowledged_.reserve(story_.inputs.size());
    machine_ = std::make_unique<Machine>(disk_, clock_);
    require(machine_->boot(1));
    const std::string payload = to_json(workspace::to_value(story_.workspaces.front().second));
    require(machine_->submit(
        {{.kind = RecordKind::workspace, .time = clock_, .message_id = "workspace", .payload = payload}}));
    for (std::size_t i = 0; i < kBefore; ++i) submit(i, false);
    require(settle(false));
  }

  // The run. False: something said that it failed.
  bool run() {
    for (std::size_t i = kBefore; i < kBefore + kDuring; ++i) {
      if (!submit(i, true) || !settle(true)) return false;
    }
    return true;
  }

  // As the process is gone: what it was about is left where it is, and another starts.
  void start_again() {
    g_counting = false;
    static_cast<void>(machine_.release());  // in a state nobody can say anything about, so not even destroyed
    disk_.crash(MemoryDisk::Survives::everything);
    network_.hang_up();
    while (network_.next_at() != kNever) network_.step();
    machine_ = std::make_unique<Machine>(disk_, clock_);
  }
  // What is promised and not kept, after start_again(); empty: all is.
  std::string problems() {
    if (const auto booted = machine_->boot(2); !booted) return "does not start: " + booted.error().message;
    const std::set<std::string> present = ids_in_log();
    for (const std::size_t input : acknowledged_) {
      if (!present.contains(story_.inputs[input].message_id)) return "an acknowledged record is lost";
    }
    delivery::Ledger& ledger = machine_->pipeline().ledger();
    const auto damage = ledger.verify();
    if (!damage) return damage.error().message;
    if (!damage->empty()) return damage->front();
    for (std::size_t i = kBefore; i < kBefore + kDuring; ++i)
      submit(i, false);  // those who heard nothing send again
    for (int i = 0; i < 50; ++i) {
      if (const auto settled = settle(false); !settled) return settled.error().message;
      if (machine_->delivery()->idle()) break;
      clock_ = clock_ + kMinute;
    }
    return disagreement();
  }

 private:
  static void require(const Result<void>& result) { TR_ASSERT(result.has_value()); }

  bool submit(std::size_t i, bool counted) {
    const Input& input = story_.inputs[i];
    clock_ = std::max(clock_, input.received_at);
    Result<void> sent;
    with_record(input, clock_, [&](const RecordView& record) {
      const std::vector<RecordView> records{record};
      if (counted) {
        const Counting counting;
        sent = machine_->submit(records);
      } else {
        sent = machine_->submit(records);
      }
    });
    if (sent) acknowledged_.push_back(i);
    return sent.has_value();
  }

  Result<void> settle(bool counted) {
    for (int i = 0; i < 100; ++i) {
      auto sends = [&]() -> Result<std::vector<delivery::Send>> {
        g_counting = counted;
        auto result = machine_->step();
        g_counting = false;
        return result;
      }();
      if (!sends) return std::unexpected(sends.error());
      for (delivery::Send& send : *sends) network_.send(std::move(send), clock_);
      while (network_.next_at() != kNever) {
        clock_ = std::max(clock_, network_.next_at());
        auto reply = network_.step();
        if (!reply) continue;
        g_counting = counted;
        machine_->on_reply(reply->send_id, std::move(reply->response));
        g_counting = false;
      }
      if (machine_->next_step_at() > clock_ + kSecond) return {};
      clock_ = std::max(clock_, machine_->next_step_at());
    }
    return {};
  }

  std::set<std::string> ids_in_log() {
    log::Log& log = machine_->pipeline().store().log();
    const auto reader = log.read_from(log.begin());
    TR_ASSERT(reader.has_value());
    std::set<std::string> ids;
    log::Frame frame;
    while (true) {
      const auto more = (*reader)->next(frame);
      TR_ASSERT(more.has_value());
      if (!*more) return ids;
      ids.emplace(decode_record(frame.record)->message_id);
    }
  }

  // Nobody stands at a platform whom the ledger does not know, nor the other way round.
  std::string disagreement() {
    for (const auto& sync : story_.workspaces.front().second.syncs) {
      std::set<std::string> uploaded;
      delivery::Ledger& ledger = machine_->pipeline().ledger();
      const auto read = ledger.for_each(sync.name, [&](PersonId, const delivery::Membership& membership) {
        for (const auto& identifier : membership.uploaded)
          uploaded.insert(std::string(to_string(identifier.kind)) + ":" + identifier.value);
      });
      if (!read) return read.error().message;
      const auto state = ledger.state(sync.name);
      if (!state) return state.error().message;
      if (state->audience_id.empty()) continue;
      const auto standing =
          network_.audience(sync.destination == "Meta" ? "meta" : "google", state->audience_id, clock_);
      if (standing != uploaded) return "the ledger and the platform disagree of " + sync.name;
    }
    return "";
  }

  Random random_;
  Story story_;
  MemoryDisk disk_;
  Network network_;
  Time clock_;
  std::unique_ptr<Machine> machine_;
  std::vector<std::size_t> acknowledged_;
};

Scene* g_scene = nullptr;

[[noreturn]] void judge() {
  g_scene->start_again();
  const std::string problem = g_scene->problems();
  if (!problem.empty()) std::fprintf(stderr, "%s\n", problem.c_str());
  std::_Exit(problem.empty() ? 0 : kLost);
}

// Runs `what` in a child in which allocation n fails; gives its exit code, or kStuck.
template <class What>
int in_child(std::uint64_t n, What what) {
  const pid_t child = fork();
  TR_ASSERT(child >= 0);
  if (child == 0) {
    alarm(60);
    std::set_terminate(judge);  // out of what does not throw: the process ends
    // RocksDB, as Debian builds it, ends the process where something is thrown through the making of a batch.
    std::signal(SIGABRT, [](int) { judge(); });
    g_count = 0;
    g_failing = n;
    try {
      what();
    } catch (const std::bad_alloc&) {
      g_counting = false;
    }
    judge();
  }
  int status = 0;
  TR_ASSERT(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : kStuck;
}

TEST(Allocation, whichever_fails_the_store_stays_whole_and_all_goes_on) {
  spdlog::set_level(spdlog::level::off);
  Scene scene;
  g_scene = &scene;
  // How many there are: counted in a child, which leaves this scene as it is.
  int counts[2];
  ASSERT_EQ(pipe(counts), 0);
  ASSERT_EQ(in_child(0,
                     [&] {
                       TR_ASSERT(scene.run());
                       const std::uint64_t count = g_count;
                       TR_ASSERT(write(counts[1], &count, sizeof count) == sizeof count);
                     }),
            0);
  std::uint64_t count = 0;
  ASSERT_EQ(read(counts[0], &count, sizeof count), static_cast<ssize_t>(sizeof count));
  close(counts[0]);
  close(counts[1]);
  EXPECT_GT(count, 500U);
  for (std::uint64_t n = 1; n <= count && !HasFailure(); ++n) {
    EXPECT_EQ(in_child(n, [&] { scene.run(); }), 0) << "allocation " << n << " of " << count;
  }
  std::printf("allocations that failed, one in each run: %llu\n", static_cast<unsigned long long>(count));
}

}  // namespace
}  // namespace tailrace::testing
