"""What is wrong is said, and ends nothing: database and data key missing, damaged, locked, newer, foreign, full."""
import contextlib
import json
import os
import sqlite3
import stat
import subprocess
import time

import pytest
from application import Application
from conftest import Stack
from harness import ADMIN_KEY, ROOT, wait_for
from scripted_cpa import ScriptedCpa

SECRET = "cpa-mgmt-secret"


@pytest.fixture(scope="module")
def gateway():
    c = ScriptedCpa()
    yield c
    c.stop()


@pytest.fixture
def data(make_stack, gateway, tmp_path):
    """A data directory that was set up; the stack that did it has ended."""
    s = Stack(tmp_path / "data").start()
    answer = s.request("POST", "/setup", {"cpaBaseUrl": gateway.url, "managementKey": SECRET}, key=True)
    assert answer.status == 200, answer.body
    assert s.stop() == 0
    return tmp_path / "data"


@pytest.fixture
def start(data):
    """Start a stack on that directory; it ends without complaint."""
    running = []

    def go(**env):
        s = Stack(data, **env)
        running.append(s)
        return s.start()

    yield go
    for s in running:
        assert s.stop() == 0
        assert "ERROR: " not in s.log("application") and "runtime error" not in s.log("application")


def database(data):
    return os.path.join(str(data), "usage.sqlite")


def write(data, text, *args):
    with contextlib.closing(sqlite3.connect(database(data), timeout=10)) as db:
        db.execute(text, args)
        db.commit()


def assert_said(s, part, code="service_unavailable"):
    """The application lives, and tells everybody that, and the admin why."""
    assert s.get("/health", key=None).json["ok"] is True
    info = s.get("/usage-service/info", key=None)
    assert info.status == 200 and info.json["service"] == "cpa-manager-plus" and info.json["databaseReady"] is False
    assert part in info.json["databaseError"] and s.data not in info.json["databaseError"]
    for method, path in (("GET", "/status"), ("GET", "/v0/management/usage"), ("GET", "/v0/management/overview"),
                         ("GET", "/v0/management/api-key-aliases"), ("GET", "/usage-service/config")):
        answer = s.request(method, path, key=True)
        assert answer.status == 503, (path, answer.body)
        assert answer.json["code"] == code and part in answer.json["error"]
        assert SECRET not in answer.body.decode() and s.data not in answer.json["error"]
        # strangers are strangers still
        assert s.request(method, path).status == 401
    assert s.request("GET", "/usage-service/config").status != 200


# ---- the database


def test_damaged(start, data):
    with open(database(data), "r+b") as f:
        f.write(b"\xff" * 4096)
    assert_said(start(), "is not a database")


def test_not_a_database(start, data):
    for name in os.listdir(data):
        if name.startswith("usage.sqlite"):
            os.unlink(data / name)
    (data / "usage.sqlite").write_text("<html>moved here by mistake</html>" * 200)
    assert_said(start(), "is not a database")
    assert (data / "usage.sqlite").read_text().startswith("<html>"), "left as it is"


def test_newer(start, data):
    write(data, "PRAGMA user_version = 999")
    assert_said(start(), "newer", "newer_database")
    with contextlib.closing(sqlite3.connect(database(data))) as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == 999


def test_of_the_reference(start, data):
    for name in os.listdir(data):
        if name.startswith("usage.sqlite"):
            os.unlink(data / name)
    with contextlib.closing(sqlite3.connect(database(data))) as db:
        db.execute("CREATE TABLE usage_events (id INTEGER PRIMARY KEY)")
        db.execute("CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT, updated_at_ms INTEGER)")
        db.commit()
    before = (data / "usage.sqlite").read_bytes()
    assert_said(start(), "belongs to CPA Manager Plus", "foreign_database")
    assert (data / "usage.sqlite").read_bytes() == before


def test_a_directory_in_its_place(start, data):
    for name in os.listdir(data):
        if name.startswith("usage.sqlite"):
            os.unlink(data / name)
    (data / "usage.sqlite").mkdir()
    assert_said(start(), "is a directory")


def test_it_is_used_again_once_it_can_be(start, data):
    good = (data / "usage.sqlite").read_bytes()
    (data / "usage.sqlite").write_bytes(b"\xff" * len(good))
    s = start()
    assert_said(s, "is not a database")
    (data / "usage.sqlite.new").write_bytes(good)
    os.replace(data / "usage.sqlite.new", data / "usage.sqlite")
    wait_for(lambda: s.get("/status").status == 200, 5, "the database to be used again")
    assert s.get("/usage-service/info", key=None).json["databaseReady"] is True
    assert s.get("/usage-service/config").json["source"] == "db"


def test_locked(start, data):
    """Somebody holds the database for long: what needs to write waits, then says so; reading goes on."""
    s = start()
    assert s.get("/status").status == 200
    with contextlib.closing(sqlite3.connect(database(data), isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        begun = time.monotonic()
        answer = s.request("PUT", "/v0/management/api-key-aliases", {"items": [{"apiKeyHash": "a" * 64, "alias": "x"}]},
                           key=True)
        assert answer.status == 503 and "is locked" in answer.json["error"] and time.monotonic() - begun < 10
        assert s.get("/v0/management/overview").status == 200
        db.execute("ROLLBACK")
    answer = s.request("PUT", "/v0/management/api-key-aliases", {"items": [{"apiKeyHash": "a" * 64, "alias": "x"}]}, key=True)
    assert answer.status == 200


def test_the_admin_sees_the_status_when_the_database_breaks_under_way(start, data):
    """The key that was last known still opens /status; the body says what is known without the database."""
    s = start()
    assert s.get("/status").status == 200
    with contextlib.closing(sqlite3.connect(database(data), isolation_level=None)) as db:
        # a table is gone: every answer that reads it fails, the rest goes on
        db.execute("ALTER TABLE counters RENAME TO counters_away")
        answer = s.get("/status")
        assert answer.status in (500, 503)
        body = answer.json
        assert body["service"] == "cpa-manager-plus" and body["version"] and body["dbPath"] == database(data)
        assert body["database"]["databaseBytes"] > 0 and body["databaseReady"] is False and body["error"]
        assert s.get("/v0/management/api-key-aliases").status == 200
        db.execute("ALTER TABLE counters_away RENAME TO counters")
    assert s.get("/status").status == 200


def test_a_directory_that_cannot_be_written(start, data):
    if os.geteuid() == 0:
        # root writes anywhere: take the file's kind away instead
        os.rename(data / "usage.sqlite", data / "elsewhere")
        os.symlink(data / "nowhere" / "usage.sqlite", data / "usage.sqlite")
        assert_said(start(), "dangling")
        return
    os.chmod(data / "usage.sqlite", stat.S_IRUSR)
    assert_said(start(), "cannot be written")


@pytest.mark.slow
def test_a_full_disk(tmp_path):
    """Reading goes on, saving says why not, and works again when there is room."""
    shim, flag = str(tmp_path / "full_disk.so"), tmp_path / "full"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", shim, os.path.join(ROOT, "tests/fault/full_disk.c"), "-ldl"],
                   check=True)
    app = Application(tmp_path, LD_PRELOAD=shim, FULL_DISK_FLAG=str(flag)).start()
    path, body = "/v0/management/api-key-aliases", b'{"items":[{"apiKeyHash":"%s","alias":"x"}]}' % (b"a" * 64)
    try:
        assert app.ask("PUT", path, ADMIN_KEY, body).status == 200
        flag.touch()
        answer = app.ask("PUT", path, ADMIN_KEY, body)
        assert answer.status == 503 and "the disk is full" in answer.json["error"], answer.raw
        assert app.ask("GET", path, ADMIN_KEY).status == 200
        assert app.ask("GET", "/status", ADMIN_KEY).status == 200
        flag.unlink()
        wait_for(lambda: app.ask("PUT", path, ADMIN_KEY, body).status == 200, 5, "saving to work again")
    finally:
        assert app.stop() == 0


def test_a_directory_that_cannot_be_made(tmp_path):
    """A file is in the way: the application starts and says so, and recovers without a restart."""
    (tmp_path / "data").write_text("")
    app = Application(tmp_path).start()
    try:
        assert app.ask("GET", "/health").status == 200
        answer = app.ask("GET", "/status", ADMIN_KEY)
        assert answer.status == 503 and answer.json["code"] == "service_unavailable"
        (tmp_path / "data").unlink()
        wait_for(lambda: app.ask("GET", "/status", ADMIN_KEY).status == 200, 5, "the database to be made")
    finally:
        assert app.stop() == 0


# ---- the data key


def key_state(s):
    info, status = s.get("/usage-service/info", key=None).json, s.get("/status")
    assert status.status == 200
    return info["dataKeyReady"], status.json["dataKeyReady"], status.json.get("dataKeyError", "")


def assert_login_works_and_the_rest_waits(s, code):
    ready, status_ready, why = key_state(s)
    assert not ready and not status_ready and "run the setup again" in why
    answer = s.get("/usage-service/config")
    assert answer.status == 503 and answer.json["code"] == code and "run the setup again" in answer.json["error"]
    # without the key it cannot be told whether a connection exists: closed
    assert s.get("/usage-service/config", key=None).status == 401
    assert s.request("PUT", "/usage-service/config", {"config": {}}, key=True).status == 503
    # nothing was lost that a restored key could still open
    assert s.get("/v0/management/overview").status == 200


def test_the_key_is_missing(start, data, gateway):
    kept = (data / "data.key").read_bytes()
    (data / "data.key").unlink()
    s = start()
    assert_login_works_and_the_rest_waits(s, "data_key_missing")
    assert s.request("POST", "/setup", {"cpaBaseUrl": gateway.url}, key=True).status == 400
    assert s.request("POST", "/setup", {"cpaBaseUrl": gateway.url, "managementKey": "wrong"}, key=True).status == 502
    assert not (data / "data.key").exists(), "none is written beside a database that needs another"
    # put back, it works without a restart
    (data / "data.key").write_bytes(kept)
    assert s.get("/usage-service/config").json["source"] == "db"
    assert key_state(s)[:2] == (True, True)


def test_the_key_is_lost_for_good(start, data, gateway):
    (data / "data.key").unlink()
    s = start()
    assert_login_works_and_the_rest_waits(s, "data_key_missing")
    answer = s.request("POST", "/setup", {"cpaBaseUrl": gateway.url, "managementKey": SECRET}, key=True)
    assert answer.status == 200, answer.body
    assert stat.S_IMODE(os.stat(data / "data.key").st_mode) == 0o600
    assert s.get("/usage-service/config").json["config"]["cpaConnection"]["cpaBaseUrl"] == gateway.url
    assert key_state(s)[:2] == (True, True)


def test_the_key_is_another(start, data, gateway):
    (data / "data.key").write_text("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n")
    s = start()
    assert_login_works_and_the_rest_waits(s, "data_key_wrong")
    answer = s.request("POST", "/setup", {"cpaBaseUrl": gateway.url, "managementKey": SECRET}, key=True)
    assert answer.status == 200, answer.body
    assert (data / "data.key").read_text().startswith("AAEC"), "the file stays"
    assert s.get("/usage-service/config").status == 200


def test_the_key_is_no_key(start, data, gateway):
    (data / "data.key").write_text("torn")
    s = start()
    ready, _, why = key_state(s)
    assert not ready and "cannot be used" in why
    assert s.get("/usage-service/config").json["code"] == "data_key_broken"
    answer = s.request("POST", "/setup", {"cpaBaseUrl": gateway.url, "managementKey": SECRET}, key=True)
    assert answer.status == 503 and "move the file away" in answer.json["error"]
    assert (data / "data.key").read_text() == "torn"
    # as it says
    os.rename(data / "data.key", data / "torn.key")
    assert s.request("POST", "/setup", {"cpaBaseUrl": gateway.url, "managementKey": SECRET}, key=True).status == 200


def test_an_environment_connection_needs_no_key(start, data, gateway):
    (data / "data.key").unlink()
    s = start(CPA_UPSTREAM_URL=gateway.url, CPA_MANAGEMENT_KEY=SECRET)
    config = s.get("/usage-service/config")
    assert config.status == 200 and config.json["source"] == "env"


def test_a_fresh_directory_gets_its_key(make_stack):
    s = make_stack()
    assert stat.S_IMODE(os.stat(os.path.join(s.data, "data.key")).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(s.data).st_mode) & 0o007 == 0
    assert json.dumps(s.get("/usage-service/info", key=None).json).count(ADMIN_KEY) == 0
