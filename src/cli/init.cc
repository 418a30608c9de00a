#include "cli/command.h"

namespace tailrace::cli {

int run_init(const Command& command, server::Console& console) {
  if (auto written = workspace::init(command.directory); !written) {
    console.err(written.error().message + "\n");
    return exit_code(written.error());
  }
  console.out("A starter workspace is in " + command.directory + ". Next:\n  tailrace check -w " +
              command.directory + "\n  tailrace sandbox &\n  tailrace serve -w " + command.directory +
              " --apply\n");
  return kDone;
}

}  // namespace tailrace::cli
