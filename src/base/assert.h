// Invariants, checked in release builds too: a process that has lost its invariants must not write on.
#pragma once

#include <cstdio>
#include <cstdlib>

#define TR_ASSERT(condition)                                                                 \
  do {                                                                                       \
    if (!(condition)) [[unlikely]] {                                                         \
      std::fprintf(stderr, "%s:%d: invariant broken: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                          \
    }                                                                                        \
  } while (false)
