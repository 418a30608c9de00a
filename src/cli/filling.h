// How far a new workspace is, for `status`.
#pragma once

#include <string>

#include "engine/engine.h"

namespace tailrace::cli {

// A line, without its end; empty when nothing is being filled. elapsed: since it began.
//   a new workspace is being filled: 42 %, about 3s left (step 2 of 3: records of Order Placed, Refunded read
//   again, 120,000 of 400,000)
std::string filling_in_words(const engine::Engine::Progress& progress, Millis elapsed);

}  // namespace tailrace::cli
