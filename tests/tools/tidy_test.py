#!/usr/bin/env python3
"""tools/tidy finds nothing in this repository, and each of its checks finds what it is for."""

import importlib.machinery
import importlib.util
import os
import shutil
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCRIPT = os.path.join(ROOT, "tools", "tidy")

loader = importlib.machinery.SourceFileLoader("tidy", SCRIPT)
tidy = importlib.util.module_from_spec(importlib.util.spec_from_loader("tidy", loader))
loader.exec_module(tidy)

CMAKE = """
# tailrace_folder(comment DEPENDS nothing)
function(tailrace_folder name)
tailrace_folder(base LIBRARIES fmt::fmt)
tailrace_folder(log DEPENDS base model LIBRARIES fmt::fmt)
tailrace_folder(io DEPENDS base)
  tailrace_folder(server DEPENDS base log
                  LIBRARIES ZLIB::ZLIB)
target_link_libraries(tailrace PRIVATE tailrace_server CLI11::CLI11)
"""


class ThisRepository(unittest.TestCase):
    maxDiff = None

    def assert_clean(self, check):
        self.assertEqual([], tidy.CHECKS[check]())

    def test_sources_are_formatted(self):
        if shutil.which(tidy.CLANG_FORMAT) is None:
            self.skipTest(f"{tidy.CLANG_FORMAT} is not installed")
        self.assert_clean("format")

    def test_only_io_reads_the_clock(self):
        self.assert_clean("clock")

    def test_nothing_is_left_for_later(self):
        self.assert_clean("leftovers")

    def test_folders_include_only_what_they_depend_on(self):
        self.assert_clean("includes")

    def test_headers_begin_with_their_purpose(self):
        self.assert_clean("headers")

    def test_there_is_something_to_read(self):
        self.assertIn("src/base/time.h", tidy.tracked("*.h"))
        self.assertIn("src/engine/engine.cc", tidy.tracked("src/*.h", "src/*.cc"))


class Checks(unittest.TestCase):
    def test_the_clock(self):
        for call in ["std::chrono::system_clock::now()", "std::time(nullptr)", "time(0)", "gettimeofday(&t, nullptr)"]:
            self.assertEqual(1, len(tidy.find_clocks("src/engine/engine.cc", f"\nauto t = {call};\n")), call)
            self.assertEqual([], tidy.find_clocks("src/io/clock.cc", f"auto t = {call};"))
        for harmless in ['#include "io/system_clock.h"', "steady_clock::now()", "lifetime(0)"]:
            self.assertEqual([], tidy.find_clocks("src/engine/engine.cc", harmless))

    def test_the_place_is_named(self):
        [problem] = tidy.find_clocks("src/engine/engine.cc", "one\ntwo time(nullptr)\n")
        self.assertTrue(problem.startswith("src/engine/engine.cc:2: "), problem)

    def test_leftovers(self):
        for word in ["TO" "DO", "FIX" "ME", "XX" "X"]:
            self.assertEqual(1, len(tidy.find_leftovers("a.cc", f"// {word}: later")))
        self.assertEqual([], tidy.find_leftovers("a.cc", 'mkdtemp("tailrace-XX" "XXXX")'.replace('" "', "")))

    def test_dependencies_are_those_of_the_build(self):
        allowed = tidy.folder_dependencies(CMAKE)
        self.assertEqual({"base": {"base"}, "log": {"log", "base", "model"}, "io": {"io", "base"},
                          "server": {"server", "base", "log"}}, allowed)
        self.assertEqual({"server", "base", "log"}, tidy.program_dependencies(CMAKE, "tailrace", allowed))
        self.assertEqual(set(), tidy.program_dependencies(CMAKE, "log_test", allowed))

    def test_includes(self):
        allowed = tidy.folder_dependencies(CMAKE)
        find = lambda path, text: len(tidy.find_includes(path, text, allowed))
        self.assertEqual(0, find("src/log/log.cc", '#include "base/time.h"\n#include <vector>\n#include "log/log.h"\n'))
        self.assertEqual(1, find("src/log/log.cc", '#include "base/time.h"\n#include "io/disk.h"\n'))
        self.assertEqual(0, find("src/log/log_test.cc", '#include "support/memory_disk.h"\n'))
        self.assertEqual(1, find("src/log/log.cc", '#include "support/memory_disk.h"\n'))
        self.assertEqual(1, find("src/unknown/a.cc", ""))

    def test_headers(self):
        self.assertEqual([], tidy.find_header("a.h", "// What it is for.\n#pragma once\n"))
        self.assertEqual(1, len(tidy.find_header("a.h", "#pragma once\n")))
        self.assertEqual(1, len(tidy.find_header("a.h", "// What it is for.\n")))

    @unittest.skipIf(shutil.which(tidy.CLANG_FORMAT) is None, f"{tidy.CLANG_FORMAT} is not installed")
    def test_format(self):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["git", "init", "-q", folder], check=True)
            shutil.copy(os.path.join(ROOT, ".clang-format"), folder)
            for name, text in {"good.cc": "int a = 1;\n", "bad.cc": "int b = 1;\nint   c=2;\n"}.items():
                with open(os.path.join(folder, name), "w") as file:
                    file.write(text)
            root = tidy.ROOT
            tidy.ROOT = folder
            tidy.tracked.cache_clear()
            try:
                self.assertEqual(["bad.cc:2: not formatted; run make fmt"], tidy.check_format())
            finally:
                tidy.ROOT = root
                tidy.tracked.cache_clear()


if __name__ == "__main__":
    unittest.main()
