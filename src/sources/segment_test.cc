#include "sources/segment.h"

#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libdeflate.h>
#include <simdjson.h>

#include "base/hash.h"
#include "base/random.h"
#include "model/json.h"

namespace tailrace::sources {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const Time kNow = *parse_time("2026-03-01T12:00:00.000Z");

std::string_view name_of(RecordKind kind) {
  static constexpr std::string_view kNames[] = {"tombstone", "identify", "track",  "page",      "screen",
                                                "group",     "alias",    "remove", "workspace", "rejected"};
  return kNames[static_cast<std::size_t>(kind)];
}

// A record as a line to read: its kind, its time, and the fields that are there.
std::string shown(const RecordView& record) {
  std::string out = fmt::format("{} {}", name_of(record.kind), format_time(record.time));
  const auto field = [&](const char* name, std::string_view text) {
    if (!text.empty()) out += fmt::format(" {}={}", name, text);
  };
  field("source", record.source);
  field("id", record.message_id);
  field("user", record.user_id);
  field("anonymous", record.anonymous_id);
  field("previous", record.previous_id);
  field("group", record.group_id);
  field("event", record.event);
  field("payload", record.payload);
  field("context", record.context);
  field("reason", record.reason);
  return out;
}

SegmentRequest request_of(SegmentCall call) {
  SegmentRequest request;
  request.call = call;
  request.now = kNow;
  return request;
}

RawRecords read(std::string_view body, const SegmentRequest& request, const SegmentLimits& limits = {}) {
  auto records = read_segment(body, request, limits);
  EXPECT_TRUE(records.has_value()) << records.error().message;
  return records ? std::move(*records) : RawRecords{};
}

std::vector<std::string> all(const RawRecords& records) {
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < records.ends.size(); ++i) lines.push_back(shown(*decode_record(records.at(i))));
  return lines;
}

std::string only(std::string_view body, SegmentCall call = SegmentCall::any) {
  const auto lines = all(read(body, request_of(call)));
  return lines.size() == 1 ? lines.front() : fmt::format("{} records", lines.size());
}

// The reason why the message is rejected; empty when it is not.
std::string reason(std::string_view message, const SegmentLimits& limits = {}) {
  const RawRecords records = read(message, request_of(SegmentCall::any), limits);
  return records.reasons.empty() ? "" : records.reasons.front();
}

std::string refusal(std::string_view body, SegmentCall call = SegmentCall::batch,
                    const SegmentLimits& limits = {}) {
  const auto records = read_segment(body, request_of(call), limits);
  if (records) return "taken";
  EXPECT_EQ(records.error().code, Error::Code::invalid_argument);
  return records.error().message;
}

std::string track(std::string_view members) {
  return fmt::format(R"({{"type":"track","messageId":"m","userId":"u","event":"E",{}}})", members);
}

TEST(SegmentCalls, are_known_by_their_paths) {
  const auto call = [](std::string_view path) { return segment_call(path); };
  EXPECT_EQ(call("/v1/batch"), SegmentCall::batch);
  EXPECT_EQ(call("/v1/b"), SegmentCall::batch);
  EXPECT_EQ(call("/v1/import"), SegmentCall::batch);
  EXPECT_EQ(call("/v1/track"), SegmentCall::track);
  EXPECT_EQ(call("/v1/t?x=/v1/batch"), SegmentCall::track);
  EXPECT_EQ(call("/v1/i"), SegmentCall::identify);
  EXPECT_EQ(call("/v1/p"), SegmentCall::page);
  EXPECT_EQ(call("/v1/s"), SegmentCall::screen);
  EXPECT_EQ(call("/v1/g"), SegmentCall::group);
  EXPECT_EQ(call("/v1/a"), SegmentCall::alias);
  EXPECT_EQ(call("/v1/delete"), SegmentCall::remove);
  for (const char* other :
       {"", "/", "/v1", "/v1/", "/v1/d", "/v1/any", "/v2/batch", "/v1/batch/x", "v1/batch", "/v1/Batch"}) {
    EXPECT_EQ(call(other), std::nullopt) << other;
  }
}

// What @segment/analytics-node sends: sentAt and writeKey after the batch.
TEST(Segment, reads_a_batch_with_sent_at) {
  const auto records = read(
      R"({"batch":[{"timestamp":"2026-03-01T10:00:00.000Z","integrations":{"All":true,"Amplitude":{"session_id":5}},)"
      R"("type":"track","userId":"u-17","event":"Cart Viewed","properties":{"cart_id":"c1","value":19.90},)"
      R"("context":{"library":{"name":"@segment/analytics-node","version":"3.1.0"}},)"
      R"("messageId":"node-next-1-2","_metadata":{"nodeVersion":"20","jsRuntime":"node"}}],)"
      R"("writeKey":"wk","sentAt":"2026-03-01T10:00:02.000Z"})",
      {.call = SegmentCall::batch, .source = "shop", .now = kNow});
  EXPECT_THAT(
      all(records),
      ElementsAre("track 2026-03-01T11:59:58.000Z source=shop id=node-next-1-2 user=u-17 event=Cart Viewed "
                  R"(payload={"cart_id":"c1","value":19.90} )"
                  R"(context={"library":{"name":"@segment/analytics-node","version":"3.1.0"}})"));
}

// What @customerio/cdp-analytics-node sends: nothing but the batch, so the timestamp is used as it is.
TEST(Segment, reads_a_batch_without_sent_at) {
  EXPECT_EQ(
      only(
          R"({"batch":[{"timestamp":"2026-02-01T10:00:00.000Z","type":"page","name":"Pricing","category":"Docs",)"
          R"("properties":{"category":"Docs","url":"https://example.com/"},"anonymousId":"a-9","messageId":"m1"}]})",
          SegmentCall::batch),
      "page 2026-02-01T10:00:00.000Z id=m1 anonymous=a-9 event=Pricing "
      R"(payload={"category":"Docs","url":"https://example.com/"})");
}

// What rudder-sdk-node sends: originalTimestamp, traits inside the context too, numeric ids.
TEST(Segment, reads_a_batch_with_original_timestamps) {
  EXPECT_EQ(
      only(
          R"({"batch":[{"type":"identify","userId":77,"context":{"traits":{"email":"ada@example.com"}},)"
          R"("originalTimestamp":"2026-03-01T10:00:00.000Z","sentAt":"2026-03-01T10:00:00.500Z","channel":"server",)"
          R"("messageId":"4f8a"}],"timestamp":"2026-03-01T10:00:01.000Z","sentAt":"2026-03-01T10:00:01.000Z"})",
          SegmentCall::batch),
      "identify 2026-03-01T11:59:59.000Z id=4f8a user=77 "
      R"(payload={"email":"ada@example.com"} context={"traits":{"email":"ada@example.com"}})");
}

TEST(Segment, takes_the_type_of_single_calls_from_the_path) {
  const std::string ids = R"("messageId":"m","userId":"u")";
  const auto call = [&](SegmentCall which, std::string_view members) {
    return only("{" + ids + std::string(members) + "}", which);
  };
  const std::string rest = " 2026-03-01T12:00:00.000Z id=m user=u";
  EXPECT_EQ(call(SegmentCall::identify, R"(,"traits":{"a":1})"), "identify" + rest + R"( payload={"a":1})");
  EXPECT_EQ(call(SegmentCall::track, R"(,"event":"E","traits":{"a":1})"), "track" + rest + " event=E");
  EXPECT_EQ(call(SegmentCall::page, ""), "page" + rest);
  EXPECT_EQ(call(SegmentCall::screen, R"(,"name":"Home","properties":{})"),
            "screen" + rest + " event=Home payload={}");
  EXPECT_EQ(call(SegmentCall::group, R"(,"groupId":5,"traits":{"plan":"x"})"),
            "group" + rest + R"( group=5 payload={"plan":"x"})");
  EXPECT_EQ(call(SegmentCall::alias, R"(,"previousId":"old")"), "alias" + rest + " previous=old");
  EXPECT_EQ(call(SegmentCall::remove, ""), "remove" + rest);
  EXPECT_EQ(call(SegmentCall::track, R"(,"event":"E","type":"page")"), "track" + rest + " event=E");
  EXPECT_EQ(call(SegmentCall::any, R"(,"type":"delete")"), "remove" + rest);
}

TEST(Segment, reads_text_with_escapes) {
  EXPECT_EQ(
      only(
          R"({"\u0074ype":"tr\u0061ck","messageId":"\u006d","userId":"\ud83d\ude00","anonymousId":"a\"b","event":"\u00e9t\u00e9",)"
          R"("properties":{"\u0061":"\n"}})"),
      "track 2026-03-01T12:00:00.000Z id=m user=\xf0\x9f\x98\x80 anonymous=a\"b event=\xc3\xa9t\xc3\xa9 "
      R"(payload={"\u0061":"\n"})");
}

TEST(Segment, stores_payloads_without_white_space_and_otherwise_as_they_came) {
  EXPECT_EQ(
      only(track(
          "\"properties\" : { \"a\" : 1.50, \"a\" : [ 1e2 , \"x  y\" ],\n\"n\": 12345678901234567890123 } ,"
          "\"context\": { }")),
      "track 2026-03-01T12:00:00.000Z id=m user=u event=E "
      R"(payload={"a":1.50,"a":[1e2,"x  y"],"n":12345678901234567890123} context={})");
  EXPECT_EQ(only(track(R"("properties":null,"context":null,"timestamp":null,"anonymousId":null)")),
            "track 2026-03-01T12:00:00.000Z id=m user=u event=E");
}

TEST(Segment, the_later_of_two_members_counts) {
  EXPECT_EQ(only(track(R"("userId":"v","properties":{"a":1},"properties":{"b":2})")),
            R"(track 2026-03-01T12:00:00.000Z id=m user=v event=E payload={"b":2})");
}

TEST(Segment, merges_the_context_of_the_batch_and_the_message_wins) {
  const auto context_of = [](std::string_view batch_context, std::string_view message_context) {
    return only(fmt::format(R"({{"batch":[{}],"context":{}}})", track(message_context), batch_context),
                SegmentCall::batch)
        .substr(std::string_view("track 2026-03-01T12:00:00.000Z id=m user=u event=E").size());
  };
  EXPECT_EQ(context_of(R"({"ip":"192.0.2.1", "os":{"a": 1}})", R"("context":{"ip":"192.0.2.2","app":{}})"),
            R"( context={"ip":"192.0.2.2","app":{},"os":{"a":1}})");
  EXPECT_EQ(context_of(R"({"ip":"192.0.2.1"})", R"("context":{})"), R"( context={"ip":"192.0.2.1"})");
  EXPECT_EQ(context_of(R"({"ip":"192.0.2.1"})", R"("properties":null)"), R"( context={"ip":"192.0.2.1"})");
  EXPECT_EQ(context_of(R"({"\u0069p":"192.0.2.1"})", R"("context":{"ip":"192.0.2.2"})"),
            R"( context={"ip":"192.0.2.2"})");
  EXPECT_EQ(context_of("{}", R"("context":{"a":1})"), R"( context={"a":1})");
  EXPECT_EQ(context_of("null", R"("context":{"a":1})"), R"( context={"a":1})");
}

TEST(Segment, identify_takes_its_own_traits_before_those_of_the_context) {
  EXPECT_THAT(only(R"({"type":"identify","userId":"u","traits":{"a":1},"context":{"traits":{"b":2}}})"),
              HasSubstr(R"(payload={"a":1})"));
  EXPECT_THAT(only(R"({"type":"identify","userId":"u","traits":null,"context":{"traits": {"b": 2}}})"),
              HasSubstr(R"(payload={"b":2} )"));
}

TEST(Segment, identifies_by_contact_alone) {
  EXPECT_THAT(only(R"({"type":"identify","traits":{"email":"ada@example.com"}})"),
              testing::StartsWith("identify "));
  EXPECT_THAT(only(R"({"type":"identify","traits":{"phone":"+1 202 555 0100"}})"),
              testing::StartsWith("identify "));
  EXPECT_THAT(only(R"({"type":"identify","context":{"traits":{"phone":12025550100}}})"),
              testing::StartsWith("identify "));
  for (const char* traits :
       {R"({"email":""})", R"({"email":null})", R"({"a":{"email":"ada@example.com"}})", "{}", "null"}) {
    EXPECT_THAT(reason(fmt::format(R"({{"type":"identify","traits":{}}})", traits)),
                HasSubstr("no userId or anonymousId"))
        << traits;
  }
  EXPECT_THAT(
      reason(R"({"type":"identify","traits":{"a":1},"context":{"traits":{"email":"ada@example.com"}}})"),
      HasSubstr("no userId"));
}

TEST(SegmentTime, is_corrected_by_the_skew_of_the_senders_clock) {
  const auto time_of = [](std::string_view members, bool correct = true) {
    SegmentRequest request = request_of(SegmentCall::any);
    request.correct_clock_skew = correct;
    return format_time(decode_record(read(track(members), request).bytes)->time);
  };
  // The sender's clock is an hour slow: it sent at 11:00 by its own, which is our 12:00.
  EXPECT_EQ(time_of(R"("timestamp":"2026-03-01T10:30:00Z","sentAt":"2026-03-01T11:00:00Z")"),
            "2026-03-01T11:30:00.000Z");
  EXPECT_EQ(time_of(R"("originalTimestamp":"2026-03-01T10:30:00Z","sentAt":"2026-03-01T11:00:00Z")"),
            "2026-03-01T11:30:00.000Z");
  EXPECT_EQ(
      time_of(
          R"("timestamp":"2026-03-01T10:30:00Z","originalTimestamp":"2026-03-01T10:45:00Z","sentAt":"2026-03-01T11:00:00Z")"),
      "2026-03-01T11:30:00.000Z");
  EXPECT_EQ(time_of(R"("timestamp":"2026-03-01T10:30:00+02:00")"), "2026-03-01T08:30:00.000Z");
  EXPECT_EQ(time_of(R"("sentAt":"2026-03-01T11:00:00Z")"), "2026-03-01T12:00:00.000Z");
  EXPECT_EQ(time_of(R"("timestamp":"2011-03-01T10:30:00Z","sentAt":"not read")", false),
            "2011-03-01T10:30:00.000Z");
}

TEST(SegmentMessageId, is_made_up_when_missing) {
  const std::string two =
      R"({"batch":[{"type":"page","userId":"u"},{"type":"page","userId":"u","messageId":""}]})";
  const auto ids = [&](const SegmentRequest& request) {
    const RawRecords records = read(two, request);
    return std::vector<std::string>{std::string(decode_record(records.at(0))->message_id),
                                    std::string(decode_record(records.at(1))->message_id)};
  };
  SegmentRequest request = request_of(SegmentCall::batch);
  request.entropy = 0xabc;
  EXPECT_THAT(ids(request), ElementsAre("auto-0000000000000abc-0", "auto-0000000000000abc-1"));
  request.default_message_id_prefix = "orders.jsonl:17:";
  EXPECT_THAT(ids(request), ElementsAre("orders.jsonl:17:0", "orders.jsonl:17:1"));
}

TEST(SegmentRejects, messages_that_name_nobody) {
  EXPECT_EQ(reason(R"({"type":"track","event":"E"})"), "no userId or anonymousId; send one of them");
  EXPECT_EQ(reason(R"({"type":"track","event":"E","userId":"","anonymousId":null})"),
            "no userId or anonymousId; send one of them");
  EXPECT_EQ(reason(R"({"type":"page"})"), "no userId or anonymousId; send one of them");
  EXPECT_EQ(reason(R"({"type":"delete"})"), "no userId or anonymousId; send one of them");
  EXPECT_EQ(reason(R"({"type":"group","groupId":"g"})"), "no userId or anonymousId; send one of them");
  EXPECT_THAT(reason(R"({"type":"group","userId":"u"})"), HasSubstr("without `groupId`"));
  EXPECT_THAT(reason(R"({"type":"alias","userId":"u"})"), HasSubstr("`previousId`"));
  EXPECT_THAT(reason(R"({"type":"alias","previousId":"p","anonymousId":"a"})"), HasSubstr("`userId`"));
}

TEST(SegmentRejects, unknown_and_missing_types_and_events) {
  EXPECT_THAT(reason(R"({"userId":"u"})"), HasSubstr("no `type`; send identify, track"));
  EXPECT_THAT(reason(R"({"userId":"u","type":7})"), HasSubstr("no `type`"));
  EXPECT_THAT(reason(R"({"userId":"u","type":"purchase"})"), HasSubstr("unknown type `purchase`"));
  EXPECT_THAT(reason(R"({"userId":"u","type":"Track"})"), HasSubstr("unknown type `Track`"));
  EXPECT_THAT(reason(R"({"userId":"u","type":"track"})"), HasSubstr("without `event`"));
  EXPECT_THAT(reason(R"({"userId":"u","type":"track","event":""})"), HasSubstr("without `event`"));
  EXPECT_THAT(reason(R"({"userId":"u","type":"track","event":{}})"),
              HasSubstr("`event` is an object; send text"));
  EXPECT_THAT(reason(R"({"userId":"u","type":"page","name":[]})"), HasSubstr("`name` is a list; send text"));
}

TEST(SegmentRejects, fields_of_the_wrong_shape) {
  EXPECT_EQ(reason(track(R"("userId":true)")), "`userId` is true or false; send text");
  EXPECT_EQ(reason(track(R"("anonymousId":["a"])")), "`anonymousId` is a list; send text");
  EXPECT_EQ(reason(track(R"("messageId":{})")), "`messageId` is an object; send text");
  EXPECT_EQ(reason(track(R"("properties":[])")), "`properties` is a list; send an object");
  EXPECT_EQ(reason(track(R"("properties":"x")")), "`properties` is text; send an object");
  EXPECT_EQ(reason(track(R"("context":1)")), "`context` is a number; send an object");
  EXPECT_EQ(reason(R"({"type":"identify","userId":"u","traits":false})"),
            "`traits` is true or false; send an object");
  EXPECT_EQ(reason(track(R"("traits":false,"groupId":{},"sentAt":[])")), "");  // a track has no use for these
}

TEST(SegmentRejects, ids_that_are_too_long) {
  EXPECT_EQ(reason(track(fmt::format(R"("messageId":"{}")", std::string(256, 'x')))), "");
  EXPECT_EQ(reason(track(fmt::format(R"("messageId":"{}")", std::string(257, 'x')))),
            "`messageId` has 257 bytes; send at most 256");
  EXPECT_EQ(reason(track(fmt::format(R"("userId":"{}")", std::string(512, 'x')))), "");
  EXPECT_EQ(reason(track(fmt::format(R"("userId":"{}")", std::string(513, 'x')))),
            "`userId` has 513 bytes; send at most 512");
}

TEST(SegmentRejects, times_that_cannot_be_read) {
  for (const char* time :
       {R"("+040000-01-01T00:00:00.000Z")", R"("40000-01-01T00:00:00.000Z")", R"("0000-12-31")",
        R"("yesterday")", R"("")", R"("2026-02-30")", "1767225600000", "{}"}) {
    EXPECT_THAT(reason(track(fmt::format(R"("timestamp":{})", time))),
                testing::AllOf(HasSubstr("`timestamp` is"), HasSubstr("send ISO 8601 between")))
        << time;
  }
  EXPECT_THAT(reason(track(R"("originalTimestamp":"x")")), HasSubstr("`originalTimestamp` is `x`"));
  EXPECT_THAT(reason(track(R"("timestamp":"2026-03-01","sentAt":"x")")), HasSubstr("`sentAt` is `x`"));
  EXPECT_THAT(reason(track(R"("timestamp":"9999-12-31T23:59:59Z","sentAt":"2020-01-01")")),
              HasSubstr("corrected by `sentAt`"));
}

TEST(SegmentRejects, what_could_not_be_read_back) {
  EXPECT_THAT(reason(track(R"("properties":{"a":1e999})")), HasSubstr("larger than a double"));
  EXPECT_THAT(reason(track(R"("properties":{"a":"\ud800"})")), HasSubstr("surrogate"));
  EXPECT_THAT(reason(track(R"("properties":{"a":)" + std::string(100, '[') + std::string(100, ']') + "}")),
              HasSubstr("deeper than 64"));
}

TEST(SegmentRejects, messages_that_are_too_large_and_keeps_their_begin) {
  const std::string large = track(fmt::format(R"("properties":{{"a":"{}"}})", std::string(1u << 20, 'x')));
  const RawRecords records = read(large, request_of(SegmentCall::any));
  const RecordView record = *decode_record(records.bytes);
  EXPECT_EQ(record.kind, RecordKind::rejected);
  EXPECT_EQ(record.reason, fmt::format("the message has {} bytes; send at most 524288", large.size()));
  EXPECT_EQ(record.payload, large.substr(0, 4096));
  EXPECT_EQ(record.user_id, "u");
  EXPECT_EQ(record.message_id, "m");
  EXPECT_THAT(reason(large, {.message_bytes_max = 2u << 20}), IsEmpty());
  EXPECT_THAT(
      reason(large + std::string(10, ' '), {.message_bytes_max = static_cast<std::uint32_t>(large.size())}),
      IsEmpty());
}

TEST(SegmentRejects, keeps_whole_characters_of_what_it_cuts) {
  for (std::size_t shift = 0; shift < 4; ++shift) {
    std::string text = "{\"" + std::string(shift, 'a');
    while (text.size() < 6000) text += "\xf0\x9f\x98\x80";
    const RawRecords records = read(text + "\":1}", request_of(SegmentCall::any));
    const RecordView record = *decode_record(records.bytes);
    EXPECT_TRUE(simdjson::validate_utf8(record.payload.data(), record.payload.size()));
    EXPECT_GT(record.payload.size(), 4092u);
    EXPECT_LE(record.payload.size(), 4096u);
  }
}

TEST(SegmentRejects, one_message_and_takes_the_others) {
  SegmentRequest request = request_of(SegmentCall::batch);
  request.source = "shop";
  const RawRecords records = read(
      R"({"batch":[{"type":"page","userId":"u","messageId":"1"}, 7 ,{"type":"page","anonymousId":"a","messageId":"2","timestamp":"x"},)"
      R"({"type":"page","userId":"u","messageId":"3"},null,[],"x"]})",
      request);
  EXPECT_THAT(
      all(records),
      ElementsAre(
          "page 2026-03-01T12:00:00.000Z source=shop id=1 user=u",
          "rejected 2026-03-01T12:00:00.000Z source=shop id=auto-0000000000000000-1 payload=7 reason=a "
          "message must be a JSON object",
          HasSubstr(
              R"(rejected 2026-03-01T12:00:00.000Z source=shop id=2 anonymous=a payload={"type":"page")"),
          "page 2026-03-01T12:00:00.000Z source=shop id=3 user=u", HasSubstr("payload=null"),
          HasSubstr("payload=[]"), HasSubstr("payload=\"x\"")));
  EXPECT_EQ(records.rejected, 5u);
  EXPECT_EQ(records.reasons.size(), 5u);
}

TEST(SegmentRefuses, bodies_that_are_not_a_call) {
  EXPECT_THAT(refusal(""), HasSubstr("must be a JSON object"));
  EXPECT_THAT(refusal("[]"), HasSubstr("must be a JSON object"));
  EXPECT_THAT(refusal("null", SegmentCall::track), HasSubstr("must be a JSON object"));
  EXPECT_THAT(refusal("{}"), HasSubstr("one list `batch`"));
  EXPECT_THAT(refusal(R"({"batch":{}})"), HasSubstr("one list `batch`"));
  EXPECT_THAT(refusal(R"({"batch":[],"batch":[]})"), HasSubstr("one list `batch`"));
  EXPECT_THAT(refusal(R"({"batch":[]} x)"), HasSubstr("expected the end at byte 13"));
  EXPECT_THAT(refusal(R"({"batch":[],,}],,})"), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal(R"({"batch":[{"type":"page","userId":"u"},{"a":tru}]})"),
              HasSubstr("not valid JSON: expected a value at byte"));
  EXPECT_THAT(refusal(R"({"batch":[{"type":"page")"), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal("{\"batch\":["), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal("{\"batch\":[{\"userId\":\"\xff\"}]}"), HasSubstr("UTF-8"));
  EXPECT_THAT(refusal("{\"batch\":[{\"userId\":\"\xed\xa0\x80\"}]}"), HasSubstr("UTF-8"));
  EXPECT_THAT(refusal(R"({"batch":[],"context":[]})"), HasSubstr("`context` of the batch is not an object"));
  EXPECT_THAT(refusal(R"({"batch":[],"context":{"a":"\ud800"}})"), HasSubstr("`context` of the batch"));
  EXPECT_THAT(refusal(fmt::format(R"({{"batch":[],"context":{{"a":"{}"}}}})", std::string(16 * 1024, 'x'))),
              HasSubstr("send at most 16384"));
  EXPECT_THAT(refusal(R"({"batch":[{},{},{}]})", SegmentCall::batch, {.batch_messages_max = 2}),
              HasSubstr("more than 2 messages"));
  EXPECT_EQ(refusal(R"({"batch":[{},{}]})", SegmentCall::batch, {.batch_messages_max = 2}), "taken");
  EXPECT_EQ(refusal(R"({"batch":[],"integrations":{"a":"\ud800"}})"), "taken");
}

TEST(Segment, an_empty_batch_gives_no_records) {
  EXPECT_THAT(all(read(R"({"batch":[]})", request_of(SegmentCall::batch))), IsEmpty());
}

// Random batches: n messages give n records in their order, each either what was sent or rejected.
TEST(Segment, gives_one_record_per_message_in_order) {
  static const std::vector<std::string> kMembers{R"("type":"track")",
                                                 R"("type":"page")",
                                                 R"("type":"identify")",
                                                 R"("type":"nothing")",
                                                 R"("event":"E")",
                                                 R"("userId":"u")",
                                                 R"("userId":5)",
                                                 R"("userId":{})",
                                                 R"("anonymousId":"a\n")",
                                                 R"("properties":{"a": [1, {"b": "c"}]})",
                                                 R"("properties":3)",
                                                 R"("traits":{"email":"x@example.com"})",
                                                 R"("context":{"ip":"192.0.2.1","traits":{}})",
                                                 R"("timestamp":"2026-01-01")",
                                                 R"("timestamp":"x")",
                                                 R"("sentAt":"2026-01-02")",
                                                 R"("x":"\ud800")",
                                                 R"("x":1e999)",
                                                 R"("groupId":1)"};
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    Random random(seed);
    const std::uint64_t count = random.below(30);
    std::string body = random.below(2) == 0 ? R"({"context":{"a": 1},"batch":[)" : R"({ "batch" : [ )";
    for (std::uint64_t i = 0; i < count; ++i) {
      body += fmt::format(R"({}{{"messageId":"{}")", i == 0 ? "" : ",", i);
      for (std::uint64_t members = random.below(8); members > 0; --members)
        body += "," + kMembers[random.below(kMembers.size())];
      body += "}";
    }
    body += random.below(2) == 0 ? "]}" : R"(],"sentAt":"2026-02-01T00:00:00Z"})";
    const RawRecords records = read(body, request_of(SegmentCall::batch));
    ASSERT_EQ(records.ends.size(), count) << "seed " << seed;
    std::uint32_t rejected = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const auto record = decode_record(records.at(i));
      ASSERT_TRUE(record.has_value()) << "seed " << seed;
      EXPECT_EQ(record->message_id, std::to_string(i)) << "seed " << seed;
      rejected += record->kind == RecordKind::rejected;
      for (const std::string_view json : {record->payload, record->context}) {
        if (record->kind == RecordKind::rejected || json.empty()) continue;
        EXPECT_TRUE(parse_json(json).has_value()) << "seed " << seed << json;
      }
    }
    EXPECT_EQ(records.rejected, rejected) << "seed " << seed;
    EXPECT_EQ(records.reasons.size(), rejected) << "seed " << seed;
  }
}

// Cut and bent bodies: never a crash, and what is taken decodes.
TEST(Segment, survives_damaged_bodies) {
  const std::string whole =
      R"({"batch":[{"type":"track","userId":"u\u00e9\ud83d\ude00","event":"E","properties":{"a":[1,2.5e3,{"b":null}]},)"
      R"("context":{"traits":{"email":"x@example.com"}},"timestamp":"2026-01-01T00:00:00Z"}],"context":{"a":1},"sentAt":"2026-01-01"})";
  for (std::size_t size = 0; size < whole.size(); ++size) {
    // A copy of exactly that size, so that a sanitizer sees a read past it.
    const std::vector<char> cut_short(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_NE(refusal({cut_short.data(), cut_short.size()}), "taken") << size;
  }
  Random random(7);
  for (int round = 0; round < 20'000; ++round) {
    std::string bent = whole;
    for (std::uint64_t bends = 1 + random.below(4); bends > 0; --bends)
      bent[random.below(bent.size())] = "{}[],:\"\\u09azt\n\x01\xff"[random.below(17)];
    const auto records = read_segment(bent, request_of(SegmentCall::batch), {});
    if (!records) continue;
    for (std::size_t i = 0; i < records->ends.size(); ++i)
      ASSERT_TRUE(decode_record(records->at(i)).has_value()) << bent;
  }
}

TEST(WriteKey, comes_from_the_header_before_the_body) {
  const auto basic = [](std::string_view user) { return "Basic " + to_base64(user); };
  const std::string body = R"({"batch":[{"writeKey":"inner"}],"writeKey":"body\u002dkey"})";
  EXPECT_EQ(write_key(basic("key:"), body), "key");
  EXPECT_EQ(write_key(basic("key"), body), "key");
  EXPECT_EQ(write_key("basic " + to_base64("key:secret"), body), "key");
  EXPECT_EQ(write_key("Basic   " + to_base64("key:") + " ", body), "key");
  EXPECT_EQ(write_key(std::nullopt, body), "body-key");
  EXPECT_EQ(write_key("Bearer token", body), "body-key");
  EXPECT_EQ(write_key(basic(":"), body), "body-key");
  EXPECT_EQ(write_key("Basic !!!", body), "body-key");
  EXPECT_EQ(write_key("Basic", body), "body-key");
  for (const char* none : {"", "{}", "[]", "x", R"({"writeKey":5})", R"({"writeKey":""})", R"({"writeKey")",
                           R"({"a":{"writeKey":"x"}})"}) {
    EXPECT_EQ(write_key(std::nullopt, none), std::nullopt) << none;
  }
}

std::string gzip(std::string_view text) {
  libdeflate_compressor* compressor = libdeflate_alloc_compressor(6);
  std::string out(libdeflate_gzip_compress_bound(compressor, text.size()), '\0');
  out.resize(libdeflate_gzip_compress(compressor, text.data(), text.size(), out.data(), out.size()));
  libdeflate_free_compressor(compressor);
  return out;
}

TEST(Gunzip, undoes_gzip_of_one_member_and_of_several) {
  const std::string text = R"({"batch":[]})";
  EXPECT_EQ(*gunzip(gzip(text), 100), text);
  EXPECT_EQ(*gunzip(gzip(""), 100), "");
  EXPECT_EQ(*gunzip(gzip(""), 0), "");
  const std::string large(3'000'000, 'x');
  EXPECT_EQ(*gunzip(gzip("a") + gzip(large) + gzip("") + gzip("bc"), 3'000'003), "a" + large + "bc");
}

TEST(Gunzip, stops_at_the_limit_whatever_the_trailer_says) {
  const std::string bomb = gzip(std::string(50u << 20, '\0'));
  EXPECT_LT(bomb.size(), 100'000u);
  EXPECT_THAT(gunzip(bomb, 1u << 20).error().message, HasSubstr("larger than 1048576 bytes"));
  EXPECT_EQ(gunzip(gzip("12345"), 5)->size(), 5u);
  EXPECT_FALSE(gunzip(gzip("12345"), 4).has_value());
  EXPECT_FALSE(gunzip(gzip("123") + gzip("45"), 4).has_value());
  std::string liar = gzip(std::string(1000, 'x'));
  liar[liar.size() - 1] = '\x7f';
  EXPECT_FALSE(gunzip(liar, 1u << 20).has_value());
}

TEST(Gunzip, refuses_what_is_not_gzip) {
  const std::string good = gzip("hello");
  for (const std::string& bad : {std::string(), std::string("hello"), good.substr(0, good.size() - 1),
                                 good + "x", std::string("\x1f\x8b")}) {
    EXPECT_EQ(gunzip(bad, 1000).error().message, "the body is not valid gzip");
  }
}

}  // namespace
}  // namespace tailrace::sources
