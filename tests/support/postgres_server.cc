#include "support/postgres_server.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tailrace::testing {
namespace {

namespace fs = std::filesystem;

std::string& reason() {
  static std::string text;
  return text;
}

// Where Debian keeps the newest version.
std::string find_programs() {
  std::vector<std::string> found;
  std::error_code ignored;
  for (const auto& version : fs::directory_iterator("/usr/lib/postgresql", ignored)) {
    const fs::path folder = version.path() / "bin";
    if (fs::exists(folder / "initdb") && fs::exists(folder / "postgres")) found.push_back(folder.string());
  }
  return found.empty() ? std::string() : *std::ranges::max_element(found);
}

const passwd* other_user() {
  if (::geteuid() != 0) return nullptr;
  const passwd* user = ::getpwnam("postgres");
  return user != nullptr ? user : ::getpwnam("nobody");
}

// Runs a program with its words in `log`; the child's number.
int spawn(const std::vector<std::string>& words, const std::string& log,
          const std::string& input = "/dev/null") {
  const passwd* user = other_user();
  const ::pid_t child = ::fork();
  if (child != 0) return child;
  const int in = ::open(input.c_str(), O_RDONLY);
  const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  ::dup2(in, 0);
  ::dup2(out, 1);
  ::dup2(out, 2);
  ::close_range(3, ~0u, 0);
  if (user != nullptr &&
      (::setgroups(0, nullptr) != 0 || ::setgid(user->pw_gid) != 0 || ::setuid(user->pw_uid) != 0))
    ::_exit(126);
  ::setenv("LC_ALL", "C", 1);
  ::setenv("TZ", "UTC", 1);
  ::unsetenv("PGHOST");
  ::unsetenv("PGPORT");
  ::unsetenv("PGUSER");
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  ::execv(arguments[0], arguments.data());
  ::_exit(127);
}

int wait_for(int child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

std::string read_file(const std::string& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace

const std::string& PostgresServer::why() { return reason(); }

PostgresServer* PostgresServer::instance() {
  static const std::unique_ptr<PostgresServer> server = [] {
    std::unique_ptr<PostgresServer> made(new PostgresServer);
    if (!made->start()) made.reset();
    return made;
  }();
  return server.get();
}

bool PostgresServer::start() {
  programs_ = find_programs();
  if (programs_.empty()) {
    reason() = "PostgreSQL is not installed: tools/install-dependencies --tests";
    return false;
  }
  std::string folder = (fs::temp_directory_path() / "tailrace_postgres_XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) {
    reason() = "no temporary folder";
    return false;
  }
  folder_ = folder;
  fs::permissions(folder_, fs::perms::owner_all | fs::perms::group_all | fs::perms::others_all);
  const std::string data = folder_ + "/data";
  const std::string log = folder_ + "/log";
  // Whoever runs it writes its files.
  std::ofstream(log).close();
  fs::permissions(log, fs::perms::all);
  if (wait_for(spawn({programs_ + "/initdb", "-D", data, "-U", "owner", "-A", "trust", "-E", "UTF8",
                      "--no-sync", "--locale=C"},
                     log)) != 0) {
    reason() = "initdb failed: " + read_file(log);
    return false;
  }
  process_ = spawn({programs_ + "/postgres", "-D", data, "-k", folder_, "-c", "listen_addresses=", "-c",
                    "fsync=off", "-c", "max_connections=20", "-c", "shared_buffers=64MB"},
                   log);
  for (int tries = 0; tries < 600; ++tries) {
    if (psql("postgres", "SELECT 1") == "1\n") return true;
    if (::waitpid(process_, nullptr, WNOHANG) == process_) {
      process_ = -1;
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  reason() = "PostgreSQL does not start: " + read_file(log);
  return false;
}

PostgresServer::~PostgresServer() {
  if (process_ > 0) {
    ::kill(process_, SIGINT);  // at once, without waiting for sessions
    wait_for(process_);
  }
  std::error_code ignored;
  if (!folder_.empty()) fs::remove_all(folder_, ignored);
}

std::string PostgresServer::connection(const std::string& database, const std::string& user) const {
  return "host=" + folder_ + " dbname=" + database + " user=" + (user.empty() ? "owner" : user);
}

std::string PostgresServer::create_database(const std::string& name) {
  psql("postgres", "DROP DATABASE IF EXISTS " + name + " WITH (FORCE)");
  psql("postgres", "CREATE DATABASE " + name);
  return connection(name);
}

std::string PostgresServer::psql(const std::string& database, const std::string& sql,
                                 const std::string& user) const {
  const std::string out = folder_ + "/psql_" + std::to_string(::getpid());
  wait_for(spawn({programs_ + "/psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", folder_, "-U",
                  user.empty() ? "owner" : user, "-d", database, "-c", sql},
                 out));
  std::string text = read_file(out);
  std::error_code ignored;
  fs::remove(out, ignored);
  return text;
}

int PostgresServer::psql_file(const std::string& database, const std::string& sql,
                              const std::string& input) const {
  return wait_for(spawn({programs_ + "/psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", folder_, "-U",
                         "owner", "-d", database, "-c", sql},
                        folder_ + "/psql_file", input));
}

}  // namespace tailrace::testing
