#include <csignal>
#include <filesystem>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "cli/command.h"
#include "io/posix_disk.h"
#include "io/system_clock.h"
#include "model/json.h"
#include "server/ingest_server.h"

namespace tailrace::cli {
namespace {

// How long requests that are under way may take, those that came in and those that went out, before the end.
constexpr Millis kGrace{5'000};

// Waits for SIGTERM or SIGINT, which no thread takes before.
class StopSignal {
 public:
  StopSignal() {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGTERM);
    sigaddset(&signals_, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  }
  void wait() const {
    int signal = 0;
    sigwait(&signals_, &signal);
  }

 private:
  sigset_t signals_;
};

Result<void> serve(const Command& command, server::Console& console) {
  const StopSignal stop_signal;
  auto listen = TRY(io::parse_listen(command.listen.empty() ? "127.0.0.1:8080" : command.listen));
  const auto folder = TRY(load_folder(command.workspace));
  const std::string data = command.data.empty() ? command.workspace + "/.tailrace" : command.data;
  const auto beside = [&](const std::string& path) {
    return path.empty() || path.starts_with('/') ? path : command.workspace + "/" + path;
  };
  listen.certificate_file = beside(folder.tls.certificate);
  listen.key_file = beside(folder.tls.key);
  auto keys = TRY(server::read_write_keys(folder, command.workspace));
  auto listed = TRY(server::read_sources(folder, command.workspace));
  // Before anything is opened: with a credential missing, nothing is applied.
  TRY(server::check_connections(folder, server::secrets_of(command.workspace)));

  const auto disk = io::posix_disk();
  auto core = TRY(server::Core::start(*disk,
                                      {.store = {.directory = data, .log = log_options(command)},
                                       .deliver = true,
                                       .secrets_folder = command.workspace},
                                      io::system_now));
  const auto& opened = core->store().opened();
  if (!opened.note.empty()) spdlog::warn("{}", opened.note);
  spdlog::info("store {}: {} records replayed{}", data, opened.replayed,
               opened.from_snapshot ? " after the snapshot" : "");

  const auto applied = core->call([](engine::Engine& engine) {
    return engine.workspace() == nullptr ? std::string() : to_json(workspace::to_value(*engine.workspace()));
  });
  const bool differs = applied != to_json(workspace::to_value(folder));
  if (differs && !command.apply) {
    return fail(
        Error::Code::conflict,
        applied.empty()
            ? "no workspace was applied to this store yet: start with --apply, or run `tailrace apply`"
            : "the folder differs from the workspace that is applied: see `tailrace plan`, then start with "
              "--apply");
  }
  if (differs) {
    Command apply = command;
    apply.name = "apply";
    const Run run{.command = apply,
                  .core = *core,
                  .console = console,
                  .folder = std::filesystem::current_path().string()};
    if (run_apply(run) != kDone) return invalid("the workspace could not be applied");
  }

  auto admin =
      TRY(server::AdminServer::start(data, [&](const server::AdminRequest& request, server::Console& client) {
        auto remote = parse(request.arguments);
        if (!remote) {
          client.err(remote.error().message);
          return remote.error().code;
        }
        return run_on_store(*remote, *core, client, request.folder);
      }));
  const auto http = TRY(server::IngestServer::start(
      *core, {.listen = listen, .sources = std::move(keys), .listed = std::move(listed)}));
  console.out(fmt::format("tailrace serves {} on {}://{}:{}\n", command.workspace,
                          listen.certificate_file.empty() ? "http" : "https", listen.address, http->port()));
  stop_signal.wait();
  spdlog::info("stopping");
  http->stop(kGrace);
  admin.reset();  // commands ask the core, which must still run
  TRY(core->stop(kGrace));
  spdlog::info("stopped; nothing is lost");
  return {};
}

}  // namespace

int run_serve(const Command& command, server::Console& console) {
  const auto served = serve(command, console);
  if (served) return kDone;
  console.err(served.error().message + "\n");
  return exit_code(served.error());
}

}  // namespace tailrace::cli
