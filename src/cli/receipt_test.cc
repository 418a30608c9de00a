#include "cli/receipt.h"

#include <gmock/gmock.h>

namespace tailrace::cli {
namespace {

using delivery::Membership;
using delivery::Receipt;
using destinations::BatchKind;
using ::testing::HasSubstr;
using ::testing::Not;

Time at(const char* clock) { return *parse_time(std::string("2026-03-01T10:00:") + clock + "Z"); }

workspace::SyncConfig sync() {
  workspace::SyncConfig sync;
  sync.name = "Buyers on Meta";
  sync.destination = "Meta";
  sync.effect = workspace::Effect::suppress;
  return sync;
}

Receipt acknowledged() {
  Membership membership;
  membership.state = Membership::State::member;
  membership.received_at = at("00.120");
  membership.changed_at = at("00.120");
  membership.sent_at = at("00.371");
  membership.acknowledged_at = at("00.461");
  Receipt receipt;
  receipt.desired = true;
  receipt.membership = membership;
  return receipt;
}

TEST(Receipt, shows_each_step_with_the_time_since_the_one_before_and_the_platforms_own_time_apart) {
  ReceiptLine line = receipt_line(sync(), acknowledged());
  line.event = "Order Placed, message o1";
  line.event_at = at("00.000");
  line.processing = destinations::ProcessingTime{kDay, "A day.", "https://example.com/manual"};
  EXPECT_EQ(receipt_text({&line, 1}),
            "Buyers on Meta, at Meta: addition, acknowledged\n"
            "  event         2026-03-01T10:00:00.000Z                  Order Placed, message o1\n"
            "  received      2026-03-01T10:00:00.120Z          +120ms\n"
            "  entered       2026-03-01T10:00:00.120Z            +0ms\n"
            "  sent          2026-03-01T10:00:00.371Z          +251ms\n"
            "  acknowledged  2026-03-01T10:00:00.461Z           +90ms\n"
            "  from received to acknowledged: 341ms\n"
            "  apart from that: the platform may take 1d until it shows (https://example.com/manual)\n");
}

TEST(Receipt, as_a_table_never_adds_the_platforms_time) {
  ReceiptLine line = receipt_line(sync(), acknowledged());
  line.processing = destinations::ProcessingTime{kDay, "A day.", "https://example.com/manual"};
  const std::string json = receipt_table({&line, 1}).print(Format::json);
  EXPECT_THAT(json, HasSubstr(R"("received_to_acknowledged_ms":341)"));
  EXPECT_THAT(json, HasSubstr(R"("platform_processing_ms":86400000)"));
}

TEST(Receipt, of_somebody_of_whom_nothing_was_ever_sent) {
  const ReceiptLine line = receipt_line(sync(), Receipt{});
  EXPECT_EQ(receipt_text({&line, 1}), "Buyers on Meta, at Meta: not in the audience\n");
}

TEST(Receipt, of_a_pending_removal_does_not_show_the_times_of_the_addition) {
  Receipt receipt = acknowledged();
  receipt.desired = false;
  receipt.pending = BatchKind::remove;
  receipt.changed_at = receipt.received_at = at("05.000");
  receipt.waiting = "waiting for 3s: throttled";
  const ReceiptLine line = receipt_line(sync(), receipt);
  EXPECT_EQ(receipt_text({&line, 1}),
            "Buyers on Meta, at Meta: removal, pending: waiting for 3s: throttled\n"
            "  received      2026-03-01T10:00:05.000Z\n"
            "  left          2026-03-01T10:00:05.000Z            +0ms\n");
}

TEST(Receipt, of_a_request_without_an_answer_says_when_it_was_first_sent) {
  Receipt receipt = acknowledged();
  receipt.membership->state = Membership::State::adding;
  receipt.pending = BatchKind::add;
  receipt.in_flight = true;
  receipt.waiting = "sent, and not answered yet";
  const ReceiptLine line = receipt_line(sync(), receipt);
  EXPECT_EQ(line.sent_at, at("00.371"));
  EXPECT_EQ(line.acknowledged_at, std::nullopt);
}

TEST(Receipt, of_a_refusal_says_why_and_shows_no_acknowledgement) {
  Receipt receipt = acknowledged();
  receipt.membership->state = Membership::State::rejected;
  receipt.membership->reason = "e-mail not hashed (2650)";
  receipt.refused = true;
  ReceiptLine line = receipt_line(sync(), receipt);
  EXPECT_THAT(receipt_text({&line, 1}), HasSubstr("addition, refused: e-mail not hashed (2650)"));
  EXPECT_EQ(line.acknowledged_at, std::nullopt);
  receipt.refused = false;  // who has left the segment since
  line = receipt_line(sync(), receipt);
  EXPECT_THAT(receipt_text({&line, 1}), Not(HasSubstr("refused")));
  EXPECT_EQ(line.standing, "not in the audience");
}

}  // namespace
}  // namespace tailrace::cli
