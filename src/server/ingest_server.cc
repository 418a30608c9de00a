#include "server/ingest_server.h"

#include <cstdlib>
#include <deque>
#include <fstream>

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <sys/random.h>

#include "base/hash.h"
#include "io/system_clock.h"
#include "server/metrics.h"
#include "server/request_rate.h"
#include "sources/segment.h"

namespace tailrace::server {
namespace {

HttpResponse answer(int status, std::string body, HttpHeaders headers = {}) {
  headers.emplace_back("Content-Type", "application/json");
  return {.status = status, .headers = std::move(headers), .body = std::move(body)};
}

HttpResponse refuse(int status, std::string_view error, HttpHeaders headers = {}) {
  std::string body = "{\"success\":false,\"error\":";
  body += '"';
  for (const char c : error) {
    if (c == '"' || c == '\\') body += '\\';
    body += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  body += "\"}";
  return answer(status, std::move(body), std::move(headers));
}

// For browsers: the page's origin may be any, the write key is in the request.
void allow_browsers(HttpResponse& response) {
  response.headers.emplace_back("Access-Control-Allow-Origin", "*");
}

const HttpResponse& done_response() {
  static const HttpResponse kResponse = [] {
    HttpResponse made = answer(200, R"({"success":true})");
    allow_browsers(made);
    return made;
  }();
  return kResponse;
}

std::uint64_t fresh_entropy() {
  std::uint64_t value = 0;
  if (::getrandom(&value, sizeof value, 0) != static_cast<ssize_t>(sizeof value)) std::abort();
  return value;
}

}  // namespace

class IngestServer::Body {
 public:
  Body(Core& core, IngestOptions options)
      : core_(core), options_(std::move(options)), entropy_begin_(fresh_entropy()), entropy_(entropy_begin_) {
    for (const auto& [digest, source] : options_.sources)
      senders_.emplace(digest, Sender{source.name, RequestRate(source.requests_per_second)});
    for (ListedSource& source : options_.listed)
      listed_.push_back({source.type, std::move(source.config), RequestRate(source.requests_per_second)});
    options_.listed.clear();
  }

  Result<void> start() {
    server_ = TRY(io::HttpServer::start(
        options_.listen, [this](HttpRequest& request, std::unique_ptr<io::Responder> responder) {
          handle(request, std::move(responder));
        }));
    return {};
  }
  std::uint16_t port() const { return server_->port(); }
  void stop(Millis grace) { server_->stop(grace); }

 private:
  struct Sender {
    std::string name;
    RequestRate rate;
  };

  void handle(HttpRequest& request, std::unique_ptr<io::Responder> responder) {
    metrics().http_requests.add();
    const std::string_view target = std::string_view(request.url).substr(0, request.url.find('?'));
    if (target == "/healthz") {
      const bool well = !core_.failed();
      return responder->respond(
          answer(well ? 200 : 503, well ? R"({"status":"ok"})" : R"({"status":"failed"})"));
    }
    if (target == "/metrics") return write_metrics(core_, std::move(responder));
    if (const auto to = listed_at(target); !to.empty())
      return take(to, target, request, std::move(responder));
    const auto call = sources::segment_call(request.url);
    if (!call)
      return responder->respond(
          refuse(404, "no such path; see docs/sources.md for /v1/batch and its kin, and for /sources/NAME"));
    if (request.method == "OPTIONS") {
      HttpResponse response{.status = 204, .headers = {}, .body = {}};
      allow_browsers(response);
      response.headers.emplace_back("Access-Control-Allow-Methods", "POST, OPTIONS");
      response.headers.emplace_back("Access-Control-Allow-Headers",
                                    "Authorization, Content-Type, X-Retry-Count");
      response.headers.emplace_back("Access-Control-Max-Age", "86400");
      return responder->respond(std::move(response));
    }
    if (request.method != "POST")
      return responder->respond(refuse(405, "use POST", {{"Allow", "POST, OPTIONS"}}));
    take(*call, request, std::move(responder));
  }

  void take(sources::SegmentCall call, HttpRequest& request, std::unique_ptr<io::Responder> responder) {
    // Whoever cannot be known by the header is known by the body alone, which must be inflated first.
    Sender* sender = sender_by_header(request);
    if (sender != nullptr && !may_send(*sender, *responder)) return;
    if (sender == nullptr && sources::write_key(request.headers.get("Authorization"), {}))
      return refuse_stranger(true, *responder);
    if (const auto refusal = inflate(request, request.body))
      return responder->respond(refuse(refusal->status, refusal->why));
    request.body.reserve(request.body.size() + 64);  // the JSON parser reads a little beyond the end

    if (sender == nullptr) {
      const auto key = sources::write_key(request.headers.get("Authorization"), request.body);
      sender = key ? find_sender(*key) : nullptr;
      if (sender == nullptr) return refuse_stranger(key.has_value(), *responder);
      if (!may_send(*sender, *responder)) return;
    }
    auto records = sources::read_segment(request.body,
                                         {.call = call,
                                          .source = sender->name,
                                          .now = core_.now(),
                                          .entropy = entropy_.fetch_add(1) * 0x9e3779b97f4a7c15ull},
                                         {});
    if (!records) {
      metrics().http_refused.add();
      return responder->respond(refuse(400, records.error().message));
    }
    const auto strict = request.headers.get("X-Strict-Mode");
    if (records->rejected > 0 && strict && *strict == "1") {
      return responder->respond(refuse(400, records->reasons.front()));
    }
    metrics().messages.add(records->ends.size());
    metrics().messages_rejected.add(records->rejected);
    if (records->ends.empty()) return responder->respond_fixed(done_response());
    submit(
        std::move(*records), std::move(responder),
        [](io::Responder& to) { to.respond_fixed(done_response()); },
        [](int status, std::string_view why) { return refuse(status, why); });
  }

  // Answers by `done` when the records are on disk, else by a refusal in the words of `refused`.
  template <class Done, class Refused>
  void submit(sources::RawRecords records, std::unique_ptr<io::Responder> responder, Done done,
              Refused refused) {
    // The responder goes to the log's thread, or comes back here with the refusal.
    const std::shared_ptr<io::Responder> shared = std::move(responder);
    const auto submitted =
        core_.submit(std::move(records.bytes), std::move(records.ends),
                     [shared, done = std::move(done), refused](Result<log::CommittedRange> range) mutable {
                       if (range) return done(*shared);
                       shared->respond(with_retry(refused(503, range.error().message), "5"));
                     });
    if (submitted) return;
    if (submitted.error().code == Error::Code::unavailable) {
      metrics().http_throttled.add();
      return shared->respond(with_retry(refused(429, submitted.error().message), "1"));
    }
    const bool input = submitted.error().code == Error::Code::invalid_argument;
    shared->respond(with_retry(refused(input ? 413 : 503, submitted.error().message), "5"));
  }

  struct Refusal {
    int status = 0;
    std::string why;
  };

  // Undoes the Content-Encoding of the body into `undone`, which may be the body. Missing: it is done.
  std::optional<Refusal> inflate(const HttpRequest& request, std::string& undone) const {
    const auto encoding = request.headers.get("Content-Encoding");
    if (!encoding || encoding->empty() || equal_ignoring_case(*encoding, "identity")) return std::nullopt;
    if (!equal_ignoring_case(*encoding, "gzip"))
      return Refusal{415, "only gzip is understood as Content-Encoding"};
    auto inflated = sources::gunzip(request.body, options_.inflated_bytes_max);
    if (!inflated) {
      const bool large = inflated.error().message.find("larger") != std::string::npos;
      return Refusal{large ? 413 : 400, inflated.error().message};
    }
    undone = std::move(*inflated);
    return std::nullopt;
  }

  struct Listed {
    const sources::HttpSource* type;
    sources::SourceConfig config;
    RequestRate rate;
  };

  // Those that a path may be meant for: the one of that name, or all that play that API.
  std::vector<Listed*> listed_at(std::string_view path) {
    static constexpr std::string_view kPrefix = "/sources/";
    std::vector<Listed*> found;
    const std::string_view name =
        path.starts_with(kPrefix) ? path.substr(kPrefix.size()) : std::string_view();
    for (Listed& listed : listed_) {
      if (listed.type->serves(path) || (!name.empty() && name == listed.config.name))
        found.push_back(&listed);
    }
    return found;
  }

  void take(const std::vector<Listed*>& candidates, std::string_view path, HttpRequest& http,
            std::unique_ptr<io::Responder> responder) {
    const std::size_t question = http.url.find('?');
    sources::Request request{.http = http,
                             .path = path,
                             .query = question == std::string::npos
                                          ? std::string_view()
                                          : std::string_view(http.url).substr(question + 1),
                             .body = http.body,
                             .now = core_.now(),
                             .entropy = entropy_.fetch_add(1) * 0x9e3779b97f4a7c15ull};
    Listed* sender = nullptr;
    std::string stranger;
    for (Listed* candidate : candidates) {
      const auto known = candidate->type->authenticate(candidate->config, request);
      if (known) sender = candidate;
      if (known) break;
      stranger = known.error().message;
    }
    const sources::HttpSource& type = *candidates.front()->type;
    if (sender == nullptr) {
      metrics().http_unauthorised.add();
      return responder->respond(type.refusal(401, stranger));
    }
    if (!sender->rate.take(io::stopwatch_nanoseconds())) {
      metrics().http_throttled.add();
      return responder->respond(
          with_retry(type.refusal(429, "more requests a second than this source may make"), "1"));
    }
    std::string undone;
    if (const auto refusal = inflate(http, undone)) {
      metrics().http_refused.add();
      return responder->respond(type.refusal(refusal->status, refusal->why));
    }
    if (!undone.empty()) request.body = undone;
    sources::Taken taken = type.take(sender->config, request);
    if (taken.answer.status >= 400) metrics().http_refused.add();
    metrics().messages.add(taken.records.ends.size());
    metrics().messages_rejected.add(taken.records.rejected);
    if (taken.records.ends.empty()) return responder->respond(std::move(taken.answer));
    submit(
        std::move(taken.records), std::move(responder),
        [answer = std::move(taken.answer)](io::Responder& to) mutable { to.respond(std::move(answer)); },
        [&type](int status, std::string_view why) { return type.refusal(status, why); });
  }

  static HttpResponse with_retry(HttpResponse response, const char* seconds) {
    response.headers.emplace_back("Retry-After", seconds);
    return response;
  }

  static void refuse_stranger(bool key_given, io::Responder& responder) {
    metrics().http_unauthorised.add();
    responder.respond(refuse(
        401,
        key_given ? "unknown write key" : "no write key: send it as the user name of Basic authentication",
        {{"WWW-Authenticate", "Basic realm=\"write key\""}}));
  }

  // False: it was answered that it may not.
  static bool may_send(Sender& sender, io::Responder& responder) {
    if (sender.rate.take(io::stopwatch_nanoseconds())) return true;
    metrics().http_throttled.add();
    responder.respond(
        refuse(429, "more requests a second than this write key may make", {{"Retry-After", "1"}}));
    return false;
  }

  // nullptr: nobody's.
  Sender* find_sender(std::string_view key) {
    const auto found = senders_.find(sha256_hex(key));
    return found == senders_.end() ? nullptr : &found->second;
  }

  // nullptr: the header names nobody, though the body may.
  Sender* sender_by_header(const HttpRequest& request) {
    // What a thread saw last, which most clients send again. The comparison takes as long whatever differs.
    struct Known {
      std::uint64_t server = 0;
      std::string authorization;
      Sender* sender = nullptr;
    };
    thread_local Known known;
    const auto authorization = request.headers.get("Authorization");
    if (!authorization) return nullptr;
    if (known.server == entropy_begin_ && authorization->size() == known.authorization.size() &&
        CRYPTO_memcmp(authorization->data(), known.authorization.data(), authorization->size()) == 0) {
      return known.sender;
    }
    const auto key = sources::write_key(authorization, {});
    Sender* const sender = key ? find_sender(*key) : nullptr;
    if (sender != nullptr) known = {entropy_begin_, std::string(*authorization), sender};
    return sender;
  }

  Core& core_;
  IngestOptions options_;
  std::map<std::string, Sender> senders_;  // by the digest of their keys
  std::deque<Listed> listed_;
  const std::uint64_t entropy_begin_;  // random: tells this server from others of the process
  std::atomic<std::uint64_t> entropy_;
  std::unique_ptr<io::HttpServer> server_;
};

IngestServer::IngestServer(std::unique_ptr<Body> body) : body_(std::move(body)) {}
IngestServer::~IngestServer() = default;

Result<std::unique_ptr<IngestServer>> IngestServer::start(Core& core, IngestOptions options) {
  auto body = std::make_unique<Body>(core, std::move(options));
  TRY(body->start());
  return std::unique_ptr<IngestServer>(new IngestServer(std::move(body)));
}

std::uint16_t IngestServer::port() const { return body_->port(); }
void IngestServer::stop(Millis grace) { body_->stop(grace); }

Result<std::map<std::string, Source>> read_write_keys(const workspace::Workspace& workspace,
                                                      const std::string& secrets_folder) {
  std::map<std::string, Source> sources;
  std::string problems;
  for (const auto& key : workspace.write_keys) {
    auto secret = resolve_secret(key.secret, secrets_folder);
    if (secret && !secret->empty()) {
      sources[sha256_hex(*secret)] = {.name = key.name, .requests_per_second = key.requests_per_second};
    } else {
      problems += fmt::format("  write key \"{}\": {}\n", key.name,
                              secret ? "no reference to where it stands" : secret.error().message);
    }
  }
  if (!problems.empty())
    return invalid("write keys are missing:\n" + problems + "set them where `tailrace serve` runs");
  return sources;
}

Result<std::vector<ListedSource>> read_sources(const workspace::Workspace& workspace,
                                               const std::string& secrets_folder) {
  std::vector<ListedSource> listed;
  std::string problems;
  for (const workspace::SourceEntry& entry : workspace.sources) {
    ListedSource& source = listed.emplace_back();
    source.type = sources::find_source(entry.type);
    if (source.type == nullptr) return invalid(fmt::format("there is no source type \"{}\"", entry.type));
    source.requests_per_second = entry.requests_per_second;
    source.config.name = entry.name;
    source.config.settings = entry.settings;
    sources::fill_defaults(*source.type, source.config);
    for (const auto& [name, reference] : entry.credentials) {
      auto secret = resolve_secret(reference, secrets_folder);
      if (secret && !secret->empty()) {
        source.config.secrets[name] = std::move(*secret);
      } else {
        problems += fmt::format("  source \"{}\", {}: {}\n", entry.name, name,
                                secret ? "no reference to where it stands" : secret.error().message);
      }
    }
  }
  if (problems.empty()) return listed;
  return invalid("secrets of sources are missing:\n" + problems + "set them where `tailrace serve` runs");
}

}  // namespace tailrace::server
