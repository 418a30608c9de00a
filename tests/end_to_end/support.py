"""The built binary, driven as users drive it: a workspace in a scratch folder, `serve` and `sandbox` on ports of their own."""

import base64
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TAILRACE = os.path.join(ROOT, "build", "tailrace")
EXAMPLE = os.path.join(ROOT, "examples", "online-retail")
WRITE_KEY = "a-write-key"
ENVIRONMENT = {**os.environ, "TAILRACE_SANDBOX_TOKEN": "sandbox-token", "TAILRACE_WRITE_KEY": WRITE_KEY}


def eventually(condition, what, seconds=30, pause=0.05):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(pause)
    raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")


class Program:
    """A tailrace process that prints where it listens."""

    def __init__(self, folder, *arguments):
        self.log_path = os.path.join(folder, f"{arguments[0]}-{time.monotonic_ns()}.log")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([TAILRACE, *arguments], stdout=log, stderr=subprocess.STDOUT, env=ENVIRONMENT)
        self.url = eventually(self._find_url, lambda: self.log(), seconds=60)

    def _find_url(self):
        if self.process.poll() is not None:
            raise AssertionError(f"ended with {self.process.returncode}:\n{self.log()}")
        found = re.search(r"https?://[0-9.]+:\d+", self.log())
        return found and found.group(0)

    def log(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


class Scene:
    """A scratch folder with a workspace that points at a sandbox, and the commands on it."""

    def __init__(self, workspace=EXAMPLE, with_sandbox=True):
        self.folder = tempfile.mkdtemp(prefix="tailrace-test-")
        self.workspace = os.path.join(self.folder, "workspace")
        shutil.copytree(workspace, self.workspace, ignore=shutil.ignore_patterns("data", ".tailrace"))
        self.store = os.path.join(self.folder, "store")
        self.sandbox = Program(self.folder, "sandbox", "--listen", "127.0.0.1:0") if with_sandbox else None
        if self.sandbox:
            self.replace("http://127.0.0.1:9090", self.sandbox.url)
        self.server = None

    def replace(self, old, new):
        for directory, _, files in os.walk(self.workspace):
            for name in files:
                path = os.path.join(directory, name)
                with open(path) as file:
                    text = file.read()
                if old in text:
                    with open(path, "w") as file:
                        file.write(text.replace(old, new))

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
        return path

    def serve(self, *arguments):
        self.server = Program(self.folder, "serve", "-w", self.workspace, "--data", self.store, "--listen", "127.0.0.1:0", *arguments)
        return self.server

    def log_bytes(self):
        """All of the log; files that come and go while a deletion is written down may be missing."""
        contents = b""
        for name in os.listdir(os.path.join(self.store, "log")):
            try:
                with open(os.path.join(self.store, "log", name), "rb") as file:
                    contents += file.read()
            except FileNotFoundError:
                pass
        return contents

    def run(self, command, *arguments, code=0):
        line = [TAILRACE, command, "-w", self.workspace, "--data", self.store, *arguments]
        done = subprocess.run(line, capture_output=True, text=True, env=ENVIRONMENT, timeout=120)
        if code is not None and done.returncode != code:
            raise AssertionError(f"{' '.join(line)} ended with {done.returncode}, not {code}:\n{done.stdout}{done.stderr}")
        return done

    def members(self, segment, *arguments):
        return self.run("members", segment, *arguments).stdout.split()

    def statuses(self):
        return {row["audience"]: row for row in json.loads(self.run("status", "--format", "json").stdout)}

    def post(self, path, body, key=WRITE_KEY, headers=None):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.server.url + path, data=data, headers={
            "Content-Type": "application/json", "Authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode(), **(headers or {})})
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def send(self, *messages):
        status, body = self.post("/v1/batch", {"batch": list(messages)})
        if status != 200:
            raise AssertionError(f"{status}: {body}")

    def control(self, path, body=None):
        request = urllib.request.Request(self.sandbox.url + path, data=None if body is None else json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.load(reply)

    def platform_audiences(self):
        return {(a["platform"], a["name"]): a for a in self.control("/sandbox/audiences")["audiences"]}

    def platform_members(self, platform, name):
        audience = self.platform_audiences().get((platform, name))
        if audience is None:
            return set()
        return {row["value"] for row in self.control(f"/sandbox/audiences/{platform}/{audience['id']}/members")["members"]}

    def close(self):
        for program in (self.server, self.sandbox):
            if program and program.process.poll() is None:
                program.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def no_node():
    """What is missing to run what npm brings, or None."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "node and npm are not installed: tools/install-dependencies --tests"
    return None


def npm_install(folder, *arguments, seconds):
    """What the folder's lock file has; again only when that changed. The process that did it, or None."""
    stamp = os.path.join(folder, "node_modules", ".package-lock.json")
    if os.path.exists(stamp) and os.path.getmtime(stamp) >= os.path.getmtime(os.path.join(folder, "package-lock.json")):
        return None
    # Not `npm ci`: it asks for optional packages of other platforms, which not every registry has. The lock holds all the same.
    return subprocess.run(["npm", "install", "--no-save", *arguments, "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder,
                          capture_output=True, text=True, timeout=seconds)


def hash_of(email):
    return hashlib.sha256(email.encode()).hexdigest()
