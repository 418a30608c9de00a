// The load of the HTTP benchmark: Segment-style messages over loopback into a running `tailrace serve`, and
// what they cost it. Every message is new: its id carries the number of its request.
//
//   http_load workspace FOLDER SEGMENTS     writes a workspace: 100 segments, the seven named, or none
//   http_load run PORT PID [--messages 100] [--connections 32] [--seconds 10] [--rate 0]
//
// With `--rate` (events per second) requests are sent when they are due, answered or not, and a latency
// counts from that moment, so that a server that stalls is charged for all who wait. Without it each
// connection sends when it was answered. CPU time counts until the server has applied all it acknowledged.
#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "workload.h"

namespace tailrace::bench {
namespace {

constexpr std::size_t kEvents = 60'000;  // different ones, each sent many times under new message ids
constexpr std::size_t kMarkBytes = 8;
constexpr double kThrottledWait = 0.1;  // after a 429

[[noreturn]] void fail(const std::string& what) {
  fmt::print(stderr, "http_load: {}\n", what);
  std::exit(1);
}

struct Request {
  std::string bytes;
  std::vector<std::size_t> marks;
};

// No timestamp: the event happens when it arrives.
std::string message(const Shape& shape, const ShopEvent& event) {
  std::string text = track_json(shape, event, event.time);
  const std::size_t timestamp = text.find("\"timestamp\"");
  return text.erase(timestamp, text.find(",\"context\"") + 1 - timestamp);
}

std::vector<Request> make_requests(std::size_t messages) {
  const Shape shape;
  Shop shop(shape);
  std::vector<Request> requests(kEvents / messages);
  for (Request& request : requests) {
    std::string body = messages == 1 ? "" : "{\"batch\":[";
    std::vector<std::size_t> marks;
    for (std::size_t i = 0; i < messages; ++i) {
      std::string text = message(shape, shop.next());
      const std::size_t mark = text.find("\"m-") + 3;
      text.insert(mark, kMarkBytes, '0');
      if (i > 0) body += ',';
      marks.push_back(body.size() + mark);
      body += text;
    }
    if (messages != 1) body += "]}";
    request.bytes = fmt::format(
        "POST {} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: analytics-node/2.1.0\r\nAccept: */*\r\n"
        "Content-Type: application/json\r\nAuthorization: Basic YmVuY2g6\r\nContent-Length: {}\r\n\r\n",
        messages == 1 ? "/v1/track" : "/v1/batch", body.size());
    for (const std::size_t mark : marks) request.marks.push_back(request.bytes.size() + mark);
    request.bytes += body;
  }
  return requests;
}

int connect_to(std::uint16_t port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    fail(fmt::format("cannot connect to port {}: {}", port, std::strerror(errno)));
  const int one = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return socket;
}

void send_all(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) fail("the server closed a connection");
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

std::string get(std::uint16_t port, std::string_view path) {
  const int socket = connect_to(port);
  send_all(socket, fmt::format("GET {} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", path));
  std::string answer;
  std::array<char, 65536> buffer{};
  for (ssize_t got = 0; (got = ::recv(socket, buffer.data(), buffer.size(), 0)) > 0;)
    answer.append(buffer.data(), static_cast<std::size_t>(got));
  ::close(socket);
  return answer;
}

// The samples of /metrics by name and labels.
std::map<std::string, double> read_metrics(std::uint16_t port) {
  std::istringstream lines(get(port, "/metrics"));
  std::map<std::string, double> samples;
  for (std::string line; std::getline(lines, line);) {
    const std::size_t blank = line.rfind(' ');
    if (line.starts_with('#') || blank == std::string::npos) continue;
    double value = 0;
    std::from_chars(line.data() + blank + 1, line.data() + line.size(), value);
    samples[line.substr(0, blank)] = value;
  }
  return samples;
}

// An upper bound of a share of a histogram's observations between two readings: the end of the bucket it is
// in.
double quantile(const std::map<std::string, double>& before, const std::map<std::string, double>& after,
                const std::string& name, double share) {
  std::vector<std::pair<double, double>> buckets;
  double total = 0;
  const std::string begin = name + "_bucket{le=\"";
  for (const auto& [key, count] : after) {
    if (!key.starts_with(begin)) continue;
    const auto earlier = before.find(key);
    const double fresh = count - (earlier == before.end() ? 0 : earlier->second);
    const std::string_view le = std::string_view(key).substr(begin.size());
    double end = HUGE_VAL;
    if (!le.starts_with('+')) std::from_chars(le.data(), le.data() + le.size(), end);
    buckets.emplace_back(end, fresh);
    total = std::max(total, fresh);
  }
  std::ranges::sort(buckets);
  for (const auto& [end, count] : buckets) {
    if (total > 0 && count >= share * total) return end;
  }
  return NAN;
}

// CPU seconds of each of the server's threads so far, by its name and id.
using Threads = std::map<std::pair<std::string, std::string>, double>;
Threads thread_seconds(const std::string& process) {
  Threads threads;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/" + process + "/task")) {
    std::string name;
    std::ifstream comm(entry.path() / "comm");
    std::getline(comm, name);
    double nanoseconds = 0;
    std::ifstream schedstat(entry.path() / "schedstat");
    if (!(schedstat >> nanoseconds)) fail("this system keeps no /proc/PID/task/TID/schedstat");
    threads[{name, entry.path().filename()}] = nanoseconds / 1e9;
  }
  return threads;
}

struct Connection {
  int socket = -1;
  double due = 0;     // when its request was, or is, to be sent
  bool busy = false;  // waits for an answer
  std::string answer;
};

class Load {
 public:
  Load(std::uint16_t port, std::size_t messages, std::size_t connections, double rate)
      : requests_(make_requests(messages)),
        connections_(connections),
        interval_(rate > 0 ? static_cast<double>(messages) * static_cast<double>(connections) / rate : 0) {
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    const double start = wall_seconds();
    for (std::size_t i = 0; i < connections; ++i) {
      Connection& connection = connections_[i];
      connection.socket = connect_to(port);
      connection.due = start + interval_ * static_cast<double>(i) / static_cast<double>(connections);
      epoll_event event{.events = EPOLLIN, .data = {.u64 = i}};
      ::epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.socket, &event);
    }
    serial_ = static_cast<std::uint64_t>(start * 1000) << 8;
  }

  void run(double seconds) {
    const double end = wall_seconds() + seconds;
    std::size_t busy = 0;
    std::array<epoll_event, 64> events{};
    for (;;) {
      double now = wall_seconds();
      double next = now + 1;
      for (Connection& connection : connections_) {
        if (connection.busy || now >= end) continue;
        if (connection.due <= now) {
          send(connection, now);
          ++busy;
        } else {
          next = std::min(next, connection.due);
        }
      }
      if (now >= end && busy == 0) return;
      const int wait =
          interval_ == 0 && busy > 0 ? 1000 : static_cast<int>(std::max(0.0, (next - now) * 1000));
      const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), wait);
      now = wall_seconds();
      for (int i = 0; i < count; ++i) {
        Connection& connection = connections_[events[static_cast<std::size_t>(i)].data.u64];
        if (receive(connection, now)) --busy;
      }
    }
  }

  std::uint64_t accepted = 0, throttled = 0, failed = 0;
  std::vector<double> latencies;

 private:
  void send(Connection& connection, double now) {
    Request& request = requests_[serial_ % requests_.size()];
    std::array<char, 16> digits{};
    fmt::format_to_n(digits.data(), digits.size(), "{:016x}", serial_++);
    for (const std::size_t mark : request.marks)
      std::memcpy(request.bytes.data() + mark, digits.data() + 16 - kMarkBytes, kMarkBytes);
    if (interval_ == 0) connection.due = now;
    connection.busy = true;
    send_all(connection.socket, request.bytes);
  }

  bool receive(Connection& connection, double now) {
    std::array<char, 4096> buffer{};
    const ssize_t got = ::recv(connection.socket, buffer.data(), buffer.size(), 0);
    if (got <= 0) fail("the server closed a connection");
    std::string& answer = connection.answer;
    answer.append(buffer.data(), static_cast<std::size_t>(got));
    const std::size_t head = answer.find("\r\n\r\n");
    const std::size_t length = answer.find("Content-Length: ");
    if (head == std::string::npos || length == std::string::npos) return false;
    std::size_t body = 0;
    std::from_chars(answer.data() + length + 16, answer.data() + head, body);
    if (answer.size() < head + 4 + body) return false;
    const std::string_view status = std::string_view(answer).substr(9, 3);
    if (status == "200") {
      ++accepted;
      latencies.push_back(now - connection.due);
    } else {
      ++(status == "429" ? throttled : failed);
    }
    connection.due = status == "429" ? now + kThrottledWait : connection.due + interval_;
    answer.clear();
    connection.busy = false;
    return true;
  }

  std::vector<Request> requests_;
  std::vector<Connection> connections_;
  double interval_;  // of one connection; 0: as soon as it is answered
  std::uint64_t serial_ = 0;
  int epoll_ = -1;
};

double share_of(std::vector<double>& values, double share) {
  if (values.empty()) return NAN;
  const auto at =
      values.begin() + static_cast<std::ptrdiff_t>(static_cast<double>(values.size() - 1) * share);
  std::ranges::nth_element(values, at);
  return *at;
}

int run(int count, char** values) {
  const auto port = static_cast<std::uint16_t>(std::atoi(values[2]));
  const std::string process = values[3];
  const std::uint64_t messages = argument(count, values, "messages", 100);
  const std::uint64_t connections = argument(count, values, "connections", 32);
  const auto seconds = static_cast<double>(argument(count, values, "seconds", 10));
  const auto rate = static_cast<double>(argument(count, values, "rate", 0));
  Load load(port, messages, connections, rate);
  const auto metrics_before = read_metrics(port);
  const Threads before = thread_seconds(process);
  const double start = wall_seconds();
  load.run(seconds);
  const double answered = wall_seconds() - start;
  auto metrics = read_metrics(port);
  const double queued = metrics["tailrace_queued_bytes"];
  while (metrics["tailrace_queued_bytes"] > 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    metrics = read_metrics(port);
  }
  const double applied = wall_seconds() - start;
  const auto events = static_cast<double>(load.accepted * messages);
  std::map<std::string, double> by_name;
  double cpu = 0;
  for (const auto& [thread, used] : thread_seconds(process)) {
    const auto earlier = before.find(thread);
    const double spent = used - (earlier == before.end() ? 0 : earlier->second);
    by_name[thread.first] += spent;
    cpu += spent;
  }
  fmt::print(
      "  {} requests of {} in {:.1f} s, {} throttled, {} failed; {:.0f} events/s answered, {:.0f} applied\n",
      load.accepted, messages, answered, load.throttled, load.failed, events / answered, events / applied);
  fmt::print(
      "  {:.0f} events per second of server CPU; {:.2f} cores; microseconds of CPU per event: {:.2f}, of "
      "them",
      events / cpu, cpu / applied, cpu / events * 1e6);
  for (const auto& [name, spent] : by_name) {
    if (spent > cpu / 1000) fmt::print(" {} {:.2f}", name, spent / events * 1e6);
  }
  const std::string lag = "tailrace_apply_lag_seconds";
  fmt::print(
      "\n  acknowledged p50 {:.1f} ms, p99 {:.1f} ms; on disk to change of a segment p50 <= {:.1f} ms, p99 "
      "<= {:.1f} ms; "
      "{:.0f} bytes waited at the end\n",
      share_of(load.latencies, 0.5) * 1e3, share_of(load.latencies, 0.99) * 1e3,
      quantile(metrics_before, metrics, lag, 0.5) * 1e3, quantile(metrics_before, metrics, lag, 0.99) * 1e3,
      queued);
  fmt::print("  rate: {:.0f}\n", events / applied);
  return load.failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace tailrace::bench

int main(int count, char** values) {
  using namespace tailrace::bench;
  const std::string_view what = count > 1 ? values[1] : "";
  if (what == "workspace" && count == 4) {
    write_workspace(values[2], static_cast<std::size_t>(std::atoi(values[3])));
    return 0;
  }
  if (what == "run" && count >= 4) return run(count, values);
  fmt::print(stderr,
             "usage: http_load workspace FOLDER SEGMENTS\n"
             "       http_load run PORT PID [--messages 100] [--connections 32] [--seconds 10] [--rate 0]\n");
  return 2;
}
