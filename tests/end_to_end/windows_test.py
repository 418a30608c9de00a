"""preview --destination, normalize and classify: the windows into a destination, as somebody uses them who debugs a match rate."""

import gzip
import hashlib
import json
import os
import subprocess
import tempfile
import unittest

import support

CASES = os.path.join(os.path.dirname(support.ROOT), "shared", "data", "identifiers")


def run(*arguments, lines=()):
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    done = subprocess.run([support.TAILRACE, *arguments], input=text.encode(), capture_output=True, env=support.ENVIRONMENT,
                          timeout=60)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr.decode()


class Windows(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.config = os.path.join(self.folder.name, "meta.yaml")
        with open(self.config, "w") as out:
            out.write("name: Meta\ntype: meta_custom_audiences\nsettings: {ad_account_id: act_1}\n"
                      "credentials: {access_token: {env: TAILRACE_SANDBOX_TOKEN}}\naudience_id: '23'\n")

    def test_a_preview_says_each_request_and_each_drop_and_hides_the_token(self):
        people = [{"id": f"crm-{i}", "email": f"user{i}@example.com"} for i in range(10_001)] + [{"id": "crm-x", "email": "nobody"}]
        code, lines, _ = run("preview", "--destination", "meta_custom_audiences", "--config", self.config, lines=people)
        self.assertEqual(code, 0)
        requests = [line for line in lines if "method" in line]
        self.assertEqual([len(line["records"]) for line in requests], [10_000, 2])
        self.assertEqual([line for line in lines if "reason" in line],
                         [{"record": 10_002, "field": "email", "reason": "e-mail without exactly one @"}])
        self.assertNotIn("sandbox-token", json.dumps(lines))
        self.assertIn(hashlib.sha256(b"user7@example.com").hexdigest(), json.dumps(requests[0]["body"]))

    def test_a_preview_of_conversions_follows_a_mapping(self):
        config = os.path.join(self.folder.name, "conversions.yaml")
        mapping = os.path.join(self.folder.name, "mapping.yaml")
        with open(config, "w") as out:
            out.write("type: meta_conversions\nsettings: {dataset_id: 1}\n")
        with open(mapping, "w") as out:
            out.write("events: {Lead Won: Lead}\nfields: {value: properties.cents / 100}\ncurrency: GBP\n")
        event = {"event": "Lead Won", "messageId": "m-1", "userId": "crm-1", "timestamp": "2026-03-01T09:59:00Z",
                 "properties": {"cents": 1999}}
        arguments = ("preview", "--destination", "meta_conversions", "--config", config, "--mapping", mapping, "--op", "track")
        code, lines, error = run(*arguments, lines=[event])
        self.assertEqual((code, error), (0, ""))
        self.assertEqual(lines[0]["body"]["data"][0]["custom_data"], {"currency": "GBP", "value": 19.99})
        self.assertEqual(run(*arguments, lines=[event])[1], lines)
        _, late, _ = run(*arguments, "--now", "2026-03-20T00:00:00Z", lines=[event])
        self.assertEqual(late[0]["field"], "at")

    def test_mistakes_are_named(self):
        with open(self.config, "a") as out:
            out.write("colour: blue\n")
        code, lines, error = run("preview", "--destination", "meta_custom_audiences", "--config", self.config)
        self.assertEqual((code, lines), (3, []))
        self.assertIn("`colour` is no setting of meta_custom_audiences", error)
        self.assertEqual(run("normalize", "--platform", "nowhere")[0], 4)
        self.assertEqual(run("preview")[0], 2)

    def test_an_answer_is_classified_record_by_record(self):
        _, lines, _ = run("classify", "--destination", "google_data_manager", lines=[{
            "request": {"op": "add", "records": [1, 2]}, "status": 400,
            "body": {"error": {"code": 400, "status": "INVALID_ARGUMENT", "details": [{
                "@type": "type.googleapis.com/google.rpc.BadRequest",
                "fieldViolations": [{"field": "audience_members.audience_members[1]", "reason": "INVALID_SHA256_FORMAT"}]}]}}}])
        self.assertEqual([line["outcome"] for line in lines], ["split", "rejected"])

    @unittest.skipUnless(os.path.isdir(CASES), "the data is not there: ../shared/data/identifiers")
    def test_gmail_dots_go_where_google_asks_and_stay_where_meta_does(self):
        with gzip.open(os.path.join(CASES, "email_validatorjs_normalizeEmail.jsonl.gz"), "rt") as cases:
            inputs = [case["input"] for case in map(json.loads, cases) if isinstance(case["input"], str)]
        self.assertGreater(len(inputs), 50)
        asked = [{"field": "email", "raw": raw} for raw in inputs]
        google = run("normalize", "--platform", "google", lines=asked)[1]
        meta = run("normalize", "--platform", "meta", lines=asked)[1]
        for raw, ours, theirs in zip(inputs, google, meta):
            if theirs["error"]:
                self.assertIsNone(theirs["normalized"])
                continue
            # Both platforms keep "+" tags, whatever validator.js does by default.
            self.assertEqual(theirs["normalized"], raw.strip().lower())
            local, _, domain = theirs["normalized"].rpartition("@")
            gmail = domain in ("gmail.com", "googlemail.com")
            self.assertEqual(ours["normalized"], f"{local.replace('.', '') if gmail else local}@{domain}")
            self.assertEqual(ours["sha256"], hashlib.sha256(ours["normalized"].encode()).hexdigest())


if __name__ == "__main__":
    unittest.main()
