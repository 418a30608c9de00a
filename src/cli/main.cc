// The one binary. Commands on a store run in the process that owns it: in a running `tailrace serve`, through
// its admin socket, or else here, with the store opened under its lock.
#include <chrono>
#include <csignal>
#include <filesystem>
#include <iostream>

#include <fmt/format.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/command.h"
#include "io/posix_disk.h"
#include "io/system_clock.h"
#include "model/json.h"

// Read by jemalloc. What is known of people is hundreds of megabytes looked at in no order: with small pages
// half the time goes into finding where they are.
extern "C" {
const char* malloc_conf = "thp:always,metadata_thp:auto";
}

namespace tailrace::cli {
namespace {

class StandardConsole final : public server::Console {
 public:
  void out(std::string_view text) override {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  }
  void err(std::string_view text) override {
    std::fflush(stdout);
    std::fwrite(text.data(), 1, text.size(), stderr);
  }
  bool terminal() const override { return ::isatty(STDERR_FILENO) == 1; }
};

int run_here(const Command& command, server::Console& console, const std::string& folder,
             const std::string& data) {
  const auto disk = io::posix_disk();
  auto core = server::Core::start(*disk,
                                  {.store = {.directory = data, .log = log_options(command)},
                                   .deliver = command.name == "sync",
                                   .running = {.pass_of = command.sync},
                                   .secrets_folder = command.workspace},
                                  io::system_now);
  if (!core) {
    console.err(core.error().message + "\n");
    return exit_code(core.error());
  }
  if (const auto& note = (*core)->store().opened().note; !note.empty()) console.err("note: " + note + "\n");
  const int code = run_on_store(command, **core, console, folder);
  if (auto stopped = (*core)->stop({0}); !stopped) {
    console.err("no snapshot was saved: " + stopped.error().message + "\n");
  }
  return code;
}

// The message as the inside of a JSON string: what comes from outside must not break the line it stands in.
class JsonMessage final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& out) override {
    std::string quoted;
    append_json_string(quoted, {message.payload.data(), message.payload.size()});
    out.append(quoted.data(), quoted.data() + quoted.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<JsonMessage>(); }
};

// Structured logs, one JSON object per line, to standard error.
void log_as_json() {
  auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
  formatter->add_flag<JsonMessage>('*').set_pattern(
      R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l","message":%*})");
  auto logger = spdlog::stderr_logger_mt("tailrace");
  logger->set_formatter(std::move(formatter));
  spdlog::set_default_logger(std::move(logger));
}

int run(const std::vector<std::string>& arguments) {
  std::signal(SIGPIPE, SIG_IGN);
  StandardConsole console;
  auto command = parse(arguments);
  if (!command) {
    (command.error().code == kDone ? std::cout : std::cerr) << command.error().message;
    return command.error().code;
  }
  if (command->name == "init") return run_init(*command, console);
  if (command->name == "check") return run_check(*command, console);
  if (command->name == "preview" && !command->destination.empty())
    return run_preview_destination(*command, console);
  if (command->name == "normalize") return run_normalize(*command, console);
  if (command->name == "classify") return run_classify(*command, console);
  // What is written from here on is for the owner alone, whoever writes it.
  ::umask(0077);
  if (command->name == "serve") return run_serve(*command, console);
  if (command->name == "restore") return run_restore(*command, console);
  if (command->name == "verify" && !command->directory.empty()) return run_verify_backup(*command, console);
  if (command->name == "sandbox") return run_sandbox(*command, console);

  const std::string folder = std::filesystem::current_path().string();
  const std::string data = command->data.empty() ? command->workspace + "/.tailrace" : command->data;
  if (!std::filesystem::is_directory(command->workspace)) {
    console.err(fmt::format("there is no folder {}: `tailrace init {}` writes a workspace\n",
                            command->workspace, command->workspace));
    return kNotFound;
  }
  if (const auto code = server::run_remotely(
          data, {.arguments = arguments, .folder = folder, .terminal = console.terminal()}, console)) {
    return *code;
  }
  // Opening a damaged store would end at the first damage.
  if (command->name == "verify") return run_verify_closed(data, console);
  return run_here(*command, console, folder, data);
}

}  // namespace

}  // namespace tailrace::cli

int main(int argc, char** argv) {
  tailrace::cli::log_as_json();
  return tailrace::cli::run({argv + 1, argv + argc});
}
