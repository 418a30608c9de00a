#include "io/http_server.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/http_client.h"
#include "io/test_socket.h"

namespace tailrace::io {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Message = TestSocket::Message;

std::unique_ptr<HttpServer> serve(HttpHandler handler, ListenOptions options = {}) {
  options.port = 0;
  auto server = HttpServer::start(options, std::move(handler));
  TR_ASSERT(server.has_value());
  return std::move(*server);
}

// Answers with what was asked: "POST /path?query body".
void echo(HttpRequest& request, std::unique_ptr<Responder> responder) {
  responder->respond(
      {200, {{"Content-Type", "text/plain"}}, request.method + " " + request.url + " " + request.body});
}

Message ask(TestSocket& socket, std::string_view bytes) {
  socket.send(bytes);
  return socket.read_message();
}
Message ask(const HttpServer& server, std::string_view bytes) {
  TestSocket socket = TestSocket::connect(server.port());
  return ask(socket, bytes);
}

// Keeps the responders of the requests it is asked, for the test to answer.
class Keeper {
 public:
  HttpHandler handler() {
    return [this](HttpRequest& request, std::unique_ptr<Responder> responder) {
      const std::lock_guard lock(mutex_);
      urls_.push_back(request.url);
      responders_.push_back(std::move(responder));
      changed_.notify_all();
    };
  }
  // Waits for it.
  std::unique_ptr<Responder> take() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !responders_.empty(); });
    auto responder = std::move(responders_.front());
    responders_.erase(responders_.begin());
    return responder;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> urls_;
  std::vector<std::unique_ptr<Responder>> responders_;
};

constexpr std::string_view kGet = "GET /a HTTP/1.1\r\nHost: example.com\r\n\r\n";

std::string post(std::string_view body, std::string_view headers = "") {
  return "POST /b HTTP/1.1\r\nHost: example.com\r\n" + std::string(headers) +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}
std::string chunked(std::string_view chunks) {
  return "POST /c HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\n\r\n" + std::string(chunks);
}

TEST(HttpServer, gives_the_handler_the_request_as_it_came) {
  HttpRequest seen;
  const auto server = serve([&](HttpRequest& request, std::unique_ptr<Responder> responder) {
    seen = std::move(request);
    responder->respond({202, {{"X-Answer", "yes"}}, "taken"});
  });
  const Message answer = ask(*server,
                             "PATCH /v1/x?y=1 HTTP/1.1\r\nhost: example.com\r\nX-Two: a\r\nX-Two: b\r\n"
                             "Content-Length: 4\r\n\r\nbody");
  EXPECT_EQ(answer.status(), 202);
  EXPECT_TRUE(answer.has("\r\nX-Answer: yes\r\n"));
  EXPECT_TRUE(answer.has("\r\nDate: "));
  EXPECT_EQ(answer.body, "taken");
  EXPECT_EQ(seen.method, "PATCH");
  EXPECT_EQ(seen.url, "/v1/x?y=1");
  EXPECT_EQ(seen.headers.get("HOST"), "example.com");
  EXPECT_THAT(seen.headers,
              testing::IsSupersetOf({testing::Pair("X-Two", "a"), testing::Pair("X-Two", "b")}));
  EXPECT_EQ(seen.body, "body");
}

TEST(HttpServer, gives_a_fixed_answer_as_any_other) {
  static const HttpResponse kFixed{200, {{"X-Answer", "yes"}}, "taken"};
  Keeper keeper;
  const auto server =
      serve([&, later = keeper.handler()](HttpRequest& request, std::unique_ptr<Responder> responder) {
        if (request.url == "/later") return later(request, std::move(responder));
        if (request.url == "/made") return responder->respond(kFixed);
        responder->respond_fixed(kFixed);
      });
  TestSocket socket = TestSocket::connect(server->port());
  const auto without_date = [](Message message) {
    const std::size_t date = message.head.find("Date: ");
    return message.head.erase(date, message.head.find("\r\n", date) - date) + message.body;
  };
  const std::string made = without_date(ask(socket, "GET /made HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_EQ(without_date(ask(socket, kGet)), made);
  for (int i = 0; i < 3; ++i) {
    socket.send("GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    keeper.take()->respond_fixed(kFixed);
    EXPECT_EQ(without_date(socket.read_message()), made);
  }
  EXPECT_TRUE(ask(*server, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").has("Connection: keep-alive"));
  EXPECT_TRUE(
      ask(*server, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").has("Connection: close"));
  TestSocket head = TestSocket::connect(server->port());
  head.send("HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(head.read_to_end(),
              testing::AllOf(HasSubstr("Content-Length: 5\r\n"), testing::EndsWith("\r\n\r\n")));
}

TEST(HttpServer, leaves_zeroed_room_after_every_body) {
  std::vector<std::string> bodies;
  bool roomy = true;
  const auto server = serve([&](HttpRequest& request, std::unique_ptr<Responder> responder) {
    roomy = roomy && request.body.capacity() >= request.body.size() + 64 &&
            *(request.body.data() + request.body.size()) == '\0';
    bodies.push_back(std::move(request.body));
    responder->respond({200, {}, ""});
  });
  TestSocket socket = TestSocket::connect(server->port());
  const std::string large(700'000, 'x');
  EXPECT_EQ(ask(socket, post("")).status(), 200);
  EXPECT_EQ(ask(socket, post(large)).status(), 200);
  EXPECT_EQ(ask(socket, chunked("3\r\nabc\r\n0\r\n\r\n")).status(), 200);
  EXPECT_THAT(bodies, ElementsAre("", large, "abc"));
  EXPECT_TRUE(roomy);
}

TEST(HttpServer, takes_requests_that_come_byte_by_byte) {
  const auto server = serve(echo);
  TestSocket socket = TestSocket::connect(server->port());
  socket.send_in_pieces(post("hello"), 1);
  EXPECT_EQ(socket.read_message().body, "POST /b hello");
  socket.send_in_pieces(chunked("5;note=1\r\nhello\r\n6\r\n world\r\n0\r\nX-Trailer: 1\r\n\r\n"), 1);
  EXPECT_EQ(socket.read_message().body, "POST /c hello world");
}

TEST(HttpServer, keeps_a_connection_as_its_version_and_header_say) {
  const auto server = serve(echo);
  TestSocket kept = TestSocket::connect(server->port());
  EXPECT_FALSE(ask(kept, kGet).has("Connection: close"));
  EXPECT_EQ(ask(kept, kGet).status(), 200);

  TestSocket asked_to_close = TestSocket::connect(server->port());
  asked_to_close.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(asked_to_close.read_to_end(), HasSubstr("Connection: close"));

  TestSocket old = TestSocket::connect(server->port());
  old.send("GET / HTTP/1.0\r\n\r\n");
  EXPECT_THAT(old.read_to_end(), HasSubstr("Connection: close"));

  TestSocket old_kept = TestSocket::connect(server->port());
  EXPECT_TRUE(
      ask(old_kept, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").has("Connection: keep-alive"));
}

TEST(HttpServer, answers_pipelined_requests_in_their_order) {
  Keeper keeper;
  const auto server = serve(keeper.handler());
  TestSocket socket = TestSocket::connect(server->port());
  socket.send(post("1") + std::string(kGet) + chunked("1\r\n3\r\n0\r\n\r\n"));
  for (const char* body : {"first", "second", "third"}) {
    std::thread([&, responder = keeper.take()] { responder->respond({200, {}, body}); }).join();
    EXPECT_EQ(socket.read_message().body, body);
  }
}

TEST(HttpServer, answers_head_without_a_body) {
  const auto server = serve(echo);
  TestSocket socket = TestSocket::connect(server->port());
  socket.send("HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n" + std::string(kGet));
  EXPECT_TRUE(socket.read_message(false).has("Content-Length: 8\r\n"));
  EXPECT_EQ(socket.read_message().body, "GET /a ");
}

TEST(HttpServer, sends_neither_body_nor_length_with_204) {
  const auto server = serve(
      [](HttpRequest&, std::unique_ptr<Responder> responder) { responder->respond({204, {}, "ignored"}); });
  TestSocket socket = TestSocket::connect(server->port());
  EXPECT_FALSE(ask(socket, kGet).has("Content-Length"));
  EXPECT_EQ(ask(socket, kGet).status(), 204);
}

TEST(HttpServer, keeps_line_breaks_and_its_own_headers_out_of_the_response_header) {
  const auto server = serve([](HttpRequest&, std::unique_ptr<Responder> responder) {
    responder->respond(
        {200, {{"X-A", "1\r\nX-Evil: 2"}, {"content-length", "99"}, {"Transfer-Encoding", "chunked"}}, "ok"});
  });
  const Message answer = ask(*server, kGet);
  EXPECT_TRUE(answer.has("\r\nX-A: 1  X-Evil: 2\r\n"));
  EXPECT_FALSE(answer.has("99"));
  EXPECT_FALSE(answer.has("chunked"));
  EXPECT_EQ(answer.body, "ok");
}

TEST(HttpServer, sends_a_large_answer_whole) {
  const std::string large(8u << 20, 'z');
  const auto server = serve(
      [&](HttpRequest&, std::unique_ptr<Responder> responder) { responder->respond({200, {}, large}); });
  EXPECT_EQ(ask(*server, kGet).body, large);
}

TEST(HttpServer, invites_the_body_of_a_client_that_waits_for_it) {
  const auto server = serve(echo);
  TestSocket socket = TestSocket::connect(server->port());
  socket.send("POST /b HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  EXPECT_EQ(socket.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_EQ(ask(socket, "hello").body, "POST /b hello");
  socket.send("POST /b HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n");
  EXPECT_EQ(socket.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_EQ(ask(socket, "2\r\nhi\r\n0\r\n\r\n").body, "POST /b hi");
}

TEST(HttpServer, refuses_what_is_not_http) {
  const auto server = serve(echo);
  const std::string no_host = "GET / HTTP/1.1\r\n\r\n";
  for (const auto& [bytes, status] : std::vector<std::pair<std::string, int>>{
           {"hello there\r\n\r\n", 400},
           {"GET / HTTP/1.1\r\nHost: a\r\nbad header\r\n\r\n", 400},
           {no_host, 400},
           {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
           {"GET / HTTP/3.7\r\nHost: a\r\n\r\n", 505},
           {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: nine\r\n\r\n", 400},
           {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400},
           {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", 400},
           {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
           {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
           {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
           {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501},
           {chunked("zz\r\nabc\r\n0\r\n\r\n"), 400},
           {chunked("3\r\nabcdef\r\n0\r\n\r\n"), 400},
           {chunked("fffffffffffffffffff\r\n"), 400},
           {chunked("1;" + std::string(40'000, 'e')), 400}}) {
    TestSocket socket = TestSocket::connect(server->port());
    socket.send(bytes);
    const Message answer = socket.read_message();
    EXPECT_EQ(answer.status(), status) << bytes.substr(0, 200);
    EXPECT_THAT(answer.body, testing::StartsWith("{\"error\":\"")) << bytes.substr(0, 200);
    EXPECT_TRUE(answer.has("Connection: close"));
    socket.finish_sending();
    EXPECT_EQ(socket.read_to_end(), "");
  }
}

TEST(HttpServer, refuses_headers_over_the_limit) {
  const auto server = serve(echo, {.header_bytes_max = 1024});
  TestSocket socket = TestSocket::connect(server->port());
  socket.send("GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + std::string(5000, 'x'));
  EXPECT_EQ(socket.read_message().status(), 431);
  EXPECT_EQ(ask(*server, "GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(900, 'x') + "\r\n\r\n").status(),
            200);
}

TEST(HttpServer, refuses_bodies_over_the_limit_and_the_sender_hears_it) {
  const auto server = serve(echo, {.body_bytes_max = 1000});
  EXPECT_EQ(ask(*server, post(std::string(1000, 'x'))).status(), 200);
  EXPECT_EQ(ask(*server, post(std::string(1001, 'x'))).status(), 413);
  // The whole megabyte is sent before the answer is read: a reset would lose the answer.
  EXPECT_EQ(ask(*server, post(std::string(1u << 20, 'x'))).status(), 413);
  EXPECT_EQ(ask(*server, chunked("3e8\r\n" + std::string(1000, 'x') + "\r\n0\r\n\r\n")).status(), 200);
  EXPECT_EQ(ask(*server, chunked("3e9\r\n" + std::string(1001, 'x') + "\r\n0\r\n\r\n")).status(), 413);
  EXPECT_EQ(ask(*server, chunked("1f4\r\n" + std::string(500, 'x') + "\r\n1f5\r\n" + std::string(501, 'x')))
                .status(),
            413);
  EXPECT_EQ(ask(*server, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1001\r\n\r\n")
                .status(),
            413);
}

TEST(HttpServer, cuts_off_slow_senders_and_closes_idle_connections) {
  const auto server = serve(echo, {.read_timeout = Millis{30}, .idle_timeout = Millis{30}});
  for (const std::string& begin :
       {std::string("GET / HT"), post("12345").substr(0, post("12345").size() - 1), chunked("5\r\nab")}) {
    const Message answer = ask(*server, begin);
    EXPECT_EQ(answer.status(), 408) << begin;
    EXPECT_TRUE(answer.has("Connection: close"));
  }
  TestSocket idle = TestSocket::connect(server->port());
  EXPECT_EQ(idle.read_to_end(), "");
}

TEST(HttpServer, a_sender_of_a_byte_now_and_then_gets_no_more_time) {
  const auto server = serve(echo, {.header_bytes_max = 1u << 30, .read_timeout = Millis{50}});
  TestSocket socket = TestSocket::connect(server->port());
  std::thread dribble([&] {
    socket.send("GET / HTTP/1.1\r\nX: ");
    // Every byte comes well within the timeout of the one before; the server's answer is what ends it.
    while (socket.send("x")) std::this_thread::yield();
  });
  EXPECT_EQ(socket.read_message().status(), 408);
  dribble.join();
}

TEST(HttpServer, a_handler_has_all_the_time_it_wants) {
  Keeper keeper;
  const auto server = serve(keeper.handler(), {.read_timeout = Millis{20}, .idle_timeout = Millis{20}});
  TestSocket socket = TestSocket::connect(server->port());
  socket.send(kGet);
  const auto responder = keeper.take();
  TestSocket idle = TestSocket::connect(server->port());
  EXPECT_EQ(idle.read_to_end(), "");  // by now both timeouts have passed
  responder->respond({200, {}, "late"});
  EXPECT_EQ(socket.read_message().body, "late");
}

TEST(HttpServer, tells_connections_beyond_the_maximum_to_come_again) {
  const auto server = serve(echo, {.connections_max = 2});
  TestSocket first = TestSocket::connect(server->port());
  ask(first, kGet);
  {
    TestSocket second = TestSocket::connect(server->port());
    ask(second, kGet);
    const Message refused = ask(*server, kGet);
    EXPECT_EQ(refused.status(), 503);
    EXPECT_TRUE(refused.has("Retry-After: 1\r\n"));
    EXPECT_EQ(ask(second, kGet).status(), 200);
  }
  // The server sees the second one's end when it sees it; then there is room again.
  int status = 0;
  for (int tries = 0; tries < 10'000 && status != 200; ++tries) status = ask(*server, kGet).status();
  EXPECT_EQ(status, 200);
}

TEST(HttpServer, a_request_left_unanswered_is_answered_500) {
  const auto server = serve([](HttpRequest& request, std::unique_ptr<Responder> responder) {
    if (request.url == "/a") throw std::runtime_error("no");
    responder.reset();
  });
  TestSocket socket = TestSocket::connect(server->port());
  const Message thrown = ask(socket, kGet);
  EXPECT_EQ(thrown.status(), 500);
  EXPECT_THAT(thrown.body, HasSubstr("error"));
  EXPECT_EQ(ask(socket, post("")).status(), 500);
}

TEST(HttpServer, an_answer_for_a_client_that_has_gone_goes_nowhere) {
  Keeper keeper;
  const auto server = serve(keeper.handler());
  std::unique_ptr<Responder> orphan;
  {
    TestSocket socket = TestSocket::connect(server->port());
    socket.send(kGet);
    orphan = keeper.take();
  }
  orphan->respond({200, {}, std::string(1u << 20, 'x')});
  TestSocket next = TestSocket::connect(server->port());
  next.send(kGet);
  keeper.take()->respond({200, {}, "still here"});
  EXPECT_EQ(next.read_message().body, "still here");
}

TEST(HttpServer, stop_closes_idle_connections_at_once_and_answers_what_it_has_read) {
  Keeper keeper;
  const auto server = serve(keeper.handler());
  TestSocket idle = TestSocket::connect(server->port());
  TestSocket used = TestSocket::connect(server->port());
  used.send(kGet);
  keeper.take()->respond({200, {}, "before"});
  EXPECT_EQ(used.read_message().body, "before");
  TestSocket busy = TestSocket::connect(server->port());
  busy.send(kGet);
  auto responder = keeper.take();
  std::thread stopping([&] { server->stop(Millis{60'000}); });
  EXPECT_EQ(idle.read_to_end(), "");
  EXPECT_EQ(used.read_to_end(), "");
  responder->respond({200, {}, "in flight"});
  const Message answer = busy.read_message();
  EXPECT_EQ(answer.body, "in flight");
  EXPECT_TRUE(answer.has("Connection: close"));
  EXPECT_EQ(busy.read_to_end(), "");
  busy.finish_sending();
  {
    const TestSocket closed = std::move(busy);
  }
  stopping.join();
}

TEST(HttpServer, stop_waits_no_longer_than_its_grace_and_a_later_answer_is_harmless) {
  Keeper keeper;
  auto server = serve(keeper.handler());
  TestSocket socket = TestSocket::connect(server->port());
  socket.send(kGet);
  const auto responder = keeper.take();
  server->stop(Millis{20});
  server->stop(Millis{20});
  server.reset();
  EXPECT_EQ(socket.read_to_end(), "");
  responder->respond({200, {}, "too late"});
}

TEST(HttpServer, serves_many_connections_at_once_and_mixes_up_no_answer) {
  const auto server = serve(echo, {.threads = 4});
  std::vector<std::thread> clients;
  std::atomic<int> right{0};
  for (int client = 0; client < 32; ++client) {
    clients.emplace_back([&, client] {
      TestSocket socket = TestSocket::connect(server->port());
      for (int i = 0; i < 50; ++i) {
        const std::string body = std::to_string(client) + "/" + std::to_string(i);
        if (ask(socket, i % 2 == 0 ? post(body) : chunked("7\r\nchunked\r\n0\r\n\r\n")).body ==
            (i % 2 == 0 ? "POST /b " + body : "POST /c chunked")) {
          ++right;
        }
      }
    });
  }
  for (auto& client : clients) client.join();
  EXPECT_EQ(right.load(), 32 * 50);
}

// Whatever was answered with 200 was handled, and whatever was handled was answered: a client that hears
// nothing may send again, one that heard may not need to.
TEST(HttpServer, stop_under_load_loses_no_answer) {
  std::atomic<int> handled{0}, answered{0}, clients_running{0};
  std::condition_variable changed;
  std::mutex mutex;
  const auto server = serve([&](HttpRequest&, std::unique_ptr<Responder> responder) {
    {
      const std::lock_guard lock(mutex);
      ++handled;
    }
    changed.notify_all();
    responder->respond({200, {}, "ok"});
  });
  std::vector<std::thread> clients;
  for (int client = 0; client < 8; ++client) {
    clients.emplace_back([&] {
      TestSocket socket = TestSocket::connect(server->port());
      for (;;) {
        if (!socket.send(post("x"))) return;
        const Message answer = socket.read_message();
        if (answer.status() == 200) ++answered;
        if (answer.status() != 200 || answer.has("Connection: close")) return;
      }
    });
  }
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return handled.load() > 500; });
  }
  server->stop(Millis{60'000});
  for (auto& client : clients) client.join();
  EXPECT_EQ(handled.load(), answered.load());
}

TEST(HttpServer, says_why_it_cannot_listen) {
  const auto first = serve(echo);
  ListenOptions taken;
  taken.port = first->port();
  const auto second = HttpServer::start(taken, echo);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, Error::Code::io);
  EXPECT_THAT(second.error().message,
              HasSubstr("cannot listen on 127.0.0.1 port " + std::to_string(taken.port)));
  EXPECT_EQ(HttpServer::start({.address = "example.com"}, echo).error().code, Error::Code::invalid_argument);
}

TEST(ParseListen, reads_address_and_port) {
  const auto shown = [](std::string_view text) {
    const auto options = parse_listen(text, {.address = "192.0.2.1", .threads = 7});
    if (!options) return options.error().message;
    EXPECT_EQ(options->threads, 7);
    return options->address + " " + std::to_string(options->port);
  };
  EXPECT_EQ(shown("127.0.0.1:8080"), "127.0.0.1 8080");
  EXPECT_EQ(shown("[::1]:0"), "::1 0");
  EXPECT_EQ(shown(":65535"), "192.0.2.1 65535");
  EXPECT_EQ(shown("localhost:1"), "127.0.0.1 1");
  for (const char* bad :
       {"", "8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:8080x",
        "::1:8080", "[127.0.0.1]:1", "[]:1", "example.com:80", "300.0.0.1:80"}) {
    EXPECT_THAT(shown(bad), HasSubstr("is not an address to listen on")) << bad;
  }
}

}  // namespace
}  // namespace tailrace::io
