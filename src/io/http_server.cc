// How it is built. One acceptor hands sockets round-robin to the loops; a loop is one io_context on one
// thread. (Not SO_REUSEPORT: with it a second server on the same port would start silently and take half the
// traffic.) Everything of a Session runs on its loop's thread, so it needs no lock; only Responder::respond
// may come from elsewhere, and it posts.
//
// A session goes idle -> reading -> handling -> writing -> idle ..., or ends in lingering. Deadlines are kept
// by the loop's ticker rather than by a timer per request, which would cost two timer operations each.
#include "io/http_server.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <ctime>
#include <exception>
#include <iterator>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_set>
#include <utility>
#include <vector>

#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/field.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/verb.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/assert.h"
#include "base/thread_name.h"
#include "io/tls_files.h"

namespace tailrace::io {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kSpareBytes = 64;
constexpr std::size_t kReadBytes = 8 * 1024;
// A connection keeps at most so much memory of a body for the next one.
constexpr std::size_t kKeptBodyBytes = 4 * 1024;
// A body grows by at most this much before its bytes have come, so that a Content-Length alone costs no
// memory.
constexpr std::size_t kBodyStepBytes = 256 * 1024;
// How long and how much a refused sender may go on sending before the connection is cut under it.
constexpr std::chrono::seconds kLingerTime{2};
constexpr std::size_t kLingerBytesMax = 16u << 20;
// Connections beyond connections_max that are being told so at one time; more are closed without a word.
constexpr std::uint32_t kRefusalsMax = 64;
constexpr std::chrono::milliseconds kTickMax{100};
constexpr std::chrono::milliseconds kAcceptRetry{50};

std::chrono::milliseconds to_chrono(Millis length) { return std::chrono::milliseconds(length.count); }

HttpResponse error_response(int status, std::string_view message) {
  return {status, {{"Content-Type", "application/json"}}, fmt::format("{{\"error\":\"{}\"}}", message)};
}

bool body_forbidden(int status) { return status < 200 || status == 204 || status == 304; }

// A line break in a header would let its author write further headers.
void append_header_text(std::string& out, std::string_view text) {
  for (const char c : text) out += c == '\r' || c == '\n' || c == '\0' ? ' ' : c;
}

struct Limits {
  std::uint64_t body_bytes_max;
  std::uint32_t header_bytes_max;
  Millis read_timeout;
  Millis idle_timeout;
};

// Counts open connections over all loops, for connections_max and so that stop() can wait for the last one.
class Census {
 public:
  std::uint32_t enter() { return open_.fetch_add(1) + 1; }
  void leave() {
    if (open_.fetch_sub(1) != 1) return;
    const std::lock_guard lock(mutex_);
    empty_.notify_all();
  }
  void wait_until_empty(Millis longest) {
    std::unique_lock lock(mutex_);
    empty_.wait_for(lock, to_chrono(longest), [&] { return open_.load() == 0; });
  }

 private:
  std::atomic<std::uint32_t> open_{0};
  std::mutex mutex_;
  std::condition_variable empty_;
};

std::string_view text(boost::core::string_view view) { return {view.data(), view.size()}; }

// Beast's parser, writing into the request that is handed on, without a message of its own in between.
class RequestParser final : public http::basic_parser<true> {
 public:
  explicit RequestParser(HttpRequest& request) : request_(&request) {}

  // Of the header; the first of a name counts.
  int version = 0;
  bool head = false;
  std::size_t hosts = 0;
  std::size_t codings = 0;
  bool coding_is_chunked = false;
  bool expects_continue = false;

 private:
  void on_request_impl(http::verb method, boost::core::string_view method_name,
                       boost::core::string_view target, int its_version, error_code&) override {
    version = its_version;
    head = method == http::verb::head;
    request_->method = method_name;
    request_->url = target;
  }
  void on_response_impl(int, boost::core::string_view, int, error_code&) override {}
  void on_field_impl(http::field name, boost::core::string_view name_text, boost::core::string_view value,
                     error_code&) override {
    if (header_done_) return;  // a trailer
    if (name == http::field::host) {
      ++hosts;
    } else if (name == http::field::transfer_encoding) {
      if (codings++ == 0) coding_is_chunked = equal_ignoring_case(text(value), "chunked");
    } else if (name == http::field::expect && !expect_seen_) {
      expect_seen_ = true;
      expects_continue = equal_ignoring_case(text(value), "100-continue");
    }
    request_->headers.emplace_back(text(name_text), text(value));
  }
  void on_header_impl(error_code&) override { header_done_ = true; }
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  std::size_t on_body_impl(boost::core::string_view body, error_code&) override {
    request_->body.append(body.data(), body.size());
    return body.size();
  }
  void on_chunk_header_impl(std::uint64_t, boost::core::string_view, error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, boost::core::string_view body, error_code&) override {
    request_->body.append(body.data(), body.size());
    return body.size();
  }
  void on_finish_impl(error_code&) override {}

  HttpRequest* request_;
  bool header_done_ = false;
  bool expect_seen_ = false;
};

// A connection, with TLS or without.
class Channel {
 public:
  explicit Channel(tcp::socket socket) : socket_(std::move(socket)) {}

  // Before anything is read. TLS speaks from here on.
  template <class Done>
  void handshake(asio::ssl::context& context, Done done) {
    tls_.emplace(socket_, context);
    tls_->async_handshake(asio::ssl::stream_base::server, std::move(done));
  }
  template <class Buffer, class Done>
  void read_some(const Buffer& buffer, Done done) {
    if (tls_) {
      tls_->async_read_some(buffer, std::move(done));
    } else {
      socket_.async_read_some(buffer, std::move(done));
    }
  }
  template <class Buffers, class Done>
  void write(const Buffers& buffers, Done done) {
    if (tls_) {
      asio::async_write(*tls_, buffers, std::move(done));
    } else {
      asio::async_write(socket_, buffers, std::move(done));
    }
  }
  // Nothing that has come waits to be read.
  bool is_quiet() {
    error_code ignored;
    return socket_.available(ignored) == 0 && (!tls_ || SSL_pending(tls_->native_handle()) == 0);
  }
  // What the other side still sends, whatever it means. Answers end by their Content-Length, so nobody needs
  // TLS to say that no more comes.
  template <class Buffer, class Done>
  void read_raw(const Buffer& buffer, Done done) {
    socket_.async_read_some(buffer, std::move(done));
  }
  tcp::socket& socket() { return socket_; }

 private:
  tcp::socket socket_;
  std::optional<asio::ssl::stream<tcp::socket&>> tls_;
};

class Session;

// The head but for the Connection header and the empty line.
void append_head(std::string& out, const HttpResponse& response, std::size_t body_bytes,
                 std::string_view date) {
  fmt::format_to(std::back_inserter(out), "HTTP/1.1 {} {}\r\nDate: {}\r\n", response.status,
                 text(http::obsolete_reason(static_cast<http::status>(response.status))), date);
  for (const auto& [name, value] : response.headers) {
    if (equal_ignoring_case(name, "Content-Length") || equal_ignoring_case(name, "Connection") ||
        equal_ignoring_case(name, "Transfer-Encoding") || equal_ignoring_case(name, "Date")) {
      continue;  // these are the connection's business
    }
    append_header_text(out, name);
    out += ": ";
    append_header_text(out, value);
    out += "\r\n";
  }
  if (!body_forbidden(response.status)) {
    fmt::format_to(std::back_inserter(out), "Content-Length: {}\r\n", body_bytes);
  }
}

// The answer to a request: one made for it, or a fixed one.
struct Answer {
  std::weak_ptr<Session> session;
  std::uint64_t serial = 0;
  HttpResponse response;
  const HttpResponse* fixed = nullptr;
};

// Outlives the server while a Responder is kept, so that a late answer finds a closed door and not a hole.
class Loop : public std::enable_shared_from_this<Loop> {
 public:
  Loop(const Limits& session_limits, const HttpHandler& session_handler, Census& session_census)
      : limits(session_limits), handler(session_handler), census(&session_census), ticker(context) {}

  // Runs work on the loop's thread: at once when called there, never when the loop has ended.
  template <class Work>
  void run(Work work) {
    if (context.get_executor().running_in_this_thread()) {
      work();
      return;
    }
    const std::lock_guard lock(mutex);
    if (!ended) asio::post(context, std::move(work));
  }
  // The same for an answer. Those that come before the loop gets to them cost it one wake-up.
  void give(Answer answer);
  void end() {
    const std::lock_guard lock(mutex);
    ended = true;
    answers_.clear();
  }

  void open(tcp::socket socket, const std::shared_ptr<asio::ssl::context>& tls, bool refuse);
  void drain();
  void close_all();
  void tick();
  std::string_view date();
  // Head and body, on a connection that stays open.
  const std::string& fixed_text(const HttpResponse& response);

  asio::io_context context{1};
  const Limits limits;
  const HttpHandler handler;
  Census* census;  // valid until ended
  bool draining = false;
  std::unordered_set<std::shared_ptr<Session>> sessions;

 private:
  asio::steady_timer ticker;
  std::time_t date_second_ = 0;
  std::string date_;
  struct FixedText {
    const HttpResponse* response;
    std::string text;
  };
  std::vector<FixedText> fixed_texts_;  // of date_second_
  void deliver_answers();
  std::mutex mutex;
  bool ended = false;            // guarded by mutex
  std::vector<Answer> answers_;  // guarded by mutex
};

class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(Loop& loop, tcp::socket socket) : loop_(loop), channel_(std::move(socket)) {}

  // context: of TLS; nullptr: plain. refuse: there are too many connections.
  void start(const std::shared_ptr<asio::ssl::context>& context, bool refuse) {
    if (context == nullptr) {
      begin(refuse);
      return;
    }
    phase_ = Phase::shaking_hands;
    set_deadline(loop_.limits.read_timeout);
    channel_.handshake(*context, [self = shared_from_this(), context, refuse](error_code error) {
      if (self->phase_ != Phase::shaking_hands) return;
      if (error) {
        self->close();
      } else {
        self->begin(refuse);
      }
    });
  }
  void begin(bool refuse) {
    if (refuse) {
      this->refuse();
    } else {
      next_request();
    }
  }
  void refuse() {
    close_after_ = true;
    HttpResponse response = error_response(503, "too many connections; try again");
    response.headers.emplace_back("Retry-After", "1");
    write(std::move(response));
  }

  // A second answer to a request, or one that comes too late, is ignored.
  void answer(Answer& answer) {
    if (phase_ != Phase::handling || answer.serial != serial_) return;
    if (answer.fixed == nullptr) {
      write(std::move(answer.response));
    } else {
      write_fixed(*answer.fixed);
    }
  }

  void hang_up(std::uint64_t serial) {
    if (phase_ == Phase::handling && serial == serial_) close();
  }

  // The server is going down: whoever has nothing under way is closed at once.
  void drain() {
    error_code ignored;
    if (phase_ == Phase::idle && channel_.socket().available(ignored) == 0) close();
  }

  // Clock::time_point::max() while it waits for the handler, which has all the time it wants.
  Clock::time_point deadline() const { return deadline_; }
  void expire() {
    if (phase_ == Phase::reading) {
      error_code ignored;
      channel_.socket().cancel(ignored);
      refuse_request(408, "the request did not arrive in time");
    } else {
      close();
    }
  }

  void close() {
    if (phase_ == Phase::closed) return;
    phase_ = Phase::closed;
    error_code ignored;
    channel_.socket().close(ignored);
    loop_.census->leave();
    loop_.sessions.erase(shared_from_this());
  }

 private:
  enum class Phase : std::uint8_t { shaking_hands, idle, reading, handling, writing, lingering, closed };
  void set_deadline(Millis from_now) { deadline_ = Clock::now() + to_chrono(from_now); }

  void next_request() {
    parser_.emplace(request_);
    parser_->header_limit(loop_.limits.header_bytes_max);
    // Beast would refuse by its own limit of 1 MB; ours is judged with the header, for an answer of our own.
    parser_->body_limit(boost::none);
    request_.headers.clear();
    request_.body.clear();
    if (request_.body.capacity() > kKeptBodyBytes) request_.body.shrink_to_fit();
    if (buffer_.size() > 0) {
      begin_reading();
      parse_header();
      return;
    }
    if (loop_.draining) {
      if (channel_.is_quiet()) {
        close();
        return;
      }
    }
    phase_ = Phase::idle;
    set_deadline(loop_.limits.idle_timeout);
    read_header();
  }

  void begin_reading() {
    phase_ = Phase::reading;
    set_deadline(loop_.limits.read_timeout);
  }

  void read_header() {
    channel_.read_some(buffer_.prepare(kReadBytes),
                       [self = shared_from_this()](error_code error, std::size_t bytes) {
                         if (self->phase_ != Phase::idle && self->phase_ != Phase::reading) return;
                         if (error) {
                           self->close();
                           return;
                         }
                         self->buffer_.commit(bytes);
                         if (self->phase_ == Phase::idle) self->begin_reading();
                         self->parse_header();
                       });
  }

  void parse_header() {
    error_code error;
    buffer_.consume(parser_->put(buffer_.data(), error));
    if (error == http::error::need_more) {
      read_header();
    } else if (error == http::error::header_limit) {
      refuse_request(431, "the request header is too large");
    } else if (error == http::error::bad_version) {
      refuse_request(505, "speak HTTP/1.1");
    } else if (error || !parser_->is_header_done()) {
      refuse_request(400, "this is not an HTTP/1.1 request");
    } else {
      judge_header();
    }
  }

  void judge_header() {
    if (parser_->version != 10 && parser_->version != 11) {
      refuse_request(505, "speak HTTP/1.1");
      return;
    }
    if (parser_->version == 11 && parser_->hosts != 1) {
      refuse_request(400, "send one Host header");
      return;
    }
    // Any other coding would leave the end of the body, and so the begin of the next request, to guesswork.
    if (parser_->codings > 1 || (parser_->codings == 1 && !parser_->coding_is_chunked)) {
      refuse_request(501, "the only Transfer-Encoding understood is chunked");
      return;
    }
    if (parser_->content_length().value_or(0) > loop_.limits.body_bytes_max) {
      refuse_request(413, "the request body is too large");
      return;
    }
    take_header();
    if (parser_->chunked()) {
      parser_->eager(true);
      parser_->body_limit(loop_.limits.body_bytes_max);
      invite_body([this] { parse_chunked(); });
      return;
    }
    body_bytes_ = static_cast<std::size_t>(parser_->content_length().value_or(0));
    request_.body.reserve(body_bytes_ + kSpareBytes);
    const std::size_t here = std::min(body_bytes_, buffer_.size());
    request_.body.assign(static_cast<const char*>(buffer_.data().data()), here);
    buffer_.consume(here);
    if (here == body_bytes_) {
      handle();
    } else {
      invite_body([this] { read_body(); });
    }
  }

  void take_header() {
    head_ = parser_->head;
    http_1_0_ = parser_->version == 10;
    close_after_ = !parser_->keep_alive();
    expects_continue_ = !http_1_0_ && parser_->expects_continue;
  }

  // Tells a client that waits for it to go on and send the body.
  template <class Next>
  void invite_body(Next next) {
    if (!expects_continue_ || buffer_.size() > 0) {
      next();
      return;
    }
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    channel_.write(asio::buffer(kContinue), [self = shared_from_this(), next](error_code error, std::size_t) {
      if (self->phase_ != Phase::reading) return;
      if (error) {
        self->close();
      } else {
        next();
      }
    });
  }

  void read_body() {
    const std::size_t have = request_.body.size();
    const std::size_t step = std::min(body_bytes_ - have, kBodyStepBytes);
    request_.body.resize(have + step);
    channel_.read_some(asio::buffer(request_.body.data() + have, step),
                       [self = shared_from_this(), have](error_code error, std::size_t bytes) {
                         if (self->phase_ != Phase::reading) return;
                         if (error) {
                           self->close();
                           return;
                         }
                         self->request_.body.resize(have + bytes);
                         if (have + bytes == self->body_bytes_) {
                           self->handle();
                         } else {
                           self->read_body();
                         }
                       });
  }

  void parse_chunked() {
    error_code error;
    // The parser takes one step at a time and asks for more when a step needs more bytes than there are.
    while (!error && !parser_->is_done() && buffer_.size() > 0) {
      buffer_.consume(parser_->put(buffer_.data(), error));
    }
    if (error == http::error::body_limit) {
      refuse_request(413, "the request body is too large");
    } else if (error && error != http::error::need_more) {
      refuse_request(400, "the chunked request body is malformed");
    } else if (parser_->is_done()) {
      handle();
    } else if (buffer_.size() > loop_.limits.header_bytes_max) {
      // Only a chunk's size line or the trailer is held back unparsed.
      refuse_request(400, "the chunked request body is malformed");
    } else {
      read_chunked();
    }
  }

  void read_chunked() {
    channel_.read_some(buffer_.prepare(kReadBytes),
                       [self = shared_from_this()](error_code error, std::size_t bytes) {
                         if (self->phase_ != Phase::reading) return;
                         if (error) {
                           self->close();
                           return;
                         }
                         self->buffer_.commit(bytes);
                         self->parse_chunked();
                       });
  }

  void handle();

  void refuse_request(int status, std::string_view message) {
    close_after_ = true;
    write(error_response(status, message));
  }

  void write(HttpResponse response) {
    begin_writing();
    response_body_ = std::move(response.body);
    response_head_.clear();
    write_head(response_head_, response, response_body_.size());
    std::array<asio::const_buffer, 2> buffers{asio::buffer(response_head_), asio::buffer(response_body_)};
    if (head_ || body_forbidden(response.status)) buffers[1] = {};
    send(buffers);
  }

  void write_fixed(const HttpResponse& response) {
    if (head_ || http_1_0_ || close_after_ || loop_.draining) {
      write(response);
      return;
    }
    begin_writing();
    response_head_ = loop_.fixed_text(response);
    send(asio::buffer(response_head_));
  }

  void begin_writing() {
    phase_ = Phase::writing;
    set_deadline(loop_.limits.idle_timeout);
    close_after_ = close_after_ || loop_.draining;
  }

  template <class Buffers>
  void send(const Buffers& buffers) {
    channel_.write(buffers, [self = shared_from_this()](error_code error, std::size_t) {
      if (self->phase_ != Phase::writing) return;
      if (error) {
        self->close();
      } else if (self->close_after_) {
        self->linger();
      } else {
        self->next_request();
      }
    });
  }

  void write_head(std::string& out, const HttpResponse& response, std::size_t body_bytes) {
    append_head(out, response, body_bytes, loop_.date());
    if (close_after_) {
      out += "Connection: close\r\n";
    } else if (http_1_0_) {
      out += "Connection: keep-alive\r\n";
    }
    out += "\r\n";
  }

  // Closing with bytes unread makes the system send a reset, which can overtake the answer: say that no more
  // comes, then let the other side finish.
  void linger() {
    phase_ = Phase::lingering;
    deadline_ = Clock::now() + kLingerTime;
    error_code error;
    channel_.socket().shutdown(tcp::socket::shutdown_send, error);
    if (error) {
      close();
      return;
    }
    buffer_.clear();
    discard();
  }

  void discard() {
    channel_.read_raw(buffer_.prepare(kReadBytes),
                      [self = shared_from_this()](error_code error, std::size_t bytes) {
                        if (self->phase_ != Phase::lingering) return;
                        self->lingered_ += bytes;
                        if (error || self->lingered_ > kLingerBytesMax) {
                          self->close();
                        } else {
                          self->discard();
                        }
                      });
  }

  Loop& loop_;
  Channel channel_;
  Phase phase_ = Phase::idle;
  Clock::time_point deadline_{};
  beast::flat_buffer buffer_;
  HttpRequest request_;
  std::optional<RequestParser> parser_;  // writes into request_
  std::size_t body_bytes_ = 0;
  std::uint64_t serial_ = 0;
  bool head_ = false;
  bool http_1_0_ = false;
  bool expects_continue_ = false;
  bool close_after_ = false;
  std::string response_head_;
  std::string response_body_;
  std::size_t lingered_ = 0;
};

class SessionResponder final : public Responder {
 public:
  SessionResponder(std::shared_ptr<Loop> loop, std::weak_ptr<Session> session, std::uint64_t serial)
      : loop_(std::move(loop)), session_(std::move(session)), serial_(serial) {}
  SessionResponder(const SessionResponder&) = delete;
  SessionResponder& operator=(const SessionResponder&) = delete;
  ~SessionResponder() override {
    if (!answered_) respond(error_response(500, "the request was not answered"));
  }

  void respond(HttpResponse response) override { give({session_, serial_, std::move(response)}); }
  void respond_fixed(const HttpResponse& response) override { give({session_, serial_, {}, &response}); }

  void hang_up() override {
    TR_ASSERT(!answered_);
    answered_ = true;
    loop_->run([session = session_, serial = serial_] {
      if (const auto alive = session.lock()) alive->hang_up(serial);
    });
  }

 private:
  void give(Answer answer) {
    TR_ASSERT(!answered_);
    answered_ = true;
    loop_->give(std::move(answer));
  }

  std::shared_ptr<Loop> loop_;
  std::weak_ptr<Session> session_;
  std::uint64_t serial_;
  bool answered_ = false;
};

void Session::handle() {
  // Zeroed, so that a reader of whole blocks beyond the end reads nothing left over.
  const std::size_t size = request_.body.size();
  request_.body.resize(size + kSpareBytes, '\0');
  request_.body.resize(size);
  phase_ = Phase::handling;
  deadline_ = Clock::time_point::max();
  ++serial_;
  auto responder = std::make_unique<SessionResponder>(loop_.shared_from_this(), weak_from_this(), serial_);
  try {
    loop_.handler(request_, std::move(responder));
  } catch (const std::exception& error) {
    spdlog::error("an HTTP handler threw: {}", error.what());  // its Responder has answered 500 by now
  }
}

void Loop::give(Answer answer) {
  // The session is looked up on its own thread: the last reference to a socket must not be dropped elsewhere.
  if (context.get_executor().running_in_this_thread()) {
    if (const auto alive = answer.session.lock()) alive->answer(answer);
    return;
  }
  const std::lock_guard lock(mutex);
  if (ended) return;
  answers_.push_back(std::move(answer));
  if (answers_.size() == 1) asio::post(context, [this] { deliver_answers(); });
}

void Loop::deliver_answers() {
  std::vector<Answer> answers;
  {
    const std::lock_guard lock(mutex);
    answers.swap(answers_);
  }
  for (Answer& answer : answers) {
    if (const auto alive = answer.session.lock()) alive->answer(answer);
  }
}

const std::string& Loop::fixed_text(const HttpResponse& response) {
  const std::string_view now = date();
  for (const FixedText& known : fixed_texts_) {
    if (known.response == &response) return known.text;
  }
  FixedText& made = fixed_texts_.emplace_back(&response);
  append_head(made.text, response, response.body.size(), now);
  made.text += "\r\n";
  if (!body_forbidden(response.status)) made.text += response.body;
  return made.text;
}

void Loop::open(tcp::socket socket, const std::shared_ptr<asio::ssl::context>& tls, bool refuse) {
  error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  const auto session = std::make_shared<Session>(*this, std::move(socket));
  sessions.insert(session);
  session->start(tls, refuse);
}

void Loop::drain() {
  draining = true;
  const std::vector<std::shared_ptr<Session>> all(sessions.begin(), sessions.end());
  for (const auto& session : all) session->drain();
}

void Loop::close_all() {
  const std::vector<std::shared_ptr<Session>> all(sessions.begin(), sessions.end());
  for (const auto& session : all) session->close();
}

void Loop::tick() {
  const Clock::time_point now = Clock::now();
  std::vector<std::shared_ptr<Session>> late;
  for (const auto& session : sessions) {
    if (session->deadline() <= now) late.push_back(session);
  }
  for (const auto& session : late) session->expire();
  const auto shortest = std::min(to_chrono(limits.read_timeout), to_chrono(limits.idle_timeout)) / 4;
  ticker.expires_after(std::clamp(shortest, std::chrono::milliseconds(1), kTickMax));
  ticker.async_wait([this](error_code error) {
    if (!error) tick();
  });
}

std::string_view Loop::date() {
  const std::time_t now = std::time(nullptr);
  if (now != date_second_) {
    date_second_ = now;
    fixed_texts_.clear();
    std::tm parts{};
    gmtime_r(&now, &parts);
    std::array<char, 40> text{};
    date_.assign(text.data(), std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts));
  }
  return date_;
}

class AsioHttpServer final : public HttpServer {
 public:
  AsioHttpServer(const ListenOptions& options, const HttpHandler& handler, std::unique_ptr<TlsFiles> tls)
      : connections_max_(options.connections_max), tls_(std::move(tls)) {
    const Limits limits{options.body_bytes_max, options.header_bytes_max, options.read_timeout,
                        options.idle_timeout};
    for (int i = 0; i < options.threads; ++i) {
      loops_.push_back(std::make_shared<Loop>(limits, handler, census_));
    }
    acceptor_.emplace(loops_.front()->context);
    accept_retry_.emplace(loops_.front()->context);
  }
  ~AsioHttpServer() override { stop(Millis{0}); }

  Result<void> listen(const asio::ip::address& address, std::uint16_t port) {
    const tcp::endpoint endpoint(address, port);
    error_code error;
    acceptor_->open(endpoint.protocol(), error);
    if (!error) acceptor_->set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_->bind(endpoint, error);
    if (!error) acceptor_->listen(asio::socket_base::max_listen_connections, error);
    if (!error) port_ = acceptor_->local_endpoint(error).port();
    if (error) {
      return fail(Error::Code::io,
                  fmt::format("cannot listen on {} port {}: {}", address.to_string(), port, error.message()));
    }
    return {};
  }

  void run() {
    accept();
    for (const auto& loop : loops_) {
      threads_.emplace_back([loop] {
        name_thread("http-server");
        const auto work = asio::make_work_guard(loop->context);
        loop->tick();
        loop->context.run();
      });
    }
  }

  std::uint16_t port() const override { return port_; }

  void stop(Millis grace) override {
    const std::lock_guard lock(stop_mutex_);
    if (threads_.empty()) return;
    loops_.front()->run([this] {
      error_code ignored;
      accept_retry_->cancel();
      acceptor_->close(ignored);
    });
    for (const auto& loop : loops_) loop->run([&each = *loop] { each.drain(); });
    census_.wait_until_empty(grace);
    for (const auto& loop : loops_) {
      loop->run([&each = *loop] {
        each.close_all();
        each.context.stop();
      });
    }
    for (auto& thread : threads_) thread.join();
    threads_.clear();
    for (const auto& loop : loops_) loop->end();
  }

 private:
  // Handlers hold plain references to loops: a counted one inside a loop's own queue would keep it alive for
  // ever.
  void accept() {
    Loop& target = *loops_[next_loop_++ % loops_.size()];
    acceptor_->async_accept(target.context, [this, &target](error_code error, tcp::socket socket) {
      if (!acceptor_->is_open()) return;
      if (error) {
        // Out of file descriptors, most likely: trying again at once would spin.
        accept_retry_->expires_after(kAcceptRetry);
        accept_retry_->async_wait([this](error_code cancelled) {
          if (!cancelled) accept();
        });
        return;
      }
      admit(target, std::move(socket));
      accept();
    });
  }

  void admit(Loop& target, tcp::socket socket) {
    const std::uint32_t open = census_.enter();
    if (open > connections_max_ + kRefusalsMax) {
      census_.leave();
      return;
    }
    std::shared_ptr<asio::ssl::context> context = tls_ ? tls_->context() : nullptr;
    target.run([&target, refuse = open > connections_max_, context = std::move(context),
                taken = std::move(socket)]() mutable { target.open(std::move(taken), context, refuse); });
  }

  const std::uint32_t connections_max_;
  const std::unique_ptr<TlsFiles> tls_;  // of the accepting thread; nullptr: plain HTTP
  Census census_;
  std::vector<std::shared_ptr<Loop>> loops_;
  std::optional<tcp::acceptor> acceptor_;
  std::optional<asio::steady_timer> accept_retry_;
  std::size_t next_loop_ = 0;
  std::uint16_t port_ = 0;
  std::mutex stop_mutex_;
  std::vector<std::thread> threads_;
};

}  // namespace

Result<ListenOptions> parse_listen(std::string_view text, ListenOptions defaults) {
  const auto bad = [&] {
    return invalid(
        fmt::format("`{}` is not an address to listen on; write it like 127.0.0.1:8080 or [::1]:8080", text));
  };
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad();
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), defaults.port);
  if (error != std::errc() || end != port.data() + port.size()) return bad();
  if (host.empty()) return defaults;
  if (host == "localhost") host = "127.0.0.1";
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  error_code unreadable;
  const auto address = asio::ip::make_address(std::string(host), unreadable);
  if (unreadable || address.is_v6() != bracketed) return bad();
  defaults.address = host;
  return defaults;
}

Result<std::unique_ptr<HttpServer>> HttpServer::start(const ListenOptions& options, HttpHandler handler) {
  if (options.threads < 1) return invalid("an HTTP server needs at least one thread");
  error_code unreadable;
  const auto address = asio::ip::make_address(options.address, unreadable);
  if (unreadable) return invalid(fmt::format("`{}` is not an IP address to listen on", options.address));
  std::unique_ptr<TlsFiles> tls;
  if (!options.certificate_file.empty())
    tls = TRY(TlsFiles::open(options.certificate_file, options.key_file));
  auto server = std::make_unique<AsioHttpServer>(options, handler, std::move(tls));
  TRY(server->listen(address, options.port));
  server->run();
  return server;
}

}  // namespace tailrace::io
