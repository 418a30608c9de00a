// For tests: a destination that writes its requests as text, and a platform that reads them into a set.
//
//   add 3 to aud-1                      batch id, audience
//   ada email:ada@example.com phone:7   a member: golden id (or `-`), its identifiers
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "delivery/delivery.h"
#include "model/json.h"

namespace tailrace::delivery {

class FakeDestination : public destinations::AudienceDestination {
 public:
  destinations::Limits limits_{.batch_records_max = 100};
  bool has_tokens = false;
  Millis token_lifetime = kHour;
  bool creates = false;
  bool measures = false;
  bool single = false;         // a request has room for one kind of identifier
  std::optional<Millis> life;  // of a membership
  bool clears = false;         // can let go of what is old
  std::optional<destinations::ProcessingTime> processing_time;

  bool one_kind_a_request() const override { return single; }
  std::optional<Millis> membership_life(const destinations::Config&) const override { return life; }
  std::optional<destinations::ProcessingTime> processing() const override { return processing_time; }
  std::string_view type() const override { return "fake"; }
  std::string_view platform() const override { return "fake"; }
  std::span<const destinations::FieldRule> fields() const override { return {}; }
  std::string_view title() const override { return "Fake"; }
  std::string_view about() const override { return ""; }
  std::span<const destinations::Setting> settings() const override { return {}; }
  std::span<const IdentifierKind> identifiers() const override { return {}; }
  destinations::Limits limits() const override { return limits_; }
  std::vector<std::string> check(const destinations::Config&) const override { return {}; }

  Result<destinations::Normalised> normalise(IdentifierKind kind, std::string_view raw,
                                             const destinations::Config&) const override {
    if (raw.starts_with("bad")) return invalid(fmt::format("{} malformed", to_string(kind)));
    destinations::UploadIdentifier upload{.kind = kind, .value = std::string(raw), .hashed = false};
    return destinations::Normalised{.text = upload.value, .upload = upload};
  }

  std::optional<HttpRequest> encode_token(const destinations::Config&, Time) const override {
    if (!has_tokens) return std::nullopt;
    return HttpRequest{"POST", "/token", {}, "token"};
  }
  Result<destinations::Token> decode_token(const HttpResponse& response, Time now) const override {
    if (response.status >= 500) return fail(Error::Code::unavailable, "token server is down");
    if (response.status != 200) return invalid("invalid_grant");
    return destinations::Token{response.body, now + token_lifetime};
  }
  std::optional<HttpRequest> encode_create(const destinations::Context&) const override {
    if (!creates) return std::nullopt;
    return HttpRequest{"POST", "/create", {}, "create"};
  }
  Result<std::string> decode_create(const HttpResponse& response) const override {
    if (response.status >= 500) return fail(Error::Code::unavailable, "down");
    if (response.status != 200) return invalid("no permission to create");
    return response.body;
  }
  std::optional<HttpRequest> encode_measure(const std::string& audience,
                                            const destinations::Context&) const override {
    if (!measures) return std::nullopt;
    return HttpRequest{"GET", "/measure", {}, "measure " + audience};
  }
  Result<destinations::Measurement> decode_measure(const HttpResponse& response) const override {
    destinations::Measurement measured;
    measured.gone = response.status == 404;
    if (measured.gone) return measured;
    if (response.status != 200) return fail(Error::Code::unavailable, "down");
    measured.size = std::stoll(response.body);
    measured.name = response.headers.get("Name").value_or("");
    if (const auto days = response.headers.get("Stays"))
      measured.retention_days = std::stoll(std::string(*days));
    return measured;
  }
  std::optional<HttpRequest> encode_update(const std::string& audience,
                                           const destinations::Context&) const override {
    return HttpRequest{"POST", "/update", {}, "update " + audience};
  }

  std::optional<HttpRequest> encode_clear(const std::string& audience, Time before,
                                          const destinations::Context& context) const override {
    if (!clears) return std::nullopt;
    return HttpRequest{
        "POST", context.config.setting("sync"), {}, "clear " + audience + " before " + format_time(before)};
  }
  Result<void> decode_clear(const HttpResponse& response) const override {
    if (response.status >= 500) return fail(Error::Code::unavailable, "down");
    if (response.status != 200) return invalid("refused");
    return {};
  }

  HttpRequest encode(const destinations::Batch& batch, const destinations::Context& context) const override {
    std::string body =
        fmt::format("{} {} to {}\n", batch.kind == destinations::BatchKind::add ? "add" : "remove",
                    batch.id & 0xffff'ffff, batch.audience_id);
    for (const auto& member : batch.members) {
      body += member.person.empty() ? "-" : member.person;
      for (const auto& identifier : member.identifiers)
        body += fmt::format(" {}:{}", to_string(identifier.kind), identifier.value);
      // In brackets: no blanks, and no identifiers.
      if (!member.attributes.empty()) body += " [" + to_json(destinations::attributes_of(member)) + "]";
      body += '\n';
    }
    return {
        "POST", context.config.setting("sync"), {{"Authorization", std::string(context.access_token)}}, body};
  }

  // 200: one line per member, `ok` or the reason of its refusal; an empty body accepts all.
  destinations::Reply decode(const destinations::Batch& batch, const HttpResponse& response) const override {
    using Verdict = destinations::Reply::Verdict;
    destinations::Reply reply;
    reply.reason = fmt::format("HTTP {}", response.status);
    if (const auto wait = response.headers.get("Retry-After"))
      reply.retry_after = kSecond * std::stoi(std::string(*wait));
    if (const auto usage = response.headers.get("Usage"))
      reply.usage_percent = std::stod(std::string(*usage));
    if (response.status == 400) reply.verdict = Verdict::split;
    if (response.status == 401) reply.verdict = Verdict::reauthorise;
    if (response.status == 403) reply.verdict = Verdict::stop;
    if (response.status == 429 || response.status >= 500) reply.verdict = Verdict::retry;
    std::istringstream lines(response.body);
    for (std::string line; std::getline(lines, line);) {
      const bool ok = line == "ok";
      reply.outcomes.push_back(
          {ok ? destinations::Outcome::Kind::accepted : destinations::Outcome::Kind::rejected, ok ? "" : line,
           line == "too small"});
    }
    if (response.status == 200 && response.body.empty()) reply.outcomes.resize(batch.members.size());
    return reply;
  }
};

// The audiences, by the sync that fills them.
struct FakePlatform {
  std::map<std::string, std::set<std::string>> audiences;
  std::set<std::string> poison;  // identifiers that make a whole addition fail
  bool names_culprits = false;
  std::string audience_size = "0";
  std::string name = "ours";
  int stays_days = 0;  // as it says; 0: it does not
  bool gone = false;
  // Since when each identifier stands, by audience, while `now` says what time it is.
  Time now;
  std::map<std::pair<std::string, std::string>, Time> since;

  // What was added longer ago than that vanishes; gives it, by audience.
  std::vector<std::pair<std::string, std::string>> decay(Millis life) {
    std::vector<std::pair<std::string, std::string>> gone_now;
    for (auto& [url, audience] : audiences) {
      std::erase_if(audience, [&, &in = url](const std::string& each) {
        const bool is_over = since[{in, each}] + life <= now;
        if (is_over) gone_now.emplace_back(in, each);
        return is_over;
      });
    }
    return gone_now;
  }

  static bool is_batch(const HttpRequest& request) {
    return request.body.starts_with("add ") || request.body.starts_with("remove ");
  }

  HttpResponse handle(const HttpRequest& request) {
    if (request.body == "token") return {200, {}, "token-1"};
    if (request.body == "create") {
      gone = false;
      return {200, {}, "aud-new"};
    }
    if (request.body.starts_with("measure") && gone) return {404, {}, ""};
    if (request.body.starts_with("measure")) {
      HttpHeaders headers{{"Name", name}};
      if (stays_days > 0) headers.emplace_back("Stays", std::to_string(stays_days));
      return {200, std::move(headers), audience_size};
    }
    if (request.body.starts_with("update")) {
      name = "ours";
      return {200, {}, ""};
    }
    if (request.body.starts_with("clear")) {
      const Time before = *parse_time(request.body.substr(request.body.rfind(' ') + 1));
      std::erase_if(audiences[request.url],
                    [&](const std::string& each) { return since[{request.url, each}] < before; });
      return {200, {}, ""};
    }
    std::istringstream lines(request.body);
    std::string line, outcomes;
    std::getline(lines, line);
    const bool adding = line.starts_with("add");
    std::set<std::string> named;
    bool any_poison = false;
    while (std::getline(lines, line)) {
      std::istringstream words(line);
      std::string word;
      words >> word;
      bool is_poison = false;
      while (words >> word && !word.starts_with('[')) {
        named.insert(word);
        is_poison = is_poison || (adding && poison.contains(word));
      }
      any_poison = any_poison || is_poison;
      outcomes += is_poison ? "malformed hash\n" : "ok\n";
    }
    if (any_poison) return {400, {}, names_culprits ? outcomes : ""};
    auto& audience = audiences[request.url];
    for (const auto& each : named) {
      if (adding) {
        audience.insert(each);
        since[{request.url, each}] = now;
      } else {
        audience.erase(each);
      }
    }
    return {200, {}, ""};
  }
};

struct FakeProfiles : ProfileSource {
  std::map<PersonId, PersonProfile> people;
  PersonId person_limit() override {
    return people.empty() ? PersonId{0} : PersonId{people.rbegin()->first.value + 1};
  }
  std::vector<PersonProfile> profiles(std::span<const PersonId> wanted) override {
    std::vector<PersonProfile> out;
    for (const PersonId person : wanted) {
      const auto at = people.find(person);
      out.push_back(at == people.end() ? PersonProfile{} : at->second);
    }
    return out;
  }
};

// A directory that goes away with the test.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "tailrace-delivery-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace tailrace::delivery
