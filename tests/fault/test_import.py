"""Import and export through whatever happens: each event once, counts that are exact, no file left behind."""
import contextlib
import json
import os
import signal
import sqlite3
import threading
import time

import pytest
from application import IO_TIMEOUT_S, Application
from fcgi_client import PARAMS, STDIN, STDOUT, begin, cgi, message, pairs, record, stream
from harness import ADMIN_KEY, generated, wait_for

EXPORT, IMPORT = "/v0/management/usage/export", "/v0/management/usage/import"
BASE_MS = 1_700_000_000_000
LEGACY = ["legacy_usage_metadata_is_partial", "legacy_usage_source_matching_may_be_approximate"]


@pytest.fixture
def app(tmp_path, daemon):
    """The application beside the daemon."""
    a = Application(tmp_path).start()
    yield a
    assert a.stop() == 0
    assert "ERROR: " not in a.log() and "runtime error" not in a.log()


def event(i, **more):
    """Each has a moment of its own: counting those shows what is missing."""
    return json.dumps({"event_hash": f"hash-{i}", "timestamp_ms": BASE_MS + i, "model": f"model-{i % 7}", "endpoint": "POST /v1/x",
                       "auth_index": f"auth-{i % 11}", "input_tokens": i, "output_tokens": 2, "total_tokens": i + 2, **more})


def lines(count, start=0, **more):
    return "".join(event(i, **more) + "\n" for i in range(start, start + count)).encode()


class Request(threading.Thread):
    """One on its way; `answer` when it has come."""

    def __init__(self, app, path, body):
        super().__init__(daemon=True)
        self.connection, self.whole, self.answer = app.connect(120), message("POST", path, ADMIN_KEY, body), None
        self.start()

    def run(self):
        self.answer = self.connection.ask(self.whole)

    def wait(self):
        self.join(90)
        assert self.answer is not None, "no answer came"
        return self.answer


def progress(daemon, what="records"):
    """(state, records done) of the newest job."""
    rows = daemon.sql("SELECT state, progress FROM jobs ORDER BY id DESC LIMIT 1")
    return (rows[0][0], json.loads(rows[0][1] or "{}").get(what, 0)) if rows else ("", 0)


def wait_until(daemon, records, what="records"):
    """The work is that far, and not at its end."""
    wait_for(lambda: progress(daemon, what)[1] >= records or progress(daemon)[0] == "done", 60, "progress", 0.002)
    assert progress(daemon)[0] == "running", "the work was over too soon to prove anything"


def assert_stored(daemon, count):
    """So many, each once."""
    assert daemon.sql("SELECT count(*), count(DISTINCT ts_ms), count(DISTINCT hex(hash16)) FROM events") == [(count, count, count)]
    assert daemon.sql("SELECT value FROM counters WHERE name = 'events'") == [(count,)]


def left_behind(daemon):
    folder = os.path.join(daemon.data, "imports")
    return os.listdir(folder) if os.path.isdir(folder) else []


def assert_all_done(daemon):
    wait_for(lambda: left_behind(daemon) == [], 5, "an empty imports directory")
    assert daemon.sql("SELECT count(*) FROM jobs WHERE state IN ('queued', 'running')") == [(0,)]


# ---- kill -9


def mixed(count):
    """Records of every kind: (their texts, what the answer must count)."""
    out = []
    for i in range(count):
        out.append(event(i))
        if i % 50 == 49:
            out.append(event(i - 40))
        if i % 100 == 99:
            out.append('{"event_hash": broken' if i % 200 == 199 else "17")
    return out, {"added": count, "skipped": count // 50, "total": count + count // 50, "failed": count // 100}


def as_lines(count):
    texts, want = mixed(count)
    return "\n".join(texts).encode(), dict(want, format="usage_service_jsonl", unsupported=0, warnings=None)


def as_list(count):
    texts, want = mixed(count)
    texts = [t if t != '{"event_hash": broken' else "null" for t in texts]
    return ("[" + ",\n".join(texts) + "]").encode(), dict(want, format="usage_service_jsonl", unsupported=0, warnings=None)


def as_snapshot(count):
    """Two endpoints with many models; now and then a detail without a time, a model without details."""
    apis, failed, unsupported, i = {}, 0, 0, 0
    while i < count:
        models = apis.setdefault(f"POST /v1/{i * 2 // count}", {"models": {}})["models"]
        name = f"model-{i // 1000:03d}"
        details = [{"timestamp": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime((BASE_MS + n) // 1000)) + f".{(BASE_MS + n) % 1000:03d}Z",
                    "tokens": {"input_tokens": n, "output_tokens": 1, "total_tokens": n + 1}, "failed": False}
                   for n in range(i, min(i + 1000, count))]
        details.insert(7, {"tokens": {}})
        models[name], models[name + "-none"] = {"details": details}, {"details": []}
        failed, unsupported, i = failed + 1, unsupported + 1, i + 1000
    return json.dumps({"apis": apis}).encode(), {"added": count, "skipped": 0, "total": count, "failed": failed, "unsupported": unsupported,
                                                 "format": "legacy_usage_payload", "warnings": LEGACY}


@pytest.mark.parametrize("make, count", [(as_lines, 30_000), (as_list, 20_000), (as_snapshot, 20_000)], ids=["lines", "list", "snapshot"])
def test_kill_9_in_the_middle(daemon, app, make, count):
    """The request that waits is told exact counts, though three daemons worked on it."""
    body, want = make(count)
    daemon.start()
    running = Request(app, IMPORT, body)
    for part in (1, 4, 9):
        wait_until(daemon, count * part // 12)
        daemon.kill()
        assert len(left_behind(daemon)) == 1, "the next one needs the file"
        assert daemon.count() < count
        daemon.start(wait=False)
    answer = running.wait()
    assert answer.status == 200 and answer.json == want, answer.raw
    assert_stored(daemon, count)
    assert_all_done(daemon)
    # and it is known as a whole
    again = app.ask("POST", IMPORT, ADMIN_KEY, body, CONTENT_TYPE="text/plain").json
    assert (again["added"], again["skipped"], again["failed"]) == (0, want["total"], want["failed"])
    assert_stored(daemon, count)


def test_sigterm_in_the_middle(daemon, app):
    body, want = as_lines(20_000)
    daemon.start()
    running = Request(app, IMPORT, body)
    wait_until(daemon, 4000)
    begun = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - begun < 3, "an import does not hold up the end"
    assert 0 < daemon.count() < 20_000
    daemon.start()
    assert running.wait().json == want
    assert_stored(daemon, 20_000)
    assert_all_done(daemon)


def test_killed_before_it_was_begun(daemon, app):
    """A second import waits behind the first; both are done by the next daemon."""
    daemon.start()
    first = Request(app, IMPORT, lines(40_000))
    wait_until(daemon, 1000)
    second = Request(app, IMPORT, lines(300, 40_000))
    wait_for(lambda: daemon.count("jobs") == 2, step_s=0.002)
    daemon.kill()
    assert daemon.sql("SELECT state FROM jobs ORDER BY id") == [("running",), ("queued",)]
    daemon.start()
    assert (first.wait().json["added"], second.wait().json["added"]) == (40_000, 300)
    assert_stored(daemon, 40_300)
    assert_all_done(daemon)


def test_a_file_that_ends_the_daemon_is_given_up(daemon, app):
    """Killed at each start before it gets on: it is not tried for ever."""
    daemon.start()
    wait_for(lambda: daemon.state().get("collector") == "running")
    assert daemon.stop() == 0
    folder = os.path.join(daemon.data, "imports")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "ab" * 16), "wb") as f:
        f.write(lines(10))
    with contextlib.closing(sqlite3.connect(daemon.db, timeout=10)) as db, db:
        db.execute("INSERT INTO jobs (kind, args, state, progress, created_ms, updated_ms) VALUES ('usage_import', ?, 'running', ?, 1, 1)",
                   (json.dumps({"file": "ab" * 16}), json.dumps({"starts": 5})))
    daemon.start()
    wait_for(lambda: daemon.sql("SELECT state FROM jobs") == [("failed",)], 10)
    assert "never came to its end" in daemon.sql("SELECT error FROM jobs")[0][0]
    assert left_behind(daemon) == [] and daemon.count() == 0
    assert app.ask("POST", IMPORT, ADMIN_KEY, lines(10)).json["added"] == 10


# ---- a daemon that takes its time


@pytest.fixture
def impatient(daemon, late_clock_shim, tmp_path):
    """An application for which a minute passes once `flag` is there."""
    flag = tmp_path / "late"
    app = Application(tmp_path, LD_PRELOAD=late_clock_shim, LATE_CLOCK_FLAG=str(flag)).start()
    app.flag = flag
    yield app
    daemon.process.send_signal(signal.SIGCONT)
    assert app.stop() == 0


def test_an_import_that_is_not_begun_is_taken_back(daemon, impatient):
    """The answer says that nothing was done: so nothing may be done later, and no file lies about."""
    daemon.start()
    wait_for(lambda: daemon.state().get("collector") == "running")
    daemon.process.send_signal(signal.SIGSTOP)
    running = Request(impatient, IMPORT, lines(100))
    wait_for(lambda: daemon.count("jobs") == 1)
    impatient.flag.touch()
    answer = running.wait()
    assert answer.status == 503 and answer.json["code"] == "collector_busy", answer.raw
    assert left_behind(daemon) == []
    daemon.process.send_signal(signal.SIGCONT)
    impatient.flag.unlink()
    assert impatient.ask("POST", IMPORT, ADMIN_KEY, lines(7)).json["added"] == 7
    assert daemon.sql("SELECT state FROM jobs ORDER BY id") == [("cancelled",), ("done",)]
    assert_stored(daemon, 7)


def test_an_import_that_takes_longer_goes_on(daemon, impatient):
    body, want = as_lines(20_000)
    daemon.start()
    running = Request(impatient, IMPORT, body)
    wait_until(daemon, 1000)
    daemon.process.send_signal(signal.SIGSTOP)
    impatient.flag.touch()
    answer = running.wait()
    assert answer.status == 202 and answer.json["state"] == "running" and answer.json["progress"]["added"] > 0, answer.raw
    job = answer.headers["location"]
    assert job == f"/v0/management/jobs/{answer.json['id']}"
    assert len(left_behind(daemon)) == 1
    daemon.process.send_signal(signal.SIGCONT)
    done = wait_for(lambda: (j := impatient.ask("GET", job, ADMIN_KEY).json)["state"] == "done" and j, 30)
    assert done["result"] == {"status": 200, "body": want}
    assert_stored(daemon, 20_000)
    assert_all_done(daemon)


# ---- no daemon


def test_without_collectord_nothing_is_taken(daemon, app):
    daemon.start()
    assert app.ask("POST", IMPORT, ADMIN_KEY, lines(1)).json["added"] == 1
    for end in (daemon.stop, daemon.kill):
        end()
        answer = app.ask("POST", IMPORT, ADMIN_KEY, lines(100))
        assert answer.status == 503 and answer.json["code"] == "collector_stopped" and "start it" in answer.json["error"]
        assert left_behind(daemon) == [] and daemon.count("jobs") == 1
        answer = app.ask("POST", "/v0/management/collector/dead-letters/retry", ADMIN_KEY, b"{}")
        assert answer.status == 503 and answer.json["code"] == "collector_stopped"
        daemon.start()
    assert app.ask("POST", IMPORT, ADMIN_KEY, lines(100)).json == {
        "format": "usage_service_jsonl", "added": 99, "skipped": 1, "total": 100, "failed": 0, "unsupported": 0, "warnings": None}


def test_files_that_no_job_names_are_swept_after_a_day(daemon):
    folder = os.path.join(daemon.data, "imports")
    os.makedirs(folder)
    day_ago = time.time() - 86_500
    for name, age in (("0" * 32, day_ago), ("1" * 32, time.time()), ("keep.jsonl", day_ago)):
        path = os.path.join(folder, name)
        with open(path, "w", encoding="ascii") as f:
            f.write("{}")
        os.utime(path, (age, age))
    daemon.start()
    wait_for(lambda: "0" * 32 not in left_behind(daemon), 5, "the old file to be swept")
    assert sorted(left_behind(daemon)) == ["1" * 32, "keep.jsonl"]


# ---- the database


@pytest.mark.parametrize("long", [False, True])
def test_a_database_that_is_locked_meanwhile(daemon, app, long):
    """Also for longer than SQLite waits by itself: the import goes on behind it, and so does the one who waits for it."""
    body, want = as_lines(20_000)
    daemon.start()
    running = Request(app, IMPORT, body)
    wait_until(daemon, 3000)
    with contextlib.closing(sqlite3.connect(daemon.db, isolation_level=None, timeout=10)) as lock:
        lock.execute("BEGIN IMMEDIATE")
        stored = daemon.count()
        assert stored < 20_000
        if long:  # one that comes now waits five seconds, then cannot be handed over
            answer = app.ask("POST", IMPORT, ADMIN_KEY, lines(10, 50_000))
            assert answer.status == 503 and "locked" in answer.json["error"]
            assert len(left_behind(daemon)) == 1, "its file is gone again"
        time.sleep(1)
        assert daemon.count() == stored and running.is_alive()
        lock.execute("ROLLBACK")
    assert running.wait().json == want
    assert_stored(daemon, 20_000)
    assert_all_done(daemon)


def test_live_events_do_not_wait_for_an_import(cpa, daemon, app):
    daemon.start()
    running = Request(app, IMPORT, lines(100_000))
    wait_until(daemon, 1000)
    delays = []
    for payload in generated(8):
        begun, before = time.monotonic(), len(delays)
        cpa.push([payload])
        wait_for(lambda n=before: daemon.sql("SELECT count(*) FROM events WHERE ts_ms > ?", BASE_MS + 10_000_000)[0][0] > n, 10,
                 "the live event", 0.005)
        delays.append(time.monotonic() - begun)
    assert progress(daemon)[0] == "running", "the import was over too soon to prove anything"
    assert max(delays) < 2, delays
    assert running.wait().json["added"] == 100_000
    assert_stored(daemon, 100_008)


def test_short_writes_do_not_wait_for_an_import(daemon, app):
    """Its transactions follow each other closely; a save still gets between them."""
    daemon.start()
    running = Request(app, IMPORT, lines(100_000))
    wait_until(daemon, 1000)
    took = []
    for i in range(20):
        begun = time.monotonic()
        answer = app.ask("PUT", "/v0/management/api-key-aliases", ADMIN_KEY,
                         json.dumps({"items": [{"apiKeyHash": f"{i:064x}", "alias": f"alias {i}"}]}).encode())
        took.append(time.monotonic() - begun)
        assert answer.status == 200, answer.raw
    assert progress(daemon)[0] == "running", "the import was over too soon to prove anything"
    assert sorted(took)[10] < 0.08 and max(took) < 0.5, took
    assert running.wait().json["added"] == 100_000


# ---- the client


def upload(app, announced, sent, **more):
    """The beginning of an upload."""
    c = app.connect()
    params = cgi("POST", IMPORT, ADMIN_KEY, None, CONTENT_LENGTH=str(announced), **more)
    c.send(begin(), stream(PARAMS, pairs(params)), stream(STDIN, sent, end=False))
    return c


@pytest.mark.parametrize("how", ["closed", "silent", "ended early"])
def test_an_upload_that_breaks_off_leaves_no_file(daemon, app, how):
    daemon.start()
    body = lines(3000)
    c = upload(app, len(body), body[:200_000])
    wait_for(lambda: left_behind(daemon), 5, "the file to be there", 0.005)
    if how == "ended early":
        c.send(record(STDIN))
    if how == "closed":
        c.close()
    else:
        answer = c.read_answer()
        assert answer.status == (408 if how == "silent" else 400) and "body" in answer.json["error"], answer.raw
    wait_for(lambda: left_behind(daemon) == [], IO_TIMEOUT_S + 3, "the file to be gone")
    assert daemon.count("jobs") == 0 and daemon.count() == 0
    app.assert_all_threads_work()


def test_a_packed_upload_that_breaks_off_leaves_no_file(daemon, app):
    """What was unpacked of it, too."""
    daemon.start()
    answer = app.ask("POST", IMPORT, ADMIN_KEY, b"\x1f\x8b not really", HTTP_CONTENT_ENCODING="gzip")
    assert answer.status == 400 and "gzip" in answer.json["error"]
    assert left_behind(daemon) == [] and daemon.count("jobs") == 0


def test_a_client_that_does_not_wait_for_the_outcome(daemon, app):
    """The work was handed over: it is done."""
    daemon.start()
    c = app.connect()
    c.send(message("POST", IMPORT, ADMIN_KEY, lines(20_000)))
    wait_until(daemon, 1000)
    c.close()
    wait_for(lambda: progress(daemon)[0] == "done", 30)
    assert_stored(daemon, 20_000)
    assert_all_done(daemon)


def test_the_application_is_killed_meanwhile(daemon, app):
    daemon.start()
    Request(app, IMPORT, lines(20_000))
    wait_until(daemon, 1000)
    app.process.kill()
    app.process.wait()
    wait_for(lambda: progress(daemon)[0] == "done", 30)
    assert_stored(daemon, 20_000)
    assert_all_done(daemon)
    os.unlink(app.path)
    app.start()
    job = daemon.sql("SELECT id FROM jobs")[0][0]
    answer = app.ask("GET", f"/v0/management/jobs/{job}", ADMIN_KEY).json
    assert answer["state"] == "done" and answer["result"]["body"]["added"] == 20_000


# ---- the disk


def test_a_disk_that_fills_up_during_the_upload(daemon, full_disk_shim, tmp_path):
    flag = tmp_path / "full"
    app = Application(tmp_path, LD_PRELOAD=full_disk_shim, FULL_DISK_FLAG=str(flag)).start()
    daemon.start()
    body = lines(3000)
    try:
        c = upload(app, len(body), body[:100_000])
        wait_for(lambda: left_behind(daemon), 5, "the file to be there", 0.005)
        flag.touch()
        with contextlib.suppress(OSError):  # no more is read once it has failed
            c.send(stream(STDIN, body[100_000:]))
        answer = c.read_answer()
        assert answer.status == 503 and "No space left" in answer.json["error"], answer.raw
        assert left_behind(daemon) == [] and daemon.count("jobs") == 0
        # nor is there room for the next one
        answer = app.ask("POST", IMPORT, ADMIN_KEY, body)
        assert answer.status == 503 and left_behind(daemon) == []
        flag.unlink()
        assert app.ask("POST", IMPORT, ADMIN_KEY, body).json["added"] == 3000
        assert_all_done(daemon)
    finally:
        assert app.stop() == 0


def test_a_disk_that_is_full_while_events_are_stored(daemon, app, full_disk_shim, tmp_path):
    flag = tmp_path / "full"
    daemon.env.update(LD_PRELOAD=full_disk_shim, FULL_DISK_FLAG=str(flag))
    body, want = as_lines(20_000)
    daemon.start()
    running = Request(app, IMPORT, body)
    wait_until(daemon, 3000)
    for _ in range(3):
        flag.touch()
        time.sleep(0.4)
        assert daemon.process.poll() is None, "a full disk ended the daemon"
        assert daemon.count() < 20_000
        flag.unlink()
        time.sleep(0.05)
    assert running.wait().json == want
    assert_stored(daemon, 20_000)
    assert_all_done(daemon)


# ---- dead letters, read once more


@pytest.mark.parametrize("named", [False, True], ids=["all", "named"])
def test_kill_9_while_dead_letters_are_read_again(daemon, app, named):
    """Those that stay dead are there for the next daemon as well, and are counted once."""
    daemon.start()
    wait_for(lambda: daemon.state().get("collector") == "running")
    good, bad = generated(7500), 2000
    payloads = [*(f'{{"broken {i}' for i in range(bad)), *good, "{more", good[0]]
    with contextlib.closing(sqlite3.connect(daemon.db, timeout=10)) as db, db:
        db.executemany("INSERT INTO dead_letters (created_ms, reason, payload, digest) VALUES (?, 'old', ?, ?)",
                       [(time.time_ns() // 1_000_000, p.encode(), f"{i:032d}".encode()) for i, p in enumerate(payloads)])
        db.execute("UPDATE counters SET value = ? WHERE name = 'dead_letters'", (len(payloads),))
        ids = [r[0] for r in db.execute("SELECT id FROM dead_letters ORDER BY id")]
    running = Request(app, "/v0/management/collector/dead-letters/retry", json.dumps({"ids": ids} if named else {}).encode())
    for part in (1, bad + 1500):
        wait_until(daemon, part, "retried")
        daemon.kill()
        daemon.start(wait=False)
    answer = running.wait()
    assert answer.status == 200, answer.raw
    assert answer.json == {"retried": len(payloads), "added": len(good), "skipped": 1, "failed": bad + 1}
    assert daemon.count() == len(good) and daemon.count("dead_letters") == bad + 1
    assert daemon.sql("SELECT name, value FROM counters ORDER BY name")[:2] == [("dead_letters", bad + 1), ("events", len(good))]


# ---- export


class SlowExport:
    """An export whose client takes a piece now and then, never too late for the time-out."""

    def __init__(self, app, uri=EXPORT):
        self.connection, self.text, self.stopped, self.ended = app.connect(), [], threading.Event(), False
        self.connection.send(message("GET", uri, ADMIN_KEY))
        self.take()
        self.thread = threading.Thread(target=self.trickle, daemon=True)
        self.thread.start()

    def take(self):
        r = self.connection.read_record()
        if r is not None and r[0] == STDOUT:
            self.text.append(r[1])
        self.ended = self.ended or r is None
        return r is not None

    def trickle(self):
        while not self.stopped.wait(IO_TIMEOUT_S / 10) and self.take():
            pass

    def finish(self):
        """Take the rest at once: (head, lines)."""
        self.stopped.set()
        self.thread.join()
        while self.take():
            pass
        head, _, body = b"".join(self.text).partition(b"\r\n\r\n")
        return head, [json.loads(line) for line in body.splitlines()]

    def give_up(self):
        self.stopped.set()
        self.thread.join()
        self.connection.close()


def test_an_export_while_events_come_and_go(daemon, app):
    """What was there at its begin and is not deleted is in it, in order, once; what came meanwhile is not."""
    count = 12_000
    daemon.start()
    assert app.ask("POST", IMPORT, ADMIN_KEY, lines(count)).json["added"] == count
    slow = SlowExport(app)
    # before, among and behind what was read already
    later = b"".join(lines(1, i, event_hash=f"later-{i}") for i in (-5, 3, 4000, 11_000, count + 5))
    assert app.ask("POST", IMPORT, ADMIN_KEY, later).json["added"] == 5
    gone = {i for i in range(count) if i % 1000 in (7, 8) or 9000 <= i < 9700}
    with contextlib.closing(sqlite3.connect(daemon.db, timeout=10)) as db, db:
        db.executemany("DELETE FROM events WHERE ts_ms = ? AND id <= ?", [(BASE_MS + i, count) for i in gone])
    assert not slow.ended, "the export was over too soon to prove anything"
    head, got = slow.finish()
    assert b"Status: 200" in head
    hashes = [r["event_hash"] for r in got]
    deleted = {f"hash-{i}" for i in gone}
    assert [h for h in hashes if h not in deleted] == [f"hash-{i}" for i in range(count) if i not in gone]
    assert len(set(hashes)) == len(hashes)
    assert len(hashes) < count, "what was deleted before it was read is not shown"
    # and one that begins now has it all
    got = app.ask("GET", EXPORT, ADMIN_KEY).body.splitlines()
    assert len(got) == count - len(gone) + 5


def test_slow_exports_hold_up_nobody(daemon, tmp_path):
    """Neither other requests, nor the daemon, nor the WAL; and there are never too many of them."""
    app = Application(tmp_path, threads=12).start()
    daemon.start()
    try:
        assert app.ask("POST", IMPORT, ADMIN_KEY, lines(12_000)).json["added"] == 12_000
        slow = [SlowExport(app) for _ in range(8)]
        answer = app.ask("GET", EXPORT, ADMIN_KEY)
        assert answer.status == 503 and answer.json["code"] == "too_many_exports" and int(answer.headers["retry-after"]) > 0
        begun = time.monotonic()
        for _ in range(10):
            assert app.ask("GET", "/status", ADMIN_KEY).status == 200
        assert app.ask("POST", IMPORT, ADMIN_KEY, lines(500, 20_000)).json["added"] == 500
        assert time.monotonic() - begun < 3
        with contextlib.closing(sqlite3.connect(daemon.db, timeout=10)) as db:
            busy, _, _ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        assert busy == 0, "a reader holds the WAL"
        assert not any(s.ended for s in slow), "the exports were over too soon to prove anything"
        for s in slow[:3]:
            s.give_up()
        for s in slow[3:]:
            assert len(s.finish()[1]) == 12_000
        wait_for(lambda: app.ask("GET", EXPORT, ADMIN_KEY).status == 200, 5, "exports to be possible again")
    finally:
        assert app.stop() == 0


def test_an_export_that_nobody_takes_is_ended(daemon, app):
    daemon.start()
    assert app.ask("POST", IMPORT, ADMIN_KEY, lines(12_000)).json["added"] == 12_000
    c = app.connect()
    c.send(message("GET", EXPORT, ADMIN_KEY))
    # a write that got a part out begins its time anew
    wait_for(lambda: f"path={EXPORT} status=200" in app.log(), 3 * IO_TIMEOUT_S + 2, "the export to be given up")
    answer = c.read_answer()
    assert not answer.ended, "it must not pass for a whole one"
    assert answer.status == 200 and 0 < answer.raw.count(b"event_hash") < 12_000
    app.assert_all_threads_work()
