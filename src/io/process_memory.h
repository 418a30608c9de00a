// What the system says this process takes of its memory.
#pragma once

#include <cstdint>

namespace tailrace::io {

// Bytes that stand in memory now; 0 where the system does not say.
std::uint64_t resident_bytes();

}  // namespace tailrace::io
