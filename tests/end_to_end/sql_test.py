"""Sources that are asked: what files say becomes attributes, events and a list, and stays so as they change."""

import json
import os
import subprocess
import unittest

from support import ENVIRONMENT, ROOT, TAILRACE, Scene, eventually

EXAMPLE = os.path.join(ROOT, "examples", "sql-sources")
SOURCES = ("loyalty", "till", "newsletter")


class Sql(unittest.TestCase):
    def setUp(self):
        self.scene = Scene(EXAMPLE, with_sandbox=False)
        self.addCleanup(self.scene.close)
        self.data = os.path.join(self.scene.workspace, "data")
        # The scene leaves folders of data behind; here they are the database.
        os.makedirs(self.data)
        for name in os.listdir(os.path.join(EXAMPLE, "data")):
            with open(os.path.join(EXAMPLE, "data", name)) as file:
                self.put(name, file.read())

    def put(self, name, text):
        path = os.path.join(self.data, name)
        with open(path + ".new", "w") as file:
            file.write(text)
        os.replace(path + ".new", path)

    def loyalty(self, *rows):
        self.put("loyalty.csv", "customer_id,email,tier,points,joined_on\n" + "".join(row + "\n" for row in rows))

    def once(self, source, *arguments, code=0):
        return self.scene.run("source", source, "--once", *arguments, code=code)

    def runs(self, source):
        return json.loads(self.scene.run("source", source, "--format", "json").stdout)

    def test_the_example_runs_as_it_stands(self):
        checked = subprocess.run([TAILRACE, "check", "-w", self.scene.workspace], capture_output=True, text=True, env=ENVIRONMENT, timeout=120)
        self.assertEqual((checked.returncode, checked.stderr), (0, ""))
        self.scene.run("apply")
        for source in SOURCES:
            self.once(source)
        self.assertEqual(self.scene.members("Gold"), ["c1"])
        self.assertEqual(sorted(self.scene.members("Newsletter without an order")), ["c2", "dora@example.com"])
        self.assertEqual(sorted(self.scene.members('performed "Order Placed" where revenue = 120')), ["c3"])
        # An hour that has summer time is an hour earlier in UTC.
        self.assertEqual(self.scene.members('performed "Order Placed" within 1ms', "--at", "2024-07-01T17:00:00Z"), ["c3"])
        status = self.scene.run("status").stdout
        for source in SOURCES:
            self.assertIn(source, status)

    def test_a_plan_says_which_queries_come_change_and_go(self):
        def planned():
            return {row["name"]: row["change"] for row in json.loads(self.scene.run("plan", "--format", "json").stdout) if row[""] == "query"}

        self.assertEqual(planned(), {source: "new" for source in SOURCES})
        self.scene.run("apply")
        self.assertEqual(planned(), {source: "same" for source in SOURCES})
        path = os.path.join(self.scene.workspace, "sources", "loyalty.yaml")
        with open(path) as file:
            text = file.read()
        with open(path, "w") as file:
            file.write(text + "\nrows_max: 1000\n")
        self.assertEqual(planned()["loyalty"], "changed")
        os.remove(path)
        self.assertEqual(planned()["loyalty"], "gone")
        self.assertIn('"loyalty" goes away: what its rows said of people stays as it is', self.scene.run("plan").stdout)

    def test_only_what_changed_goes_in(self):
        self.scene.run("apply")
        self.once("loyalty")
        records = self.records()
        self.assertIn("3 unchanged", self.once("loyalty").stdout)
        self.assertEqual(self.records(), records)
        self.loyalty("c1,ada@example.com,silver,1200.50,2024-03-01", "c2,ben@example.com,silver,300,2025-11-30",
                     "c4,eve@example.com,gold,5000,2026-01-01", "c3,cleo@example.com,,900,2023-01-15")
        self.assertIn("1 added, 2 changed, 0 gone, 1 unchanged", self.once("loyalty").stdout)
        self.assertEqual(self.records(), records + 3)
        self.assertEqual(self.scene.members("Gold"), ["c4"])
        self.assertEqual(self.scene.members('loyalty_tier = "silver"'), ["c1", "c2"])
        self.loyalty("c1,ada@example.com,silver,1200.50,2024-03-01", "c2,ben@example.com,silver,300,2025-11-30",
                     "c3,cleo@example.com,,900,2023-01-15")
        self.assertIn("1 gone", self.once("loyalty").stdout)
        self.assertEqual(self.scene.members("Gold"), [])
        self.assertEqual([run["gone"] for run in self.runs("loyalty")], [0, 0, 0, 1])

    def records(self):
        return int(self.scene.run("status").stdout.split(" records\n")[0].split()[-1].replace(",", ""))

    def test_a_preview_takes_nothing_and_reads_the_folder_as_it_is(self):
        self.scene.run("apply")
        path = os.path.join(self.scene.workspace, "sources", "loyalty.yaml")
        with open(path) as file:
            text = file.read()
        with open(path, "w") as file:
            file.write(text.replace("loyalty_tier: tier", "loyalty_tier: upper(tier)"))
        done = self.scene.run("source", "loyalty", "--preview", code=3)
        self.assertIn('no column "upper(tier)"', done.stderr)
        with open(path, "w") as file:
            file.write(text)
        seen = self.scene.run("source", "loyalty", "--preview").stdout
        self.assertIn("3 added", seen)
        self.assertIn('"loyalty_points":1200.50', seen)
        calls = [json.loads(line) for line in self.scene.run("source", "loyalty", "--preview", "--format", "json").stdout.splitlines()]
        self.assertEqual([call["userId"] for call in calls], ["c1", "c2", "c3"])
        self.assertEqual(self.runs("loyalty"), [])
        self.assertEqual(self.scene.members('loyalty_points > 0'), [])

    def test_what_does_not_fit_is_said(self):
        self.scene.run("apply")
        self.loyalty("c1,ada@example.com,gold,1200.50,2024-03-01", ",nobody@example.com,gold,1,2024-03-01",
                     "c2,ben@example.com,gold,3,2024-03-01", "c2,ben@example.com,silver,3,2024-03-01")
        said = self.once("loyalty").stdout
        self.assertIn("1 added", said)
        self.assertIn("1 rejected", said)
        self.assertIn("1 keys stand in several rows", said)
        self.assertIn('its key, column "customer_id", is null', self.scene.run("status").stdout)
        # Once, not at every run.
        self.assertIn("0 rejected", self.once("loyalty").stdout)

    def test_the_guards_hold_a_query_that_gives_nothing(self):
        self.scene.run("apply")
        self.once("loyalty")
        self.loyalty()
        done = self.once("loyalty", code=5)
        self.assertIn("the query gives no rows, and gave 3 before", done.stderr)
        self.assertEqual(self.scene.members("Gold"), ["c1"])
        self.assertIn("held: the query gives no rows", self.scene.run("status").stdout)
        self.scene.run("source", "loyalty", "--release")
        self.assertEqual(self.scene.members("Gold"), [])

    def test_serve_asks_by_itself_and_when_told(self):
        path = os.path.join(self.scene.workspace, "sources", "loyalty.yaml")
        with open(path) as file:
            text = file.read()
        with open(path, "w") as file:
            file.write(text.replace("every 15m", "every 1m"))
        self.scene.serve("--apply")
        eventually(lambda: self.scene.members("Gold") == ["c1"], "the first run")
        self.loyalty("c2,ben@example.com,gold,1000,2025-11-30")
        eventually(lambda: self.runs("loyalty"), "the run in the history")
        self.once("loyalty")
        self.assertEqual(self.scene.members("Gold"), ["c2"])
        self.assertIn("is paused", self.scene.run("pause", "loyalty").stdout)
        self.once("loyalty", code=5)
        self.scene.run("resume", "loyalty")
        self.assertIn("loyalty", self.scene.run("status").stdout)
        # Killed, and asked again: what is there is known.
        self.scene.server.kill()
        self.assertIn("1 unchanged", self.once("loyalty").stdout)

    def test_a_run_that_is_killed_is_finished(self):
        people = 60_000
        self.loyalty(*(f"p{i},p{i}@example.com,gold,{i},2024-03-01" for i in range(people)))
        self.scene.serve("--apply")
        state = os.path.join(self.scene.store, "sources", "loyalty", "state.json")

        def is_sending():
            try:
                with open(state) as file:
                    known = json.load(file)
            except (OSError, ValueError):
                return False
            return known["runs"] or known.get("pending", {}).get("sent", 0) > 0

        eventually(is_sending, "records on their way", pause=0.002)
        self.scene.server.kill()
        self.loyalty(*(f"p{i},p{i}@example.com,silver,{i},2024-03-01" for i in range(people)))
        self.scene.serve()
        eventually(lambda: self.runs("loyalty"), "the run that was begun", seconds=60)
        self.assertEqual(self.runs("loyalty")[0]["added"], people)
        self.assertEqual(len(self.scene.members('loyalty_tier = "gold"')), people)
        self.assertIn(f"{people:,} changed", self.once("loyalty").stdout)
        self.assertEqual(len(self.scene.members('loyalty_tier = "silver"')), people)

    def test_a_restored_backup_knows_what_was_asked(self):
        self.scene.run("apply")
        for source in SOURCES:
            self.once(source)
        backup = os.path.join(self.scene.folder, "backup")
        self.scene.run("backup", backup)
        self.scene.store = os.path.join(self.scene.folder, "restored")
        self.scene.run("restore", backup)
        for source in SOURCES:
            self.assertIn("0 added, 0 changed, 0 gone", self.once(source).stdout)
        self.assertEqual(len(self.runs("till")), 2)


if __name__ == "__main__":
    unittest.main()
