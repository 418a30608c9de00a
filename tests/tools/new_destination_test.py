"""tools/new-destination: what it writes builds, and passes the contract test and its own golden cases as it stands."""

import os
import re
import shlex
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOOL = os.path.join(ROOT, "tools", "new-destination")
NAME = "acme_audiences"


def build_folder():
    for folder in ("build/sanitized", "build"):
        if os.path.exists(os.path.join(ROOT, folder, "destinations_test")):
            return os.path.join(ROOT, folder)
    return None


def commands(build):
    """The compiler's words for each source of the destinations and their tests, and the linker's, without outputs and inputs."""
    lines = subprocess.run(["ninja", "-C", build, "-t", "commands", "destinations_test"], check=True, capture_output=True, text=True).stdout
    compile_by_source, link = {}, None
    for line in lines.splitlines():
        words = shlex.split(line)
        if "-c" in words:
            at = words.index("-c")
            compile_by_source[os.path.relpath(words[at + 1], ROOT)] = words
        elif "-o destinations_test" in line:
            link = [word for word in words if word not in (":", "&&") and "destinations_test.dir/" not in word]
    return compile_by_source, link


class NewDestination(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def write(self, name):
        return subprocess.run([sys.executable, TOOL, name, "--into", os.path.join(self.folder.name, "src", "destinations")],
                              capture_output=True, text=True)

    def test_a_name_that_cannot_be_one(self):
        for name in ("Acme", "acme-audiences", "1acme", "acme__x", "../acme"):
            self.assertNotEqual(self.write(name).returncode, 0, name)

    def test_nothing_is_overwritten(self):
        self.assertEqual(self.write(NAME).returncode, 0)
        self.assertIn("is there already", self.write(NAME).stderr)

    def test_it_passes_the_contract_test_and_its_golden_cases(self):
        build = build_folder()
        if build is None:
            self.skipTest("destinations_test is not built")
        self.assertEqual(self.write(NAME).returncode, 0)
        generated = os.path.join(self.folder.name, "generated")
        os.makedirs(generated)
        with open(os.path.join(generated, "destinations_registry.inc"), "w") as out:
            out.write(f"TAILRACE_DESTINATION({NAME})\n")
        made = os.path.join(self.folder.name, "src", "destinations", NAME)
        compile_by_source, link = commands(build)
        like = compile_by_source["src/destinations/webhook/codec.cc"]
        objects = []
        for source, words in (
            (os.path.join(made, f"{NAME}.cc"), like),
            (os.path.join(made, "codec.cc"), like),
            ("src/destinations/registry.cc", compile_by_source["src/destinations/registry.cc"]),
            ("src/destinations/contract_test.cc", compile_by_source["src/destinations/contract_test.cc"]),
            ("src/destinations/golden_test.cc", compile_by_source["src/destinations/golden_test.cc"]),
            ("tests/support/source_dir.cc", compile_by_source["tests/support/source_dir.cc"]),
        ):
            objects.append(os.path.join(self.folder.name, os.path.basename(source) + ".o"))
            self.compile(build, source, words, generated, objects[-1])
        program = os.path.join(self.folder.name, "acme_test")
        at = link.index("-o")
        line = link[:at] + objects + ["-o", program] + link[at + 2:]
        linked = subprocess.run(line, cwd=build, capture_output=True, text=True)
        self.assertEqual(linked.returncode, 0, linked.stderr)
        # The page of its reference is written by hand of whoever keeps the destination.
        done = subprocess.run([program, "--gtest_brief=1", "--gtest_filter=*Contract*:*Golden*-*EventContract*:*EventGolden*:GoogleTestVerification*"],
                              capture_output=True, text=True, cwd=self.folder.name)
        self.assertEqual(done.returncode, 0, done.stdout[-4000:] + done.stderr[-4000:])
        self.assertRegex(done.stdout, r"\[  PASSED  \] \d\d+ tests")

    def compile(self, build, source, words, generated, target):
        first = next(i for i, word in enumerate(words) if word.startswith("-I"))
        line = words[:first] + [f"-I{generated}", f"-I{self.folder.name}/src"] + words[first:]
        line = [word for word in line if not re.search(r"ccache$", word)]
        if source.startswith("tests/support"):
            line = [f'-DTAILRACE_SOURCE_DIR="{self.folder.name}"' if word.startswith("-DTAILRACE_SOURCE_DIR") else word for word in line]
        for option in ("-o", "-MF", "-MT"):
            if option in line:
                del line[line.index(option):line.index(option) + 2]
        line[line.index("-c") + 1] = source if os.path.isabs(source) else os.path.join(ROOT, source)
        line = [word for word in line if word != "-MD"] + ["-o", target]
        done = subprocess.run(line, cwd=build, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr[-4000:])


if __name__ == "__main__":
    unittest.main()
