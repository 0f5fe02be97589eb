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
from ctl import CPACTL, cpactl, environment
from harness import ADMIN_KEY, ROOT, Collectord, FakeCpa, recorded, wait_for

COMMANDS = ("reset-admin-key", "status", "verify")
CHECKS = ["database file", "references", "dictionaries", "event details", "event hashes", "counters", "stored secrets", "spool"]
NEW_KEY = r"New admin key: (cmp_admin_[0-9A-Za-z]{32})"


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
    cpa.push([payload for _, payload in recorded()])
    daemon.start()

    def settled():
        state = daemon.state()
        return (cpa.state()["queued"] == 0 and daemon.count() > 0 and daemon.count("dead_letters") > 0 and
                state.get("collector") == "running" and state["spoolBytes"] == 0 and state["lastInsertedAt"] > 0)

    wait_for(settled, what="a daemon at rest")
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
        answer = subprocess.run([CPACTL, "--help"], stdout=full, stderr=subprocess.PIPE, text=True,
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


# ---- status


def status(data):
    answer = cpactl("status", "--json", data=data)
    assert answer.stderr == ""
    return answer.returncode, json.loads(answer.stdout)


def labelled(text):
    """Lines of a label of 15 columns and what is said of it."""
    return {line[:15].strip(): line[16:] for line in text.splitlines()}


def table(data, **more):
    return labelled(cpactl("status", data=data, **more).stdout)


def test_status_while_collecting_and_after(collecting, daemon, cpa):
    code, now = status(collecting)
    assert code == 0 and now["collector"] == "running" and now["transport"] == "http"
    assert now["lastError"] == now["hint"] == "" and now["upstream"] == cpa.url
    assert now["events"] == daemon.count() and now["deadLetters"] == daemon.count("dead_letters")
    assert now["gaps"] == now["inDoubt"] == now["gapsOfUnknownExtent"] == now["spoolBytes"] == 0
    assert now["schema"] == len(os.listdir(os.path.join(ROOT, "sql/schema"))) and now["databaseBytes"] + now["walBytes"] > 4096
    assert 0 < now["startedAt"] <= now["lastConsumedAt"] <= time.time() * 1000
    assert 0 < now["lastInsertedAt"] <= time.time() * 1000
    shown = table(collecting)
    assert shown["database"] == str(collecting / "usage.sqlite") and shown["collector"] == "running"
    assert shown["events"] == str(now["events"]) and shown["gaps"] == "0" and shown["CPA"] == cpa.url
    assert "what to do" not in shown and "last error" not in shown
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4} \(\d+ s ago\)", shown["last stored"])

    assert daemon.stop() == 0
    code, now = status(collecting)
    assert code == 3 and now["collector"] == "stopped" and "start collectord" in now["hint"]
    assert cpactl("status", data=collecting).returncode == 3
    assert table(collecting)["what to do"].startswith("start collectord")


def test_status_of_a_killed_collector(collecting, daemon):
    """Its row still says that it runs; its lock is gone."""
    daemon.kill()
    assert daemon.state()["collector"] == "running"
    code, now = status(collecting)
    assert code == 3 and now["collector"] == "stopped"


def test_status_of_a_collector_in_trouble(cpa, daemon, tmp_path):
    cpa.stop()
    daemon.start()
    wait_for(lambda: daemon.state().get("lastError"), what="an error in the state")
    code, now = status(tmp_path / "data")
    assert code == 3 and now["collector"] == "error" and now["lastError"] and now["hint"]
    assert table(tmp_path / "data")["last error"] == now["lastError"]
    cpa.start()
    wait_for(lambda: status(tmp_path / "data")[0] == 0, what="a status that is well")


def test_status_says_what_is_missing(store):
    with database(store) as db:
        db.executemany("INSERT INTO gaps (from_ms, to_ms, reason, in_doubt, created_ms, digest) VALUES (1, 2, 'x', ?, 3, ?)",
                       [(7, b"a"), (5, b"b"), (None, b"c")])
    _, now = status(store)
    assert now["gaps"] == 3 and now["inDoubt"] == 12 and now["gapsOfUnknownExtent"] == 1
    assert table(store)["gaps"] == "3 (at most 12 events in doubt, and 1 of unknown extent)"


@pytest.mark.parametrize("ago_s, text", [(5, "5 s ago"), (110, "110 s ago"), (300, "5 min ago"), (2 * 3600, "2 h ago"),
                                         (3 * 86400, "3 d ago"), (-600, "0 s ago")])
def test_status_shows_local_time_and_age(store, ago_s, text):
    when = time.time() - ago_s
    state = {"collector": "stopped", "lastInsertedAt": int(when * 1000), "lastError": "a\x1b[31mb"}
    change(store, "UPDATE collector_state SET state = ?", json.dumps(state))
    shown = table(store, TZ="XXX-05:30")
    local = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(int(when) + 19800))
    # a second may pass between the two readings of the clock
    assert shown["last stored"].startswith(f"{local} +0530 (")
    assert text in shown["last stored"] or f"{ago_s + 1} s ago" in shown["last stored"]
    assert shown["last received"] == "never" and shown["last error"] == "a?[31mb"


def test_status_of_a_broken_row(store):
    change(store, "UPDATE collector_state SET state = 'x'")
    answer = cpactl("status", data=store)
    assert answer.returncode == 1 and "collector_state is broken" in answer.stderr


def test_status_changes_nothing(store):
    before = files(store)
    assert cpactl("status", data=store).returncode == 3
    assert files(store) == before


# ---- verify


def verify(data, **more):
    """Exit code, and what each check says."""
    answer = cpactl("verify", data=data, **more)
    assert answer.stderr == "", answer.stderr
    lines = labelled(answer.stdout)
    assert list(lines) == CHECKS
    return answer.returncode, lines


def wrong(data, **more):
    """The checks that found something, and what."""
    code, lines = verify(data, **more)
    found = {what: says for what, says in lines.items() if says != "ok"}
    assert code == (1 if found else 0)
    return found


def test_verify_while_collecting_and_after(collecting, daemon, cpa):
    cpa.push([json.dumps({"timestamp": f"2026-05-01T00:00:00.{i:06}Z", "model": f"m{i % 50}", "request_id": f"r{i}"}) for i in range(3000)])
    end = time.monotonic() + 60
    while daemon.count() < 3000:
        assert wrong(collecting) == {} and time.monotonic() < end
    assert daemon.stop() == 0
    assert wrong(collecting) == {}


def test_verify_after_a_kill(collecting, daemon):
    daemon.kill()
    assert os.listdir(collecting / "spool")
    assert wrong(collecting) == {}


def test_verify_reads_only(store):
    before = files(store)
    assert wrong(store) == {}
    assert files(store) == before


COLUMNS = [("model_id", "model"), ("requested_model_id", "requested model"), ("resolved_model_id", "resolved model"),
           ("provider_id", "provider"), ("executor_id", "executor"), ("endpoint_id", "endpoint"), ("method_id", "method"),
           ("path_id", "path"), ("auth_type_id", "kind of credential"), ("api_key_id", "API key"),
           ("client_ip_id", "client address"), ("forwarded_for_id", "forwarded address"), ("user_agent_id", "user agent"),
           ("effort_id", "effort"), ("service_tier_id", "service tier"), ("request_tier_id", "requested tier"),
           ("response_tier_id", "tier of the response")]


@pytest.mark.parametrize("column, what", COLUMNS)
@pytest.mark.parametrize("number", [12345678, -1, 1 << 62])
def test_verify_finds_a_text_that_is_missing(store, column, what, number):
    change(store, f"UPDATE events SET {column} = ? WHERE id = 3", number)
    found = wrong(store)
    assert found.pop("dictionaries") == f"event 3 names {what} {number}, which is missing"
    assert set(found) <= {"event hashes"}  # made of two of these texts


@pytest.mark.parametrize("kind", range(1, 14))
def test_verify_finds_a_lost_dictionary(store, kind):
    with database(store) as db:
        lost = db.execute("DELETE FROM dict WHERE kind = ?", (kind,)).rowcount
    assert lost > 0, "the recorded payloads must have one of each kind"
    assert re.fullmatch(r"event \d+ names [\w ]+ \d+, which is missing( \(and \d+ more\))?", wrong(store)["dictionaries"])


def test_verify_finds_a_lost_identity(store):
    change(store, "UPDATE events SET identity_id = 99999 WHERE id IN (2, 4)")
    assert wrong(store)["dictionaries"] == "event 2 names identity 99999, which is missing (and 1 more)"


def test_verify_finds_an_unknown_kind(store):
    change(store, "INSERT INTO dict VALUES (77, 1, 'x')")
    assert wrong(store) == {"dictionaries": "the dictionary has a kind 77 that is not known"}


HASHED = ["ts_ms = ts_ms + 1", "ts_ns = (ts_ns + 1) % 1000000", "ts_text = 'yesterday'", "hash16 = zeroblob(16)", "hash16 = x'00'",
          "request_id = x'abcdef'", "request_id = 'not hexadecimal'", "flags = flags + 1 - 2 * (flags & 1)",
          "input_tokens = input_tokens + 1", "output_tokens = output_tokens + 1", "reasoning_tokens = reasoning_tokens + 1",
          "cached_tokens = 123456789", "cache_tokens = 123456789", "latency_ms = coalesce(latency_ms, 0) + 1",
          "endpoint_id = (SELECT max(id) FROM dict WHERE kind = 4 AND id <> endpoint_id)",
          "model_id = (SELECT max(id) FROM dict WHERE kind = 1 AND id <> model_id)"]


@pytest.mark.parametrize("what", HASHED)
def test_verify_recomputes_hashes(store, what):
    change(store, f"UPDATE events SET {what} WHERE id = 1")
    assert wrong(store) == {"event hashes": "event 1 does not match its hash"}


@pytest.mark.parametrize("what", ["auth_index = 'x' || auth_index", "source_hash = randomblob(32)"])
def test_verify_recomputes_hashes_of_accounts(store, what):
    change(store, f"UPDATE identities SET {what} WHERE id = (SELECT identity_id FROM events WHERE id = 1)")
    assert re.match("event 1 does not match its hash", wrong(store)["event hashes"])


def test_verify_leaves_given_hashes_alone(store):
    """An imported event whose hash is not reproducible."""
    change(store, "UPDATE events SET hash16 = zeroblob(16), hash_rest = zeroblob(16) WHERE id = 1")
    assert wrong(store) == {}


@pytest.mark.parametrize("sql, says", [("data = x'00112233'", "is broken"), ("data = x''", "is broken"),
                                       ("data = substr(data, 1, length(data) - 3)", "is broken"), ("dict_id = 5", "has no dictionary")])
def test_verify_unpacks_details(store, sql, says):
    with database(store) as db:
        broken, first = db.execute("SELECT count(*), min(event_id) FROM event_detail").fetchone()
    assert broken > 1
    change(store, f"UPDATE event_detail SET {sql}")
    assert wrong(store) == {"event details": f"detail of event {first}: event detail {says} (and {broken - 1} more)"}


def test_verify_finds_a_detail_of_nothing(store):
    change(store, "INSERT INTO event_detail VALUES (1000000, 0, x'00')")
    assert wrong(store) == {"references": "row 1000000 of event_detail belongs to nothing"}


@pytest.mark.parametrize("name, what", [("events", "events"), ("dead_letters", "dead letters")])
def test_verify_counts(store, name, what):
    with database(store) as db:
        n = db.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
    change(store, "UPDATE counters SET value = value + 1 WHERE name = ?", name)
    assert wrong(store) == {"counters": f"{n} {what} are stored, the counter says {n + 1}"}
    change(store, "DELETE FROM counters WHERE name = ?", name)
    assert wrong(store) == {"counters": f"the counter of {what} is missing"}


def page_of(data, name):
    """(number, size) of the root page of a table or index, with everything in the file itself."""
    with database(data) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return (db.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,)).fetchone()[0],
                db.execute("PRAGMA page_size").fetchone()[0])


def test_verify_sees_a_damaged_page(store):
    number, size = page_of(store, "events")
    content = bytearray((store / "usage.sqlite").read_bytes())
    content[(number - 1) * size + 8:number * size] = b"\xa5" * (size - 8)
    (store / "usage.sqlite").write_bytes(content)
    found = wrong(store)
    assert "database file" in found and "event hashes" in found


def test_verify_sees_an_index_that_differs(store):
    """What a query would miss although each row is there."""
    with database(store) as db:
        db.execute("PRAGMA writable_schema = ON")
        root = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'dict_value'").fetchone()[0]
        db.execute("DELETE FROM sqlite_schema WHERE name = 'dict_value'")
    with database(store) as db:
        db.execute("INSERT INTO dict VALUES (1, 4000, 'not in the index')")
        db.execute("PRAGMA writable_schema = ON")
        db.execute("INSERT INTO sqlite_schema VALUES ('index', 'dict_value', 'dict', ?, "
                   "'CREATE UNIQUE INDEX dict_value ON dict (kind, value)')", (root,))
    assert "dict_value" in wrong(store)["database file"]


SEALED = "enc:v1:AAECAwQFBgcICQoL:Zy1QGlrl0SJq8qC9y6P9kpVhJz4hsFcp"
KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n"


def test_verify_opens_secrets(store):
    """A vector of our own making: CPA's key sealed with a known data key."""
    row = json.dumps({"cpaConnection": {"cpaBaseUrl": "http://h", "managementKey": SEALED}})
    change(store, "INSERT OR REPLACE INTO settings VALUES ('manager_config_v1', ?, 1)", row)
    key = store / "data.key"
    key.unlink(missing_ok=True)
    assert re.match("data key .* is missing", wrong(store)["stored secrets"])
    assert not key.exists()
    key.touch(mode=0o600)
    key.write_text(KEY, encoding="ascii")
    assert wrong(store) == {}
    key.write_text("not a key\n", encoding="ascii")
    assert re.match("data key .* cannot be used", wrong(store)["stored secrets"])
    key.write_text(KEY.replace("AAE", "AQE"), encoding="ascii")
    assert "is not the one" in wrong(store)["stored secrets"]
    key.write_text(KEY, encoding="ascii")
    change(store, "UPDATE settings SET value = replace(value, 'enc:v1:AAEC', 'enc:v1:AAED') WHERE key = 'manager_config_v1'")
    assert "is not the one" in wrong(store)["stored secrets"]


# segments by the format in collectord/spool_impl.h

INTENT, DATA, END = 1, 2, 3


def record(kind, content=b""):
    rest = struct.pack("<IIIq", kind, len(content), 0, 1)
    return struct.pack("<I", zlib.crc32(rest + content)) + rest + content


BATCH = record(INTENT) + record(DATA, b'[{"api_key": "sk-SECRET"}]') + record(END)


def segment(data, number, content, magic=b"CPAMSPL1", says=None):
    (data / "spool").mkdir(mode=0o700, exist_ok=True)
    path = data / "spool" / f"{number:016x}.spool"
    head = struct.pack("<8sq16s40sII", magic, number if says is None else says, b"i" * 16, b"b" * 36, 0, 0)
    path.write_bytes(head + content)
    return path


@pytest.mark.parametrize("content", [b"", BATCH, BATCH * 3, BATCH + record(INTENT), BATCH + record(INTENT)[:10],
                                     BATCH + record(DATA, b"x" * 1000)[:-1]])
def test_verify_reads_a_sound_spool(store, content):
    """The end of the newest segment may be torn: a kill leaves it so."""
    segment(store, 5, BATCH * 2)
    segment(store, 6, content)
    assert wrong(store) == {}


def test_verify_without_a_spool(store):
    shutil.rmtree(store / "spool", ignore_errors=True)
    assert wrong(store) == {}
    (store / "spool").write_bytes(b"")
    assert "Not a directory" in wrong(store)["spool"]


@pytest.mark.parametrize("newest", [False, True])
def test_verify_finds_damage_in_the_spool(store, newest):
    def says(text, content, **head):
        path = segment(store, 7, content, **head)
        if not newest:
            segment(store, 8, BATCH)
        before = files(store)
        assert wrong(store) == {"spool": f"spool segment {path} {text}"}
        assert files(store) == before

    n = 80 + len(BATCH)
    says("has a damaged head", BATCH, magic=b"CPAMSPLX")
    says("has a damaged head", BATCH, says=4)
    flipped = bytearray(BATCH)
    flipped[60] ^= 1
    says(f"is damaged at byte {n + 24} of {2 * n - 80}", BATCH + flipped)
    says(f"is damaged at byte {n} of {n + 100}", BATCH + b"\0" * 100)
    if not newest:
        says(f"is damaged at byte {n} of {n + 10}", BATCH + BATCH[:10])
        os.truncate(store / "spool" / f"{7:016x}.spool", 30)
        assert "cut short" in wrong(store)["spool"]


def test_verify_shows_on_a_terminal_how_far_it_is(store):
    """... and leaves nothing of that on the lines."""
    with database(store) as db:  # enough of them to last a moment
        columns = ", ".join(row[1] for row in db.execute("PRAGMA table_info(events)") if row[1] not in ("id", "ts_ms"))
        db.execute("CREATE TEMP TABLE one AS SELECT * FROM events WHERE id = 1")
        db.execute("WITH n (v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n WHERE v < 400000) "
                   f"INSERT INTO events (ts_ms, {columns}) SELECT n.v, {columns} FROM n, one")
    main, side = pty.openpty()
    process = subprocess.Popen([CPACTL, "--data", str(store), "verify"], stdout=side, stderr=side,
                               stdin=subprocess.DEVNULL, env=environment())
    os.close(side)
    raw = b""
    with contextlib.suppress(OSError):  # what the end of a terminal is
        while piece := os.read(main, 65536):
            raw += piece
    os.close(main)
    assert process.wait(60) == 1
    lines = raw.decode().replace("\r\n", "\n").split("\n")
    assert any(re.search(r"\revent hashes +\d+ %", line) for line in lines)
    shown = [re.sub(r".*\r\x1b\[K", "", line) for line in lines if "\x1b[K" in line]
    assert [line[:15].strip() for line in shown] == CHECKS
    assert "(and 399999 more)" in shown[CHECKS.index("event hashes")]


# ---- reset-admin-key


def reset(data, *args, **more):
    """Reset to a made key; the key."""
    answer = cpactl("reset-admin-key", *args, data=data, **more)
    assert answer.returncode == 0 and answer.stderr == ""
    return re.fullmatch(rf"CPA Manager admin key reset\.\n{NEW_KEY}\nSave this value now\. It will not be shown again\.\n",
                        answer.stdout).group(1)


def test_reset_makes_a_key_while_collecting(collecting, daemon):
    first = first_key(collecting)
    assert opens(collecting, first)
    made = record_of(collecting)
    key = reset(collecting)
    assert opens(collecting, key) and not opens(collecting, first)
    record = record_of(collecting)
    assert record["source"] == "cli-generated" and record["createdAtMs"] == made["createdAtMs"] <= record["rotatedAtMs"]
    # the file of the first start would only mislead
    assert not (collecting / "admin-key.txt").exists()
    again = reset(collecting)
    assert again != key and opens(collecting, again) and not opens(collecting, key)
    assert daemon.process.poll() is None
    assert key not in daemon.log() and again not in daemon.log()


def test_reset_changes_nothing_else(store):
    rows, kept = everything(store), files(store)
    key = reset(store)
    assert everything(store) == rows
    now = files(store)
    for name in ("usage.sqlite", "admin-key.txt"):
        kept = {k: v for k, v in kept.items() if k.name != name}
        now = {k: v for k, v in now.items() if k.name != name}
    assert now == kept
    assert not any(key.encode() in p.read_bytes() for p in store.rglob("*") if p.is_file()), "the key itself is kept nowhere"


def test_reset_is_in_force_at_once(tmp_path):
    """The application that runs knows the new key, and the old one no more."""
    app = Application(tmp_path).start()
    try:
        def login(key):
            return app.ask("GET", "/v0/management/overview", key).status

        assert login(ADMIN_KEY) not in (401, 503)
        key = reset(app.data)
        assert login(ADMIN_KEY) == 401 and login(key) not in (401, 503)
    finally:
        assert app.stop() == 0


def test_reset_takes_a_key_from_a_file(store, tmp_path):
    file = tmp_path / "key"
    file.write_text("  a key with blanks \u00e9\n", encoding="utf-8")
    answer = cpactl("reset-admin-key", "--admin-key-file", str(file), data=store)
    assert answer.returncode == 0 and answer.stderr == ""
    assert answer.stdout == "CPA Manager admin key reset.\nUse the provided admin key to log in.\n"
    assert opens(store, "a key with blanks \u00e9") and record_of(store)["source"] == "cli"
    assert file.read_text(encoding="utf-8") == "  a key with blanks \u00e9\n"


def test_reset_takes_a_key_from_a_pipe(store):
    answer = cpactl("reset-admin-key", "--admin-key-file=/dev/stdin", data=store, stdin="sixteen-letters!\n")
    assert answer.returncode == 0 and opens(store, "sixteen-letters!")


@pytest.mark.parametrize("content, says", [
    (b"", "is empty"), (b" \n\t\n", "is empty"), (b"fifteen-letters\n", "at least 16"),
    ("eight \u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\n".encode(), "at least 16"),
    (b"one line that is long enough\nand another\n", "one line"), (b"sixteen-letters\0!", "one line"),
    (b"sixteen-letters\xff\n", "UTF-8"), (b"x" * 4096, "too long"), (None, "No such file"), ("directory", "Is a directory"),
])
def test_reset_refuses_a_useless_file(store, tmp_path, content, says):
    file = tmp_path / "key"
    if content == "directory":
        file.mkdir()
    elif content is not None:
        file.write_bytes(content)
    rows, kept, first = everything(store), files(store), first_key(store)
    answer = cpactl("reset-admin-key", "--admin-key-file", str(file), data=store)
    assert answer.returncode == 1 and answer.stdout == "" and says in answer.stderr
    assert opens(store, first) and everything(store) == rows and files(store) == kept


def test_reset_waits_for_a_lock_and_then_says_so(store):
    first = first_key(store)
    db = sqlite3.connect(store / "usage.sqlite", isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    answer = cpactl("reset-admin-key", data=store)
    assert answer.returncode == 1 and answer.stdout == "" and "is locked" in answer.stderr and "try again" in answer.stderr
    db.execute("ROLLBACK")
    db.close()
    assert opens(store, first) and first_key(store) == first


def test_reset_mends_a_broken_record(store):
    change(store, "UPDATE settings SET value = 'x' WHERE key = 'admin_credential_v1'")
    assert opens(store, reset(store))
    change(store, "DELETE FROM settings WHERE key = 'admin_credential_v1'")
    assert opens(store, reset(store))


def test_key_that_nobody_saw_is_a_failure(store):
    with open("/dev/full", "w", encoding="ascii") as full:
        answer = subprocess.run([CPACTL, "--data", str(store), "reset-admin-key"], stdout=full,
                                stderr=subprocess.PIPE, text=True, env=environment(), timeout=60)
    assert answer.returncode == 1 and "could not be written" in answer.stderr
    assert opens(store, reset(store))
