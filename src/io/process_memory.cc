#include "io/process_memory.h"

#include <fstream>

#include <unistd.h>

namespace tailrace::io {

std::uint64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");  // pages: all, then those in memory
  std::uint64_t all = 0;
  std::uint64_t resident = 0;
  if (!(file >> all >> resident)) return 0;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace tailrace::io
