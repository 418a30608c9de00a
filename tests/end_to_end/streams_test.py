"""Syncs that send events, with the real program against the sandbox: what arrives, once; what is never sent, and why; what becomes of
silence, refusals and kill -9. TAILRACE_STREAM_ROUNDS sets how often it is killed, TAILRACE_CRASH_SEED repeats a run."""

import collections
import json
import os
import random
import re
import shutil
import threading
import time
import unittest
import urllib.request

from serve_test import at, identify
from support import Scene, eventually, hash_of

ROUNDS = int(os.environ.get("TAILRACE_STREAM_ROUNDS", "12"))

DESTINATIONS = """
- {name: Meta events, type: meta_conversions, settings: {base_url: "%(url)s/meta/v26.0", dataset_id: "77"},
   allow_private_addresses: true, credentials: {access_token: {env: TAILRACE_SANDBOX_TOKEN}}}
- {name: Google events, type: google_conversions,
   settings: {base_url: "%(url)s/google", token_url: "%(url)s/google/token", operating_account_id: "1234567890"},
   allow_private_addresses: true,
   credentials: {client_id: {env: TAILRACE_SANDBOX_TOKEN}, client_secret: {env: TAILRACE_SANDBOX_TOKEN}, refresh_token: {env: TAILRACE_SANDBOX_TOKEN}}}
- {name: Google adjustments, type: google_adjustments,
   settings: {base_url: "%(url)s/google/v26", token_url: "%(url)s/google/token", customer_id: "1234567890"},
   allow_private_addresses: true,
   credentials: {client_id: {env: TAILRACE_SANDBOX_TOKEN}, client_secret: {env: TAILRACE_SANDBOX_TOKEN}, refresh_token: {env: TAILRACE_SANDBOX_TOKEN}}}
- {name: TikTok events, type: tiktok_events, settings: {base_url: "%(url)s/tiktok/open_api/v1.3", event_source_id: "C1"},
   allow_private_addresses: true, credentials: {access_token: {env: TAILRACE_SANDBOX_TOKEN}}}
- {name: Reddit events, type: reddit_conversions, settings: {base_url: "%(url)s/reddit/api/v3", pixel_id: "t2_1"},
   allow_private_addresses: true, credentials: {access_token: {env: TAILRACE_SANDBOX_TOKEN}}}
"""
META = "{name: Purchases to Meta, destination: Meta events, events: [Order Placed], consent: ads, currency: GBP, batch_age_max: 5ms}"
REDDIT = "{name: Purchases to Reddit, destination: Reddit events, events: [Order Placed], consent: ads, currency: GBP, batch_age_max: 5ms}"


def purchase(person, message_id, ago=None, event="Order Completed", **properties):
    return {"type": "track", "event": event, "userId": person, "messageId": message_id, "timestamp": at(**(ago or {})),
            "properties": {"order_id": message_id, "revenue": 20.5, **properties}}


class StreamTest(unittest.TestCase):
    SYNCS = [META]

    def setUp(self):
        self.scene = Scene()
        for folder in ("destinations", "syncs"):
            shutil.rmtree(os.path.join(self.scene.workspace, folder))
        self.scene.write("workspace/destinations/events.yaml", DESTINATIONS % {"url": self.scene.sandbox.url})
        self.write_syncs(self.SYNCS)
        self.scene.serve("--apply")

    def tearDown(self):
        self.scene.close()

    def write_syncs(self, syncs):
        self.scene.write("workspace/syncs/events.yaml", "".join(f"- {sync}\n" for sync in syncs))

    def apply(self, *syncs):
        """Gives what `plan` says of it."""
        self.write_syncs(syncs)
        planned = self.scene.run("plan").stdout
        self.scene.run("apply")
        return planned

    def arrived(self, platform, kept="events"):
        """(how many the platform counts, how many it was sent again)"""
        answer = self.scene.control(f"/sandbox/{platform}/{kept}")
        return answer["count"], answer.get("duplicates", answer.get("repeated"))

    def events(self, platform):
        return self.scene.control(f"/sandbox/{platform}/events")["events"]

    def order_ids(self, platform="meta"):
        return sorted(event["custom_data"]["order_id"] for event in self.events(platform))

    def reddit_ids(self):
        return [event["metadata"]["conversion_id"] for event in self.events("reddit")]

    def status(self, sync="Purchases to Meta"):
        rows = json.loads(self.scene.run("status", "--streams", "--format", "json").stdout)
        return {row["events to"]: row for row in rows}[sync]

    def never_sent(self):
        """{reason: count} of the table's text."""
        found = re.findall(r"^ +([\d,]+)  (.+?): (.+)$", self.scene.run("status").stdout, re.M)
        return {(sync, reason): int(count.replace(",", "")) for count, sync, reason in found}

    def wait_for(self, count, platform="meta", seconds=30):
        eventually(lambda: self.arrived(platform)[0] >= count, lambda: f"{count} at {platform}: {self.scene.run('status').stdout}", seconds)
        return self.arrived(platform)

    def fault(self, kind, platform="meta", **more):
        self.scene.control("/sandbox/faults", {"kind": kind, "platform": platform, **more})

    def letters(self, *arguments):
        return json.loads(self.scene.run("dlq", "show", "--format", "json", *arguments).stdout)


class Conversions(StreamTest):
    def test_a_purchase_arrives_once_at_each_platform_with_what_the_sync_maps(self):
        self.apply(META.replace("currency: GBP", 'currency: GBP, fields: {value: "properties.pence / 100", order_id: properties.number}'),
                   REDDIT,
                   "{name: Purchases to TikTok, destination: TikTok events, events: {Order Placed: CompletePayment}, consent: ads, currency: EUR}",
                   '{name: Purchases to Google, destination: Google events, events: [Order Placed], consent: ads, currency: GBP, '
                   'settings: {conversion_action_id: "5550001"}}')
        self.scene.send(identify("u1", email=" Ada@Example.com"), purchase("u1", "m-1", pence=1999, number="A-7"))
        for platform in ("meta", "google", "tiktok", "reddit"):
            self.assertEqual(self.wait_for(1, platform), (1, 0), platform)
        meta = self.events("meta")[0]
        self.assertEqual(meta["event_name"], "Purchase")
        self.assertEqual(meta["event_id"], "m-1")
        self.assertEqual((meta["custom_data"]["value"], meta["custom_data"]["currency"], meta["custom_data"]["order_id"]), (19.99, "GBP", "A-7"))
        self.assertEqual(meta["user_data"]["em"], [hash_of("ada@example.com")])
        google = self.events("google")[0]
        self.assertEqual((google["transactionId"], google["conversionValue"], google["currency"]), ("m-1", 20.5, "GBP"))
        self.assertEqual(self.events("tiktok")[0]["event"], "CompletePayment")
        self.assertEqual(self.events("tiktok")[0]["properties"]["currency"], "EUR")
        self.assertEqual(self.events("reddit")[0]["type"]["tracking_type"], "PURCHASE")
        # The same message again is no other purchase.
        self.scene.send(purchase("u1", "m-1", pence=1999, number="A-7"), purchase("u1", "m-2", pence=100, number="A-8"))
        for platform in ("meta", "google", "tiktok", "reddit"):
            self.assertEqual(self.wait_for(2, platform), (2, 0), platform)
        row = self.status()
        self.assertEqual((row["sent"], row["accepted"], row["rejected"], row["never sent"], row["dead letters"]), (2, 2, 0, 0, 0))
        self.assertEqual((row["waiting"], row["behind bytes"], row["state"]), (0, 0, "idle"))
        self.assertGreaterEqual(row["p50 ms"], 0)

    def test_a_refund_gives_google_what_is_left_of_the_order_and_a_whole_one_takes_it_back(self):
        self.apply('{name: Purchases to Google, destination: Google events, events: [Order Placed], consent: ads, currency: GBP, '
                   'settings: {conversion_action_id: "5550001"}}',
                   '{name: Part refunds to Google, destination: Google adjustments, consent: ads, currency: GBP, settings: {conversion_action_id: "5550001"}, '
                   'events: {Order Refunded: {name: RESTATEMENT, where: total < 20}}, fields: {value: properties.revenue - properties.total}}',
                   '{name: Whole refunds to Google, destination: Google adjustments, consent: ads, currency: GBP, settings: {conversion_action_id: "5550001"}, '
                   'events: {Order Refunded: {name: RETRACTION, where: total >= 20}}}')
        self.scene.send(identify("u1", email="ada@example.com"), purchase("u1", "m-1"))
        self.wait_for(1, "google")
        self.scene.send(purchase("u1", "m-2", event="Order Refunded", order_id="m-1", total=8))
        self.wait_for(2, "google")
        self.scene.send(purchase("u1", "m-3", event="Order Refunded", order_id="m-1", total=20.5))
        self.wait_for(3, "google")
        told = [(event["adjustmentType"], event["orderId"], event.get("restatementValue")) for event in self.events("google")[:2]]
        self.assertEqual(told, [("RETRACTION", "m-1", None), ("RESTATEMENT", "m-1", {"adjustedValue": 12.5, "currencyCode": "GBP"})])
        # Once more it is no other retraction, and no dead letter.
        self.scene.send(purchase("u1", "m-4", event="Order Refunded", order_id="m-1", total=20.5))
        eventually(lambda: self.status("Whole refunds to Google")["accepted"] == 2, lambda: self.scene.run("status").stdout)
        self.assertEqual(self.arrived("google")[0], 3)
        self.assertEqual(self.letters(), [])

    def test_a_click_counts_for_as_long_as_the_sync_says(self):
        clicked = META.replace("currency: GBP", "currency: GBP, fields: {click_window: 7d, click_required: true}")
        self.apply(clicked)
        for person, days in (("u1", 6), ("u2", 8)):
            self.scene.send({"type": "track", "event": "Product Viewed", "userId": person, "messageId": f"view-{person}", "timestamp": at(days=days),
                             "properties": {}, "context": {"page": {"url": f"https://shop.example/?fbclid=click-{person}"}}})
        self.scene.send(purchase("u1", "m-1"), purchase("u2", "m-2"), purchase("u3", "m-3"))
        self.wait_for(1)
        eventually(lambda: self.status()["never sent"] == 2, lambda: self.scene.run("status").stdout)
        self.assertEqual(self.order_ids(), ["m-1"])
        self.assertTrue(self.events("meta")[0]["user_data"]["fbc"].endswith(".click-u1"))
        reason = "user.click: no click on an ad of this platform before it, and the sync asks for one"
        self.assertEqual(self.never_sent()[("Purchases to Meta", reason)], 2)

    def test_what_came_before_a_sync_is_sent_only_where_it_says_so(self):
        self.scene.send(purchase("u1", "m-1"))
        self.wait_for(1)
        out = self.apply(META, REDDIT, "{name: History to TikTok, destination: TikTok events, events: [Order Placed], consent: ads, currency: GBP, start: beginning}")
        self.assertIn('"Purchases to Reddit" is new: it sends what comes in from now on\n', out)
        self.assertIn('"History to TikTok" is new: it sends what comes in from now on, after what the log has had since its beginning', out)
        self.assertEqual(self.wait_for(1, "tiktok"), (1, 0))
        self.scene.send(purchase("u1", "m-2"))
        self.assertEqual(self.wait_for(2, "tiktok"), (2, 0))
        self.assertEqual(self.wait_for(1, "reddit"), (1, 0))

    def test_events_that_are_not_wanted_are_passed_over(self):
        self.scene.write("workspace/segments/big.yaml", "name: Big spenders\nwho: sum(\"Order Placed\".revenue) >= 1000\n")
        self.apply(META.replace("[Order Placed]", "{Order Placed: {where: revenue >= 10}, Product Viewed: ViewContent, Product Added: false, '*': }"),
                   "{name: Big to Reddit, destination: Reddit events, events: [Order Placed], consent: ads, currency: GBP, people: Big spenders}")
        self.scene.send(purchase("u1", "small", revenue=9.99), purchase("u1", "large", revenue=10),
                        purchase("u1", "added", event="Product Added"), purchase("u1", "view", event="Product Viewed"),
                        purchase("u1", "search", event="Products Searched", query="tea"))
        self.wait_for(3)
        self.assertEqual(sorted(event["event_name"] for event in self.events("meta")), ["Purchase", "Search", "ViewContent"])
        self.assertEqual(self.arrived("reddit"), (0, 0))
        # u2 becomes one of the people it is about.
        self.scene.send(purchase("u2", "big-1", revenue=1200), purchase("u1", "large-2", revenue=30))
        self.assertEqual(self.scene.members("Big spenders"), ["u2"])
        self.scene.send(purchase("u2", "big-2", revenue=5))
        eventually(lambda: "big-2" in self.reddit_ids(), "theirs is sent")
        self.assertLessEqual(set(self.reddit_ids()), {"big-1", "big-2"})

    def test_what_must_not_be_sent_is_counted_with_its_reason_and_never_sent(self):
        self.scene.send(identify("no", email="no@example.com", consent={"ads": False}))
        self.scene.send(purchase("u1", "old", ago={"days": 8}), purchase("u1", "negative", revenue=-1), purchase("u1", "wrong", currency="XYZ"),
                        purchase("no", "refused"), purchase("u1", "good"))
        self.wait_for(1)
        self.assertEqual(self.order_ids(), ["good"])
        row = eventually(lambda: self.status()["never sent"] >= 4 and self.status(), lambda: self.scene.run("status").stdout)
        self.assertEqual((row["sent"], row["never sent"], row["dead letters"]), (1, 4, 0))
        reasons = self.never_sent()
        self.assertEqual(reasons[("Purchases to Meta", "consent: no consent to ads")], 1)
        self.assertRegex(self.scene.run("status").stdout, r"no consent to ads\n +the last: of no, at 20\d\d-")
        self.assertEqual(sum("older than 7d" in reason for _, reason in reasons), 1, reasons)
        # They are counted once, whatever happens to the process.
        self.scene.server.kill()
        self.scene.serve()
        self.scene.send(purchase("u1", "after"))
        self.wait_for(2)
        self.assertEqual(self.status()["never sent"], 4)

    def test_metrics_tell_of_each(self):
        self.scene.send(purchase("u1", "m-1"), purchase("u1", "old", ago={"days": 8}))
        self.wait_for(1)
        eventually(lambda: self.status()["never sent"] == 1, "counted")
        with urllib.request.urlopen(self.scene.server.url + "/metrics", timeout=30) as reply:
            text = reply.read().decode()
        of_it = '{sync="Purchases to Meta",destination="Meta events"}'
        for line in (f"tailrace_stream_sent_total{of_it} 1", f"tailrace_stream_accepted_total{of_it} 1", f"tailrace_stream_never_sent_total{of_it} 1",
                     f"tailrace_stream_waiting{of_it} 0", f"tailrace_stream_behind_bytes{of_it} 0", f"tailrace_stream_stopped{of_it} 0",
                     f"tailrace_stream_live_events{of_it} 1"):
            self.assertIn(line + "\n", text)


class ByHand(StreamTest):
    def test_a_paused_sync_sends_nothing_until_it_is_resumed_also_across_a_restart(self):
        self.assertIn("is paused", self.scene.run("pause", "Purchases to Meta").stdout)
        self.scene.send(purchase("u1", "m-1"))
        self.assertEqual(self.scene.server.stop(), 0)
        self.scene.serve()
        self.scene.send(purchase("u1", "m-2"))
        self.assertEqual(self.status()["state"], "paused")
        self.assertGreater(self.status()["behind bytes"], 0)
        self.assertEqual(self.arrived("meta"), (0, 0))
        self.assertIn("goes on", self.scene.run("resume", "Purchases to Meta").stdout)
        self.assertEqual(self.wait_for(2), (2, 0))

    def test_reset_moves_a_paused_sync(self):
        self.scene.send(purchase("u1", "m-1"))
        self.wait_for(1)
        self.assertIn("pause it first", self.scene.run("reset", "Purchases to Meta", "--to", "now", code=5).stderr)
        self.scene.run("pause", "Purchases to Meta")
        self.scene.send(purchase("u1", "skipped"))
        self.scene.run("reset", "Purchases to Meta", "--to", "now")
        self.scene.run("resume", "Purchases to Meta")
        self.scene.send(purchase("u1", "m-2"))
        self.wait_for(2)
        self.assertEqual(self.order_ids(), ["m-1", "m-2"])
        self.scene.run("pause", "Purchases to Meta")
        self.scene.run("reset", "Purchases to Meta", "--to", "beginning")
        self.scene.run("resume", "Purchases to Meta")
        self.assertEqual(self.wait_for(3), (3, 2))  # what it had seen it knows

    def test_a_replay_sends_the_events_of_a_time_once_more(self):
        self.scene.send(*(purchase("u1", f"m-{day}", ago={"days": day}) for day in (1, 3, 5)))
        self.wait_for(3)
        self.scene.control("/sandbox/reset", {})
        out = self.scene.run("replay", "--sync", "Purchases to Meta", "--from", at(days=4), "--to", at(days=2)).stdout
        self.assertIn("bytes of the log are walked", out)
        self.wait_for(1)
        self.scene.send(purchase("u1", "m-0"))
        self.wait_for(2)
        self.assertEqual(self.order_ids(), ["m-0", "m-3"])
        eventually(lambda: self.status()["state"] == "idle", lambda: self.status()["state"])
        # While nothing runs it is written down, and walked later.
        self.assertEqual(self.scene.server.stop(), 0)
        self.assertIn("when `tailrace serve` runs", self.scene.run("replay", "--sync", "Purchases to Meta", "--from", at(days=6)).stdout)
        self.scene.serve()
        self.assertEqual(self.wait_for(4), (4, 2))

    def test_commands_on_other_syncs_are_refused(self):
        self.assertIn('no sync "Nothing"', self.scene.run("pause", "Nothing", code=4).stderr)

    def test_a_retired_sync_sends_nothing_and_one_that_is_gone_is_told_of(self):
        self.assertIn("changed: what it has not sent yet goes as it says now", self.apply(META.replace("{name", "{lifecycle: retired, name")))
        self.scene.send(purchase("u1", "m-1"))
        eventually(lambda: self.status()["state"] == "retired", lambda: self.status()["state"])
        self.assertIn("goes away", self.apply(REDDIT))
        self.assertEqual(self.arrived("meta"), (0, 0))
        # It comes back, and goes on where it ended.
        self.apply(META)
        self.assertEqual(self.wait_for(1), (1, 0))


class Trouble(StreamTest):
    def test_throttling_and_errors_of_the_server_are_waited_for(self):
        # Whoever was too fast goes slowly for a while, so that comes last.
        for fault in ({"kind": "fail", "status": 500}, {"kind": "fail", "status": 503}, {"kind": "hang_up_before"}, {"kind": "throttle"}):
            self.fault(**fault, count=1)
        self.scene.send(*(purchase("u1", f"m-{i}") for i in range(5)))
        self.assertEqual(self.wait_for(5)[0], 5)
        self.assertEqual(self.status()["dead letters"], 0)

    def test_a_lost_answer_does_no_harm_where_the_platform_knows_a_copy(self):
        self.fault("hang_up_after", count=2)
        self.scene.send(purchase("u1", "m-1"))
        eventually(lambda: self.arrived("meta") == (1, 2), lambda: self.arrived("meta"))
        eventually(lambda: self.status()["accepted"] == 1, "acknowledged")

    def test_a_poisoned_event_is_found_and_the_others_go(self):
        self.apply(META.replace("{name", "{requests_in_flight: 1, name"))
        self.scene.run("pause", "Purchases to Meta")
        self.scene.send(*(purchase("u1", f"m-{i}") for i in range(4)))
        self.fault("fail", status=400, count=3)  # the four, the first two, the first
        self.scene.run("resume", "Purchases to Meta")
        self.wait_for(3)
        self.assertEqual(self.order_ids(), ["m-1", "m-2", "m-3"])
        letter, = eventually(lambda: self.letters(), "it is a dead letter")
        self.assertEqual((letter["sync"], letter["what"]), ("Purchases to Meta", "Order Placed"))
        self.assertIn("an event is not accepted", letter["reason"])
        self.assertEqual(self.status()["dead letters"], 1)
        # It goes again by command, and is none any more once it is accepted.
        self.assertIn("1 events are sent again", self.scene.run("dlq", "retry", "--sync", "Purchases to Meta").stdout)
        self.wait_for(4)
        eventually(lambda: not self.letters(), "mended")
        # Another one is dropped.
        self.fault("fail", status=400, count=1)
        self.scene.send(purchase("u1", "m-9"))
        eventually(lambda: self.letters(), "dead")
        self.assertIn("1 events dropped", self.scene.run("dlq", "drop", "--sync", "Purchases to Meta").stdout)
        self.assertEqual(self.letters(), [])
        self.assertEqual(self.arrived("meta")[0], 4)

    def test_a_refused_token_stops_it_and_a_good_one_lets_it_go_on(self):
        self.fault("auth", count=1)
        self.scene.send(purchase("u1", "m-1"))
        eventually(lambda: self.status()["state"].startswith("stopped"), lambda: self.status()["state"])
        self.assertEqual(self.arrived("meta"), (0, 0))
        self.scene.run("resume", "Purchases to Meta")
        self.assertEqual(self.wait_for(1), (1, 0))


class NoAnswer(StreamTest):
    SYNCS = [REDDIT]
    SYNC = "Purchases to Reddit"

    def test_without_an_answer_somebody_decides_where_copies_would_count(self):
        self.fault("hang_up_after", "reddit", count=1)
        self.scene.send(purchase("u1", "m-1"))
        letter, = eventually(lambda: self.letters(), lambda: self.scene.run("status").stdout)
        self.assertTrue(letter["reason"].startswith("it may have arrived"), letter)
        self.scene.send(purchase("u1", "m-2"))
        self.assertEqual(self.wait_for(2, "reddit"), (2, 0))
        self.scene.run("dlq", "retry", "--sync", self.SYNC, "--reason", "may have arrived")
        eventually(lambda: not self.letters(), "answered now")
        self.assertEqual(self.arrived("reddit"), (2, 1))

    def test_an_answer_of_500_is_silence_and_503_and_429_are_not(self):
        self.fault("fail", "reddit", status=503, count=1)
        self.fault("throttle", "reddit", count=1)
        self.scene.send(purchase("u1", "m-1"))
        # Reddit's refusal does not say for how long: two delays of at most half a minute, drawn at random.
        self.assertEqual(self.wait_for(1, "reddit", seconds=120), (1, 0))
        self.assertEqual(self.letters(), [])
        self.fault("fail", "reddit", status=500, count=1)
        self.scene.send(purchase("u1", "m-2"))
        eventually(lambda: self.letters(), lambda: self.scene.run("status").stdout)

    def test_or_it_goes_again_where_the_sync_says_so(self):
        self.apply(REDDIT.replace("{name", "{no_answer: resend, name"))
        self.fault("hang_up_after", "reddit", count=1)
        self.scene.send(purchase("u1", "m-1"))
        eventually(lambda: self.arrived("reddit") == (1, 1), lambda: self.arrived("reddit"))
        eventually(lambda: self.status(self.SYNC)["accepted"] == 1, "acknowledged")
        self.assertEqual(self.letters(), [])

    def test_a_platform_that_takes_some_events_of_a_request(self):
        self.scene.control("/sandbox/limits", {"reddit_invalid_events": 1})
        self.apply(REDDIT.replace("{name", "{fields: {value: properties.revenue, source: properties.where}, name"))
        self.scene.run("pause", self.SYNC)
        self.scene.send(*(purchase("u1", f"m-{i}") for i in range(3)))
        self.scene.run("resume", self.SYNC)
        self.assertEqual(self.wait_for(3, "reddit"), (3, 0))


class Killed(StreamTest):
    """kill -9 at random moments while purchases come in: none is lost, and none is sent twice where that was promised."""

    SYNCS = [META, REDDIT]

    def post_until_killed(self, made, unanswered):
        try:
            while True:
                if not unanswered:
                    for _ in range(self.rng.randint(1, 4)):
                        self.made += 1
                        unanswered.append(purchase(f"u{self.made % 7}", f"o-{self.made}"))
                status, _ = self.scene.post("/v1/batch", {"batch": unanswered})
                if status == 200:
                    made.extend(unanswered)
                    unanswered.clear()
                    time.sleep(0.01)  # a sandbox remembers a thousand requests: fewer purchases than that in all
        except OSError:
            pass
        except Exception as error:  # the answer was cut off in its middle
            if type(error).__module__ != "http.client":
                raise

    def run_rounds(self):
        self.seed = int(os.environ.get("TAILRACE_CRASH_SEED", time.time_ns() % 1_000_000))
        print(f"TAILRACE_CRASH_SEED={self.seed}", flush=True)
        self.rng = random.Random(self.seed)
        self.made = 0
        made, unanswered = [], []
        for _ in range(ROUNDS):
            for platform in ("meta", "reddit"):
                if self.rng.random() < 0.4:
                    self.fault(self.rng.choice(("hang_up_after", "hang_up_before", "throttle", "stall")), platform, delay_ms=30)
            traffic = threading.Thread(target=self.post_until_killed, args=(made, unanswered))
            traffic.start()
            time.sleep(self.rng.uniform(0.02, 0.5))
            self.scene.server.kill()
            traffic.join()
            self.scene.serve()
        urllib.request.urlopen(urllib.request.Request(self.scene.sandbox.url + "/sandbox/faults", method="DELETE"), timeout=30).close()
        if unanswered:
            self.scene.send(*unanswered)
            made += unanswered
        self.scene.send(purchase("last", "last"))
        made.append(purchase("last", "last"))
        wait = "Purchases to Meta", "Purchases to Reddit"
        eventually(lambda: all(self.status(sync)["state"] == "idle" and self.status(sync)["waiting"] == 0 for sync in wait),
                   lambda: self.scene.run("status").stdout, seconds=90)
        print(f"{len(made)} purchases, {ROUNDS} kills; Meta {self.arrived('meta')}, Reddit {self.arrived('reddit')}", flush=True)
        return {message["messageId"] for message in made}

    def test_exactly_once_by_key_and_never_twice_where_silence_is_held(self):
        made = self.run_rounds()
        self.assertEqual(self.arrived("meta")[0], len(made))
        self.assertEqual(set(self.order_ids()), made)
        counted, repeated = self.arrived("reddit")
        letters = self.letters("--sync", "Purchases to Reddit")
        self.assertEqual(repeated, 0, f"TAILRACE_CRASH_SEED={self.seed}")
        self.assertGreaterEqual(counted + len(letters), len(made), f"TAILRACE_CRASH_SEED={self.seed}")
        self.assertTrue(all(letter["reason"].startswith("it may have arrived") for letter in letters), collections.Counter(l["reason"] for l in letters))
        self.scene.run("dlq", "retry", "--sync", "Purchases to Reddit")
        eventually(lambda: not self.letters(), lambda: self.letters())
        self.assertEqual(self.arrived("reddit")[0], len(made), f"TAILRACE_CRASH_SEED={self.seed}")

    def test_at_least_once_where_it_goes_again(self):
        self.apply(META, REDDIT.replace("{name", "{no_answer: resend, name"))
        made = self.run_rounds()
        for platform in ("meta", "reddit"):
            self.assertEqual(self.arrived(platform)[0], len(made), f"{platform}, TAILRACE_CRASH_SEED={self.seed}")
        self.assertEqual(self.letters(), [])


if __name__ == "__main__":
    unittest.main()
