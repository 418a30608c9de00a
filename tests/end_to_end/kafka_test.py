"""Events in topics of Kafka, with the real program against the mock brokers that librdkafka has of its own, in this process: what arrives,
in which order, after brokers that fail and after kill -9. TAILRACE_KAFKA_ROUNDS sets how often it is killed."""

import collections
import ctypes
import ctypes.util
import json
import os
import random
import tempfile
import time
import unittest

from support import Scene, eventually

ROUNDS = int(os.environ.get("TAILRACE_KAFKA_ROUNDS", "6"))
PARTITIONS = 3
TOPIC = b"shop.events"
NO_ERROR, PARTITION_EOF, BEGINNING, PRODUCE = 0, -191, -2, 0
NOT_LEADER, NOT_ENOUGH_REPLICAS, REQUEST_TIMED_OUT, TOPIC_AUTHORIZATION_FAILED = 6, 19, 7, 29


class Message(ctypes.Structure):
    _fields_ = [("err", ctypes.c_int), ("topic", ctypes.c_void_p), ("partition", ctypes.c_int32), ("payload", ctypes.c_void_p),
                ("length", ctypes.c_size_t), ("key", ctypes.c_void_p), ("key_length", ctypes.c_size_t), ("offset", ctypes.c_int64),
                ("private", ctypes.c_void_p)]


def library():
    found = ctypes.CDLL(ctypes.util.find_library("rdkafka"))
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    for name, result, arguments in [
            ("rd_kafka_conf_new", pointer, []), ("rd_kafka_conf_set", number, [pointer, text, text, pointer, ctypes.c_size_t]),
            ("rd_kafka_conf_set_log_cb", None, [pointer, pointer]),
            ("rd_kafka_new", pointer, [number, pointer, pointer, ctypes.c_size_t]), ("rd_kafka_destroy", None, [pointer]),
            ("rd_kafka_mock_cluster_new", pointer, [pointer, number]), ("rd_kafka_mock_cluster_destroy", None, [pointer]),
            ("rd_kafka_mock_cluster_bootstraps", text, [pointer]),
            ("rd_kafka_mock_topic_create", number, [pointer, text, number, number]),
            ("rd_kafka_mock_push_request_errors_array", None, [pointer, ctypes.c_int16, ctypes.c_size_t, ctypes.POINTER(number)]),
            ("rd_kafka_mock_broker_set_down", number, [pointer, ctypes.c_int32]),
            ("rd_kafka_mock_broker_set_up", number, [pointer, ctypes.c_int32]),
            ("rd_kafka_poll_set_consumer", number, [pointer]), ("rd_kafka_topic_partition_list_new", pointer, [number]),
            ("rd_kafka_topic_partition_list_add", pointer, [pointer, text, ctypes.c_int32]),
            ("rd_kafka_topic_partition_list_set_offset", number, [pointer, text, ctypes.c_int32, ctypes.c_int64]),
            ("rd_kafka_topic_partition_list_destroy", None, [pointer]), ("rd_kafka_assign", number, [pointer, pointer]),
            ("rd_kafka_consumer_poll", ctypes.POINTER(Message), [pointer, number]),
            ("rd_kafka_message_destroy", None, [ctypes.POINTER(Message)]), ("rd_kafka_consumer_close", number, [pointer])]:
        function = getattr(found, name)
        function.restype, function.argtypes = result, arguments
    return found


class Cluster:
    def __init__(self):
        self.library = library()
        self.owner = self.start(0, {})
        self.cluster = self.library.rd_kafka_mock_cluster_new(self.owner, 1)
        self.brokers = self.library.rd_kafka_mock_cluster_bootstraps(self.cluster).decode()
        self.library.rd_kafka_mock_topic_create(self.cluster, TOPIC, PARTITIONS, 1)

    def start(self, kind, options):
        conf = self.library.rd_kafka_conf_new()
        for name, value in options.items():
            assert self.library.rd_kafka_conf_set(conf, name.encode(), value.encode(), None, 0) == 0, name
        self.library.rd_kafka_conf_set_log_cb(conf, None)
        return self.library.rd_kafka_new(kind, conf, None, 0)

    def fail(self, *errors):
        self.library.rd_kafka_mock_push_request_errors_array(self.cluster, PRODUCE, len(errors), (ctypes.c_int * len(errors))(*errors))

    def down(self):
        self.library.rd_kafka_mock_broker_set_down(self.cluster, 1)

    def up(self):
        self.library.rd_kafka_mock_broker_set_up(self.cluster, 1)

    def messages(self):
        """(partition, key, value) of all there are, partition by partition."""
        consumer = self.start(1, {"bootstrap.servers": self.brokers, "group.id": "reader", "enable.partition.eof": "true"})
        self.library.rd_kafka_poll_set_consumer(consumer)
        every = self.library.rd_kafka_topic_partition_list_new(PARTITIONS)
        for partition in range(PARTITIONS):
            self.library.rd_kafka_topic_partition_list_add(every, TOPIC, partition)
            self.library.rd_kafka_topic_partition_list_set_offset(every, TOPIC, partition, BEGINNING)
        self.library.rd_kafka_assign(consumer, every)
        self.library.rd_kafka_topic_partition_list_destroy(every)
        found, ended, give_up = [], 0, time.monotonic() + 60
        while ended < PARTITIONS and time.monotonic() < give_up:
            message = self.library.rd_kafka_consumer_poll(consumer, 1000)
            if not message:
                continue
            one = message.contents
            if one.err == PARTITION_EOF:
                ended += 1
            elif one.err == NO_ERROR:
                found.append((one.partition, ctypes.string_at(one.key, one.key_length).decode(),
                              json.loads(ctypes.string_at(one.payload, one.length))))
            self.library.rd_kafka_message_destroy(message)
        self.library.rd_kafka_consumer_close(consumer)
        self.library.rd_kafka_destroy(consumer)
        return sorted(found, key=lambda each: each[0])

    def close(self):
        self.library.rd_kafka_mock_cluster_destroy(self.cluster)
        self.library.rd_kafka_destroy(self.owner)


class Kafka(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster()
        with tempfile.TemporaryDirectory() as empty:
            self.scene = Scene(workspace=empty, with_sandbox=False)
        self.scene.write("workspace/tailrace.yaml", "name: shop\ngolden_id: external_id\nconsent: {unknown: grant}\n"
                                                    "write_keys: [{name: web, env: TAILRACE_WRITE_KEY}]\n")
        self.scene.write("workspace/taxonomy.yaml", "unknown_events: admit\n")
        self.scene.write("workspace/destinations/kafka.yaml",
                         f'name: kafka\ntype: kafka_events\nallow_private_addresses: true\n'
                         f'settings: {{brokers: "{self.cluster.brokers}", security_protocol: plaintext}}\n')
        self.scene.write("workspace/syncs/kafka.yaml", "name: Events to Kafka\ndestination: kafka\nevents: all\nbatch_age_max: 5ms\n"
                                                       "settings: {topic: shop.events}\n")
        self.sent = 0
        self.scene.serve("--apply")

    def tearDown(self):
        self.scene.close()
        self.cluster.close()

    def order(self, person):
        self.sent += 1
        return {"type": "track", "event": "Order Completed", "messageId": f"m-{self.sent:05}", "userId": person,
                "properties": {"order_id": f"o-{self.sent}", "revenue": 30.5}}

    def status(self):
        return json.loads(self.scene.run("status", "--streams", "--format", "json").stdout)[0]

    def all_accepted(self):
        eventually(lambda: self.status()["accepted"] >= self.sent, lambda: self.scene.run("status").stdout, seconds=90)

    def ids(self):
        """Message ids of each person, in the order of the topic, the first of each."""
        people = collections.defaultdict(list)
        for _, key, value in self.cluster.messages():
            if value["message_id"] not in people[key]:
                people[key].append(value["message_id"])
        return people

    def test_events_are_in_the_topic_by_person_and_in_order_though_brokers_fail(self):
        self.cluster.fail(NOT_ENOUGH_REPLICAS, NOT_LEADER, REQUEST_TIMED_OUT)
        for _ in range(20):
            self.scene.send(*[self.order(person) for person in ("ada", "bob", "eve")])
        self.all_accepted()
        messages = self.cluster.messages()
        self.assertEqual(len(messages), self.sent)
        partitions = collections.defaultdict(set)
        for partition, key, value in messages:
            partitions[key].add(partition)
            self.assertEqual((key, value["event"]), (value["person_id"], "Order Completed"))
        self.assertEqual({key: len(where) for key, where in partitions.items()}, {"ada": 1, "bob": 1, "eve": 1})
        for person, ids in self.ids().items():
            self.assertEqual(ids, sorted(ids), person)

    def test_a_right_that_is_missing_stops_the_sync_and_says_so(self):
        self.cluster.fail(TOPIC_AUTHORIZATION_FAILED)
        self.scene.send(self.order("ada"))
        eventually(lambda: "may not write to the topic" in self.scene.run("status").stdout, lambda: self.scene.run("status").stdout)
        self.assertEqual(self.cluster.messages(), [])

    def test_whatever_is_killed_every_event_is_there_and_each_person_s_in_order(self):
        rng = random.Random(int(os.environ.get("TAILRACE_CRASH_SEED", "7")))
        for number in range(ROUNDS):
            for _ in range(rng.randrange(1, 8)):
                self.scene.send(*[self.order(rng.choice(("ada", "bob", "eve"))) for _ in range(rng.randrange(1, 40))])
            time.sleep(rng.random() * 0.3)
            self.scene.server.kill()
            if number % 2:
                self.cluster.down()
            self.scene.serve()
            if number % 2:
                time.sleep(rng.random())
                self.cluster.up()
        eventually(lambda: sum(len(ids) for ids in self.ids().values()) == self.sent,
                   lambda: f"{self.sent} were sent\n{self.scene.run('status').stdout}", seconds=120, pause=1)
        for person, ids in self.ids().items():
            self.assertEqual(ids, sorted(ids), person)


if __name__ == "__main__":
    unittest.main()
