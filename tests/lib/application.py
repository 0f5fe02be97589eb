"""The FastCGI application by itself, on a socket of its own."""
import os
import signal
import subprocess

from fcgi_client import PARAMS, STDIN, Connection, begin, cgi, message, pairs, stream
from harness import ADMIN_KEY, BUILD, sanitizer_environment, wait_for

THREADS = 4
IO_TIMEOUT_S = 1.0
# a connection that says nothing more is given up after the time-out; libfcgi
# waits up to two seconds for its end
FREED_S = IO_TIMEOUT_S + 2.5


class Application:
    def __init__(self, directory, threads=THREADS, **env):
        self.data, self.path = str(directory / "data"), str(directory / "fcgi.sock")
        self.log_path, self.threads = str(directory / "log"), threads
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("CPA_", "USAGE_"))}
        self.env = dict(clean, CPA_MANAGER_ADMIN_KEY=ADMIN_KEY, **sanitizer_environment(), **env)
        self.process = None

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [os.path.join(BUILD, "cpa-manager.fcgi"), "--socket", self.path, "--data", self.data, "--threads",
                 str(self.threads), "--io-timeout", str(int(IO_TIMEOUT_S * 1000))],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env)
        wait_for(lambda: os.path.exists(self.path) and " ready" in self.log() or self.process.poll() is not None, 30)
        assert self.process.poll() is None, self.log()
        return self

    def stop(self):
        """SIGTERM; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def connect(self, timeout=30):
        return Connection(self.path, timeout)

    def ask(self, method, uri, key=None, body=None, **more):
        whole = message(method, uri, key, body, **more)
        return self.connect().ask(whole)

    def all_threads_work(self):
        """All but one wait for a body, and that one answers before any of them gives up."""
        waiting = [self.connect() for _ in range(THREADS - 1)]
        for c in waiting:
            c.send(begin(), stream(PARAMS, pairs(cgi("POST", "/setup", ADMIN_KEY, b"{}"))))
        health = self.ask("GET", "/health").status
        for c in waiting:
            try:
                c.send(stream(STDIN, b"{}"))
            except OSError:
                pass  # given up already: its answer says so
        return [health] + [c.read_answer().status for c in waiting] == [200] + [400] * (THREADS - 1)

    def assert_all_threads_work(self):
        """Soon, if not yet: libfcgi may still wait for the end of a connection."""
        wait_for(self.all_threads_work, 15, "all threads to work")
