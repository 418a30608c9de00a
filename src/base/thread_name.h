// Threads by name, as `top -H` and a debugger show them, and the benchmark counts their CPU time.
#pragma once

#include <pthread.h>

namespace tailrace {

// Names the calling thread. At most 15 characters.
inline void name_thread(const char* name) { ::pthread_setname_np(::pthread_self(), name); }

}  // namespace tailrace
