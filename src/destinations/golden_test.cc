// Runs golden.txt of every destination. The input of a case:
//
//   given                                  settings for all cases that follow, one a line:
//     setting base_url https://...         (prints nothing)
//     secret access_token token-1
//     audience VIP / description ... / region GB / token ya29.x / now 2026-03-01T10:00:00Z
//   add to 2384 as batch 7                 people, one a line; prints the request
//     crm-1 email=Ada@Example.com phone=+442079460018 at 2026-03-01T10:00:00Z
//   remove from 2384 as batch 7
//   create | measure 2384 | update 2384 | token   prints the request
//   clear 2384 2026-03-01T09:00:00Z        likewise: of whoever was last added before
//   answer to add of 3                     then an HTTP answer; prints what it means for three people
//                                          who have one e-mail each (`answer to add of 3x2`: two each)
//   answer to create | measure | clear | token
//   track                                  messages of the HTTP API, one JSON a line ("map Lead=SignUp" and
//                                          "field value=properties.x" before them change the mapping); prints
//                                          why one is not sent, and the request for the rest
//   answer to track of 3                   likewise
//   normalise email  Ada@Example.com       prints what is hashed and what is uploaded, or the reason
#include "support/golden.h"

#include <sstream>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "destinations/audience_destination.h"
#include "destinations/conversion.h"
#include "model/json.h"
#include "support/source_dir.h"

namespace tailrace::destinations {
namespace {

struct Given {
  Config config;
  std::string token;
  Time now;
};

std::optional<IdentifierKind> kind_named(std::string_view name) {
  for (const auto kind : {IdentifierKind::external_id, IdentifierKind::anonymous_id, IdentifierKind::email,
                          IdentifierKind::phone, IdentifierKind::idfa, IdentifierKind::aaid}) {
    if (to_string(kind) == name) return kind;
  }
  return std::nullopt;
}

std::string rest_of(std::istream& in) {
  std::string text;
  std::getline(in >> std::ws, text);
  return text;
}

std::string print(const HttpRequest& request) {
  std::string out = request.method + " " + request.url + "\n";
  for (const auto& [name, value] : request.headers) out += name + ": " + value + "\n";
  return out + "\n" + request.body;
}

HttpResponse parse_answer(std::istream& in) {
  HttpResponse response;
  std::string line;
  std::getline(in, line);
  EXPECT_TRUE(line.starts_with("HTTP ")) << line;
  response.status = std::atoi(line.c_str() + 5);
  while (std::getline(in, line) && !line.empty()) {
    const std::size_t colon = line.find(": ");
    response.headers.emplace_back(line.substr(0, colon), line.substr(colon + 2));
  }
  std::ostringstream body;
  body << in.rdbuf();
  response.body = body.str();
  return response;
}

std::string print(const Reply& reply) {
  constexpr const char* kVerdicts[] = {"done", "retry", "split", "reauthorise", "stop"};
  std::string out = kVerdicts[static_cast<int>(reply.verdict)];
  if (!reply.code.empty()) out += " [" + reply.code + "]";
  if (!reply.reason.empty()) out += ": " + reply.reason;
  out += "\n";
  if (reply.retry_after) out += "not before " + format_duration(*reply.retry_after) + "\n";
  if (reply.usage_percent) out += fmt::format("usage {} %\n", *reply.usage_percent);
  for (const Outcome& outcome : reply.outcomes)
    out += outcome.kind == Outcome::Kind::accepted ? "  accepted\n" : "  rejected: " + outcome.reason + "\n";
  return out;
}

std::string print(const Measurement& measured) {
  if (measured.gone) return "gone";
  std::string text = fmt::format(
      "size {}, match rate {}, detail \"{}\"", measured.size ? fmt::format("{}", *measured.size) : "unknown",
      measured.match_rate ? fmt::format("{:.4f}", *measured.match_rate) : "unknown", measured.detail);
  if (!measured.name.empty()) text += fmt::format("\nname \"{}\"", measured.name);
  if (!measured.description.empty()) text += fmt::format("\ndescription \"{}\"", measured.description);
  if (measured.retention_days) text += fmt::format("\nretention {} days", *measured.retention_days);
  if (!measured.flag.empty()) text += "\nflagged: " + measured.flag;
  return text;
}

std::string print(const Error& error) {
  return (error.code == Error::Code::unavailable ? "try again: " : "error: ") + error.message;
}

class GoldenCase {
 public:
  GoldenCase(const AudienceDestination& destination, Given& given)
      : destination_(destination), given_(given) {}

  std::string run(const std::string& input) {
    std::istringstream in(input);
    std::string command;
    in >> command;
    if (command == "given") return set(in);
    if (command == "add" || command == "remove") return print(encode(in, command));
    if (command == "create") return print(destination_.encode_create(context()).value());
    if (command == "token") return print(destination_.encode_token(given_.config, given_.now).value());
    if (command == "update") return print(destination_.encode_update(rest_of(in), context()).value());
    if (command == "clear") return print(encode_clear(in));
    if (command == "measure") return print(destination_.encode_measure(rest_of(in), context()).value());
    if (command == "answer") return decode(in);
    if (command == "normalise") return normalise(in);
    return "unknown command " + command;
  }

 private:
  Context context() const { return {given_.config, given_.token, given_.now}; }

  std::string set(std::istream& in) {
    std::string what;
    while (in >> what) {
      if (what == "setting" || what == "secret") {
        std::string name;
        in >> name;
        (what == "setting" ? given_.config.settings : given_.config.secrets)[name] = rest_of(in);
      } else if (what == "now") {
        given_.now = parse_time(rest_of(in)).value();
      } else {
        text_named(what) = rest_of(in);
      }
    }
    EXPECT_EQ(destination_.check(given_.config), std::vector<std::string>());
    return "";
  }

  std::string& text_named(const std::string& what) {
    if (what == "audience") return given_.config.audience_name;
    if (what == "description") return given_.config.audience_description;
    if (what == "region") return given_.config.default_region;
    EXPECT_EQ(what, "token");
    return given_.token;
  }

  HttpRequest encode_clear(std::istream& in) const {
    std::string audience_id;
    in >> audience_id;
    return destination_.encode_clear(audience_id, parse_time(rest_of(in)).value(), context()).value();
  }

  Member parse_member(const std::string& line) const {
    std::istringstream words(line);
    Member person;
    words >> person.person;
    for (std::string word; words >> word;) {
      if (word == "at") {
        person.changed_at = parse_time(rest_of(words)).value();
        continue;
      }
      const std::size_t equals = word.find('=');
      if (word.substr(0, equals) == "attributes") {
        person.attributes = parse_json(word.substr(equals + 1)).value().members;
        continue;
      }
      const auto kind = kind_named(word.substr(0, equals)).value();
      person.identifiers.push_back(
          destination_.normalise(kind, word.substr(equals + 1), given_.config).value().upload);
    }
    return person;
  }

  HttpRequest encode(std::istream& in, const std::string& command) const {
    Batch batch;
    batch.kind = command == "add" ? BatchKind::add : BatchKind::remove;
    std::string preposition, as, word;
    in >> preposition >> batch.audience_id >> as >> word >> batch.id;
    std::vector<Member> members;
    std::string line;
    std::getline(in, line);
    while (std::getline(in, line)) members.push_back(parse_member(line));
    batch.members = members;
    return destination_.encode(batch, context());
  }

  std::string decode(std::istream& in) const {
    std::string to, what, of, count;
    in >> to >> what;
    if (what == "add" || what == "remove") in >> of >> count;
    std::string line;
    std::getline(in, line);
    const HttpResponse response = parse_answer(in);
    if (what == "create") {
      const auto id = destination_.decode_create(response);
      return id ? "audience " + *id : print(id.error());
    }
    if (what == "clear") {
      const auto cleared = destination_.decode_clear(response);
      return cleared ? "cleared" : print(cleared.error());
    }
    if (what == "measure") {
      const auto measured = destination_.decode_measure(response);
      return measured ? print(*measured) : print(measured.error());
    }
    if (what == "token") {
      const auto token = destination_.decode_token(response, given_.now);
      return token ? token->value + " until " + format_time(token->expires_at) : print(token.error());
    }
    auto [batch, members] = batch_of(what, count);
    batch.config = &given_.config;
    return print(destination_.decode(batch, response));
  }

  // "3x2": three people with two e-mails each.
  static std::pair<Batch, std::vector<Member>> batch_of(const std::string& what, const std::string& count) {
    const std::size_t times = count.find('x');
    const auto people = static_cast<std::size_t>(std::stoul(count.substr(0, times)));
    const auto each = times == std::string::npos ? std::size_t{1} : std::stoul(count.substr(times + 1));
    std::pair<Batch, std::vector<Member>> result;
    for (std::size_t i = 0; i < people; ++i)
      result.second.push_back({fmt::format("crm-{}", i), std::vector<UploadIdentifier>(each), {}});
    result.first.kind = what == "add" ? BatchKind::add : BatchKind::remove;
    result.first.members = result.second;
    return result;
  }

  std::string normalise(std::istream& in) const {
    std::string kind;
    in >> kind;
    const auto result = destination_.normalise(kind_named(kind).value(), rest_of(in), given_.config);
    if (!result) return print(result.error());
    return result->text + (result->upload.hashed ? "\nhashed " : "\nplain ") + result->upload.value;
  }

  const AudienceDestination& destination_;
  Given& given_;
};

// A message of the HTTP API, as the log has it.
EventMessage read_message(const Value& value) {
  const auto text = [&](std::string_view name) {
    const Value* found = value.find(name);
    return found != nullptr && found->kind == Value::Kind::string ? found->string : std::string();
  };
  const auto object = [&](std::string_view name) {
    const Value* found = value.find(name);
    return found != nullptr ? *found : Value::with(Value::Kind::object);
  };
  return {.event = text("event"),
          .message_id = text("messageId"),
          .user_id = text("userId"),
          .anonymous_id = text("anonymousId"),
          .at = parse_time(text("timestamp")).value(),
          .properties = object("properties"),
          .context = object("context")};
}

class EventCase {
 public:
  EventCase(const EventDestination& destination, Given& given) : destination_(destination), given_(given) {}

  std::string run(const std::string& input) {
    std::istringstream in(input);
    std::string command;
    in >> command;
    if (command == "given") return set(in);
    if (command == "track") return track(in);
    if (command == "token") return print(destination_.encode_token(given_.config, given_.now).value());
    if (command == "answer") return answer(in);
    if (command == "normalise") return normalise(in);
    return "unknown command " + command;
  }

 private:
  std::string set(std::istream& in) {
    std::string what;
    while (in >> what) {
      std::string name;
      if (what == "setting" || what == "secret") in >> name;
      const std::string rest = rest_of(in);
      if (what == "setting") given_.config.settings[name] = rest;
      if (what == "secret") given_.config.secrets[name] = rest;
      if (what == "now") given_.now = parse_time(rest).value();
      if (what == "region") given_.config.default_region = rest;
      if (what == "token") given_.token = rest;
    }
    EXPECT_EQ(destination_.check(given_.config), std::vector<std::string>());
    return "";
  }

  std::string track(std::istream& in) {
    std::map<std::string, std::string> events;
    std::map<std::string, std::string> fields;
    std::vector<std::string> encoded;
    std::string out;
    std::string line;
    std::getline(in, line);
    while (std::getline(in, line)) {
      const std::size_t equals = line.find('=');
      if (line.starts_with("map ")) {
        events[line.substr(4, equals - 4)] = line.substr(equals + 1);
      } else if (line.starts_with("field ")) {
        fields[line.substr(6, equals - 6)] = line.substr(equals + 1);
      } else {
        const auto value = parse_json(line);
        if (!value) return "not JSON: " + line;
        const Mapping mapping = Mapping::create(destination_, events, fields, "").value();
        PersonProfile person;
        person.traits = Value::with(Value::Kind::object);
        if (const Value* traits = value->find("traits")) person.traits = *traits;
        auto event =
            to_event(destination_, mapping.apply(read_message(*value), person), {given_.config, given_.now});
        if (event) {
          encoded.push_back(std::move(*event));
        } else {
          out += fmt::format("not sent: {}: {}\n", event.error().field, event.error().reason);
        }
      }
    }
    if (encoded.empty()) return out;
    return out + print(destination_.encode(encoded, {given_.config, given_.token, given_.now}));
  }

  std::string answer(std::istream& in) const {
    std::string to, what, of;
    in >> to >> what;
    std::size_t count = 0;
    if (what == "track") in >> of >> count;
    std::string line;
    std::getline(in, line);
    const HttpResponse response = parse_answer(in);
    if (what == "token") {
      const auto token = destination_.decode_token(response, given_.now);
      return token ? token->value + " until " + format_time(token->expires_at) : print(token.error());
    }
    return print(destination_.decode(count, response));
  }

  std::string normalise(std::istream& in) const {
    std::string name;
    in >> name;
    const auto field = field_named(name);
    const FieldRule* rule = field ? find_rule(destination_.fields(), *field) : nullptr;
    if (rule == nullptr) return "not taken";
    const auto prepared = prepare(*rule, rest_of(in), {.region = given_.config.default_region});
    if (!prepared) return print(prepared.error());
    return prepared->normalised + (prepared->hashed ? "\nhashed " : "\nplain ") + prepared->value;
  }

  const EventDestination& destination_;
  Given& given_;
};

class EventGolden : public ::testing::TestWithParam<const EventDestination*> {};

TEST_P(EventGolden, requests_and_answers_are_as_written) {
  const EventDestination& destination = *GetParam();
  Given given;
  fill_defaults(destination, given.config);
  testing::run_golden(
      fmt::format("{}/src/destinations/{}/golden.txt", testing::source_dir(), destination.type()),
      [&](const std::string& input) { return EventCase(destination, given).run(input); });
}

INSTANTIATE_TEST_SUITE_P(Destinations, EventGolden, ::testing::ValuesIn(event_destinations()),
                         [](const auto& test) { return std::string(test.param->type()); });

class Golden : public ::testing::TestWithParam<const AudienceDestination*> {};

TEST_P(Golden, requests_and_answers_are_as_written) {
  const AudienceDestination& destination = *GetParam();
  Given given;
  fill_defaults(destination, given.config);
  testing::run_golden(
      fmt::format("{}/src/destinations/{}/golden.txt", testing::source_dir(), destination.type()),
      [&](const std::string& input) { return GoldenCase(destination, given).run(input); });
}

INSTANTIATE_TEST_SUITE_P(Destinations, Golden, ::testing::ValuesIn(audience_destinations()),
                         [](const auto& test) { return std::string(test.param->type()); });

}  // namespace
}  // namespace tailrace::destinations
