import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))
from harness import ADMIN_KEY, BUILD, FakeCpa, ROOT, free_port, sanitizer_environment  # noqa: E402


class Answer:
    """Status, headers and body of one exchange."""

    def __init__(self, response, body):
        self.status, self.reason, self.body = response.status, response.reason, body
        self.headers = {k.lower(): v for k, v in response.getheaders()}

    @property
    def json(self):
        return json.loads(self.body)


class Stack:
    """tools/stack on a data directory; `key` is its admin key."""

    def __init__(self, data, web="nginx", key=ADMIN_KEY, args=(), **env):
        self.port, self.data, self.key = free_port(), str(data), key
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("CPA_", "USAGE_"))}
        self.env = dict(clean, **sanitizer_environment(), USAGE_POLL_INTERVAL_MS="50", **env)
        if key:
            self.env["CPA_MANAGER_ADMIN_KEY"] = key
        self.argv = [os.path.join(ROOT, "tools/stack"), "--port", str(self.port), "--data", self.data, "--web", web,
                     "--build", BUILD_WITH_PAGE, *args]
        self.process = None

    def start(self):
        self.process = subprocess.Popen(self.argv, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        ready, _, _ = select.select([self.process.stdout], [], [], 60)
        line = self.process.stdout.readline() if ready else ""
        assert line.startswith("ready http://127.0.0.1:"), self.why()
        return self

    def why(self):
        self.process.terminate()
        return "the stack did not start: " + self.process.communicate(timeout=30)[1]

    def stop(self):
        """Ctrl-C.  Returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        code = self.process.wait(40)
        self.process.stdout.close()
        self.process.stderr.close()
        return code

    def pids(self):
        with open(os.path.join(self.data, "run", "pids.json")) as f:
            return json.load(f)

    def log(self, name):
        with open(os.path.join(self.data, "log", name + ".log"), encoding="utf-8", errors="replace") as f:
            return f.read()

    def request(self, method, path, body=None, key=None, headers=None, timeout=30):
        """key: True for the admin key, a text for that key, None for none."""
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        h = dict(headers or {})
        if key:
            h["Authorization"] = "Bearer " + (self.key if key is True else key)
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            h.setdefault("Content-Type", "application/json")
        try:
            c.request(method, path, body, h)
            r = c.getresponse()
            return Answer(r, r.read())
        finally:
            c.close()

    def get(self, path, key=True, **more):
        return self.request("GET", path, key=key, **more)

    def raw(self, data, timeout=20):
        """Bytes to the server, all that comes back."""
        with socket.create_connection(("127.0.0.1", self.port), timeout) as s:
            s.sendall(data)
            out = b""
            try:
                while chunk := s.recv(65536):
                    out += chunk
            except (ConnectionResetError, socket.timeout):
                pass
            return out


# sanitizer builds have programs of their own, but the page is built once
BUILD_WITH_PAGE = BUILD
if os.path.realpath(BUILD) != os.path.join(ROOT, "build") and not os.path.exists(os.path.join(BUILD, "management.html")):
    for name in ("management.html", "management.html.gz", "management.html.br", "management.csp"):
        os.symlink(os.path.join(ROOT, "build", name), os.path.join(BUILD, name))


@pytest.fixture(scope="session")
def make_stack(tmp_path_factory):
    """Starts stacks; each must end without complaint."""
    running = []

    def start(**options):
        s = Stack(tmp_path_factory.mktemp("stack") / "data", **options).start()
        running.append(s)
        return s

    yield start
    for s in running:
        assert s.stop() == 0
        for name in ("application", "collectord"):
            log = s.log(name)
            assert "ERROR: " not in log and "runtime error" not in log, log[-4000:]


@pytest.fixture(scope="module")
def cpa():
    fake = FakeCpa()
    yield fake
    fake.stop()


@pytest.fixture(scope="module")
def fresh(make_stack):
    """A stack before its setup."""
    return make_stack()


@pytest.fixture(scope="module")
def connected(make_stack, cpa):
    """A stack that was set up with the fake CPA."""
    s = make_stack()
    answer = s.request("POST", "/setup", {"cpaBaseUrl": cpa.url, "managementKey": "mgmt-test-key", "pollIntervalMs": 50}, key=True)
    assert answer.status == 200, answer.body
    return s
