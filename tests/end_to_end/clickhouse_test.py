"""ClickHouse's own engine, behind clickhouse/server.mjs: asked as a source, and kept up to date as a warehouse."""

import gzip
import http.server
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import unittest
import urllib.error
import urllib.parse
import urllib.request
from decimal import Decimal

from support import ENVIRONMENT, ROOT, TAILRACE, Scene, eventually, no_node, npm_install

FRONT = os.path.join(ROOT, "tests", "end_to_end", "clickhouse")
TRANSACTIONS = 60_000  # of the example's, the first: enough, and quick
USERS = {"owner": {"password": "owners-password"}, "reader": {"password": "readers-password"},
         "locked": {"password": "readers-password", "readonly": 1}}


def install():
    """What is missing to run the engine, or None when it is there, as the lock file has it."""
    if missing := no_node():
        return missing
    try:
        done = npm_install(FRONT, seconds=600)
    except subprocess.TimeoutExpired:
        return "ClickHouse's engine (chdb) could not be installed within 10 minutes"
    if done is not None and done.returncode != 0:
        return f"ClickHouse's engine (chdb) could not be installed: {(done.stderr.strip().splitlines() or ['no reason given'])[0]}"
    done = subprocess.run(["node", "--eval", "require('chdb')"], cwd=FRONT, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        return "ClickHouse's engine (chdb) does not run on this machine: " + next(
            (line for line in done.stderr.splitlines() if "Error" in line), "no reason given")
    return None


class Engine:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="tailrace-clickhouse-")
        # Its zone is not UTC: no time is right by chance.
        self.process = subprocess.Popen(["node", os.path.join(FRONT, "server.mjs"), self.folder, json.dumps(USERS)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "TZ": "Asia/Tokyo"})
        said = self.process.stdout.readline()
        if "http://" not in said:
            raise AssertionError(f"the engine does not start: {said}")
        self.url = said.split()[-1]

    def ask(self, sql, database=""):
        request = urllib.request.Request(f"{self.url}/?database={database}", data=sql.encode(), headers={
            "X-ClickHouse-User": "owner", "X-ClickHouse-Key": USERS["owner"]["password"]})
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return reply.read().decode()
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from None

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(timeout=30)
        shutil.rmtree(self.folder, ignore_errors=True)


class OnClickHouse(unittest.TestCase):
    database = ""

    @classmethod
    def setUpClass(cls):
        missing = install()
        if missing:
            raise unittest.SkipTest(missing)
        cls.engine = Engine()
        cls.addClassCleanup(cls.engine.close)
        for user, settings in USERS.items():
            ENVIRONMENT[f"TAILRACE_CLICKHOUSE_{user.upper()}"] = settings["password"]

    def setUp(self):
        self.engine.ask(f"DROP DATABASE IF EXISTS {self.database} SYNC")

    def do(self, *statements):
        for sql in statements:
            self.engine.ask(sql, self.database)

    def rows(self, sql):
        """Each value in the engine's own text."""
        return [line.split("\t") for line in self.engine.ask(sql, self.database).splitlines()]

    def one(self, sql):
        rows = self.rows(sql)
        self.assertEqual(len(rows), 1, sql)
        return rows[0][0] if len(rows[0]) == 1 else rows[0]

    def connection(self, user, url=None):
        return f"""type: clickhouse
settings: {{url: "{url or self.engine.url}", database: {self.database}, user: {user}}}
credentials: {{password: {{env: TAILRACE_CLICKHOUSE_{user.upper()}}}}}
allow_private_addresses: true
"""


def exact(text):
    return json.loads(text, parse_int=Decimal, parse_float=Decimal)


class Source(OnClickHouse):
    database = "shop"

    def setUp(self):
        super().setUp()
        self.engine.ask("CREATE DATABASE shop")
        self.scene = Scene(os.path.join(ROOT, "examples", "sql-sources"), with_sandbox=False)
        self.addCleanup(self.scene.close)
        shutil.rmtree(os.path.join(self.scene.workspace, "sources"))

    def source(self, name, query, mapping, user="reader"):
        indented = "".join(f"  {line}\n" for line in query.splitlines())
        self.scene.write(f"workspace/sources/{name}.yaml", f"name: {name}\n{self.connection(user)}query: |\n{indented}{mapping}")

    def person(self, columns, user="reader"):
        self.source("asked", f"SELECT 'c1' AS id, {columns}" if columns else "SELECT 'c1' AS id",
                    "rows: people\nkey: id\nperson: {user_id: id}\n", user)

    def once(self, name):
        return self.scene.run("source", name, "--once").stdout

    def test_people_are_as_their_rows_are(self):
        self.do("CREATE TABLE loyalty (id String, mail LowCardinality(Nullable(String)), tier Enum8('gold' = 1, 'silver' = 2), "
                "points Nullable(Decimal(18, 2)), joined DateTime64(3, 'America/New_York')) ENGINE = MergeTree ORDER BY id",
                "INSERT INTO loyalty VALUES ('c1', 'ada@example.com', 'gold', 1200.50, '2024-03-01 19:00:00'), "
                "('c2', 'ben@example.com', 'silver', 999.99, '2024-03-01 19:00:00'), ('c3', NULL, 'gold', NULL, '2024-03-01 19:00:00')")
        self.source("loyalty", "SELECT * FROM loyalty -- all of them\n;", "rows: people\nkey: id\nperson: {user_id: id, email: mail}\n"
                    "traits: {loyalty_tier: tier, loyalty_points: points, member_since: joined}\n")
        self.scene.run("apply")
        self.assertIn("3 added", self.once("loyalty"))
        self.assertEqual(self.scene.members("Gold"), ["c1"])
        self.assertEqual(self.scene.members("loyalty_points = 999.99"), ["c2"])
        self.assertEqual(self.scene.members('loyalty_tier = "gold" and not loyalty_points exists'), ["c3"])
        self.assertIn("3 unchanged", self.once("loyalty"))
        self.do("INSERT INTO loyalty VALUES ('c4', 'eve@example.com', 'gold', 1000, '2024-03-01 19:00:00')",
                "ALTER TABLE loyalty UPDATE points = points + 0.01 WHERE id = 'c2' SETTINGS mutations_sync = 2",
                "DELETE FROM loyalty WHERE id = 'c1'")
        self.assertIn("1 added, 1 changed, 1 gone, 1 unchanged", self.once("loyalty"))
        self.assertEqual(self.scene.members("Gold"), ["c4"])
        self.assertEqual(self.scene.members("loyalty_points = 1000"), ["c2", "c4"])
        # Seven in the evening of New York is past midnight in UTC.
        self.assertEqual(len(self.scene.members('member_since since "2024-03-02"')), 3)

    def test_an_event_counts_once_at_its_instant(self):
        self.do("CREATE TABLE till (id UInt64, who String, total Decimal(9, 2), at DateTime('Europe/London')) "
                "ENGINE = MergeTree ORDER BY id",
                "INSERT INTO till VALUES (18446744073709551614, 'c1', 20.50, '2024-07-01 18:00:00'), (2, 'c2', 9, '2024-07-01 19:00:00')")
        self.source("till", "SELECT * FROM till", "rows: events\nkey: id\nperson: {user_id: who}\nevent: Order Placed\ntime: at\n"
                    "properties: {order_id: id, revenue: total}\n")
        self.scene.run("apply")
        self.once("till")
        # An hour that has summer time is an hour earlier in UTC.
        self.assertEqual(self.scene.members('performed "Order Placed" within 1ms', "--at", "2024-07-01T17:00:00Z"), ["c1"])
        self.assertEqual(self.scene.members('performed "Order Placed" where order_id = "18446744073709551614"'), ["c1"])
        self.do("INSERT INTO till VALUES (18446744073709551615, 'c1', 0.01, '2024-07-02 18:00:00')",
                "ALTER TABLE till UPDATE total = 1000 WHERE id = 2 SETTINGS mutations_sync = 2")
        self.assertIn("1 added", self.once("till"))
        self.once("till")
        self.assertEqual(self.scene.members('sum("Order Placed".revenue) = 20.51 and count("Order Placed") = 2'), ["c1"])
        self.assertEqual(self.scene.members('sum("Order Placed".revenue) = 9'), ["c2"])

    def test_members_of_a_list_come_and_go(self):
        self.do("CREATE TABLE newsletter (mail String, left Nullable(DateTime)) ENGINE = MergeTree ORDER BY mail",
                "INSERT INTO newsletter VALUES ('ada@example.com', NULL), ('ben@example.com', NULL), ('eve@example.com', '2026-03-01 10:00:00')")
        self.source("newsletter", "SELECT mail FROM newsletter WHERE left IS NULL",
                    "rows: members\nkey: mail\nperson: {email: mail}\nattribute: in_newsletter\n")
        self.scene.run("apply")
        self.once("newsletter")
        self.assertEqual(self.scene.members("in_newsletter = true"), ["ada@example.com", "ben@example.com"])
        self.do("INSERT INTO newsletter VALUES ('cleo@example.com', NULL)",
                "ALTER TABLE newsletter UPDATE left = now() WHERE mail = 'ben@example.com' SETTINGS mutations_sync = 2")
        self.once("newsletter")
        self.assertEqual(self.scene.members("in_newsletter = true"), ["ada@example.com", "cleo@example.com"])

    def traits(self, columns):
        self.person(columns)
        said = self.scene.run("source", "asked", "--preview", "--format", "json").stdout
        return exact(said)["traits"]

    def test_every_type_comes_exactly(self):
        expected = (
            ("toDecimal128('12345678901234567890.123456789', 9)", Decimal("12345678901234567890.123456789")),
            ("toDecimal32('-0.10', 2)::Nullable(Decimal(9, 2))", Decimal("-0.1")),
            ("18446744073709551615::UInt64", 18446744073709551615),
            ("9007199254740993::Int64", 9007199254740993),
            ("toInt256('-123456789012345678901234567890')", -123456789012345678901234567890),
            ("0.1::Float32", Decimal("0.1")),
            ("1e300", Decimal("1e300")),
            ("true", True),
            ("CAST(NULL AS Nullable(Bool))", None),
            ("toLowCardinality('ü \\t\\n\\\\ 🛶')", "ü \t\n\\ 🛶"),
            ("CAST(NULL AS LowCardinality(Nullable(String)))", None),
            ("toFixedString('ab', 4)", "ab"),
            ("CAST('gold' AS Enum16('gold' = 1, 'silver' = 2))", "gold"),
            ("toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0')", "61f0c404-5cb3-11e7-907b-a6006ad3dba0"),
            ("toIPv4('192.0.2.1')", "192.0.2.1"),
            # Sums that a table keeps are numbers.
            ("CAST(3 AS SimpleAggregateFunction(sum, Int64))", 3),
            # A date is a date; an instant is one whatever zone its column has, and the server's where it has none.
            ("toDate32('1925-03-01')", "1925-03-01"),
            ("toDateTime64('2026-03-01 10:00:00.123456', 6, 'America/New_York')", "2026-03-01T15:00:00.123Z"),
            ("toNullable(toDateTime('2026-03-01 10:00:00'))", "2026-03-01T01:00:00.000Z"),
            ("toDateTime64('1900-01-01 00:00:00', 3, 'UTC')", "1900-01-01T00:00:00.000Z"),
            # What nests is JSON, and so are times in it with their zone.
            ("[toDecimal64('1.10', 2), NULL]", [Decimal("1.1"), None]),
            ("['a', 'b']::Array(LowCardinality(String))", ["a", "b"]),
            ("map('n', 9007199254740993)", {"n": 9007199254740993}),
            ("CAST((1, 'x') AS Tuple(n UInt8, s String))", {"n": 1, "s": "x"}),
            ("""'{"a": {"b": [1, 2.5, null]}, "c": "d"}'::JSON""", {"a": {"b": [1, 2.5, None]}, "c": "d"}),
            ("[toDateTime64('2026-03-01 10:00:00.5', 3, 'America/New_York')]", ["2026-03-01T15:00:00.500Z"]),
            ("map('at', toDateTime('2026-03-01 10:00:00'))", {"at": "2026-03-01T01:00:00Z"}),
            ("[nan, 0.5]", [None, 0.5]),
            ("(1.5, 2.5)::Point", [1.5, 2.5]),
        )
        traits = self.traits(", ".join(f"{column} AS value{i}" for i, (column, _) in enumerate(expected)))
        for i, (column, value) in enumerate(expected):
            with self.subTest(column):
                self.assertEqual(traits[f"value{i}"], value)

    def test_names_of_columns_may_be_anything(self):
        self.assertEqual(self.traits("1 AS `a ``b`, 2 AS `c\\\\d`, count()"), {"a `b": 1, "c\\d": 2, "count()": 1})

    def test_a_row_that_does_not_fit_is_rejected_with_its_reason(self):
        self.scene.run("apply")
        for column, reason in (("nan", '"nan" is no number'), ("-inf", '"-inf" is no number'),
                               ("unhex('ff')", "is not text in UTF-8")):
            with self.subTest(column):
                self.person(f"{column} AS loyalty_points")
                said = self.scene.run("source", "asked", "--preview").stdout
                self.assertIn("1 rejected", said)
                self.assertIn(reason, exact(said.splitlines()[1])["rejected"])

    def test_many_rows_and_only_those_that_changed(self):
        people = 30_000
        self.do(f"CREATE TABLE many ENGINE = MergeTree ORDER BY id AS SELECT 'p' || toString(number) AS id, number AS points "
                f"FROM numbers({people})")
        self.source("many", "SELECT id, points FROM many ORDER BY cityHash64(id)",
                    "rows: people\nkey: id\nperson: {user_id: id}\ntraits: {loyalty_points: points}\n")
        self.scene.run("apply")
        self.assertIn(f"{people:,} added", self.once("many"))
        self.do("ALTER TABLE many UPDATE points = points + 1000000 WHERE points % 3 = 0 SETTINGS mutations_sync = 2")
        self.assertIn(f"0 added, {people // 3:,} changed, 0 gone, {people - people // 3:,} unchanged", self.once("many"))
        self.assertEqual(len(self.scene.members("loyalty_points >= 1000000")), people // 3)

    def refusal(self):
        return self.scene.run("source", "asked", "--preview", code=3).stderr

    def test_what_is_wrong_is_said(self):
        for columns, said in (("nothing", "Unknown expression identifier `nothing`"), ("no_such_function(1)", "no_such_function"),
                              ("1 AS a FROM nowhere", "Unknown table expression identifier 'nowhere'"),
                              ("1 AS a FROM nowhere.at_all", "nowhere"), ("1 AS", "Syntax error"),
                              ("1 AS a, 2 AS a", "179"),
                              # A value of a row may be in the server's words: they are not repeated.
                              ("toUInt8(concat('ada', '@example.com')) AS a", "code 6;")):
            with self.subTest(columns):
                self.person(columns)
                refusal = self.refusal()
                self.assertIn(said, refusal)
                self.assertNotIn("ada@example.com", refusal)

    def test_a_connection_that_is_wrong_says_what_to_mend(self):
        self.person("1 AS a", user="locked")
        self.assertIn("the user's profile says `readonly`", self.refusal())
        self.person("1 AS a")
        ENVIRONMENT["TAILRACE_CLICKHOUSE_READER"] = "another"
        try:
            self.assertIn("user or password is wrong", self.refusal())
        finally:
            ENVIRONMENT["TAILRACE_CLICKHOUSE_READER"] = USERS["reader"]["password"]
        self.engine.ask("DROP DATABASE shop")
        self.assertIn("Database shop does not exist", self.refusal())

    def test_a_query_only_reads(self):
        self.do("CREATE TABLE t (id String) ENGINE = MergeTree ORDER BY id", "INSERT INTO t VALUES ('c1')")
        for query in ("INSERT INTO t VALUES ('c2')", "INSERT INTO t SELECT 'c2'", "DROP TABLE t", "TRUNCATE TABLE t",
                      "SELECT id FROM t; DROP TABLE t", "SELECT id FROM t) FORMAT Null; DROP TABLE t; SELECT * FROM (SELECT id FROM t"):
            with self.subTest(query):
                self.source("asked", query, "rows: people\nkey: id\nperson: {user_id: id}\n")
                self.assertIn("Syntax error", self.refusal())
        self.assertEqual(self.rows("SELECT id FROM t"), [["c1"]])
        # Nor could one that got through: the server itself is told.
        self.assertEqual(self.traits("getSetting('readonly') AS readonly"), {"readonly": 2})


class Between(http.server.BaseHTTPRequestHandler):
    """Stands before the engine, and loses the answers, or the requests, that a test wants lost."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        parameters = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        statement = parameters.get("query") or body.decode()
        self.server.seen.append((statement, parameters.get("insert_deduplication_token"), body))
        if self.server.stops(statement):
            return self.answer(503, {}, b"")
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        try:
            with urllib.request.urlopen(urllib.request.Request(self.server.behind + self.path, data=body, headers=headers),
                                        timeout=60) as reply:
                status, said, answer = reply.status, dict(reply.headers), reply.read()
        except urllib.error.HTTPError as error:
            status, said, answer = error.code, dict(error.headers), error.read()
        if self.server.loses(statement):
            self.close_connection = True
            return None
        return self.answer(status, said, answer)

    def answer(self, status, headers, body):
        self.send_response(status)
        for name, value in headers.items():
            if name.startswith("X-ClickHouse"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Front(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # a client that was killed


class Warehouse(OnClickHouse):
    database = "warehouse"

    def setUp(self):
        super().setUp()
        self.scene = Scene(with_sandbox=False)
        self.addCleanup(self.scene.close)
        for kind in ("destinations", "syncs"):
            shutil.rmtree(os.path.join(self.scene.workspace, kind))
        self.warehouse()

    def warehouse(self, url=None, user="owner", sync="Warehouse"):
        self.scene.write("workspace/destinations/warehouse.yaml", f"name: warehouse\n{self.connection(user, url)}")
        self.scene.write("workspace/syncs/warehouse.yaml", f"name: {sync}\ndestination: warehouse\ntables: all\ncadence: every 1h\n")

    def order(self, number, user="u1", **more):
        return {"type": "track", "userId": user, "messageId": f"m{number}", "event": "Order Completed",
                "properties": {"order_id": str(number), "revenue": 1, **more}}

    def load(self, sync="Warehouse"):
        """`resume` makes a sync that waits go on at once."""
        self.scene.run("resume", sync)

    def eventually_is(self, sql, value, sync="Warehouse"):
        """Until a statement gives this; the sync is hurried meanwhile."""
        seen = None

        def is_there():
            nonlocal seen
            self.load(sync)
            try:
                seen = self.rows(sql)
            except AssertionError as error:  # no such table yet
                seen = str(error)
            return seen == [[value]]

        eventually(is_there, lambda: f"{sql}: {seen}, not {value}", seconds=60, pause=0.2)

    def waits(self, words):
        """The sync has stopped, and `status` says these words."""
        self.load()
        eventually(lambda: words in self.scene.run("status").stdout, lambda: f"{words} in:\n{self.scene.run('status').stdout}")

    def front(self, loses=lambda _: False, stops=lambda _: False):
        front = Front(("127.0.0.1", 0), Between)
        front.behind, front.loses, front.stops, front.seen = self.engine.url, loses, stops, []
        thread = threading.Thread(target=front.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(front.server_close)
        self.addCleanup(front.shutdown)
        self.warehouse(url=f"http://127.0.0.1:{front.server_port}")
        return front

    def import_orders(self):
        data = os.path.join(ROOT, "examples", "online-retail", "data", "transactions_until_2011-09-30.csv.gz")
        some, orders = (os.path.join(self.scene.folder, name) for name in ("some.csv.gz", "orders.jsonl.gz"))
        with gzip.open(data, "rt") as whole, gzip.open(some, "wt", compresslevel=1) as part:
            part.writelines(line for line, _ in zip(whole, range(TRANSACTIONS)))
        subprocess.run(["python3", os.path.join(ROOT, "tools", "online_retail", "convert.py"), some, orders], check=True, capture_output=True)
        self.scene.run("import", orders)
        with gzip.open(orders, "rt") as file:
            return [exact(line) for line in file]

    def test_the_tables_have_everything_that_was_sent(self):
        self.scene.run("apply")
        messages = self.import_orders()
        orders = [each["properties"] for each in messages if each.get("event") in ("Order Placed", "Order Completed")]
        people = {each["userId"] for each in messages}
        self.scene.serve()
        self.eventually_is("SELECT count() FROM _tailrace_packs", "1")
        # Without FINAL: no row came twice.
        self.assertEqual(self.one("SELECT count() FROM events"), str(sum(each["type"] == "track" for each in messages)))
        count, revenue = self.one("SELECT count(), sum(revenue) FROM event_order_placed")
        self.assertEqual((int(count), Decimal(revenue)), (len(orders), sum(each["revenue"] for each in orders)))
        self.assertEqual(self.one("SELECT count() FROM people FINAL WHERE NOT deleted"), str(len(people)))
        self.assertEqual(self.one("SELECT count() FROM identifiers FINAL WHERE kind = 'email'"), str(len(people)))
        self.assertEqual(self.one("SELECT sum(orders) FROM people FINAL"), count)
        for segment in ("VIP", "Winback"):
            inside = self.one(f"""SELECT count() FROM (SELECT person_id, argMax(change, change_id) AS last
                FROM segment_memberships WHERE segment = '{segment}' GROUP BY person_id) WHERE last <> 'left'""")
            self.assertEqual(int(inside), len(self.scene.members(segment)), segment)
            self.assertGreater(int(inside), 0, segment)

    def test_numbers_times_and_texts_are_exact(self):
        self.scene.serve("--apply")
        amounts = ["0.1", "123456789.123456789", "-0.000000001", "99999999999999999", "0"]
        text = "tab\t 'quoted' \\ ü 🛶"
        orders = [json.dumps(self.order(number, note=text)).replace('"revenue": 1', f'"revenue": {amount}')
                  for number, amount in enumerate(amounts)]
        self.assertEqual(self.scene.post("/v1/batch", f'{{"batch": [{", ".join(orders)}]}}'.encode())[0], 200)
        times = ["2026-03-01T10:00:00.123Z", "1969-12-31T23:59:59.999Z", "2026-06-01T00:30:00.000+02:00"]
        self.scene.send(*({**self.order(f"t{i}"), "timestamp": at} for i, at in enumerate(times)))
        self.eventually_is("SELECT count() FROM event_order_placed", str(len(amounts) + len(times)))
        self.assertEqual([row[0] for row in self.rows("SELECT revenue FROM event_order_placed WHERE order_id NOT LIKE 't%' ORDER BY order_id")],
                         amounts)
        self.assertEqual([row[0] for row in self.rows("SELECT occurred_at FROM events WHERE message_id LIKE 'mt%' ORDER BY message_id")],
                         ["2026-03-01 10:00:00.123000", "1969-12-31 23:59:59.999000", "2026-05-31 22:30:00.000000"])
        quoted = text.replace("\\", "\\\\").replace("'", "\\'")
        self.assertEqual(self.one(f"SELECT count() FROM events WHERE JSONExtractString(properties, 'note') = '{quoted}'"), str(len(amounts)))
        self.assertEqual(self.one("SELECT toTypeName(revenue), toTypeName(received_at) FROM event_order_placed LIMIT 1"),
                         ["Nullable(Decimal(38, 9))", "Nullable(DateTime64(6, \\'UTC\\'))"])

    def test_an_insert_whose_answer_is_lost_counts_once(self):
        lost = set()

        def loses(statement):
            if not statement.startswith("INSERT") or statement in lost or not front.losing:
                return False
            lost.add(statement)
            return True

        front = self.front(loses)
        front.losing = False
        self.scene.serve("--apply")
        self.scene.send(self.order(0))
        self.eventually_is("SELECT count() FROM _tailrace_packs", "1")
        # A merge would hide what came twice.
        tables = ("events", "event_order_placed", "people", "identifiers", "segment_memberships")
        self.do(*(f"SYSTEM STOP MERGES {table}" for table in tables))
        before = {table: int(self.one(f"SELECT count() FROM {table}")) for table in tables}
        front.losing = True
        self.scene.send(*(self.order(number, user=f"u{number}") for number in range(1, 11)))
        self.eventually_is("SELECT max(sequence) FROM _tailrace_packs", "2")
        self.assertEqual(int(self.one("SELECT count() FROM events")), before["events"] + 10)
        self.assertEqual(int(self.one("SELECT count() FROM event_order_placed")), before["event_order_placed"] + 10)
        self.assertEqual(int(self.one("SELECT count() FROM identifiers")), before["identifiers"] + 10)
        sent = {}
        for statement, token, body in front.seen:
            if token:
                sent.setdefault(token, []).append(body)
        self.assertGreaterEqual(sum(len(bodies) > 1 for bodies in sent.values()), len(tables) - 1)
        for token, bodies in sent.items():
            self.assertEqual(len(set(bodies)), 1, f"{token}: the same token with other bytes")
        # It was the token: the same bytes without one are rows again.
        self.assertEqual(self.one("SELECT count(DISTINCT event_id) = count() FROM events"), "1")
        self.do("INSERT INTO events SELECT * FROM events")
        self.assertEqual(int(self.one("SELECT count() FROM events")), 2 * (before["events"] + 10))
        self.assertEqual(int(self.one("SELECT count() FROM events FINAL")), before["events"] + 10)

    def test_a_pack_that_is_loaded_again_after_kill_9_is_there_once(self):
        front = self.front(stops=lambda statement: front.down and statement.startswith("INSERT") and "_tailrace_packs" in statement)
        front.down = True
        self.scene.serve("--apply")
        self.scene.send(*(self.order(number, user=f"u{number % 3}") for number in range(10)))
        self.load()
        eventually(lambda: any("_tailrace_packs" in statement and statement.startswith("INSERT") for statement, _, _ in front.seen),
                   "all of the pack but its own row")
        self.do("SYSTEM STOP MERGES")
        self.addCleanup(self.do, "SYSTEM START MERGES")
        self.scene.server.kill()
        front.down = False
        loaded = {token for _, token, _ in front.seen if token}
        self.assertTrue(loaded)
        front.seen.clear()
        self.scene.serve()
        self.eventually_is("SELECT count() FROM events", "10")
        self.eventually_is("SELECT count() > 0 FROM _tailrace_packs", "1")
        self.assertLessEqual(loaded, {token for _, token, _ in front.seen if token})
        self.assertEqual(self.one("SELECT count(), sum(revenue) FROM event_order_placed"), ["10", "10"])

    def test_people_have_one_row_the_latest(self):
        self.scene.serve("--apply")
        self.scene.send({"type": "identify", "userId": "u1", "traits": {"email": "u1@example.com", "country": "GB"}}, self.order(1, revenue=20.5))
        self.eventually_is("SELECT ltv FROM people FINAL", "20.5")
        self.scene.send({"type": "identify", "userId": "u1", "traits": {"country": "FR"}}, self.order(2, revenue=10),
                        {"type": "track", "anonymousId": "a1", "messageId": "v1", "event": "Product Viewed", "properties": {"product_id": "p1"}})
        self.eventually_is("SELECT count() FROM people FINAL", "2")
        self.assertEqual(self.one("SELECT golden_id, country, orders, ltv FROM people FINAL WHERE golden_id = 'u1'"), ["u1", "FR", "2", "30.5"])
        # Two who turn out to be one.
        self.scene.send({"type": "identify", "userId": "u1", "anonymousId": "a1"})
        self.eventually_is("SELECT count() FROM people FINAL WHERE merged_into IS NOT NULL", "1")
        self.assertEqual(self.one("SELECT merged_into = (SELECT person_id FROM people FINAL WHERE golden_id = 'u1') "
                                  "FROM people FINAL WHERE merged_into IS NOT NULL"), "1")
        self.scene.send({"type": "delete", "userId": "u1", "messageId": "d1"})
        self.eventually_is("SELECT count() FROM people FINAL WHERE NOT deleted", "0")
        self.assertEqual(self.one("SELECT count() FROM people FINAL WHERE deleted AND traits IS NULL AND golden_id IS NULL"), "2")
        with open(os.path.join(ROOT, "docs", "warehouse.md")) as file:
            erase = re.search(r"^ *(DELETE FROM events .*);$", file.read(), re.MULTILINE).group(1)
        self.do(erase, "OPTIMIZE TABLE people FINAL")
        self.assertEqual(self.one("SELECT count() FROM events"), "0")
        self.assertEqual(self.one("SELECT count(), countIf(deleted) FROM people"), ["2", "2"])

    def test_a_property_that_is_new_is_a_column_and_one_of_another_type_a_second(self):
        self.scene.serve("--apply")
        self.scene.send(self.order(1))
        self.eventually_is("SELECT count() FROM event_order_placed", "1")
        taxonomy = os.path.join(self.scene.workspace, "taxonomy.yaml")
        with open(taxonomy) as file:
            text = file.read()
        placed = "      revenue: {type: number, required: true}\n"
        with open(taxonomy, "w") as file:
            file.write(text.replace(placed, placed + "      gift: boolean\n      packed_at: time\n"))
        self.scene.run("apply")
        self.scene.send(self.order(2, gift=True, packed_at="2026-03-01T10:00:00+01:00"))
        self.eventually_is("SELECT count() FROM event_order_placed", "2")
        self.assertEqual(self.rows("SELECT order_id, gift, packed_at FROM event_order_placed ORDER BY order_id"),
                         [["1", "\\N", "\\N"], ["2", "true", "2026-03-01 09:00:00.000000"]])
        with open(taxonomy, "w") as file:
            file.write(text.replace(placed, placed + "      gift: string\n"))
        self.scene.run("apply")
        self.scene.send(self.order(3, gift="wrapped"))
        self.eventually_is("SELECT count() FROM event_order_placed", "3")
        self.assertEqual(self.rows("SELECT order_id, gift, gift_text FROM event_order_placed ORDER BY order_id"),
                         [["1", "\\N", "\\N"], ["2", "true", "\\N"], ["3", "\\N", "wrapped"]])

    def test_what_somebody_changed_stops_the_sync_until_it_is_mended(self):
        self.scene.serve("--apply")
        self.scene.send(self.order(1))
        self.eventually_is("SELECT count() FROM event_order_placed", "1")
        for number, (harm, said, mend) in enumerate((
            ("RENAME TABLE event_order_placed TO elsewhere", "somebody dropped or renamed it", "RENAME TABLE elsewhere TO event_order_placed"),
            ("DROP TABLE event_order_placed", "somebody dropped or renamed it", "UNDROP TABLE event_order_placed"),
            ("ALTER TABLE event_order_placed MODIFY COLUMN revenue Nullable(Float32)", "is of the type Nullable(Float32)",
             "ALTER TABLE event_order_placed MODIFY COLUMN revenue Nullable(Decimal(38, 9))"),
            ("RENAME TABLE _tailrace_packs TO elsewhere", "holds no pack of the sync",
             "DROP TABLE _tailrace_packs; RENAME TABLE elsewhere TO _tailrace_packs"),
        ), start=2):
            with self.subTest(harm):
                self.do(harm)
                self.scene.send(self.order(number))
                self.waits(said)
                self.do(*mend.split("; "))
                self.eventually_is("SELECT count() FROM event_order_placed", str(number))
                self.assertEqual(self.one("SELECT count() FROM events"), str(number))

    def test_where_all_is_gone_a_sync_of_another_name_loads_it_again(self):
        self.scene.serve("--apply")
        self.scene.send(*(self.order(number) for number in range(3)))
        self.eventually_is("SELECT count() FROM event_order_placed", "3")
        self.engine.ask("DROP DATABASE warehouse SYNC")
        self.scene.send(self.order(3))
        self.waits("give the sync another name than")
        self.warehouse(sync="Warehouse again")
        self.scene.run("apply")
        self.eventually_is("SELECT count() FROM event_order_placed", "4", sync="Warehouse again")
        self.assertEqual(self.one("SELECT orders, ltv FROM people FINAL"), ["4", "4"])

    def test_a_column_that_was_dropped_is_made_again(self):
        self.scene.serve("--apply")
        self.scene.send(self.order(1))
        self.eventually_is("SELECT count() FROM event_order_placed", "1")
        self.do("ALTER TABLE event_order_placed DROP COLUMN revenue", "ALTER TABLE event_order_placed ADD COLUMN mine UInt8 DEFAULT 7")
        self.scene.send(self.order(2, revenue=2.5))
        self.eventually_is("SELECT count() FROM event_order_placed", "2")
        self.assertEqual(self.rows("SELECT revenue, mine FROM event_order_placed ORDER BY order_id"), [["\\N", "7"], ["2.5", "7"]])

    def test_a_live_check_tries_the_rights_and_leaves_no_table(self):
        done = self.check_live()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(self.rows("SELECT name FROM system.tables WHERE database = 'warehouse'"), [])
        self.warehouse(user="locked")
        done = self.check_live()
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("the user's profile says `readonly`", done.stdout + done.stderr)

    def check_live(self):
        return subprocess.run([TAILRACE, "check", "-w", self.scene.workspace, "--live"], capture_output=True, text=True, env=ENVIRONMENT,
                              timeout=60)


if __name__ == "__main__":
    unittest.main()
