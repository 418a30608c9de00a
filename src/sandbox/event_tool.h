// A tool that is sent events, and told whom they are of: what its stand-ins have in common. It keeps the
// events (told apart by the key the tool goes by) and, where properties of people say that somebody is in a
// segment, who is in: the property is the audience.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sandbox/platform.h"
#include "sandbox/received_events.h"
#include "sandbox/sandbox.h"

namespace tailrace::sandbox {

class EventTool : public Platform {
 public:
  // window: within which a repeated key counts once.
  EventTool(const Options& options, Millis window) : options_(options), events_(window) {}

  std::optional<HttpResponse> control(const Call& call) override;  // GET events
  HttpResponse refuse(Refusal kind, int status, const Call& call) override;
  std::vector<AudienceSummary> audiences() const override;
  Members* members(std::string_view audience) override;
  bool plant(const std::string& id, const std::string& name, const std::string& account) override;
  std::string_view stranger_kind() const override { return "external_id"; }

 protected:
  // The tool's way of saying no.
  virtual HttpResponse error(int status, const std::string& message) const = 0;
  // Whether it is the sandbox's token, or any where it has none.
  bool is_token(std::string_view given) const;
  // User and password of "Authorization: Basic"; missing where there is none, or it cannot be read.
  static std::optional<std::pair<std::string, std::string>> basic(const HttpHeaders& headers);
  // Of whoever the id names. One that is true or false is a membership too; null takes it away.
  void set_property(const std::string& name, const MemberId& id, const Value& value, Time now);
  // Sets or clears membership of whoever the id names.
  void set_member(const std::string& audience, const MemberId& id, bool is_in, Time now);

  const Options& options_;
  ReceivedEvents events_;
  std::map<std::string, std::int64_t> dropped_;  // silently, by reason; shown beside the events
  std::map<std::string, Members> audiences_;
  std::map<std::string, std::map<std::string, Value>> profiles_;  // properties of people, by id
};

// Whether the text is empty or one of those that stand in everybody's place.
bool is_nobodys_id(std::string_view text);
// How deep objects and lists go: a plain value is 0.
int depth_of(const Value& value);
const Value* list_at(const Value& object, std::string_view name);    // nullptr unless it is a list
const Value* object_at(const Value& object, std::string_view name);  // nullptr unless it is an object
std::string text_at(const Value& object, std::string_view name);     // "" unless it is a text

}  // namespace tailrace::sandbox
