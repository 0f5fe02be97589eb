"""What the pytest tiers share: programs under test, the fake CPA, small clients."""
import contextlib
import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("BUILD_DIR", "build"))
LIB = os.path.join(ROOT, "tests", "lib")
CPA_KEY = "mgmt-test-key"  # what the fake CPA takes
ADMIN_KEY = "cmp_admin_0123456789abcdefghijklmnopqrstuv"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(condition, timeout_s=20.0, what="condition", step_s=0.02):
    """Poll until condition() is true; its value is returned."""
    end = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what} not met within {timeout_s} s")
        time.sleep(step_s)


def sanitizer_environment():
    return {"ASAN_OPTIONS": "detect_leaks=1:exitcode=97", "UBSAN_OPTIONS": "halt_on_error=1:exitcode=98:print_stacktrace=1"}


class FakeCpa:
    """tests/lib/fake_cpa.py in a process of its own."""

    def __init__(self, events=None, faults=""):
        self.options = ["--key", CPA_KEY]
        if events:
            self.options += ["--events", events]
        if faults:
            self.options += ["--faults", faults]
        self.port = free_port()
        while not self.start():  # somebody else has taken the port meanwhile
            self.port = free_port()

    def start(self):
        """On the same port as before.  False when it is taken."""
        self.process = subprocess.Popen([sys.executable, os.path.join(LIB, "fake_cpa.py"), str(self.port), *self.options],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: self.process.poll() is not None or self.answers(), 30, "fake CPA")
        return self.process.poll() is None

    def answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 0.5):
                return True
        except OSError:
            return False

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def control(self, path, body=None):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        c.request("GET" if body is None else "POST", "/__ctl/" + path, body)
        answer = json.loads(c.getresponse().read())
        c.close()
        return answer

    def push(self, items):
        return self.control("push", json.dumps(items))

    def faults(self, **table):
        return self.control("faults", json.dumps(table))

    def state(self):
        return self.control("state")

    def stop(self):
        self.process.kill()
        self.process.wait()


class Collectord:
    """The daemon on a data directory; killed and started as a test likes."""

    def __init__(self, data, cpa_url=None, **env):
        self.data = str(data)
        self.env = dict(os.environ, **sanitizer_environment(), **env)
        if cpa_url:
            self.env.update(CPA_UPSTREAM_URL=cpa_url, CPA_MANAGEMENT_KEY=CPA_KEY)
        self.env.setdefault("USAGE_POLL_INTERVAL_MS", "50")
        self.env.setdefault("USAGE_COLLECTOR_MODE", "http")
        self.log_path = os.path.join(self.data + ".log")
        self.process = None

    def start(self, wait=True):
        before = self.log().count("collectord started")
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([os.path.join(BUILD, "collectord"), "--data", self.data],
                                            stdout=log, stderr=log, env=self.env)
        if wait:
            wait_for(lambda: self.log().count("collectord started") > before or self.process.poll() is not None,
                     30, "collectord to start")
        return self

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, timeout_s=30):
        """SIGTERM; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)

    def log(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as f:
                return f.read()
        except OSError:
            return ""

    @property
    def db(self):
        return os.path.join(self.data, "usage.sqlite")

    def sql(self, text, *args):
        """Rows of a query, on a connection of its own; [] while there is no database."""
        if not os.path.exists(self.db):
            return []
        end = time.monotonic() + 10
        while True:
            try:
                with contextlib.closing(sqlite3.connect(f"file:{self.db}?mode=ro", uri=True, timeout=10)) as c:
                    return c.execute(text, args).fetchall()
            except sqlite3.OperationalError as e:
                if "no such table" in str(e):
                    return []
                # after a kill the WAL waits to be recovered, which a reader cannot do
                if "readonly" not in str(e) or time.monotonic() > end:
                    raise
            time.sleep(0.02)

    def count(self, table="events"):
        rows = self.sql(f"SELECT count(*) FROM {table}")
        return rows[0][0] if rows else 0

    def state(self):
        rows = self.sql("SELECT state FROM collector_state")
        return json.loads(rows[0][0]) if rows else {}


def generated(count, *options):
    """Payloads of tests/lib/gen_events.py, one text each."""
    out = subprocess.run([sys.executable, os.path.join(LIB, "gen_events.py"), str(count), *options],
                         check=True, capture_output=True, text=True).stdout
    return out.splitlines()


def recorded(prefix=""):
    """Payloads of tests/data/events.jsonl whose name begins so: (name, payload)."""
    with open(os.path.join(ROOT, "tests/data/events.jsonl"), encoding="utf-8") as f:
        rows = [json.loads(line) for line in f]
    return [(r["name"], r["payload"]) for r in rows if r["name"].startswith(prefix)]


def expected_rows():
    with open(os.path.join(ROOT, "tests/data/events-expected.jsonl"), encoding="utf-8") as f:
        return [json.loads(line) for line in f]
