"""`tailrace serve` and the commands on its store, with and without it running."""

import gzip
import json
import os
import re
import time
import unittest
import urllib.request
from datetime import datetime, timedelta, timezone

from support import Scene, eventually, hash_of


def at(**ago):
    return (datetime.now(timezone.utc) - timedelta(**ago)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def order(person, message_id, **ago):
    return {"type": "track", "event": "Order Completed", "userId": person, "messageId": message_id, "timestamp": at(**ago),
            "properties": {"order_id": message_id, "revenue": 20.5, "currency": "GBP"}}


def view(person, message_id, **ago):
    return {"type": "track", "event": "Product Viewed", "userId": person, "messageId": message_id, "timestamp": at(**ago),
            "properties": {"product_id": "p1"}}


def identify(person, **traits):
    return {"type": "identify", "userId": person, "messageId": f"id-{person}-{time.monotonic_ns()}", "traits": traits}


class Serving(unittest.TestCase):
    def setUp(self):
        self.scene = Scene()
        self.scene.serve("--apply")

    def tearDown(self):
        self.scene.close()

    def test_a_purchase_moves_a_person_from_retargeting_to_suppression(self):
        scene = self.scene
        scene.send(identify("u1", email="Ada@Example.com "), view("u1", "v1"), view("u1", "v2"))
        ada = hash_of("ada@example.com")
        eventually(lambda: ada in scene.platform_members("meta", "Product viewers on Meta"), "the viewer is retargeted")
        self.assertEqual(scene.members("Product viewers"), ["u1"])
        scene.send(order("u1", "o1"))
        eventually(lambda: ada in scene.platform_members("meta", "Purchasers 30d on Meta"), "the buyer is suppressed")
        eventually(lambda: ada not in scene.platform_members("meta", "Product viewers on Meta"), "the buyer is not retargeted")
        eventually(lambda: ada in scene.platform_members("google", "Purchasers 30d on Google"), "at Google too")
        self.assertEqual(scene.members("Product viewers"), [])

    def test_a_removal_sends_what_was_added_even_after_the_email_changed_and_the_person_is_deleted(self):
        scene = self.scene
        scene.send(identify("u1", email="old@example.com"), order("u1", "o1"))
        eventually(lambda: hash_of("old@example.com") in scene.platform_members("meta", "Purchasers 30d on Meta"), "added")
        scene.send(identify("u1", email="new@example.com"))
        eventually(lambda: scene.platform_members("meta", "Purchasers 30d on Meta") == {hash_of("new@example.com")}, "exchanged")
        scene.send({"type": "delete", "userId": "u1", "messageId": "d1"})
        eventually(lambda: scene.platform_members("meta", "Purchasers 30d on Meta") == set(), "gone")
        self.assertEqual(scene.run("explain", "u1", code=4).stdout, "")
        eventually(lambda: b"old@example.com" not in scene.log_bytes(), "redacted")

    def receipt(self, person, sync):
        return json.loads(self.scene.run("receipt", person, "--sync", sync, "--format", "json").stdout)[0]

    def test_a_receipt_follows_a_purchase_to_the_platform_with_and_without_serve(self):
        scene = self.scene
        sync = "Purchasers 30d on Meta"
        scene.send(identify("u1", email="ada@example.com"), order("u1", "o1"))
        acknowledged = eventually(lambda: (row := self.receipt("u1", sync))["standing"] == "acknowledged" and row, "acknowledged")
        self.assertEqual(acknowledged["event"], "Order Completed, message o1")
        self.assertLessEqual(acknowledged["received_at"], acknowledged["sent_at"])
        self.assertEqual(acknowledged["received_to_changed_ms"] + acknowledged["changed_to_sent_ms"] + acknowledged["sent_to_acknowledged_ms"],
                         acknowledged["received_to_acknowledged_ms"])
        self.assertEqual(acknowledged["platform_processing_ms"], 86_400_000)
        self.assertEqual(self.receipt("u1", "VIP on Google")["effect"], "target")
        self.assertEqual(scene.run("receipt", "nobody", code=4).stdout, "")
        self.assertEqual(scene.run("receipt", "u1", "--sync", "None", code=4).stdout, "")
        self.assertEqual(scene.server.stop(), 0)
        self.assertEqual(self.receipt("u1", sync), acknowledged)
        path = scene.write("more.jsonl", json.dumps(order("u2", "o2")) + "\n")
        scene.run("import", path)
        waiting = self.receipt("u2", sync)
        self.assertEqual((waiting["change"], waiting["standing"]), ("addition", "pending: not running: start `tailrace serve`"))
        self.assertIsNotNone(waiting["changed_at"])

    def test_dead_letters_are_listed_masked_retried_and_dropped_with_and_without_serve(self):
        scene = self.scene
        sync = "Purchasers 30d on Meta"
        dlq = lambda *arguments: json.loads(scene.run("dlq", *arguments, "--sync", sync, "--format", "json").stdout)
        scene.send(order("u1", "o1"), order("ada@example.com", "o2"), {**order("u3", "o3"), "event": "No Such Event"})
        groups = eventually(lambda: (rows := dlq("list")) and rows[0]["count"] == 2 and rows, "two without an identifier")
        self.assertTrue(groups[0]["reason"].startswith("no usable identifier"))
        self.assertEqual({row["person"] for row in dlq("show")}, {"u1", "a***@example.com"})
        self.assertEqual(dlq("show", "--reason", "another"), [])
        self.assertEqual(dlq("show", "--to", "2020-01-01"), [])
        self.assertEqual(scene.run("dlq", "list", "--sync", "None", code=4).stdout, "")
        held = json.loads(scene.run("dlq", "show", "--sync", "quarantine", "--format", "json").stdout)
        self.assertEqual([(row["what"], row["person"]) for row in held], [("No Such Event", "u3")])
        self.assertIn("mend the taxonomy", scene.run("dlq", "retry", "--sync", "quarantine").stdout)
        self.assertTrue(scene.run("dlq", "retry", "--sync", sync).stdout.startswith("2 additions, 0 removals"))
        eventually(lambda: (rows := dlq("list")) and rows[0]["count"] == 2, "still without one")
        scene.run("dlq", "drop", "--sync", sync)
        self.assertEqual([(row["count"], row["dropped"]) for row in dlq("list")], [(0, 2)])
        self.assertEqual(scene.server.stop(), 0)
        self.assertEqual([(row["count"], row["dropped"]) for row in dlq("list")], [(0, 2)])
        self.assertIn("`tailrace serve` asks all", scene.run("dlq", "retry").stdout)
        scene.serve()
        scene.send(identify("u1", email="u1@example.com"))
        eventually(lambda: hash_of("u1@example.com") in scene.platform_members("meta", sync), "it has one now")
        eventually(lambda: [(row["count"], row["dropped"]) for row in dlq("list")] == [(0, 1)], "the other rests")

    def test_latency_is_measured_against_the_objective_with_and_without_serve(self):
        scene = self.scene
        scene.send(identify("u1", email="ada@example.com"), order("u1", "o1"))
        eventually(lambda: self.receipt("u1", "Purchasers 30d on Meta")["standing"] == "acknowledged", "acknowledged")
        of = lambda: {row["sync"]: row for row in json.loads(scene.run("latency", "--format", "json").stdout)}["Purchasers 30d on Meta"]
        row = of()
        self.assertEqual((row["live changes"], row["objective ms"], row["objective"], row["still targetable"]), (1, 60000, "kept", 0))
        with urllib.request.urlopen(scene.server.url + "/metrics", timeout=30) as reply:
            metrics = reply.read().decode()
        self.assertIn('tailrace_sync_within_objective{sync="Purchasers 30d on Meta",destination="Meta"} 1\n', metrics)
        self.assertEqual(scene.server.stop(), 0)
        self.assertEqual(of(), row)
        scene.run("import", scene.write("more.jsonl", json.dumps(order("u2", "o2")) + "\n"))
        self.assertEqual(of()["still targetable"], 1)

    def test_a_receipt_of_a_deleted_person_cannot_be_had(self):
        scene = self.scene
        scene.send(identify("u1", email="ada@example.com"), order("u1", "o1"))
        eventually(lambda: self.receipt("u1", "Purchasers 30d on Meta")["standing"] == "acknowledged", "acknowledged")
        scene.send({"type": "delete", "userId": "u1", "messageId": "d1"})
        eventually(lambda: scene.platform_members("meta", "Purchasers 30d on Meta") == set(), "gone")
        self.assertEqual(scene.run("receipt", "u1", code=4).stdout, "")
        self.assertEqual(scene.run("receipt", "ada@example.com", code=4).stdout, "")

    def test_a_clean_stop_and_start_keeps_everything(self):
        scene = self.scene
        scene.send(identify("u1", email="a@example.com"), order("u1", "o1"), view("u2", "v1"), view("u2", "v2"))
        eventually(lambda: scene.statuses()["Purchasers 30d on Meta"]["pending"] == 0 and scene.members("Purchasers 30d") == ["u1"], "delivered")
        before = scene.platform_audiences()
        self.assertEqual(scene.server.stop(), 0)
        self.assertEqual(scene.members("Purchasers 30d"), ["u1"])  # without serve
        self.assertEqual(scene.members("Product viewers"), ["u2"])
        scene.serve()  # the folder is what is applied: no --apply needed
        self.assertEqual(scene.members("Product viewers"), ["u2"])
        self.assertEqual(set(scene.platform_audiences()), set(before))

    def test_a_second_process_says_who_has_the_store(self):
        self.assertIn("serves", self.scene.server.log())
        second = self.scene.run("serve", "--listen", "127.0.0.1:0", code=5)
        self.assertIn("in use by another", second.stderr)

    def test_resent_messages_count_once(self):
        scene = self.scene
        for _ in range(3):
            scene.send(order("u1", "o1"))
        self.assertEqual(scene.members('count("Order Placed") = 1'), ["u1"])

    def test_gzip_and_wrong_keys_and_broken_bodies(self):
        scene = self.scene
        body = json.dumps({"batch": [order("u1", "o1")]}).encode()
        self.assertEqual(scene.post("/v1/batch", gzip.compress(body), headers={"Content-Encoding": "gzip"})[0], 200)
        self.assertEqual(scene.post("/v1/batch", body, key="wrong")[0], 401)
        for broken in (b"", b"{", b"[]", b"null", b'{"batch":1}', b'{"batch":[', b"\xff\xfe"):
            self.assertEqual(scene.post("/v1/batch", broken)[0], 400, broken)
        self.assertEqual(scene.post("/v1/batch", b"not gzip", headers={"Content-Encoding": "gzip"})[0], 400)
        self.assertEqual(scene.post("/v1/batch", b" " * (5 << 20))[0], 413)
        self.assertEqual(scene.post("/v1/nothing", b"{}")[0], 404)
        self.assertEqual(scene.members('performed "Order Placed"'), ["u1"])

    def test_bad_messages_are_kept_and_shown_and_stop_nobody(self):
        scene = self.scene
        scene.send({**order("u1", "o1"), "timestamp": "40000-01-01T00:00:00Z"}, {"type": "track", "event": "Order Completed"},
                   {**order("u1", "o2"), "event": "No Such Event"}, {**order("u1", "o3"), "properties": {}},
                   {**order("u1", "o4"), "properties": {"order_id": "x" * (1 << 20)}}, order("u2", "o5"))
        self.assertEqual(scene.members('performed "Order Placed"'), ["u2"])
        text = scene.run("status").stdout
        for reason in ("unknown event \"No Such Event\"", "without required property `order_id`", "userId", "timestamp"):
            self.assertIn(reason, text)
        self.assertIn("Quarantine: 5 records", text)

    def test_a_mended_taxonomy_readmits(self):
        scene = self.scene
        scene.send({**order("u1", "o1"), "event": "Bestellung"})
        self.assertEqual(scene.members('performed "Order Placed"'), [])
        path = os.path.join(scene.workspace, "taxonomy.yaml")
        with open(path) as file:
            text = file.read()
        self.assertIn("Refunded", text)
        scene.write("workspace/taxonomy.yaml", "use: [ecommerce]\nunknown_events: quarantine\nevents:\n  Order Placed:\n    aliases: [Bestellung]\n  Cart Started: {}\n")
        scene.run("apply")
        self.assertEqual(scene.members('performed "Order Placed"'), ["u1"])
        eventually(lambda: "Bestellung" not in scene.run("status").stdout, "nothing is held back")

    def test_a_backtest_says_the_same_with_and_without_serve(self):
        scene = self.scene
        scene.send({**order("u1", "o1"), "timestamp": "2026-02-01T10:00:00.000Z"}, {**order("u2", "o2"), "timestamp": "2026-02-20T10:00:00.000Z"})
        asked = ('performed "Order Placed" within 30d', "--from", "2026-02-15", "--to", "2026-03-10", "--format", "json")
        served = json.loads(scene.run("backtest", *asked).stdout)
        self.assertEqual((served["size_at_start"], served["size_at_end"], served["people"]), (1, 1, 2))
        self.assertEqual(served["largest"], {"size": 2, "at": "2026-02-20T10:00:00.000Z"})
        self.assertEqual(served["stays"], {"ended": 1, "median_ms": 30 * 86_400_000, "since_ever": 0, "still_inside": 1})
        self.assertEqual(scene.server.stop(), 0)
        self.assertEqual(json.loads(scene.run("backtest", *asked).stdout), served)

    def test_a_plan_is_the_same_tree_with_and_without_serve(self):
        scene = self.scene
        scene.send(order("u1", "o1"), view("u1", "v1"))

        def plan():
            text = scene.run("explain", "--plan", "Product viewers").stdout
            return re.sub(r"[0-9.,]+ ns a person", "N ns a person", text)

        served = plan()
        self.assertIn('├─ performed "Product Viewed" at least 2 times within 24h\n'
                      '│      reads "Product Viewed", 1 row of 1 person\n'
                      "│      about 1.0 rows a time, after 50.0 % of events; measured N ns a person\n", served)
        self.assertEqual(scene.server.stop(), 0)
        self.assertEqual(plan(), served)

    def test_a_careless_edit_is_held_until_released(self):
        self.scene.send(*(m for n in range(3) for m in (identify(f"u{n}", email=f"person{n}@example.com"), order(f"u{n}", f"o{n}"))))
        suppressed = lambda: len(self.scene.platform_members("meta", "Purchasers 30d on Meta"))
        eventually(lambda: suppressed() == 3, self.scene.statuses)
        self.scene.replace("guards: {max_change: 20%, min_size: 10}", "guards: {never_empty: true}")
        self.scene.run("apply")
        self.scene.replace('performed "Order Placed" within 30d', 'performed "Order Placed" at least 9 times within 30d')
        planned = {r["name"]: r for r in json.loads(self.scene.run("plan", "--format", "json").stdout) if r[""] == "sync"}
        self.assertEqual(planned["Purchasers 30d on Meta"]["held"], "3 removals would leave 0 people (never_empty)")
        self.assertIn('hold this back until `tailrace release "Purchasers 30d on Meta"`', self.scene.run("apply").stdout)
        state = lambda: self.scene.statuses()["Purchasers 30d on Meta"]["state"]
        eventually(lambda: state().startswith("held: 3 removals"), state)
        self.assertEqual(suppressed(), 3)
        self.assertIn("Released: 3 people", self.scene.run("release", "Purchasers 30d on Meta").stdout)
        eventually(lambda: suppressed() == 0, self.scene.statuses)
        self.assertTrue(self.scene.statuses()["Purchasers 30d on Google"]["state"].startswith("held: 3 removals"))
        self.assertIn("holds nothing back", self.scene.run("release", "Purchasers 30d on Meta", code=5).stderr)
        self.assertIn("no sync", self.scene.run("release", "No such", code=4).stderr)

    def test_a_sync_that_goes_away_is_emptied_first_or_leaves_its_people_knowingly(self):
        scene = self.scene
        emails = [f"p{i}@example.com" for i in range(3)]
        scene.send(*(m for i, email in enumerate(emails) for m in (identify(f"p{i}", email=email), order(f"p{i}", f"o{i}"))))
        hashes = {hash_of(email) for email in emails}
        at = lambda platform: scene.platform_members(platform, f"Purchasers 30d on {platform.title()}")
        eventually(lambda: at("meta") == hashes == at("google"), "added")
        for platform in ("Meta", "Google"):  # nobody hands people over to them any more
            scene.replace(f"  twin: Purchasers 30d on {platform}\n", "")
        path = os.path.join(scene.workspace, "syncs", "suppression.yaml")
        with open(path) as file:
            text = file.read()
        with open(path, "w") as file:
            file.write(text.replace("- name: Purchasers 30d on Meta\n", "- name: Purchasers 30d on Meta\n  lifecycle: retired\n"))
        # However many leave at once: that is what was written.
        scene.run("apply")
        eventually(lambda: at("meta") == set(), scene.statuses)
        self.assertEqual(at("google"), hashes)
        eventually(lambda: scene.statuses()["Purchasers 30d on Meta"]["state"].startswith("retired"), scene.statuses)
        os.remove(path)
        plan = scene.run("plan").stdout
        self.assertRegex(plan, r'"Purchasers 30d on Google" goes away: 3 people stay in its audience \d+ at "Google"')
        self.assertNotIn('"Purchasers 30d on Meta" goes away', plan)
        rows = {row["name"]: row for row in json.loads(scene.run("plan", "--format", "json").stdout)}
        self.assertEqual([rows[f"Purchasers 30d on {p}"]["stay there"] for p in ("Meta", "Google")], [0, 3])
        self.assertIn("lifecycle: retired", scene.run("apply", code=5).stderr)
        self.assertIn("Purchasers 30d on Google", scene.statuses())  # nothing was applied
        scene.run("apply", "--leave-members")
        self.assertNotIn("Purchasers 30d on Google", scene.statuses())
        self.assertEqual(at("google"), hashes)

    def test_health_and_metrics(self):
        scene = self.scene
        scene.send(order("u1", "o1"))
        with urllib.request.urlopen(scene.server.url + "/healthz") as reply:
            self.assertEqual(json.load(reply), {"status": "ok"})
        with urllib.request.urlopen(scene.server.url + "/metrics") as reply:
            text = reply.read().decode()
        self.assertIn("tailrace_events_total 1\n", text)
        self.assertIn('tailrace_segment_members{segment="Purchasers 30d"} 1', text)
        self.assertIn("tailrace_sync_desired{", text)
        self.assertIn('tailrace_apply_lag_seconds_bucket{le="+Inf"} 1\n', text)
        self.assertRegex(text, r'tailrace_memory_bytes\{part="deduplication"\} [1-9]')

    def test_memory_by_part(self):
        scene = self.scene
        scene.send(order("u1", "o1"))
        eventually(lambda: scene.members("Purchasers 30d") == ["u1"], "applied")
        parts = {row["part"]: row for row in json.loads(scene.run("status", "--memory", "--format", "json").stdout)}
        self.assertGreater(parts["event_rows"]["bytes"], 0)
        self.assertEqual(parts["all"]["bytes"], sum(row["bytes"] for name, row in parts.items() if name != "all"))
        self.assertRegex(scene.run("status", "--memory").stdout, r"part +bytes +unused +bytes per event")

    def test_identifiers_and_secrets_do_not_reach_the_log(self):
        scene = self.scene
        scene.send(identify("u1", email="secret.person@example.com"), order("u1", "o1"))
        scene.post("/v1/batch", b"{}", key="a-wrong-key")
        scene.control("/sandbox/faults", {"platform": "meta", "kind": "fail", "status": 500, "count": 3})
        eventually(lambda: scene.statuses()["Purchasers 30d on Google"]["pending"] == 0, "delivered")
        scene.server.stop()
        for secret in ("secret.person", "sandbox-token", "a-write-key", "a-wrong-key"):
            self.assertNotIn(secret, scene.server.log())


class Commands(unittest.TestCase):
    """Without a running serve."""

    def setUp(self):
        self.scene = Scene(with_sandbox=False)
        self.scene.run("apply")

    def tearDown(self):
        self.scene.close()

    def import_lines(self, *messages, code=0, arguments=()):
        path = self.scene.write("events.jsonl", "".join((m if isinstance(m, str) else json.dumps(m)) + "\n" for m in messages))
        return self.scene.run("import", path, *arguments, code=code)

    def test_import_is_resumed_not_repeated(self):
        lines = [order("u1", "o1"), "", "not json", order("u2", "o2"), {"type": "track"}]
        self.import_lines(*lines)
        status = self.scene.run("status").stdout
        self.assertIn("events.jsonl line 3", status)
        self.assertIn("events.jsonl line 5", status)
        again = json.loads(self.import_lines(*lines, arguments=("--format", "json")).stdout)[0]
        self.assertEqual((again["imported"], again["imported before"]), (0, 4))
        self.assertEqual(self.scene.members('performed "Order Placed"'), ["u1", "u2"])

    def test_shift_is_kept_with_the_import(self):
        old = [{**order("u1", "o1"), "timestamp": "2011-01-01T00:00:00Z"}, {**order("u2", "o2"), "timestamp": "2011-02-01T00:00:00Z"}]
        self.import_lines(*old, arguments=("--shift-to", "2026-02-01T00:00:00Z"))
        self.assertEqual(self.scene.members('last("Order Placed") since "2026-02-01"', "--at", "2026-02-02"), ["u2"])
        self.assertEqual(self.scene.members('performed "Order Placed"', "--at", "2026-01-01T00:00:00Z"), ["u1"])
        self.assertEqual(self.scene.members('performed "Order Placed"', "--at", "2025-12-31T23:59:59.999Z"), [])
        self.import_lines(*old)  # goes on with the shift it had
        self.import_lines(*old, arguments=("--shift-to", "2026-02-01T00:00:00Z"))
        self.assertIn("shift", self.import_lines(*old, arguments=("--shift-to", "2026-03-01T00:00:00Z"), code=5).stderr)

    def test_now_stamps_and_never_goes_back(self):
        self.scene = Scene(with_sandbox=False)
        path = self.scene.write("one.jsonl", json.dumps(order("u1", "o1")) + "\n")
        self.scene.run("import", path, "--now", "2031-01-01T00:00:00Z")
        other = self.scene.write("two.jsonl", json.dumps(order("u2", "o2")) + "\n")
        refused = self.scene.run("import", other, "--now", "2030-01-01T00:00:00Z", code=3)
        self.assertIn("earlier than the log's last record", refused.stderr)

    def test_transitions_name_the_exact_instant(self):
        self.import_lines({**order("u1", "o1"), "timestamp": "2026-03-01T10:00:00.000Z"})
        rows = json.loads(self.scene.run("transitions", 'performed "Order Placed" within 24h', "--to", "2026-04-01", "--format", "json").stdout)
        self.assertEqual(rows, [{"at": "2026-03-01T10:00:00.000Z", "person": "u1", "change": "entered"},
                                {"at": "2026-03-02T10:00:00.000Z", "person": "u1", "change": "left"}])

    def test_a_backtest_tells_days_and_what_it_shares_with_segments(self):
        self.import_lines(order("u1", "o1", days=100), order("u1", "o2", days=3), order("u2", "o3", days=50), order("u3", "o4", days=20))
        text = self.scene.run("backtest", 'performed "Order Placed" within 60d').stdout
        self.assertIn("size      1 at the start, 3 at the end", text)
        self.assertIn("Size at the end of each day", text)
        self.assertIn("█", text)
        self.assertTrue(all(len(line) <= 80 for line in text.splitlines()), text)
        row = next(line for line in text.splitlines() if line.startswith("Purchasers 30d"))
        self.assertEqual(row.split()[2:], ["2", "2", "66.7", "100.0"])
        report = json.loads(self.scene.run("backtest", "Purchasers 30d", "--format", "json").stdout)
        self.assertEqual(report["segment"], "Purchasers 30d")
        self.assertIn({"segment": "Purchasers 30d", "members": 2, "in_both": 2}, report["overlaps"])
        self.assertEqual(sum(day["entered"] for day in report["days"]), report["entered"])
        rows = self.scene.run("backtest", "Purchasers 30d", "--format", "csv").stdout.splitlines()
        self.assertEqual(rows[0], "day,entered,left,size")
        self.assertEqual(len(rows), 1 + len(report["days"]))

    def test_a_backtest_says_what_is_wrong(self):
        self.assertIn("is after --to 2026-01-01", self.scene.run("backtest", "VIP", "--from", "2026-02-01", "--to", "2026-01-01", code=3).stderr)
        self.assertIn('no segment "VIPs"; did you mean "VIP"?', self.scene.run("backtest", "VIPs", code=3).stderr)
        self.assertIn('did you mean "Order Placed"?', self.scene.run("backtest", 'performed "Oder Placed"', code=3).stderr)
        self.assertIn("is not a time", self.scene.run("backtest", "VIP", "--to", "yesterday", code=3).stderr)
        self.assertIn("expression is required", self.scene.run("backtest", code=2).stderr)

    def test_explain_says_why_and_until_when(self):
        self.import_lines({**order("u1", "o1"), "timestamp": "2026-03-01T10:00:00.000Z"})
        text = self.scene.run("explain", "u1", 'performed "Order Placed" within 24h and country = "GB"', "--at", "2026-03-01T12:00:00Z").stdout
        for part in ("once; event of 2026-03-01T10:00:00.000Z, message o1", "2026-03-02T10:00:00.000Z", "missing"):
            self.assertIn(part, text)
        self.assertIn("nobody is known", self.scene.run("explain", "nobody", "VIP", code=4).stderr)

    def test_a_plan_names_what_it_shares(self):
        self.import_lines(order("u1", "o1"))
        report = json.loads(self.scene.run("explain", "--plan", 'performed "Order Placed" within 30d and country = "GB"', "--format", "json").stdout)
        bought, lives = report["plan"]["parts"]
        self.assertEqual(bought["shared_with"], ["Purchasers 30d"])
        self.assertEqual(lives["traits"], ["country"])
        self.assertGreaterEqual(bought["ns_per_person"], 0)
        self.assertEqual([(s["event"], s["rows"], s["people"], s["kept"]) for s in report["streams"]], [("Order Placed", 1, 1, True)])
        self.assertIn("person or --plan is required", self.scene.run("explain", code=2).stderr)
        self.assertIn("excludes", self.scene.run("explain", "u1", "--plan", "VIP", code=2).stderr)
        self.assertIn("--format text or json", self.scene.run("explain", "--plan", "VIP", "--format", "csv", code=3).stderr)
        self.assertIn("did you mean", self.scene.run("explain", "--plan", "VIPs", code=3).stderr)

    def test_errors_in_an_expression_point_at_the_place(self):
        bad = self.scene.run("members", 'performed "Oder Placed" within 30d', code=3).stderr
        self.assertIn("^", bad)
        self.assertIn('Order Placed', bad)

    def test_preview_sends_nothing_and_hides_secrets(self):
        self.import_lines(identify("u1", email="ada@example.com"), order("u1", "o1"))
        lines = [json.loads(line) for line in self.scene.run("preview", "--sync", "Purchasers 30d on Meta").stdout.splitlines()]
        self.assertEqual([line["method"] for line in lines], ["POST", "POST"])
        self.assertIn(hash_of("ada@example.com"), json.dumps(lines[1]["body"]))
        self.assertNotIn("sandbox-token", json.dumps(lines))
        path = self.scene.write("people", '{"email":"eve@example.com"}\nu1\n{"email":"not an address"}\n')
        text = self.scene.run("preview", "--sync", "Purchasers 30d on Google", "--add", path).stdout
        self.assertIn(hash_of("eve@example.com"), text)
        self.assertIn("reason", text)
        self.assertIn("there are:", self.scene.run("preview", "--sync", "No such", code=4).stderr)

    def test_plan_shows_what_apply_would_do(self):
        self.import_lines(order("u1", "o1", days=40), order("u2", "o2", days=5))
        self.scene.replace('performed "Order Placed" within 30d', 'performed "Order Placed" within 60d')
        plan = {(r[""], r["name"]): r for r in json.loads(self.scene.run("plan", "--format", "json").stdout)}
        row = plan[("segment", "Purchasers 30d")]
        self.assertEqual((row["change"], row["members now"], row["members then"], row["enter"]), ("changed", 1, 2, 1))
        self.assertEqual(self.scene.members("Purchasers 30d"), ["u2"])
        self.scene.run("apply")
        self.assertEqual(self.scene.members("Purchasers 30d"), ["u1", "u2"])

    def test_serve_refuses_a_folder_that_differs(self):
        self.scene.replace('performed "Order Placed" within 30d', 'performed "Order Placed" within 60d')
        self.assertIn("differs", self.scene.run("serve", "--listen", "127.0.0.1:0", code=5).stderr)

    def test_a_store_of_a_newer_version_is_left_alone(self):
        self.scene.write("store/FORMAT", "tailrace store 99\n")
        self.assertIn("format this version does not know", self.scene.run("status", code=1).stderr)

    def test_init_passes_check(self):
        import subprocess
        from support import TAILRACE
        folder = os.path.join(self.scene.folder, "fresh")
        subprocess.run([TAILRACE, "init", folder], check=True, capture_output=True)
        done = subprocess.run([TAILRACE, "check", "-w", folder], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stderr)
        self.assertNotEqual(subprocess.run([TAILRACE, "init", folder], capture_output=True).returncode, 0)


if __name__ == "__main__":
    unittest.main()
