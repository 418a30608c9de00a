"""Public client libraries, unmodified, against `tailrace serve`: what they are told is what segments see."""

import http.server
import os
import subprocess
import threading
import unittest
import urllib.request

from support import ROOT, WRITE_KEY, Scene, eventually, hash_of, no_node, npm_install

CLIENTS = os.path.join(ROOT, "tests", "end_to_end", "clients")
CALLS = 59  # what story.mjs tells
TAXONOMY = """\
use: [ecommerce]
unknown_events: quarantine
events:
  Page Viewed: {}
  Screen Viewed: {}
traits:
  email: string
  phone: string
  country: string
  city: string
  loyalty: any
  group_id: string
  group: any
"""


def why_not():
    """What is missing to run the clients, or None."""
    if missing := no_node():
        return missing
    version = subprocess.run(["node", "--version"], capture_output=True, text=True).stdout.strip().lstrip("v")
    if int(version.split(".")[0]) < 18:
        return f"node {version} is older than 18"
    return None


def install():
    """The clients as the lock file has them; again only when it changed."""
    done = npm_install(CLIENTS, "--omit=optional", seconds=300)
    if done is not None and done.returncode != 0:
        raise AssertionError(f"npm install ended with {done.returncode}:\n{done.stdout}{done.stderr}")


class LosesAnswers(http.server.BaseHTTPRequestHandler):
    """Stands before the server. Each request reaches it; of two answers, one gets lost: the client sees a 503 and sends again."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        with urllib.request.urlopen(urllib.request.Request(self.server.behind + self.path, data=body, headers=headers), timeout=30) as reply:
            answer = reply.read()
        with self.server.lock:
            self.server.requests += 1
            lost = self.server.requests % 2 == 1
        self.send_response(503 if lost else 200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


@unittest.skipIf(why_not(), why_not())
class Clients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        install()

    def setUp(self):
        self.scene = Scene()
        self.addCleanup(self.scene.close)
        self.scene.write("workspace/taxonomy.yaml", TAXONOMY)
        self.scene.serve("--apply")

    def drive(self, script, *arguments, url=None):
        done = subprocess.run(["node", script, url or self.scene.server.url, WRITE_KEY, *arguments], cwd=CLIENTS, capture_output=True,
                              text=True, timeout=120)
        self.assertEqual((done.returncode, done.stdout), (0, f"{CALLS} calls\n"), done.stdout + done.stderr)

    def check(self, name):
        scene = self.scene
        ada = f"{name}-ada"
        for expression in (
            'country = "GB" and city = "Zürich 🛶" and loyalty.points = 1200 and loyalty.gold = true',
            # The visitor's history is the customer's since identify.
            'performed "Page Viewed" once where plan = "gold" and seats = 12',
            'count("Product Viewed") = 2 and sum("Product Viewed".price) = 24.99',
            # Under the name the taxonomy has for it, at the time the caller gave it.
            'performed "Order Placed" where revenue = 20.5 and currency = "GBP" between 2d and 4d ago',
            'performed "Order Placed" where any products (category = "baking supplies" and price = 0.55) ever',
            'not performed "Order Placed" where any products (category = "kitchen" and price < 1) ever and orders = 1',
            'performed "Screen Viewed" once where items = 2',
            f'group_id = "{name}-company" and group.plan = "enterprise" and group.employees = 42',
            # The alias brought the lead's history.
            'count("Cart Started") = 1',
        ):
            self.assertEqual(scene.members(expression), [ada], expression)
        self.assertEqual(scene.members('count("Product Viewed") = 50 and sum("Product Viewed".price) = 12.75'), [f"{name}-77"])
        # Two people: the visitor, the lead and the customer are one.
        self.assertEqual(sorted(scene.members('not performed "Order Refunded" ever')), [f"{name}-77", ada])
        for known_as in (f"{name}-visitor", f"{name}-lead"):
            self.assertIn("yes", scene.run("explain", known_as, 'performed "Order Placed" ever').stdout, known_as)
        status = scene.run("status").stdout
        self.assertIn("2 people, 56 events", status)
        self.assertNotIn("Quarantine", status)
        eventually(lambda: scene.platform_members("meta", "Purchasers 30d on Meta") == {hash_of(f"ada.{name}@example.com")},
                   "the platform has the customer")
        return status

    def check_once(self, name):
        self.assertIn(" 0 duplicates", self.check(name))

    def test_segment(self):
        self.drive("segment.mjs")
        self.check_once("segment")

    def test_customerio(self):
        self.drive("customerio.mjs")
        self.check_once("customerio")

    def test_rudderstack_with_its_gzip(self):
        self.drive("rudderstack.mjs")
        self.check_once("rudderstack")

    def test_rudderstack_without_gzip(self):
        self.drive("rudderstack.mjs", "plain")
        self.check_once("rudderplain")

    def drive_where_answers_get_lost(self, script, name):
        front = http.server.ThreadingHTTPServer(("127.0.0.1", 0), LosesAnswers)
        front.behind, front.lock, front.requests = self.scene.server.url, threading.Lock(), 0
        thread = threading.Thread(target=front.serve_forever)
        thread.start()
        try:
            self.drive(script, url=f"http://127.0.0.1:{front.server_port}")
        finally:
            front.shutdown()
            front.server_close()
            thread.join()
        self.assertNotIn(" 0 duplicates", self.check(name))

    def test_what_segment_sends_again_counts_once(self):
        self.drive_where_answers_get_lost("segment.mjs", "segment")

    def test_what_customerio_sends_again_counts_once(self):
        self.drive_where_answers_get_lost("customerio.mjs", "customerio")

    def test_what_rudderstack_sends_again_counts_once(self):
        self.drive_where_answers_get_lost("rudderstack.mjs", "rudderstack")


if __name__ == "__main__":
    unittest.main()
