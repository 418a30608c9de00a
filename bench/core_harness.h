// What the programs share that run a whole store.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "harness.h"
#include "server/core.h"

namespace tailrace::bench {

// Again, as long as the store is too busy.
inline void submit(server::Core& core, const std::string& bytes, const std::vector<std::uint32_t>& ends) {
  while (true) {
    auto done = core.submit_and_wait(bytes, ends);
    if (done) return;
    if (done.error().code != Error::Code::unavailable) must(std::move(done));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

}  // namespace tailrace::bench
