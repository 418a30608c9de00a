#include "sandbox/audience_store.h"

#include "base/hash.h"

namespace tailrace::sandbox {

AudienceStore::AudienceStore(const Options& options, std::int64_t first_id)
    : known_(options.known_share, options.seed), next_id_(first_id) {}

StoredAudience& AudienceStore::create(std::string name, std::string account, Time now) {
  while (audiences_.contains(std::to_string(next_id_))) ++next_id_;
  const std::string id = std::to_string(next_id_++);
  StoredAudience audience{.id = id,
                          .name = std::move(name),
                          .description = {},
                          .account = std::move(account),
                          .kind = {},
                          .created = now,
                          .updated = {},
                          .members = Members(known_)};
  return audiences_.emplace(id, std::move(audience)).first->second;
}

StoredAudience* AudienceStore::find(std::string_view id) {
  const auto found = audiences_.find(id);
  return found == audiences_.end() ? nullptr : &found->second;
}

void AudienceStore::erase(std::string_view id) {
  const auto found = audiences_.find(id);
  if (found != audiences_.end()) audiences_.erase(found);
}

void AudienceStore::begin_upload(StoredAudience& audience, Time now, Millis lag) {
  if (!is_processing(audience, now, lag)) audience.settled = audience.members.matched();
  audience.updated = now;
}

bool AudienceStore::is_processing(const StoredAudience& audience, Time now, Millis lag) {
  return audience.updated.ms > 0 && now < audience.updated + lag;
}

std::int64_t AudienceStore::matched(const StoredAudience& audience, Time now, Millis lag) {
  return is_processing(audience, now, lag) ? audience.settled : audience.members.matched();
}

std::vector<AudienceSummary> AudienceStore::summaries() const {
  std::vector<AudienceSummary> all;
  for (const auto& [id, audience] : audiences_)
    all.push_back({id, audience.name, audience.account, &audience.members});
  return all;
}

Members* AudienceStore::members(std::string_view id) {
  StoredAudience* const audience = find(id);
  return audience == nullptr ? nullptr : &audience->members;
}

bool AudienceStore::plant(const std::string& id, const std::string& name, const std::string& account,
                          Account form) {
  if (!is_digits(id) || account.empty() || (form == Account::digits && !is_digits(account))) return false;
  StoredAudience audience{.id = id,
                          .name = name,
                          .description = {},
                          .account = account,
                          .kind = {},
                          .created = {},
                          .updated = {},
                          .members = Members(known_)};
  return audiences_.emplace(id, std::move(audience)).second;
}

namespace {

bool shows_client(const Call& call, const Params& form, ClientShown shown) {
  if (shown == ClientShown::in_form) {
    const std::string* id = find_param(form, "client_id");
    const std::string* secret = find_param(form, "client_secret");
    return id != nullptr && !id->empty() && secret != nullptr && !secret->empty();
  }
  const auto header = call.request.headers.get("Authorization");
  constexpr std::string_view kScheme = "Basic ";
  std::string pair;
  if (!header || !header->starts_with(kScheme)) return false;
  if (!from_base64(std::string(header->substr(kScheme.size())), pair)) return false;
  const std::size_t colon = pair.find(':');
  return colon != std::string::npos && colon > 0 && colon + 1 < pair.size();
}

HttpResponse token_error(int status, const char* error) {
  return json_response(status, object({{"error", Value::of(error)}}));
}

}  // namespace

HttpResponse refresh_answer(const Call& call, const Options& options, ClientShown shown, Millis lifetime) {
  if (call.request.method != "POST") return token_error(400, "invalid_request");
  const Params form = parse_form(call.request.body);
  const std::string* grant = find_param(form, "grant_type");
  if (grant == nullptr || *grant != "refresh_token") return token_error(400, "unsupported_grant_type");
  if (!shows_client(call, form, shown)) return token_error(401, "invalid_client");
  const std::string* refresh = find_param(form, "refresh_token");
  if (refresh == nullptr || refresh->empty()) return token_error(400, "invalid_grant");
  const std::string token = options.token.empty() ? "any-token" : options.token;
  return json_response(200, object({{"access_token", Value::of(token)},
                                    {"token_type", Value::of("Bearer")},
                                    {"expires_in", whole(lifetime.count / kSecond.count)}}));
}

HttpResponse refresh_refused() { return token_error(400, "invalid_grant"); }

bool has_bearer(const Call& call, const Options& options) {
  const auto token = bearer_token(call.request.headers);
  return token && !token->empty() && (options.token.empty() || *token == options.token);
}

}  // namespace tailrace::sandbox
