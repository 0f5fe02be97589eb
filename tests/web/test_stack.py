"""The stack as a whole: it starts, serves the page, survives deaths, leaves nothing behind."""
import gzip
import importlib.machinery
import importlib.util
import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest
from conftest import BUILD, Stack
from harness import ROOT, generated, wait_for


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


def refused(stack):
    """What a stack says that cannot start: one line."""
    run = subprocess.run(stack.argv, env=stack.env, capture_output=True, text=True, timeout=60)
    assert run.returncode == 1 and run.stdout == ""
    assert run.stderr.startswith("stack: ") and run.stderr.count("\n") == 1, run.stderr
    return run.stderr


def test_a_used_port_is_said(fresh, tmp_path):
    s = Stack(tmp_path / "data")
    s.argv[s.argv.index("--port") + 1] = str(fresh.port)
    assert "Address already in use" in refused(s)
    assert not os.path.exists(s.data)


def test_a_second_stack_on_the_same_data_is_refused_and_harms_nobody(fresh):
    s = Stack(fresh.data)
    assert "in use by another tools/stack" in refused(s)
    s.argv[s.argv.index("--port") + 1] = str(fresh.port)
    refused(s)
    assert fresh.get("/health", key=None).status == 200 and fresh.pids()["application"]


def test_a_daemon_that_cannot_start_gives_its_own_reason(fresh, tmp_path):
    """Another collectord has the data."""
    data = tmp_path / "data"
    argv, s = [os.path.join(BUILD, "collectord"), "--data", str(data)], Stack(data)
    with subprocess.Popen(argv, env=s.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as other:
        try:
            wait_for(lambda: os.path.exists(data / "usage.sqlite.manager.lock"), 20, "the other daemon")
            second = subprocess.run(argv, env=s.env, capture_output=True, text=True, timeout=60)
            assert second.returncode == 1
            reason = second.stderr.splitlines()[-1].split(" ", 1)[1]  # behind the time
            text = refused(s)
            assert text.startswith("stack: collectord cannot start") and "is held" in reason and reason in text
        finally:
            other.terminate()
    assert not os.path.exists(data / "run")


@pytest.mark.parametrize("name", ["USAGE_POLL_INTERVAL_MS", "CPA_MANAGER_ADMIN_KEY"])
def test_a_bad_setting_is_said_by_the_program_that_reads_it(tmp_path, name):
    s = Stack(tmp_path / "data")
    s.env[name] = "short"
    text = refused(s)
    assert "cannot start" in text and name in text


def test_what_is_missing_is_said(tmp_path):
    s = Stack(tmp_path / "data")
    s.argv[s.argv.index("--build") + 1] = str(tmp_path)
    assert "cpa-manager.fcgi is missing" in refused(s)
    s = Stack(tmp_path / "data", PANEL_PATH=str(tmp_path / "none.html"))
    assert "none.html is missing" in refused(s)


def test_a_folder_that_is_not_ours_is_left_alone(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "precious").write_text("x")
    assert "files of somebody else" in refused(Stack(tmp_path))
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "precious").write_text("x")
    assert "not a demo's directory" in refused(Stack(tmp_path / "letters", args=("--demo",)))
    assert (tmp_path / "run" / "precious").exists() and (tmp_path / "letters" / "precious").exists()


def test_a_path_that_is_too_long_for_a_socket_is_none_for_us(make_stack, tmp_path):
    s = Stack(tmp_path / ("long" * 30) / "data").start()
    try:
        assert s.get("/health", key=None).status == 200
    finally:
        assert s.stop() == 0
    assert not os.path.exists(os.path.join(s.data, "run"))


def test_address_and_page_can_be_given_by_the_environment(tmp_path):
    page = tmp_path / "own.html"
    page.write_text("<!doctype html><title>own</title>")
    s = Stack(tmp_path / "data", PANEL_PATH=str(page))
    i = s.argv.index("--port")
    del s.argv[i:i + 2]
    s.env["HTTP_ADDR"] = f"127.0.0.1:{s.port}"
    s.start()
    try:
        answer = s.get("/management.html", key=None)
        assert answer.body == page.read_bytes()
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    finally:
        assert s.stop() == 0


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


def test_a_stack_that_was_killed_leaves_no_orphans_and_can_be_started_again(tmp_path):
    s = Stack(tmp_path / "data").start()
    pids = list(s.pids().values())
    place = os.path.dirname(os.path.realpath(os.path.join(s.data, "run", "fcgi.sock")))
    s.process.kill()
    s.process.wait()
    wait_for(lambda: not any(os.path.exists(f"/proc/{p}") for p in pids), 20, "the children to end")
    s.start()
    assert s.get("/status").status == 200
    assert s.stop() == 0
    assert not os.path.exists(os.path.join(s.data, "run")) and not os.path.exists(place)


def test_a_web_server_that_was_killed_comes_back(make_stack):
    """Its workers keep the port when their master is killed; they must go too."""
    s = make_stack()
    pid = s.pids()["nginx"]
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: s.pids()["nginx"] != pid, 10, "another nginx")
    wait_for(lambda: answers(s), 10, "its answer")
    time.sleep(0.3)
    assert s.pids()["nginx"] != pid and answers(s)


def answers(stack):
    try:
        return stack.get("/health", key=None).status == 200
    except OSError:
        return False


def test_a_program_that_dies_at_once_is_started_less_and_less_often(tmp_path):
    build = tmp_path / "build"
    build.mkdir()
    for name in os.listdir(BUILD):
        if os.path.isfile(os.path.join(BUILD, name)):
            os.symlink(os.path.realpath(os.path.join(BUILD, name)), build / name)
    s = Stack(tmp_path / "data")
    s.argv[s.argv.index("--build") + 1] = str(build)
    s.start()
    try:
        real = os.readlink(build / "cpa-manager.fcgi")
        (build / "new").write_text("#!/bin/sh\necho no luck today >&2\necho x >>" + str(tmp_path / "count") + "\nexit 3\n")
        (build / "new").chmod(0o755)
        os.replace(build / "new", build / "cpa-manager.fcgi")
        os.kill(s.pids()["application"], signal.SIGKILL)
        time.sleep(2.5)
        starts = len((tmp_path / "count").read_text().split())
        assert 2 <= starts <= 5, "0, 0.25, 0.5, 1 s between them"
        os.symlink(real, build / "again")
        os.replace(build / "again", build / "cpa-manager.fcgi")
        # who asks meanwhile waits in the socket's queue
        assert s.get("/health", key=None, timeout=20).status == 200
        s.process.send_signal(signal.SIGINT)
        said = s.process.communicate(timeout=30)[1]
        assert "application ended with code 3" in said and "no luck today" in said
    finally:
        s.process.kill()
        s.process.wait()


def test_logs_stay_bounded(tmp_path):
    loader = importlib.machinery.SourceFileLoader("stack", os.path.join(ROOT, "tools/stack"))
    spec = importlib.util.spec_from_loader("stack", loader)
    stack = importlib.util.module_from_spec(spec)
    sys.path.insert(0, os.path.join(ROOT, "tools"))
    loader.exec_module(stack)
    log = tmp_path / "x.log"
    with open(log, "ab") as program:
        program.write(b"a" * stack.LOG_LIMIT_BYTES)
        program.flush()
        stack.rotate(str(log))
        assert log.stat().st_size == stack.LOG_LIMIT_BYTES, "at the limit nothing happens"
        program.write(b"b\n")
        program.flush()
        stack.rotate(str(log))
        assert log.stat().st_size == 0
        assert (tmp_path / "x.log.1").stat().st_size == stack.LOG_LIMIT_BYTES + 2
        program.write(b"c\n")
        program.flush()
        assert log.read_bytes() == b"c\n", "the program goes on writing at the start"


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
