"""The stack as a whole: it starts, serves the page, survives deaths, leaves nothing behind."""
import gzip
import json
import os
import re
import signal
import subprocess
import threading
import time

import pytest
from conftest import BUILD, Stack
from harness import FakeCpa, generated, wait_for


def test_the_page_is_served_compressed_and_closed_down(fresh):
    plain = fresh.get("/management.html", key=None)
    assert plain.status == 200 and plain.headers["content-type"] == "text/html; charset=utf-8"
    packed = fresh.get("/management.html", key=None, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip" and gzip.decompress(packed.body) == plain.body
    assert packed.headers["vary"] == "Accept-Encoding"
    assert packed.headers["cache-control"] == "no-cache"
    policy = packed.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert packed.headers["x-content-type-options"] == "nosniff"
    assert packed.headers["referrer-policy"] == "no-referrer"
    again = fresh.get("/management.html", key=None, headers={"If-None-Match": packed.headers["etag"],
                                                             "Accept-Encoding": "gzip"})
    assert again.status == 304
    assert len(packed.body) <= 160 * 1024
    # nothing is loaded from anywhere; a namespace is no address
    assert not re.search(rb"""(?:src|href|url\()=?["']?\s*(?:https?:)?//""", plain.body)


def test_the_root_leads_to_the_page(fresh):
    answer = fresh.get("/?a=1", key=None)
    assert answer.status == 307 and answer.headers["location"] == "/management.html"


def test_the_first_key_is_made_once_and_its_file_goes_with_the_login(make_stack):
    s = make_stack(key=None)
    path = os.path.join(s.data, "admin-key.txt")
    assert os.stat(path).st_mode & 0o777 == 0o600
    s.key = open(path).read().strip()
    assert re.fullmatch(r"cmp_admin_[0-9A-Za-z]{32}", s.key)
    for name in ("application", "collectord"):
        assert s.key not in s.log(name)
    assert s.get("/status").status == 200
    assert not os.path.exists(path)


def test_a_used_port_is_said(fresh, tmp_path):
    s = Stack(tmp_path / "data")
    s.argv[s.argv.index("--port") + 1] = str(fresh.port)
    run = subprocess.run(s.argv, env=s.env, capture_output=True, text=True, timeout=60)
    assert run.returncode == 1 and "Address already in use" in run.stderr and "ready" not in run.stdout


def test_a_second_stack_on_the_same_data_is_refused(fresh):
    s = Stack(fresh.data + "-other")
    s.argv[s.argv.index("--data") + 1] = s.data
    s.env["USAGE_DB_PATH"] = os.path.join(fresh.data, "usage.sqlite")
    run = subprocess.run([os.path.join(BUILD, "collectord"), "--data", fresh.data], env=s.env, capture_output=True,
                         text=True, timeout=60)
    assert run.returncode == 1 and "is held" in run.stderr


def test_nothing_is_left_behind(make_stack, tmp_path):
    s = Stack(tmp_path / "data").start()
    pids = s.pids().values()
    assert s.stop() == 0
    assert not os.path.exists(os.path.join(s.data, "run"))
    for pid in pids:
        assert not os.path.exists(f"/proc/{pid}"), "a process is left"
    leftovers = subprocess.run(["pgrep", "-f", s.data], capture_output=True, text=True).stdout.split()
    assert leftovers == []
    # the database was closed in order: no WAL to recover
    assert not os.path.exists(os.path.join(s.data, "usage.sqlite-wal"))


def test_killing_the_stack_itself_leaves_no_orphans(tmp_path):
    s = Stack(tmp_path / "data").start()
    pids = list(s.pids().values())
    s.process.kill()
    s.process.wait()
    wait_for(lambda: not any(os.path.exists(f"/proc/{p}") for p in pids), 20, "the children to end")


class Load:
    """Requests from several threads until stopped; every one must be answered."""

    def __init__(self, stack, threads=4):
        self.stack, self.stopped, self.done, self.bad = stack, False, 0, []
        self.threads = [threading.Thread(target=self.run) for _ in range(threads)]
        for t in self.threads:
            t.start()

    def run(self):
        while not self.stopped:
            try:
                status = self.stack.get("/status").status
                if status != 200:
                    self.bad.append(status)
            except OSError as e:
                self.bad.append(repr(e))
            self.done += 1

    def stop(self):
        self.stopped = True
        for t in self.threads:
            t.join()


@pytest.mark.slow
def test_restarts_of_the_application_lose_no_request(connected):
    """The socket is held: while one process ends and the next begins, requests wait in it."""
    load = Load(connected)
    for _ in range(5):
        time.sleep(0.4)
        before = connected.pids()["application"]
        connected.process.send_signal(signal.SIGUSR1)
        wait_for(lambda: connected.pids()["application"] != before, 15, "a new application")
    time.sleep(0.4)
    load.stop()
    assert load.done > 100 and load.bad == []


@pytest.mark.slow
def test_killed_programs_come_back_and_lose_no_event(connected, cpa):
    before = connected.get("/status").json["events"]
    total = 3000
    items = generated(total, "--seed", "77")
    for i in range(0, total, 500):
        cpa.push(items[i:i + 500])
        for name in ("application", "collectord"):
            pid = connected.pids()[name]
            os.kill(pid, signal.SIGTERM if name == "collectord" else signal.SIGKILL)
            wait_for(lambda: connected.pids()[name] != pid, 20, f"{name} to come back")
    wait_for(lambda: connected.get("/status").json["events"] == before + total, 30, "all events")
    assert connected.get("/status").json["gaps"] == 0


def test_when_the_application_is_down_the_answer_says_so(make_stack):
    s = make_stack()
    # stopped, not killed, it is not started again; the socket answers nobody
    os.kill(s.process.pid, signal.SIGSTOP)
    os.kill(s.pids()["application"], signal.SIGKILL)
    try:
        path = os.path.realpath(os.path.join(s.data, "run", "fcgi.sock"))
        os.rename(path, path + ".away")
        answer = s.get("/health", key=None)
        assert answer.status == 502 and answer.json["code"] == "application_unavailable"
        os.rename(path + ".away", path)
    finally:
        os.kill(s.process.pid, signal.SIGCONT)
    wait_for(lambda: s.get("/health", key=None).status == 200, 20, "the application to come back")


def test_the_daemon_down_is_said_with_what_to_do(make_stack):
    s = make_stack()
    os.kill(s.process.pid, signal.SIGSTOP)
    try:
        os.kill(s.pids()["collectord"], signal.SIGKILL)
        wait_for(lambda: not s.get("/status").json["collector"]["x_alive"], 10, "its lock to be free")
        assert s.get("/status").json["collector"]["collector"] == "stopped"
        assert "start it" in s.get("/status").json["collector"]["x_hint"]
    finally:
        os.kill(s.process.pid, signal.SIGCONT)
    wait_for(lambda: s.get("/status").json["collector"]["x_alive"], 20, "the daemon to come back")


def test_apache_serves_the_same(make_stack):
    s = make_stack(web="apache")
    assert s.get("/health", key=None).json["ok"] is True
    assert s.get("/status").status == 200, "Authorization must reach the application"
    page = s.get("/management.html", key=None)
    assert page.status == 200 and "content-security-policy" in page.headers
    assert s.get("/v0/management/a%2Fb").status in (400, 404)


def test_install_and_uninstall(tmp_path):
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    make = ["make", "--no-print-directory", f"DESTDIR={tmp_path}", "PREFIX=/usr"]
    subprocess.run([*make, "install"], cwd=root, check=True, capture_output=True)
    assert os.access(tmp_path / "usr/bin/cpactl", os.X_OK)
    assert os.access(tmp_path / "usr/libexec/cpa-manager/collectord", os.X_OK)
    assert "Content-Security-Policy" in (tmp_path / "usr/share/cpa-manager/page-headers.nginx").read_text()
    subprocess.run([*make, "uninstall"], cwd=root, check=True, capture_output=True)
    assert [f for _, _, files in os.walk(tmp_path) for f in files] == []


@pytest.mark.slow
def test_the_demo_shows_a_living_page_within_seconds(tmp_path):
    s = Stack(tmp_path / "demo", key=None, args=("--demo",)).start()
    try:
        info = s.get("/usage-service/info", key=None).json
        s.key = info["demo"]["adminKey"]
        wait_for(lambda: s.get("/status").json["events"] > 19000, 20, "a month of events")
        # the past comes first: today is there once all of it is
        wait_for(lambda: s.get("/v0/management/overview").json["today"]["requests"] > 0, 20, "today")
        overview = s.get("/v0/management/overview").json
        assert len(overview["events"]) == 100
        assert overview["total"]["lastMs"] - overview["total"]["firstMs"] > 29 * 86400000
        before = s.get("/status").json["events"]
        wait_for(lambda: s.get("/status").json["events"] > before, 10, "the stream")
    finally:
        assert s.stop() == 0
