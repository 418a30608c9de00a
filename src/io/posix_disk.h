// The real disk.
#pragma once

#include <memory>

#include "base/file.h"

namespace tailrace::io {

std::unique_ptr<Disk> posix_disk();

}  // namespace tailrace::io
