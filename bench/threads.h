// What the threads of a name have used, for benchmarks whose other end runs in the same process.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include <unistd.h>

namespace tailrace::bench {

inline double cpu_seconds_of(std::string_view thread) {
  const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  double seconds = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream named(task.path() / "comm");
    std::string name;
    std::getline(named, name);
    if (name != thread) continue;
    std::ifstream stat(task.path() / "stat");
    std::string text;
    std::getline(stat, text);
    // Behind the name in parentheses: state is the third field, utime and stime the 14th and 15th.
    std::size_t at = text.rfind(')');
    std::uint64_t used = 0;
    for (int field = 3; field <= 15 && at != std::string::npos; ++field) {
      at = text.find(' ', at + 1);
      if (field >= 14 && at != std::string::npos) used += std::strtoull(text.c_str() + at, nullptr, 10);
    }
    seconds += static_cast<double>(used) / ticks;
  }
  return seconds;
}

}  // namespace tailrace::bench
