"""cpactl, run as a person would: on what a collectord has stored, beside it and alone, sound and damaged."""
import base64
import contextlib
import hashlib
import hmac
import json
import os
import pty
import re
import shutil
import sqlite3
import struct
import subprocess
import time
import zlib

import pytest
from application import Application
from harness import ADMIN_KEY, BUILD, ROOT, Collectord, FakeCpa, recorded, sanitizer_environment, wait_for

COMMANDS = ("reset-admin-key", "status", "verify")
CHECKS = ["database file", "references", "dictionaries", "event details", "event hashes", "counters", "stored secrets", "spool"]
NEW_KEY = r"New admin key: (cmp_admin_[0-9A-Za-z]{32})"


def environment(**more):
    """Ours, without what would configure the programs; no file of the machine is read."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("USAGE_", "CPA_"))}
    return {**kept, **sanitizer_environment(), "CPA_MANAGER_CONFIG": "", **more}


def cpactl(*args, data=None, stdin="", **more):
    argv = [os.path.join(BUILD, "cpactl"), *(["--data", str(data)] if data else []), *args]
    return subprocess.run(argv, capture_output=True, text=True, timeout=120, input=stdin, env=environment(**more))


@contextlib.contextmanager
def database(data):
    db = sqlite3.connect(os.path.join(data, "usage.sqlite"))
    try:
        with db:
            yield db
    finally:
        db.close()


def change(data, sql, *args):
    with database(data) as db:
        assert db.execute(sql, args).rowcount > 0


def everything(data):
    """All that is stored, but the admin key."""
    with database(data) as db:
        return [line for line in db.iterdump() if "admin_credential_v1" not in line]


def files(data):
    """Names and contents; what SQLite keeps beside the database comes and goes."""
    return {p.relative_to(data): p.read_bytes() for p in data.rglob("*") if p.is_file() and not re.search("-(wal|shm)$", p.name)}


def opens(data, key):
    """Is this the admin key?  By the format, without our code."""
    with database(data) as db:
        record = json.loads(db.execute("SELECT value FROM settings WHERE key = 'admin_credential_v1'").fetchone()[0])

    def b64(text):
        return base64.b64decode(text + "=" * (-len(text) % 4))

    assert record["iterations"] == 1
    return hmac.new(b64(record["salt"]), key.encode(), hashlib.sha256).digest() == b64(record["keyHash"])


def record_of(data):
    with database(data) as db:
        return json.loads(db.execute("SELECT value FROM settings WHERE key = 'admin_credential_v1'").fetchone()[0])


def first_key(data):
    return (data / "admin-key.txt").read_text(encoding="ascii").strip()


# a daemon whose CPA has handed out all recorded payloads


@pytest.fixture
def collecting(cpa, daemon, tmp_path):
    payloads = [payload for _, payload in recorded()]
    cpa.push(payloads)
    daemon.start()
    wait_for(lambda: daemon.count() > 0 and daemon.count("dead_letters") > 0 and daemon.state().get("spoolBytes") == 0)
    return tmp_path / "data"


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A data directory that a daemon has filled and left; not to be changed."""
    data = tmp_path_factory.mktemp("stored") / "data"
    cpa = FakeCpa(events=os.path.join(ROOT, "tests/data/events.jsonl"))
    daemon = Collectord(data, cpa.url)
    try:
        daemon.start()
        wait_for(lambda: cpa.state()["queued"] == 0 and daemon.count() > 0 and daemon.state().get("spoolBytes") == 0)
    finally:
        assert daemon.stop() == 0
        cpa.stop()
    return data


@pytest.fixture
def store(stored, tmp_path):
    """A copy of it."""
    return shutil.copytree(stored, tmp_path / "data")


# ---- the command line itself


def test_help_names_every_command():
    answer = cpactl("--help")
    assert answer.returncode == 0 and answer.stderr == ""
    for name in COMMANDS:
        assert re.search(rf"^  {name}\b", answer.stdout, re.M)


@pytest.mark.parametrize("name, names", [("reset-admin-key", "--admin-key-file FILE"), ("status", "--json"), ("verify", "")])
def test_each_command_has_its_help(name, names, tmp_path):
    """Also without a database, and wherever it stands."""
    for args in ([name, "--help"], [name, "--data", str(tmp_path), "--help"]):
        answer = cpactl(*args)
        assert answer.returncode == 0 and answer.stderr == ""
        assert answer.stdout.startswith(f"usage: cpactl [--data DIR] {name}") and names in answer.stdout


def test_version():
    answer = cpactl("--version")
    with open(os.path.join(ROOT, "VERSION"), encoding="ascii") as f:
        assert answer.stdout == f"cpactl {f.read().strip()}\n" and answer.returncode == 0


@pytest.mark.parametrize("args, says", [
    ([], "usage: cpactl"),
    (["frobnicate"], 'unknown command "frobnicate"'),
    (["--frobnicate"], 'unknown option "--frobnicate"'),
    (["--data"], 'nothing follows "--data"'),
    (["status", "--frobnicate"], 'cpactl status: unknown option "--frobnicate"'),
    (["status", "-j"], 'cpactl status: unknown option "-j"'),
    (["status", "--json=1"], 'cpactl status: unknown option "--json=1"'),
    (["status", "--admin-key-file", "x"], 'cpactl status: unknown option "--admin-key-file"'),
    (["verify", "x"], 'cpactl verify: unexpected argument "x"'),
    (["verify", "--json"], 'cpactl verify: unknown option "--json"'),
    (["reset-admin-key", "x"], 'cpactl reset-admin-key: unexpected argument "x"'),
    (["reset-admin-key", "--admin-key-file"], 'cpactl reset-admin-key: nothing follows "--admin-key-file"'),
])
def test_wrong_use_says_how(args, says):
    answer = cpactl(*args)
    assert answer.returncode == 2 and answer.stdout == ""
    assert says in answer.stderr and "usage: cpactl" in answer.stderr


def test_what_is_repeated_cannot_steer_the_terminal():
    answer = cpactl("\x1b]0;x\x07\u009b31m\u00e9")
    assert 'unknown command "?]0;x??31m\u00e9"' in answer.stderr


def test_output_that_cannot_be_written_is_a_failure():
    with open("/dev/full", "w", encoding="ascii") as full:
        answer = subprocess.run([os.path.join(BUILD, "cpactl"), "--help"], stdout=full, stderr=subprocess.PIPE, text=True,
                                env=environment(), timeout=60)
    assert answer.returncode == 1 and "could not be written" in answer.stderr


def test_data_may_stand_behind_the_command(store, tmp_path):
    assert cpactl("verify", "--data", str(store)).returncode == 0
    assert cpactl("verify", "--data", str(store), data=tmp_path / "nowhere").returncode == 0
    assert cpactl("verify", USAGE_DATA_DIR=str(store)).returncode == 0


# ---- what is no database of ours


@pytest.mark.parametrize("command", COMMANDS)
def test_no_database(command, tmp_path):
    for data in (tmp_path, tmp_path / "nowhere"):
        answer = cpactl(command, data=data)
        assert answer.returncode == 1 and answer.stdout == ""
        assert f"no database at {data / 'usage.sqlite'}" in answer.stderr and "--data DIR" in answer.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("content, says", [(b"", "has schema 0"), (b"no database at all" * 100, "is not a database")])
def test_file_that_is_no_database(command, content, says, tmp_path):
    (tmp_path / "usage.sqlite").write_bytes(content)
    answer = cpactl(command, data=tmp_path)
    assert answer.returncode == 1 and answer.stdout == "" and says in answer.stderr
    assert files(tmp_path) == {(tmp_path / "usage.sqlite").relative_to(tmp_path): content}


@pytest.mark.parametrize("command", COMMANDS)
def test_directory_in_place_of_the_database(command, tmp_path):
    (tmp_path / "usage.sqlite").mkdir()
    answer = cpactl(command, data=tmp_path)
    assert answer.returncode == 1 and answer.stdout == "" and str(tmp_path / "usage.sqlite") in answer.stderr


@pytest.mark.parametrize("command", COMMANDS)
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


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("version, says", [(99, "newer version"), (0, "has schema 0")])
def test_database_of_another_version(command, version, says, store):
    with database(store) as db:
        db.execute(f"PRAGMA user_version = {version}")
    before = everything(store)
    answer = cpactl(command, data=store)
    assert answer.returncode == 1 and answer.stdout == "" and says in answer.stderr
    assert everything(store) == before and opens(store, first_key(store))


@pytest.mark.parametrize("command", COMMANDS)
def test_bad_configuration_is_named(command, store):
    answer = cpactl(command, data=store, CPA_MANAGER_CONFIG="/nowhere/config.json")
    assert answer.returncode == 1 and answer.stdout == "" and "/nowhere/config.json" in answer.stderr
