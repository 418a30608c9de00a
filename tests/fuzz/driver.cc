// Runs a fuzz target without a fuzzer, as part of the tests: over its kept seeds, and over as many changed
// ones as tests/fuzz/CMakeLists.txt says. `make fuzz` searches further, guided by what an input reaches.
//
// What ends the program stands in the file it names. TAILRACE_SEED draws other changes.
#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/random.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
#if defined(__SANITIZE_ADDRESS__)
extern "C" void __sanitizer_set_death_callback(void (*)());
#endif

namespace tailrace {
namespace {

constexpr std::size_t kInputBytesMax = 16'384;

std::string crash_path;
std::string_view running;  // what is being tried

// Only what may be called while everything else has failed.
void keep_input() {
  const int file = ::open(crash_path.c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
  const bool written = file >= 0 && ::write(file, running.data(), running.size()) >= 0;
  const std::string_view said = written ? "the input is in " : "the input could not be written to ";
  for (const std::string_view text : {said, std::string_view(crash_path), std::string_view("\n")})
    static_cast<void>(::write(STDERR_FILENO, text.data(), text.size()) >= 0);
}
void on_signal(int signal) {
  keep_input();
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void run(const std::string& input) {
  running = input;
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
  running = {};
}

std::vector<std::string> seeds() {
  std::vector<std::string> all;
  for (const auto& entry : std::filesystem::directory_iterator(TAILRACE_CORPUS)) {
    std::ifstream file(entry.path(), std::ios::binary);
    all.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  std::ranges::sort(all);
  return all;
}

std::size_t place_in(const std::string& text, Random& random) { return random.below(text.size() + 1); }

// One small change: what parsers trip over.
void change(std::string& input, const std::vector<std::string>& all, Random& random) {
  static constexpr std::string_view kPieces[] = {"\"",
                                                 "{",
                                                 "}",
                                                 "[",
                                                 "]",
                                                 ":",
                                                 ",",
                                                 "\n",
                                                 "\r\n",
                                                 "\\",
                                                 "(",
                                                 ")",
                                                 "-1",
                                                 "1e99",
                                                 "\xff",
                                                 "\0",
                                                 "null",
                                                 "\xe2\x80\xa8",
                                                 "99999999999999999999"};
  const std::size_t at = place_in(input, random);
  switch (random.below(7)) {
    case 0:  // a bit
      if (at < input.size()) input[at] = static_cast<char>(input[at] ^ (1 << random.below(8)));
      break;
    case 1:  // a byte
      if (at < input.size()) input[at] = static_cast<char>(random.below(256));
      break;
    case 2:  // an end too early
      input.resize(at);
      break;
    case 3:  // less in the middle
      input.erase(at, 1 + random.below(16));
      break;
    case 4:  // a part twice
      input.insert(place_in(input, random), std::string(input, at, 1 + random.below(64)));
      break;
    case 5:  // a sign that means something
      input.insert(at, kPieces[random.below(std::size(kPieces))]);
      break;
    default: {  // a part of another
      const std::string& other = all[random.below(all.size())];
      input.insert(at, std::string(other, place_in(other, random), 1 + random.below(64)));
    }
  }
  if (input.size() > kInputBytesMax) input.resize(kInputBytesMax);
}

class Fuzz : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    crash_path = ::testing::TempDir() + TAILRACE_TARGET + "-crash";
    std::signal(SIGABRT, on_signal);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_set_death_callback(keep_input);
#endif
  }
};

TEST_F(Fuzz, survives_its_seeds) {
  const auto all = seeds();
  ASSERT_FALSE(all.empty()) << TAILRACE_CORPUS;
  run("");
  for (const std::string& seed : all) run(seed);
}

TEST_F(Fuzz, survives_changed_seeds) {
  const auto all = seeds();
  ASSERT_FALSE(all.empty()) << TAILRACE_CORPUS;
  const char* const given = std::getenv("TAILRACE_SEED");
  Random random(given == nullptr ? 1 : std::strtoull(given, nullptr, 10));
  for (int i = 0; i < TAILRACE_INPUTS; ++i) {
    std::string input = all[random.below(all.size())];
    for (std::size_t changes = 1 + random.below(8); changes > 0; --changes) change(input, all, random);
    run(input);
  }
}

}  // namespace
}  // namespace tailrace
