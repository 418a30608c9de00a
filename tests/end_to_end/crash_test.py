"""kill -9 at random moments, while messages arrive, files are imported and audiences are synced. Whatever was acknowledged is there,
once, and the platforms hold exactly who they should. TAILRACE_CRASH_SEED repeats a run, TAILRACE_CRASH_ROUNDS sets its length."""

import collections
import json
import os
import random
import subprocess
import threading
import time
import unittest
import urllib.request
from datetime import datetime, timedelta, timezone

from support import ENVIRONMENT, TAILRACE, Scene, eventually, hash_of

ROUNDS = int(os.environ.get("TAILRACE_CRASH_ROUNDS", "100"))
ROUNDS_PER_CHECK = 20
FILE_PEOPLE = 1_000
SYNCS = {  # audience -> (platform, segment, exclusions)
    "Purchasers 30d on Meta": ("meta", "Purchasers 30d", []),
    "Purchasers 30d on Google": ("google", "Purchasers 30d", []),
    "Cart abandoners on Meta": ("meta", "Cart abandoners", ["Purchasers 30d"]),
    "Product viewers on Meta": ("meta", "Product viewers", ["Purchasers 30d"]),
    "Product viewers on Google": ("google", "Product viewers", ["Purchasers 30d"]),
    "Winback on Meta": ("meta", "Winback", ["Purchasers 30d"]),
    "Winback on Google": ("google", "Winback", ["Purchasers 30d"]),
    "VIP on Meta": ("meta", "VIP", []),
    "VIP on Google": ("google", "VIP", []),
    "Baking reminder on Google": ("google", "Baking supplies run out", []),
    "Second order on Meta": ("meta", "First-time buyers", ["Purchasers 30d"]),
}
WITH_HOLDOUT = {"Winback on Meta"}


class World:
    """Makes messages, and knows what must be true once all of them have arrived."""

    def __init__(self, rng):
        self.rng = rng
        self.emails = {}
        self.orders = collections.Counter()
        self.revenue = collections.Counter()  # in hundredths
        self.bad_lines = 0
        self.made = 0
        self.began = datetime.now(timezone.utc)

    def message(self, kind, person, age_hours=0.0, **fields):
        self.made += 1
        # Later messages of the same age are later, so that the last e-mail made is the one that counts.
        time = self.began - timedelta(hours=age_hours) + timedelta(milliseconds=self.made)
        return {"type": kind, "userId": person, "messageId": f"m-{self.made}",
                "timestamp": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"), **fields}

    def identify(self, person):
        self.emails[person] = f"{person}.{self.made}@example.com"
        return self.message("identify", person, 1, traits={"email": self.emails[person], "country": "GB"})

    def order(self, person, cents=None, category=None, age=None):
        cents = cents or self.rng.choice((999, 2_050, 31_000, 70_000))
        self.orders[person] += 1
        self.revenue[person] += cents
        product = {"category": category or self.rng.choice(("baking supplies", "kitchen"))}
        # Hours that no window of the workspace ends at while the test runs.
        age = age or self.rng.choice((12, 100, 500, 800, 1_500, 3_000, 5_000))
        return self.message("track", person, age, event="Order Completed",
                            properties={"order_id": f"o-{self.made}", "revenue": cents / 100, "products": [product]})

    def one_of_each(self, number):
        """A person for every audience."""
        buyer, viewer, lapsed, baker = (f"first-{kind}-{number}" for kind in ("buyer", "viewer", "lapsed", "baker"))
        return [self.identify(buyer), self.order(buyer, age=12),
                self.identify(viewer), self.view(viewer), self.view(viewer), self.cart(viewer),
                self.identify(lapsed), self.order(lapsed, 70_000, age=5_000), self.order(lapsed, 70_000, age=5_000),
                self.identify(baker), self.order(baker, category="baking supplies", age=800)]

    def view(self, person):
        return self.message("track", person, self.rng.choice((3, 12)), event="Product Viewed", properties={"product_id": "p"})

    def cart(self, person):
        return self.message("track", person, self.rng.choice((3, 12, 100)), event="Cart Started", properties={"cart_id": "c"})

    def live_batch(self):
        living = [person for person in self.emails if person.startswith("live-")]
        if len(living) > 20 and self.rng.random() < 0.05:
            # Alone in its batch, which is sent again as a whole: what came before a deletion is never sent after it.
            person = self.rng.choice(living)
            del self.emails[person]
            self.orders.pop(person, None)
            self.revenue.pop(person, None)
            return [self.message("delete", person)]
        batch = []
        for _ in range(self.rng.randint(1, 6)):
            if len(living) < 5 or self.rng.random() < 0.3:
                living.append(f"live-{self.made}")
                batch.append(self.identify(living[-1]))
            person = self.rng.choice(living[-60:])
            batch.append(self.rng.choice((self.order, self.view, self.cart, self.identify))(person))
        return batch

    def file_lines(self, number):
        lines = []
        for i in range(FILE_PEOPLE):
            person = f"file-{number}-{i}"
            lines.append(json.dumps(self.identify(person)))
            for make in self.rng.choices((self.order, self.view, self.cart), (3, 2, 1), k=self.rng.randint(0, 4)):
                message = make(person)
                if self.rng.random() < 0.3:
                    del message["messageId"]  # the line's number stands for it
                lines.append(json.dumps(message))
            if i % 100 == 7:
                lines.append(f"not a message {number} {i}")
                self.bad_lines += 1
        return lines


class Traffic(threading.Thread):
    """Sends batches one after the other, as a client does: what is not acknowledged is sent again, unchanged."""

    def __init__(self, scene, world, unanswered):
        super().__init__()
        self.scene, self.world, self.unanswered = scene, world, unanswered
        self.stopping = threading.Event()
        self.acknowledged = 0

    def run(self):
        while not self.stopping.is_set():
            batch = self.unanswered or self.world.live_batch()
            self.unanswered = batch
            try:
                status, _ = self.scene.post("/v1/batch", {"batch": batch})
            except OSError:
                return  # killed
            except Exception as error:  # the answer was cut off in its middle
                if type(error).__module__ != "http.client":
                    raise
                return
            if status == 200:
                self.unanswered = None
                self.acknowledged += 1
            elif status != 429:
                raise AssertionError(f"the server answered {status}")


class Crashes(unittest.TestCase):
    def setUp(self):
        self.seed = int(os.environ.get("TAILRACE_CRASH_SEED", time.time_ns() % 1_000_000))
        print(f"TAILRACE_CRASH_SEED={self.seed}", flush=True)
        self.rng = random.Random(self.seed)
        self.world = World(random.Random(self.seed + 1))
        self.scene = Scene()
        self.addCleanup(self.scene.close)
        # Much happens in little time: small requests, sent at once.
        self.scene.replace("identifiers: [email]", "identifiers: [email]\n  batch_age_max: 5ms")
        for token in ("ad_account_id", "operating_account_id"):
            self.scene.replace(f"  {token}:", f"  batch_records_max: 300\n  {token}:")
        self.scene.control("/sandbox/limits", {"meta_calls_per_hour": 1_000_000, "google_requests_per_minute": 1_000_000,
                                               "google_requests_per_day": 100_000_000})
        self.unanswered = None
        self.acknowledged = 0
        self.importing = None  # the file that is being imported
        self.files = 0
        self.kills = collections.Counter()

    def start_import(self):
        if self.importing is None:
            self.files += 1
            self.importing = self.scene.write(f"file-{self.files}.jsonl", "\n".join(self.world.file_lines(self.files)) + "\n")
        return subprocess.Popen([TAILRACE, "import", "-w", self.scene.workspace, "--data", self.scene.store, self.importing],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT)

    def pause(self):
        time.sleep(self.rng.uniform(0.005, 0.4))

    def add_faults(self):
        for _ in range(self.rng.randint(0, 3)):
            fault = dict(self.rng.choice(({"kind": "hang_up_after"}, {"kind": "hang_up_before"}, {"kind": "fail", "status": 503},
                                          {"kind": "throttle"}, {"kind": "stall", "delay_ms": 50})))
            fault.update(platform=self.rng.choice(("meta", "google")), count=self.rng.randint(1, 3))
            self.scene.control("/sandbox/faults", fault)

    def serve_round(self, with_import):
        self.scene.serve()
        traffic = Traffic(self.scene, self.world, self.unanswered)
        # The file is made before traffic starts: both draw from the same world.
        importer = self.start_import() if with_import else None
        traffic.start()
        self.pause()
        what = "import client" if importer and self.rng.random() < 0.3 else "serve"
        if what == "import client":
            importer.kill()
            importer.wait()
            importer = self.start_import()  # at once, while the server may still be at it
            self.pause()
        self.scene.server.kill()
        traffic.join()
        self.unanswered = traffic.unanswered
        self.acknowledged += traffic.acknowledged
        if importer and importer.wait() == 0:
            self.importing = None
        self.kills[what] += 1

    def import_round(self):
        importer = self.start_import()
        try:
            importer.wait(timeout=self.rng.uniform(0.005, 0.4))
            if importer.returncode == 0:
                self.importing = None
        except subprocess.TimeoutExpired:
            importer.kill()
            importer.wait()
            self.kills["import"] += 1

    def starting_round(self):
        """Killed while it starts, which replays the log."""
        with open(os.path.join(self.scene.folder, "starting.log"), "wb") as log:
            starting = subprocess.Popen([TAILRACE, "serve", "-w", self.scene.workspace, "--data", self.scene.store, "--listen", "127.0.0.1:0"],
                                        stdout=log, stderr=log, env=ENVIRONMENT)
            self.pause()
            starting.kill()
            starting.wait()
        self.kills["start"] += 1

    def test_a_hundred_kills(self):
        self.scene.serve("--apply")
        # Every audience is made at its platform before the first kill.
        for number in range(10):
            self.scene.send(*self.world.one_of_each(number))
        self.wait_until_delivered()
        self.assertEqual({name for _, name in self.scene.platform_audiences()}, set(SYNCS))
        self.scene.server.kill()
        for round_ in range(1, ROUNDS + 1):
            self.add_faults()
            kind = self.rng.choices(("serve", "both", "import", "start"), (3, 4, 2, 1))[0]
            if kind == "import":
                self.import_round()
            elif kind == "start":
                self.starting_round()
            else:
                self.serve_round(with_import=kind == "both")
            if round_ % ROUNDS_PER_CHECK == 0 or round_ == ROUNDS:
                self.check(round_)

    def check(self, round_):
        scene, world = self.scene, self.world
        request_count = sum(sum(statuses.values()) for statuses in scene.control("/sandbox/requests")["counts"].values())
        print(f"after round {round_}: killed {dict(self.kills)}, {self.acknowledged} batches acknowledged, {self.files} files, "
              f"{request_count} requests to platforms", flush=True)
        urllib.request.urlopen(urllib.request.Request(scene.sandbox.url + "/sandbox/faults", method="DELETE"), timeout=30).close()
        scene.serve()
        if self.unanswered:
            scene.send(*self.unanswered)
            self.unanswered = None
        if self.importing:
            scene.run("import", self.importing)
            self.importing = None

        by_count = collections.defaultdict(set)
        for person in world.emails:
            by_count[world.orders[person]].add(person)
        for count, people in by_count.items():
            self.assert_same(scene.members(f'count("Order Placed") = {count} and email exists'), people, f"{count} orders")
        self.assertEqual(scene.members(f'count("Order Placed") > {max(by_count)}'), [])
        for cents in sorted(set(world.revenue.values()))[:5]:
            people = {person for person, sum_ in world.revenue.items() if sum_ == cents}
            self.assert_same(scene.members(f'sum("Order Placed".revenue) = {cents / 100:.2f}'), people, f"orders of {cents / 100}")
        status = scene.run("status").stdout
        self.assertIn(f"{len(world.emails):,} people", status)
        if world.bad_lines:
            self.assertIn(f"Quarantine: {world.bad_lines} records", status)

        members = {segment: set(scene.members(segment)) for segment in {segment for _, segment, _ in SYNCS.values()}}
        desired = {}
        for name, (_, segment, exclusions) in SYNCS.items():
            people = members[segment].difference(*(members[exclusion] for exclusion in exclusions))
            desired[name] = {hash_of(world.emails[person]) for person in people}
        self.wait_until_delivered()
        for name, (platform, _, _) in SYNCS.items():
            if name in WITH_HOLDOUT:
                self.assertLessEqual(scene.platform_members(platform, name), desired[name], name)
                continue
            self.assert_same(eventually_same(lambda: scene.platform_members(platform, name), desired[name]), desired[name], name)
        self.assertEqual(scene.server.stop(), 0)

    def wait_until_delivered(self):
        waiting = lambda: {row["audience"]: row["state"] for row in self.scene.statuses().values() if row["pending"] > 0}
        try:
            eventually(lambda: not waiting(), "", seconds=60)
        except AssertionError:
            self.fail(f"not delivered: {waiting()}. TAILRACE_CRASH_SEED={self.seed}")

    def assert_same(self, got, wanted, what):
        got = set(got)
        self.assertEqual((sorted(got - wanted)[:5], sorted(wanted - got)[:5]), ([], []),
                         f"{what}: {len(got)} instead of {len(wanted)}; too many, missing. TAILRACE_CRASH_SEED={self.seed}")


def eventually_same(read, wanted, seconds=30):
    """What read() gives once it is what is wanted; after a while, what it gives then."""
    deadline = time.monotonic() + seconds
    while (got := read()) != wanted and time.monotonic() < deadline:
        time.sleep(0.1)
    return got


if __name__ == "__main__":
    unittest.main()
