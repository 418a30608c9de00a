#include "io/http_client.h"

#include <atomic>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>

#include <curl/curl.h>
#include <fmt/format.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "base/thread_name.h"
#include "io/address.h"

namespace tailrace::io {
namespace {

constexpr int kPollMillisMax = 1000;

// The part of a URL; empty when there is none or the URL can't be read.
std::string url_part(const std::string& url, CURLUPart part) {
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> parsed(curl_url(), &curl_url_cleanup);
  char* text = nullptr;
  if (curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK ||
      curl_url_get(parsed.get(), part, &text, 0) != CURLUE_OK) {
    return {};
  }
  std::string result(text);
  curl_free(text);
  return result;
}

// What errors say of a URL: the rest of it may hold keys.
std::string host_of(const std::string& url) {
  std::string host = url_part(url, CURLUPART_HOST);
  return host.empty() ? "an unreadable URL" : host;
}

bool is_http(const std::string& url) {
  const std::string scheme = url_part(url, CURLUPART_SCHEME);
  return scheme == "http" || scheme == "https";
}

std::string_view trim(std::string_view text) {
  static constexpr std::string_view kBlank = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

// One request under way. Its address is what libcurl holds, so it does not move.
class Transfer {
 public:
  Transfer(HttpRequest request, HttpReach reach, BodySink sink, HttpCallback done)
      : request_(std::move(request)),
        reach_(std::move(reach)),
        sink_(std::move(sink)),
        done_(std::move(done)) {}
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;
  ~Transfer() {
    curl_easy_cleanup(easy_);
    curl_slist_free_all(headers_);
  }

  // False: the request can't be sent as it is.
  bool prepare(const ClientOptions& options) {
    easy_ = curl_easy_init();
    if (easy_ == nullptr || !is_http(request_.url) || !set_headers()) return false;
    response_bytes_max_ = options.response_bytes_max;
    set(CURLOPT_URL, request_.url.c_str());
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
    set(CURLOPT_FOLLOWLOCATION, 0L);
    set(CURLOPT_SSL_VERIFYPEER, 1L);
    set(CURLOPT_SSL_VERIFYHOST, 2L);
    set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    if (!reach_.ca_file.empty()) set(CURLOPT_CAINFO, reach_.ca_file.c_str());
    // Behind a proxy the address could not be judged.
    set(CURLOPT_PROXY, "");
    if (!reach_.private_addresses) {
      set(CURLOPT_OPENSOCKETFUNCTION, &Transfer::open_socket);
      set(CURLOPT_OPENSOCKETDATA, this);
    }
    set(CURLOPT_PREREQFUNCTION, &Transfer::before_request);
    set(CURLOPT_PREREQDATA, this);
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options.connect_timeout.count));
    set(CURLOPT_TIMEOUT_MS, static_cast<long>(options.total_timeout.count));
    set(CURLOPT_HTTPHEADER, headers_);
    set(CURLOPT_WRITEFUNCTION, &Transfer::take_body);
    set(CURLOPT_WRITEDATA, this);
    set(CURLOPT_HEADERFUNCTION, &Transfer::take_header);
    set(CURLOPT_HEADERDATA, this);
    set(CURLOPT_PRIVATE, this);
    set_method();
    return failed_option_ == CURLE_OK;
  }

  CURL* easy() const { return easy_; }

  void finish(CURLcode code) {
    if (code == CURLE_OK) {
      long status = 0;
      curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status);
      response_.status = static_cast<int>(status);
      done_(std::move(response_));
    } else if (!refused_.empty()) {
      fail_with(Error::Code::not_found, not_routed(refused_));
    } else if (would_go_twice_) {
      fail_with(Error::Code::unavailable, "the connection ended without an answer");
    } else if (too_large_) {
      fail_with(Error::Code::unavailable,
                fmt::format("the answer is larger than {} bytes", response_bytes_max_));
    } else {
      fail_with(reached(code) ? Error::Code::unavailable : Error::Code::not_found, curl_easy_strerror(code));
    }
  }

  // Whether the request may have come to the server's eyes.
  static bool reached(CURLcode code) {
    return code != CURLE_COULDNT_RESOLVE_HOST && code != CURLE_COULDNT_RESOLVE_PROXY &&
           code != CURLE_COULDNT_CONNECT && code != CURLE_SSL_CONNECT_ERROR &&
           code != CURLE_PEER_FAILED_VERIFICATION && code != CURLE_URL_MALFORMAT;
  }
  void fail_with(Error::Code code, std::string_view what) {
    done_(fail(code, fmt::format("{}: {}", host_of(request_.url), what)));
  }

 private:
  template <class Value>
  void set(CURLoption option, Value value) {
    const CURLcode code = curl_easy_setopt(easy_, option, value);
    if (failed_option_ == CURLE_OK) failed_option_ = code;
  }

  void add_header(const std::string& line) {
    curl_slist* const longer = curl_slist_append(headers_, line.c_str());
    TR_ASSERT(longer != nullptr);  // only when memory is out
    headers_ = longer;
  }

  bool set_headers() {
    for (const auto& [name, value] : request_.headers) {
      static constexpr std::string_view kForbidden("\r\n\0", 3);
      if (name.empty() || name.find_first_of(kForbidden) != std::string::npos ||
          name.find(':') != std::string::npos || value.find_first_of(kForbidden) != std::string::npos) {
        return false;
      }
      // libcurl's way to write a header without a value.
      add_header(trim(value).empty() ? name + ";" : name + ": " + value);
    }
    // libcurl adds these by itself: a type that is wrong, and a question that costs a round trip.
    if (!request_.headers.get("Content-Type")) add_header("Content-Type:");
    if (!request_.headers.get("Expect")) add_header("Expect:");
    return true;
  }

  void set_method() {
    const std::string& method = request_.method;
    if (method == "HEAD") {
      set(CURLOPT_NOBODY, 1L);
      return;
    }
    const bool wants_body = method == "POST" || method == "PUT" || method == "PATCH";
    if (wants_body || !request_.body.empty()) {
      set(CURLOPT_POSTFIELDS, request_.body.data());
      set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
    } else {
      set(CURLOPT_HTTPGET, 1L);
    }
    set(CURLOPT_CUSTOMREQUEST, method.c_str());
  }

  bool fits(std::size_t more) {
    received_ += more;
    too_large_ = received_ > response_bytes_max_;
    return !too_large_;
  }

  static curl_socket_t open_socket(void* user, curlsocktype, curl_sockaddr* address) {
    auto& self = *static_cast<Transfer*>(user);
    if (!is_public(address->addr)) {
      self.refused_ = to_text(address->addr);
      return CURL_SOCKET_BAD;
    }
    self.refused_.clear();  // of several addresses, this one is tried
    return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  }

  // Where a kept connection ends without an answer, libcurl would send the request again by itself, though
  // the server may have acted on it. And a connection that another request left open may lead to where this
  // one may not go.
  static int before_request(void* user, char* address, char*, int, int) {
    auto& self = *static_cast<Transfer*>(user);
    if (std::exchange(self.was_sent_, true)) {
      self.would_go_twice_ = true;
      return CURL_PREREQFUNC_ABORT;
    }
    if (self.reach_.private_addresses || is_public(std::string_view(address))) return CURL_PREREQFUNC_OK;
    self.refused_ = address;
    return CURL_PREREQFUNC_ABORT;
  }

  static std::size_t take_body(char* data, std::size_t, std::size_t bytes, void* user) {
    auto& self = *static_cast<Transfer*>(user);
    if (self.sink_) {
      long status = 0;
      curl_easy_getinfo(self.easy_, CURLINFO_RESPONSE_CODE, &status);
      if (status == 200) return self.sink_({data, bytes}) ? bytes : 0;
    }
    if (!self.fits(bytes)) return 0;
    self.response_.body.append(data, bytes);
    return bytes;
  }

  static std::size_t take_header(char* data, std::size_t, std::size_t bytes, void* user) {
    auto& self = *static_cast<Transfer*>(user);
    if (!self.fits(bytes)) return 0;
    const std::string_view line(data, bytes);
    if (line.starts_with("HTTP/")) {
      self.response_.headers.clear();  // what came with a "100 Continue" before
      return bytes;
    }
    const std::size_t colon = line.find(':');
    if (colon != std::string_view::npos && colon > 0) {
      self.response_.headers.emplace_back(trim(line.substr(0, colon)), trim(line.substr(colon + 1)));
    }
    return bytes;
  }

  HttpRequest request_;
  HttpReach reach_;
  BodySink sink_;
  HttpCallback done_;
  std::string refused_;  // the address
  HttpResponse response_;
  CURL* easy_ = nullptr;
  curl_slist* headers_ = nullptr;
  CURLcode failed_option_ = CURLE_OK;
  std::uint64_t response_bytes_max_ = 0;
  std::uint64_t received_ = 0;
  bool too_large_ = false;
  bool was_sent_ = false;
  bool would_go_twice_ = false;
};

class CurlClient final : public HttpClient {
 public:
  CurlClient(const ClientOptions& options, CURLM* multi) : options_(options), multi_(multi) {
    thread_ = std::thread([this] {
      name_thread("http-client");
      run();
    });
  }
  ~CurlClient() override {
    stopping_.store(true);
    curl_multi_wakeup(multi_);
    thread_.join();
    curl_multi_cleanup(multi_);
  }

  void send(HttpRequest request, const HttpReach& reach, BodySink sink, HttpCallback done) override {
    auto transfer = std::make_unique<Transfer>(std::move(request), reach, std::move(sink), std::move(done));
    {
      const std::lock_guard lock(mutex_);
      queue_.push_back(std::move(transfer));
    }
    curl_multi_wakeup(multi_);
  }

 private:
  using Queue = std::deque<std::unique_ptr<Transfer>>;

  Queue take_queue() {
    const std::lock_guard lock(mutex_);
    return std::exchange(queue_, {});
  }

  void run() {
    while (!stopping_.load()) {
      for (auto& transfer : take_queue()) begin(std::move(transfer));
      int running = 0;
      curl_multi_perform(multi_, &running);
      finish_done();
      curl_multi_poll(multi_, nullptr, 0, kPollMillisMax, nullptr);
    }
    for (auto& [easy, transfer] : transfers_) {
      curl_multi_remove_handle(multi_, easy);
      transfer->fail_with(Error::Code::unavailable, "cancelled, because the client is closing");
    }
    transfers_.clear();
    // Callbacks may have sent more.
    for (Queue rest = take_queue(); !rest.empty(); rest = take_queue()) {
      for (const auto& transfer : rest) {
        transfer->fail_with(Error::Code::unavailable, "not sent, because the client is closing");
      }
    }
  }

  void begin(std::unique_ptr<Transfer> transfer) {
    if (!transfer->prepare(options_)) {
      transfer->fail_with(Error::Code::invalid_argument,
                          "the request has a URL or a header that can't be sent");
      return;
    }
    CURL* const easy = transfer->easy();
    if (curl_multi_add_handle(multi_, easy) != CURLM_OK) {
      transfer->fail_with(Error::Code::unavailable, "the request could not be started");
      return;
    }
    transfers_.emplace(easy, std::move(transfer));
  }

  void finish_done() {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      // The message is gone once its handle is removed.
      CURL* const easy = message->easy_handle;
      const CURLcode code = message->data.result;
      curl_multi_remove_handle(multi_, easy);
      const auto node = transfers_.extract(easy);
      node.mapped()->finish(code);
    }
  }

  const ClientOptions options_;
  CURLM* multi_;
  std::mutex mutex_;
  Queue queue_;  // guarded by mutex_
  std::atomic<bool> stopping_{false};
  std::unordered_map<CURL*, std::unique_ptr<Transfer>> transfers_;  // the thread's own
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<HttpClient>> HttpClient::start(const ClientOptions& options) {
  static const CURLcode kReady = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (kReady != CURLE_OK) return fail(Error::Code::io, "libcurl does not start");
  CURLM* const multi = curl_multi_init();
  if (multi == nullptr) return fail(Error::Code::io, "libcurl does not start");
  curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, options.connections_per_host_max);
  return std::make_unique<CurlClient>(options, multi);
}

}  // namespace tailrace::io
