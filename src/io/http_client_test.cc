#include "io/http_client.h"

#include <atomic>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "io/http_server.h"
#include "io/test_socket.h"

namespace tailrace::io {
namespace {

using testing::HasSubstr;
using testing::Not;

std::unique_ptr<HttpServer> serve(HttpHandler handler, ListenOptions options = {}) {
  options.port = 0;
  auto server = HttpServer::start(options, std::move(handler));
  TR_ASSERT(server.has_value());
  return std::move(*server);
}

std::unique_ptr<HttpClient> client_of(const ClientOptions& options = {}) {
  auto client = HttpClient::start(options);
  TR_ASSERT(client.has_value());
  return std::move(*client);
}

std::string url_of(std::uint16_t port, std::string_view path = "/") {
  return "http://127.0.0.1:" + std::to_string(port) + std::string(path);
}

const HttpReach kThisMachine{.private_addresses = true};

std::future<Result<HttpResponse>> begin(HttpClient& client, HttpRequest request,
                                        const HttpReach& reach = kThisMachine) {
  auto promise = std::make_shared<std::promise<Result<HttpResponse>>>();
  auto future = promise->get_future();
  client.send(std::move(request), reach,
              [promise](Result<HttpResponse> result) { promise->set_value(std::move(result)); });
  return future;
}
Result<HttpResponse> send(HttpClient& client, HttpRequest request) {
  return begin(client, std::move(request)).get();
}

// Answers the next connection with these bytes, whatever it is asked, and closes it.
class Canned {
 public:
  explicit Canned(std::string answer)
      : thread_([this, bytes = std::move(answer)] {
          TestSocket socket = listener_.accept();
          socket.read_until("\r\n\r\n");
          socket.send(bytes);
          socket.finish_sending();
          socket.read_to_end();
        }) {}
  ~Canned() { thread_.join(); }
  std::uint16_t port() const { return listener_.port(); }

 private:
  TestListener listener_;
  std::thread thread_;
};

TEST(HttpClient, sends_each_method_with_and_without_a_body) {
  HttpRequest seen;
  const auto server = serve([&](HttpRequest& request, std::unique_ptr<Responder> responder) {
    seen = std::move(request);
    responder->respond({201, {{"X-Answer", "yes"}}, "body of the answer"});
  });
  const auto client = client_of();
  for (const auto& [method, body] :
       std::vector<std::pair<std::string, std::string>>{{"GET", ""},
                                                        {"GET", "{\"q\":1}"},
                                                        {"POST", "text"},
                                                        {"POST", ""},
                                                        {"PUT", "text"},
                                                        {"PATCH", "text"},
                                                        {"DELETE", ""},
                                                        {"DELETE", "{\"ids\":[1]}"},
                                                        {"POST", std::string(2u << 20, 'x')},
                                                        {"POST", std::string("a\0b", 3)}}) {
    const auto answer =
        send(*client, {method, url_of(server->port(), "/p?q=1"), {{"X-Mine", "1"}, {"X-Empty", ""}}, body});
    ASSERT_TRUE(answer.has_value()) << method << answer.error().message;
    EXPECT_EQ(answer->status, 201);
    EXPECT_EQ(answer->headers.get("x-answer"), "yes");
    EXPECT_EQ(answer->body, "body of the answer");
    EXPECT_EQ(seen.method, method);
    EXPECT_EQ(seen.url, "/p?q=1");
    EXPECT_EQ(seen.headers.get("X-Mine"), "1");
    EXPECT_EQ(seen.headers.get("X-Empty"), "");
    EXPECT_EQ(seen.headers.get("Content-Type"), std::nullopt);
    EXPECT_EQ(seen.headers.get("Expect"), std::nullopt);
    EXPECT_EQ(seen.body, body);
  }
  const auto head = send(*client, {"HEAD", url_of(server->port()), {}, ""});
  ASSERT_TRUE(head.has_value());
  EXPECT_EQ(seen.method, "HEAD");
  EXPECT_EQ(head->body, "");
}

// An answer, then silence: the connection that was kept ends once the second request is read whole. Whatever
// comes on the next connection is answered.
TEST(HttpClient, sends_a_request_once_though_a_kept_connection_ends_without_an_answer) {
  constexpr std::string_view kAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  TestListener listener;
  std::string next_request;
  std::thread server([&] {
    {
      TestSocket socket = listener.accept();
      socket.read_until("\r\n\r\n");
      socket.send(std::string(kAnswer));
      socket.read_until("\r\n\r\n");
    }
    // A connection may have been opened for the second request before it was given up.
    while (next_request.empty()) {
      TestSocket socket = listener.accept();
      next_request = socket.read_until("\r\n\r\n");
      if (next_request.empty()) continue;
      socket.send(std::string(kAnswer));
      socket.finish_sending();
    }
  });
  const auto client = client_of();
  EXPECT_TRUE(send(*client, {"GET", url_of(listener.port(), "/first"), {}, ""}).has_value());
  const auto second = send(*client, {"GET", url_of(listener.port(), "/second"), {}, ""});
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, Error::Code::unavailable);
  EXPECT_TRUE(send(*client, {"GET", url_of(listener.port(), "/third"), {}, ""}).has_value());
  server.join();
  EXPECT_THAT(next_request, HasSubstr("/third"));
}

TEST(HttpClient, takes_the_content_type_it_is_given) {
  HttpRequest seen;
  const auto server = serve([&](HttpRequest& request, std::unique_ptr<Responder> responder) {
    seen = std::move(request);
    responder->respond({200, {}, ""});
  });
  const auto client = client_of();
  ASSERT_TRUE(send(*client, {"POST", url_of(server->port()), {{"content-type", "application/json"}}, "{}"})
                  .has_value());
  EXPECT_EQ(seen.headers.get("Content-Type"), "application/json");
}

TEST(HttpClient, gives_statuses_as_answers_and_follows_no_redirect) {
  const auto server = serve([&](HttpRequest& request, std::unique_ptr<Responder> responder) {
    responder->respond({std::stoi(request.url.substr(1)), {{"Location", "/200"}}, ""});
  });
  const auto client = client_of();
  for (const int status : {200, 204, 302, 307, 401, 404, 429, 500, 503}) {
    const auto answer =
        send(*client, {"POST", url_of(server->port(), "/" + std::to_string(status)), {}, "x"});
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(answer->status, status);
  }
}

TEST(HttpClient, reads_chunked_answers_and_skips_interim_ones) {
  const Canned server(
      "HTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\n"
      "HTTP/1.1 200 OK\r\nX-Late:  2 \r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  const auto answer = send(*client_of(), {"GET", url_of(server.port()), {}, ""});
  ASSERT_TRUE(answer.has_value()) << answer.error().message;
  EXPECT_EQ(answer->headers.get("X-Early"), std::nullopt);
  EXPECT_EQ(answer->headers.get("X-Late"), "2");
  EXPECT_EQ(answer->body, "abcde");
}

TEST(HttpClient, an_answer_cut_short_is_no_answer) {
  for (const char* bytes : {"", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "not http at all\r\n\r\n",
                            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab"}) {
    const Canned server(bytes);
    const auto answer = send(*client_of(), {"POST", url_of(server.port()), {}, "x"});
    ASSERT_FALSE(answer.has_value()) << bytes;
    EXPECT_EQ(answer.error().code, Error::Code::unavailable);
  }
}

TEST(HttpClient, stops_reading_at_the_cap) {
  const auto server = serve([](HttpRequest& request, std::unique_ptr<Responder> responder) {
    responder->respond({200, {}, std::string(std::stoul(request.url.substr(1)), 'x')});
  });
  const auto client = client_of({.response_bytes_max = 1000});
  EXPECT_TRUE(send(*client, {"GET", url_of(server->port(), "/500"), {}, ""}).has_value());
  const auto refused = send(*client, {"GET", url_of(server->port(), "/1001"), {}, ""});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Error::Code::unavailable);
  EXPECT_EQ(refused.error().message, "127.0.0.1: the answer is larger than 1000 bytes");
}

TEST(HttpClient, gives_up_after_the_total_timeout) {
  const TestListener silent;  // connections are made, and nothing more
  const auto answer = send(*client_of({.total_timeout = Millis{50}}), {"GET", url_of(silent.port()), {}, ""});
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().code, Error::Code::unavailable);
}

std::uint16_t closed_port() { return TestListener().port(); }

TEST(HttpClient, errors_hold_no_credential_and_no_query) {
  const auto client = client_of();
  const std::string port = std::to_string(closed_port());
  for (const std::string& url :
       {"http://user:hunter2@127.0.0.1:" + port + "/path?key=hunter2",
        "http://127.0.0.1:" + port + "/hunter2#hunter2", std::string("ftp://hunter2@127.0.0.1/hunter2"),
        std::string("hunter2 hunter2"), std::string("http://[hunter2]/"), std::string("")}) {
    const auto answer = send(*client, {"GET", url, {{"Authorization", "Bearer hunter2"}}, "hunter2"});
    ASSERT_FALSE(answer.has_value()) << url;
    EXPECT_THAT(answer.error().message, Not(HasSubstr("hunter2"))) << url;
  }
  EXPECT_THAT(send(*client, {"GET", "http://127.0.0.1:" + port, {}, ""}).error().message,
              HasSubstr("127.0.0.1: "));
}

TEST(HttpClient, says_what_can_never_be_sent) {
  const auto client = client_of();
  const auto code_of = [&](std::string url, HttpHeaders headers) {
    return send(*client, {"GET", std::move(url), std::move(headers), ""}).error().code;
  };
  const std::string url = url_of(closed_port());
  EXPECT_EQ(code_of(url, {}), Error::Code::not_found);
  EXPECT_EQ(code_of("ftp://127.0.0.1/", {}), Error::Code::invalid_argument);
  EXPECT_EQ(code_of("file:///etc/passwd", {}), Error::Code::invalid_argument);
  EXPECT_EQ(code_of("", {}), Error::Code::invalid_argument);
  EXPECT_EQ(code_of(url, {{"X", "a\r\nY: b"}}), Error::Code::invalid_argument);
  EXPECT_EQ(code_of(url, {{"X\nY", "b"}}), Error::Code::invalid_argument);
  EXPECT_EQ(code_of(url, {{"X: Y", "b"}}), Error::Code::invalid_argument);
  EXPECT_EQ(code_of(url, {{"", "b"}}), Error::Code::invalid_argument);
}

TEST(HttpClient, keeps_its_connections) {
  // With room for one connection, a second one would be answered 503.
  const auto server =
      serve([](HttpRequest&, std::unique_ptr<Responder> responder) { responder->respond({200, {}, ""}); },
            {.connections_max = 1});
  const auto client = client_of({.connections_per_host_max = 1});
  std::vector<std::future<Result<HttpResponse>>> answers;
  for (int i = 0; i < 50; ++i) answers.push_back(begin(*client, {"POST", url_of(server->port()), {}, "x"}));
  for (auto& answer : answers) EXPECT_EQ(answer.get()->status, 200);
}

TEST(HttpClient, carries_many_requests_from_many_threads_and_mixes_up_no_answer) {
  const auto server = serve([](HttpRequest& request, std::unique_ptr<Responder> responder) {
    responder->respond({200, {}, std::move(request.body)});
  });
  const auto client = client_of();
  std::atomic<int> right{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      std::vector<std::future<Result<HttpResponse>>> answers;
      const auto body_of = [&](int i) { return std::to_string(thread) + "/" + std::to_string(i); };
      for (int i = 0; i < 100; ++i)
        answers.push_back(begin(*client, {"POST", url_of(server->port()), {}, body_of(i)}));
      for (int i = 0; i < 100; ++i) {
        const auto answer = answers[static_cast<std::size_t>(i)].get();
        if (answer && answer->body == body_of(i)) ++right;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(right.load(), 400);
}

TEST(HttpClient, a_callback_may_send) {
  const auto server = serve([](HttpRequest& request, std::unique_ptr<Responder> responder) {
    responder->respond({200, {}, request.url});
  });
  const auto client = client_of();
  std::promise<std::string> second;
  client->send({"GET", url_of(server->port(), "/1"), {}, ""}, kThisMachine, [&](Result<HttpResponse>) {
    client->send({"GET", url_of(server->port(), "/2"), {}, ""}, kThisMachine,
                 [&](Result<HttpResponse> answer) { second.set_value(answer->body); });
  });
  EXPECT_EQ(second.get_future().get(), "/2");
}

TEST(HttpClient, its_end_cancels_what_is_under_way) {
  const TestListener silent;
  std::vector<std::future<Result<HttpResponse>>> answers;
  auto client = client_of({.connections_per_host_max = 2});
  for (int i = 0; i < 10; ++i) answers.push_back(begin(*client, {"GET", url_of(silent.port()), {}, ""}));
  std::promise<Result<HttpResponse>> last;
  HttpClient* const sender = client.get();
  sender->send({"GET", url_of(silent.port()), {}, ""}, kThisMachine, [&](Result<HttpResponse>) {
    sender->send({"GET", url_of(silent.port()), {}, ""}, kThisMachine,
                 [&](Result<HttpResponse> answer) { last.set_value(std::move(answer)); });
  });
  client.reset();
  for (auto& answer : answers) EXPECT_EQ(answer.get().error().code, Error::Code::unavailable);
  EXPECT_EQ(last.get_future().get().error().code, Error::Code::unavailable);
}

TEST(HttpClient, goes_to_no_private_address_unless_it_is_let) {
  std::atomic<int> requests = 0;
  const auto server = serve([&](HttpRequest&, std::unique_ptr<Responder> responder) {
    ++requests;
    responder->respond({200, {}, ""});
  });
  const auto client = client_of();
  for (const std::string host : {"127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"}) {
    const auto answer =
        begin(*client, {"GET", fmt::format("http://{}:{}/", host, server->port()), {}, ""}, {}).get();
    ASSERT_FALSE(answer.has_value()) << host;
    EXPECT_EQ(answer.error().code, Error::Code::not_found);
    EXPECT_THAT(answer.error().message, HasSubstr("allow_private_addresses: true")) << host;
  }
  EXPECT_EQ(requests, 0);
  EXPECT_TRUE(send(*client, {"GET", url_of(server->port()), {}, ""}).has_value());
  // The connection is still open, for those who may use it.
  EXPECT_FALSE(begin(*client, {"GET", url_of(server->port()), {}, ""}, {}).get().has_value());
  EXPECT_EQ(requests, 1);
}

// A certificate for 127.0.0.1 that nobody has signed but its own key.
class SelfSigned {
 public:
  SelfSigned()
      : key_(EVP_EC_gen("P-256")), certificate_(X509_new()), context_(SSL_CTX_new(TLS_server_method())) {
    ASN1_INTEGER_set(X509_get_serialNumber(certificate_), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate_), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate_), 3600);
    X509_set_pubkey(certificate_, key_);
    X509_NAME* const name = X509_get_subject_name(certificate_);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("127.0.0.1"),
                               -1, -1, 0);
    X509_set_issuer_name(certificate_, name);
    X509_sign(certificate_, key_, EVP_sha256());
    TR_ASSERT(SSL_CTX_use_certificate(context_, certificate_) == 1);
    TR_ASSERT(SSL_CTX_use_PrivateKey(context_, key_) == 1);
  }
  SelfSigned(const SelfSigned&) = delete;
  SelfSigned& operator=(const SelfSigned&) = delete;
  ~SelfSigned() {
    SSL_CTX_free(context_);
    X509_free(certificate_);
    EVP_PKEY_free(key_);
  }
  // True when the other side went through with the handshake.
  bool accept(int descriptor) {
    SSL* const connection = SSL_new(context_);
    SSL_set_fd(connection, descriptor);
    char byte = 0;
    const bool made = SSL_accept(connection) == 1 && SSL_read(connection, &byte, 1) == 1;
    SSL_free(connection);
    return made;
  }

 private:
  EVP_PKEY* key_;
  X509* certificate_;
  SSL_CTX* context_;
};

TEST(HttpClient, sends_nothing_to_a_server_it_cannot_verify) {
  TestListener listener;
  bool got_a_request = true;
  std::thread server([&] {
    SelfSigned identity;
    const int descriptor = listener.accept_descriptor();
    const TestSocket closing(descriptor);
    got_a_request = identity.accept(descriptor);
  });
  const auto answer =
      send(*client_of(), {"GET", "https://127.0.0.1:" + std::to_string(listener.port()), {}, ""});
  server.join();
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().code, Error::Code::not_found);
  EXPECT_FALSE(got_a_request);
}

}  // namespace
}  // namespace tailrace::io
