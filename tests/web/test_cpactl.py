"""cpactl, run as a person would, beside a collectord that works on a stand-in of CPA."""
import base64
import hashlib
import hmac
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("BUILD_DIR", "build"))
EVENTS = os.path.join(ROOT, "tests/data/events.jsonl")
CPA_KEY = "mgmt-test-key"


def environment(**more):
    """Ours, without what would configure the programs; no file of the machine is read."""
    kept = {k: v for k, v in os.environ.items() if not re.match("USAGE_|CPA_|NOTIFY_|WATCHDOG_", k)}
    return {**kept, "CPA_MANAGER_CONFIG": "", **more}


def cpactl(*args, data=None, **more):
    argv = [os.path.join(BUILD, "cpactl"), *(["--data", str(data)] if data else []), *args]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, env=environment(**more))


def wait_for(what, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = what()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError("waited in vain")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Daemon:
    """A collectord with a CPA of its own."""

    def __init__(self, data, cpa_port):
        self.data = data
        env = environment(CPA_UPSTREAM_URL=f"http://127.0.0.1:{cpa_port}", CPA_MANAGEMENT_KEY=CPA_KEY,
                          USAGE_COLLECTOR_MODE="http", USAGE_POLL_INTERVAL_MS="50")
        self.log = open(os.path.join(data.parent, "collectord.log"), "ab")
        self.process = subprocess.Popen([os.path.join(BUILD, "collectord"), "--data", str(data)], env=env,
                                        stdout=self.log, stderr=self.log)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=30)
        self.log.close()


@pytest.fixture(name="cpa")
def fixture_cpa():
    """Port of a stand-in that holds the recorded payloads."""
    port = free_port()
    process = subprocess.Popen([sys.executable, os.path.join(ROOT, "tests/lib/fake_cpa.py"), str(port), "--key", CPA_KEY,
                                "--events", EVENTS], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def answers():
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/__ctl/state", timeout=1) as r:
                return r.status == 200
        except OSError:
            return False

    try:
        wait_for(answers)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=10)


@pytest.fixture(name="daemon")
def fixture_daemon(tmp_path, cpa):
    """A collectord that has stored what the stand-in held."""
    d = Daemon(tmp_path / "data", cpa)
    try:
        def stored():
            answer = cpactl("status", "--json", data=d.data)
            return answer.stdout and json.loads(answer.stdout)["events"] > 0

        wait_for(stored)
        yield d
    finally:
        d.stop()


@pytest.fixture(name="store")
def fixture_store(daemon):
    """A data directory that nobody works on."""
    daemon.stop()
    return daemon.data


def change(data, sql, *args):
    with sqlite3.connect(data / "usage.sqlite") as db:
        assert db.execute(sql, args).rowcount > 0
    db.close()


def opens(data, key):
    """Is this the admin key?  By the format, without our code."""
    db = sqlite3.connect(data / "usage.sqlite")
    record = json.loads(db.execute("SELECT value FROM settings WHERE key = 'admin_credential_v1'").fetchone()[0])
    db.close()

    def b64(text):
        return base64.b64decode(text + "=" * (-len(text) % 4))

    assert record["iterations"] == 1
    return hmac.new(b64(record["salt"]), key.encode(), hashlib.sha256).digest() == b64(record["keyHash"]), record


# ---- the command line itself


def test_help_names_every_command():
    answer = cpactl("--help")
    assert answer.returncode == 0 and answer.stderr == ""
    for name in ("reset-admin-key", "status", "verify"):
        assert re.search(rf"^  {name}\b", answer.stdout, re.M)
        assert cpactl(name, "--help").returncode == 0


def test_version():
    answer = cpactl("--version")
    with open(os.path.join(ROOT, "VERSION"), encoding="ascii") as f:
        assert answer.stdout == f"cpactl {f.read().strip()}\n" and answer.returncode == 0


@pytest.mark.parametrize("args", [[], ["frobnicate"], ["--frobnicate"], ["status", "--frobnicate"], ["verify", "x"],
                                  ["reset-admin-key", "x"], ["reset-admin-key", "--admin-key-file"]])
def test_wrong_use_says_how(args, tmp_path):
    answer = cpactl(*args, data=tmp_path if args and args[0][0] != "-" else None)
    assert answer.returncode == 2 and answer.stdout == ""
    assert "usage: cpactl" in answer.stderr


@pytest.mark.parametrize("command", ["status", "verify", "reset-admin-key"])
def test_no_database(command, tmp_path):
    answer = cpactl(command, data=tmp_path)
    assert answer.returncode == 1 and answer.stdout == ""
    assert str(tmp_path / "usage.sqlite") in answer.stderr and "--data" in answer.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["status", "verify", "reset-admin-key"])
def test_foreign_database_is_left_alone(command, tmp_path):
    path = tmp_path / "usage.sqlite"
    db = sqlite3.connect(path)
    db.executescript("PRAGMA journal_mode = WAL; CREATE TABLE usage_events (id INTEGER PRIMARY KEY);"
                     "CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT, updated_at_ms INTEGER);")
    db.close()
    before = path.read_bytes()
    answer = cpactl(command, data=tmp_path)
    assert answer.returncode == 1
    assert "cpactl --data NEW migrate --from OLD" in answer.stderr
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["usage.sqlite"]


# ---- status


def test_status_while_collecting_and_after(daemon):
    answer = cpactl("status", "--json", data=daemon.data)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    now = json.loads(answer.stdout)
    assert now["collector"] == "running" and now["transport"] == "http" and now["lastError"] == ""
    assert now["events"] > 0 and now["gaps"] == 0
    assert 0 < now["lastInsertedAt"] <= time.time() * 1000
    table = cpactl("status", data=daemon.data)
    assert re.search(rf"^events +{now['events']}$", table.stdout, re.M)
    assert re.search(r"^collector +running$", table.stdout, re.M)

    daemon.stop()
    answer = cpactl("status", "--json", data=daemon.data)
    assert answer.returncode == 3 and json.loads(answer.stdout)["collector"] == "stopped"
    assert "start collectord" in cpactl("status", data=daemon.data).stdout


def test_status_counts_what_is_stored(store):
    shown = json.loads(cpactl("status", "--json", data=store).stdout)
    db = sqlite3.connect(store / "usage.sqlite")
    assert shown["events"] == db.execute("SELECT count(*) FROM events").fetchone()[0]
    assert shown["deadLetters"] == db.execute("SELECT count(*) FROM dead_letters").fetchone()[0] > 0
    db.close()


# ---- verify


def test_verify_finds_a_sound_store_sound(daemon):
    for _ in range(2):
        answer = cpactl("verify", data=daemon.data)
        assert answer.returncode == 0, answer.stdout
        lines = answer.stdout.splitlines()
        assert len(lines) == 7 and all(re.search(r" ok$", line) for line in lines)
        daemon.stop()


@pytest.mark.parametrize("sql, check, says", [
    ("DELETE FROM dict WHERE kind = 1", "dictionaries", "missing"),
    ("DELETE FROM identities", "dictionaries", "identity"),
    ("UPDATE counters SET value = value + 1 WHERE name = 'events'", "counters", "the counter says"),
    ("UPDATE counters SET value = value + 1 WHERE name = 'dead_letters'", "counters", "the counter says"),
    ("UPDATE events SET input_tokens = input_tokens + 1 WHERE id = 1", "event hashes", "event 1 "),
    ("UPDATE event_detail SET data = x'00112233'", "event details", "broken"),
    ("INSERT INTO event_detail VALUES (1000000, 0, x'00')", "references", "event_detail"),
])
def test_verify_names_what_is_wrong(store, sql, check, says):
    change(store, sql)
    answer = cpactl("verify", data=store)
    assert answer.returncode == 1
    line = next(x for x in answer.stdout.splitlines() if x.startswith(check))
    assert says in line and not line.endswith(" ok")


def test_verify_sees_a_damaged_file(store):
    path = store / "usage.sqlite"
    db = sqlite3.connect(path)
    root = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'events'").fetchone()[0]
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    content = bytearray(path.read_bytes())
    content[(root - 1) * 4096 + 8:root * 4096] = b"\xa5" * 4088
    path.write_bytes(content)
    answer = cpactl("verify", data=store)
    assert answer.returncode == 1
    assert not re.search(r"^database file +ok$", answer.stdout, re.M)


def test_verify_sees_a_lost_data_key(store):
    row = json.dumps({"cpaConnection": {"cpaBaseUrl": "http://h",
                                        "managementKey": "enc:v1:AAECAwQFBgcICQoL:Zy1QGlrl0SJq8qC9y6P9kpVhJz4hsFcp"}})
    change(store, "INSERT OR REPLACE INTO settings VALUES ('manager_config_v1', ?, 1)", row)
    key = store / "data.key"
    key.unlink(missing_ok=True)
    answer = cpactl("verify", data=store)
    assert answer.returncode == 1 and re.search(r"^stored secrets +data key .* is missing", answer.stdout, re.M)
    assert not key.exists()
    key.write_text("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n", encoding="ascii")
    assert cpactl("verify", data=store).returncode == 0
    key.write_text("AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n", encoding="ascii")
    answer = cpactl("verify", data=store)
    assert answer.returncode == 1 and "is not the one" in answer.stdout


# ---- reset-admin-key


def test_reset_makes_a_key_while_collecting(daemon):
    first = (daemon.data / "admin-key.txt").read_text(encoding="ascii").strip()
    assert opens(daemon.data, first)[0]
    answer = cpactl("reset-admin-key", data=daemon.data)
    assert answer.returncode == 0 and answer.stderr == ""
    key = re.fullmatch(r"CPA Manager admin key reset\.\nNew admin key: (cmp_admin_[0-9A-Za-z]{32})\n"
                       r"Save this value now\. It will not be shown again\.\n", answer.stdout).group(1)
    fits, record = opens(daemon.data, key)
    assert fits and record["source"] == "cli-generated" and record["rotatedAtMs"] >= record["createdAtMs"]
    assert not opens(daemon.data, first)[0]
    assert not (daemon.data / "admin-key.txt").exists()
    assert daemon.process.poll() is None


def test_reset_takes_a_key_from_a_file(store, tmp_path):
    file = tmp_path / "key"
    file.write_text("  a key with blanks \u00e9\n", encoding="utf-8")
    answer = cpactl("reset-admin-key", "--admin-key-file", str(file), data=store)
    assert answer.returncode == 0 and "a key with" not in answer.stdout + answer.stderr
    fits, record = opens(store, "a key with blanks \u00e9")
    assert fits and record["source"] == "cli"


@pytest.mark.parametrize("content, says", [("", "empty"), (" \n", "empty"), ("fifteen-letters\n", "at least 16"), (None, "No such file")])
def test_reset_refuses_a_useless_file(store, tmp_path, content, says):
    file = tmp_path / "key"
    if content is not None:
        file.write_text(content, encoding="ascii")
    before = (store / "admin-key.txt").read_text(encoding="ascii").strip()
    answer = cpactl("reset-admin-key", "--admin-key-file", str(file), data=store)
    assert answer.returncode == 1 and answer.stdout == "" and says in answer.stderr
    assert opens(store, before)[0]
