"""Runs one unittest file and writes what became of it, as the C++ test programs do: run.py FILE REPORT."""

import importlib.util
import json
import os
import sys
import unittest

path, report = sys.argv[1:3]
sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
spec = importlib.util.spec_from_file_location("test_under_run", path)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
result = unittest.TextTestRunner(verbosity=2).run(unittest.defaultTestLoader.loadTestsFromModule(module))
with open(report, "w") as out:
    json.dump({"tests": result.testsRun, "failures": len(result.failures), "errors": len(result.errors),
               "skipped": len(result.skipped)}, out)
sys.exit(0 if result.wasSuccessful() else 1)
