"""Warehouse syncs and `query`: what went in is in the tables, once, whatever happened on the way."""

import gzip
import json
import os
import random
import re
import subprocess
import threading
import time
import unittest

from support import ENVIRONMENT, ROOT, TAILRACE, Scene, eventually


def query(scene, sql, *arguments):
    return json.loads(scene.run("query", sql, "--format", "json", *arguments).stdout)


def one(scene, sql, *arguments):
    rows = query(scene, sql, *arguments)
    assert len(rows) == 1, rows
    values = list(rows[0].values())
    return values[0] if len(values) == 1 else values


class Lake(unittest.TestCase):
    def setUp(self):
        self.scene = Scene()
        self.addCleanup(self.scene.close)

    def import_orders(self):
        orders = os.path.join(self.scene.folder, "orders.jsonl.gz")
        data = os.path.join(ROOT, "examples", "online-retail", "data", "transactions_until_2011-09-30.csv.gz")
        subprocess.run(["python3", os.path.join(ROOT, "tools", "online_retail", "convert.py"), data, orders], check=True,
                       capture_output=True)
        self.scene.run("import", orders)
        with gzip.open(orders, "rt") as file:
            return [json.loads(line) for line in file]

    def test_a_newcomer_asks_without_any_server(self):
        self.scene.run("apply")
        messages = self.import_orders()
        orders = [each for each in messages if each.get("event") in ("Order Placed", "Order Completed")]
        count, revenue = one(self.scene, "SELECT count(*) AS orders, sum(revenue) AS revenue FROM event_order_placed")
        self.assertEqual(count, len(orders))
        self.assertAlmostEqual(float(revenue), sum(each["properties"]["revenue"] for each in orders), places=2)
        people = {each["userId"] for each in messages}
        self.assertEqual(one(self.scene, "SELECT count(*) FROM people"), len(people))
        self.assertEqual(one(self.scene, "SELECT count(*) FROM identifiers WHERE kind = 'email'"), len(people))
        # Each number is the engine's own.
        for segment in ("VIP", "Winback", "First-time buyers"):
            members = self.scene.members(segment)
            inside = one(self.scene, f"""SELECT count(*) FROM (SELECT person_id, arg_max(change, change_id) AS last
                FROM segment_memberships WHERE segment = '{segment}' GROUP BY person_id) WHERE last <> 'left'""")
            self.assertEqual(inside, len(members), segment)

    def test_the_three_questions_of_the_documents_have_answers(self):
        self.scene.run("apply")
        messages = self.import_orders()
        with open(os.path.join(ROOT, "docs", "warehouse.md")) as file:
            questions = re.findall(r"^```sql\n(.*?)^```", file.read(), re.DOTALL | re.MULTILINE)
        self.assertEqual(len(questions), 3)
        by_segment = query(self.scene, questions[0])
        self.assertTrue(by_segment)
        self.assertTrue(all(row["people"] > 0 for row in by_segment))
        first_month = {}
        for each in messages:
            if each.get("event") == "Order Placed":
                month = each["timestamp"][:7]
                first_month[each["userId"]] = min(first_month.get(each["userId"], month), month)
        expected = {}
        for month in first_month.values():
            expected[month] = expected.get(month, 0) + 1
        cohorts = query(self.scene, questions[1], "--stale")
        self.assertEqual({row["cohort"]: row["people"] for row in cohorts if row["months_later"] == 0}, expected)
        self.assertEqual(query(self.scene, questions[2], "--stale"), [])

    def test_a_workspace_without_a_lake_says_what_to_add(self):
        os.remove(os.path.join(self.scene.workspace, "syncs", "lake.yaml"))
        self.scene.run("apply")
        done = self.scene.run("query", "SELECT 1", code=None)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("tables: all", done.stderr)

    def test_what_is_wrong_with_a_statement_is_said(self):
        self.scene.run("apply")
        for sql, said in (("SELECT nothing FROM events", "nothing"), ("SELEKT 1", "syntax error"),
                          ("SELECT * FROM orders", "orders"), ("INSTALL httpfs", "httpfs")):
            done = self.scene.run("query", sql, code=None)
            self.assertNotEqual(done.returncode, 0, sql)
            self.assertIn(said, done.stderr)

    def test_live_events_people_and_deliveries_come_after_each_other(self):
        self.scene.serve("--apply")
        self.scene.post("/v1/batch", {"batch": [
            {"type": "identify", "userId": "u1", "traits": {"email": "u1@example.com", "country": "GB"}},
            {"type": "track", "userId": "u1", "messageId": "m1", "event": "Order Completed",
             "properties": {"order_id": "1", "revenue": 20.5}}]})
        eventually(lambda: int(self.scene.statuses()["Purchasers 30d on Meta"]["accepted"]) == 1, "the upload")
        self.assertEqual(one(self.scene, "SELECT event, revenue FROM events JOIN event_order_placed USING (event_id)"),
                         ["Order Placed", 20.5])
        self.assertEqual(one(self.scene, "SELECT golden_id, country, orders, ltv FROM people"), ["u1", "GB", 1, 20.5])
        eventually(lambda: one(self.scene, """SELECT count(*) FROM audience_deliveries
            WHERE sync = 'Purchasers 30d on Meta' AND operation = 'add' AND outcome = 'accepted'""") == 1, "the delivery's row")
        entered = query(self.scene, "SELECT change FROM segment_memberships WHERE segment = 'Purchasers 30d'")
        self.assertEqual(entered, [{"change": "entered"}])
        # Another event, another pack; the person has one row, and it is the newer one.
        self.scene.post("/v1/track", {"userId": "u1", "messageId": "m2", "event": "Order Completed",
                                      "properties": {"order_id": "2", "revenue": 10}})
        self.assertEqual(one(self.scene, "SELECT orders, ltv FROM people"), [2, 30.5])
        self.assertEqual(one(self.scene, "SELECT count(*) FROM event_order_placed"), 2)
        self.assertGreater(one(self.scene, "SELECT count(*) FROM people_history"), 1)

    def test_two_people_who_are_one_are_one_in_every_table(self):
        self.scene.serve("--apply")
        self.scene.post("/v1/track", {"anonymousId": "a1", "messageId": "v1", "event": "Product Viewed",
                                      "properties": {"product_id": "p1"}})
        self.assertEqual(one(self.scene, "SELECT count(*) FROM people"), 1)
        self.scene.post("/v1/track", {"userId": "u1", "messageId": "v2", "event": "Product Viewed",
                                      "properties": {"product_id": "p2"}})
        self.scene.post("/v1/identify", {"userId": "u1", "anonymousId": "a1"})
        self.assertEqual(one(self.scene, "SELECT count(*) FROM people"), 1)
        self.assertEqual(one(self.scene, "SELECT count(*), count(DISTINCT person_id) FROM events"), [2, 1])
        self.assertEqual(one(self.scene, "SELECT golden_id FROM people"), "u1")

    def test_a_deleted_person_is_told(self):
        self.scene.serve("--apply")
        self.scene.post("/v1/identify", {"userId": "u1", "traits": {"email": "u1@example.com"}})
        self.assertEqual(one(self.scene, "SELECT count(*) FROM people"), 1)
        self.scene.post("/v1/batch", {"batch": [{"type": "delete", "userId": "u1", "messageId": "d1"}]})
        eventually(lambda: one(self.scene, "SELECT count(*) FROM people") == 0, "the deletion's row")
        self.assertEqual(one(self.scene, "SELECT count(*) FROM people_history WHERE deleted"), 1)

    def test_paused_means_nothing_is_loaded(self):
        self.scene.serve("--apply")
        self.scene.post("/v1/identify", {"userId": "u1"})
        self.assertEqual(one(self.scene, "SELECT count(*) FROM people"), 1)
        self.assertIn("paused", self.scene.run("pause", "Lake").stdout)
        self.scene.post("/v1/identify", {"userId": "u2"})
        done = self.scene.run("query", "SELECT 1", code=None)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("paused", done.stderr)
        self.assertEqual(one(self.scene, "SELECT count(*) FROM people", "--stale"), 1)
        self.scene.run("resume", "Lake")
        self.assertEqual(one(self.scene, "SELECT count(*) FROM people"), 2)

    def test_every_row_once_through_kill_9_at_random_moments(self):
        seed = int(os.environ.get("TAILRACE_SEED", random.randrange(1 << 30)))
        chance = random.Random(seed)
        self.scene.serve("--apply")
        acknowledged = []
        ended = threading.Event()

        def send():
            number = 0
            while not ended.is_set():
                number += 1
                batch = [{"type": "track", "userId": f"u{chance.randrange(50)}", "messageId": f"m{number}-{i}",
                          "event": "Order Completed", "properties": {"order_id": f"{number}-{i}", "revenue": 1}} for i in range(20)]
                while not ended.is_set():
                    try:
                        self.scene.post("/v1/batch", {"batch": batch})
                        acknowledged.append(len(batch))
                        break
                    except Exception:  # noqa: BLE001 - the server is down; the same batch again
                        time.sleep(0.05)

        def ask():
            while not ended.is_set():
                subprocess.run([TAILRACE, "query", "-w", self.scene.workspace, "--data", self.scene.store, "SELECT 1"],
                               capture_output=True, env=ENVIRONMENT, timeout=60, check=False)

        threads = [threading.Thread(target=send), threading.Thread(target=ask)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(int(os.environ.get("TAILRACE_CRASH_ROUNDS_LAKE", 8))):
                time.sleep(chance.uniform(0.1, 1.2))
                self.scene.server.kill()
                while True:  # `query` may have the store for a moment
                    try:
                        self.scene.serve()
                        break
                    except AssertionError as error:
                        if "in use" not in str(error):
                            raise
        finally:
            ended.set()
            for thread in threads:
                thread.join()
        rows, events = one(self.scene, "SELECT count(*), count(DISTINCT message_id) FROM events")
        self.assertEqual(rows, events, f"seed {seed}: an event stands twice")
        self.assertGreaterEqual(events, sum(acknowledged), f"seed {seed}: an acknowledged event is missing")
        self.assertEqual(one(self.scene, "SELECT count(*) FROM event_order_placed"), rows)
        members = len(self.scene.members("Purchasers 30d"))
        entries, people = one(self.scene, """SELECT count(*), count(DISTINCT person_id) FROM segment_memberships
            WHERE segment = 'Purchasers 30d' AND change = 'entered'""")
        self.assertEqual([entries, people], [members, members], f"seed {seed}: entries")


if __name__ == "__main__":
    unittest.main()
