"""The store is kept in bounds while collection goes on: what is too old goes, the WAL stays small."""
import contextlib
import json
import os
import sqlite3
import subprocess
import threading
import time
from datetime import datetime

import pytest
from harness import BUILD, Collectord, FakeCpa, generated, sanitizer_environment, wait_for

MIB = 1024 * 1024
DAY_MS = 86_400_000


def size(path):
    try:
        return os.path.getsize(path)
    except OSError:
        return 0


class Watch:
    """The largest size of a file while it is looked at."""

    def __init__(self, path):
        self.path, self.largest, self.over = path, 0, threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.over.wait(0.01):
            self.largest = max(self.largest, size(self.path))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


@contextlib.contextmanager
def reading(db):
    """A reader that keeps the database's present state in use."""
    with contextlib.closing(sqlite3.connect(f"file:{db}?mode=ro", uri=True, isolation_level=None)) as c:
        c.execute("BEGIN")
        c.execute("SELECT count(*) FROM gaps").fetchone()
        yield c
        c.execute("COMMIT")


@pytest.mark.slow
def test_the_wal_stays_small_though_readers_come_and_go(tmp_path):
    total = 60_000
    events = tmp_path / "events.jsonl"
    events.write_text("\n".join(generated(total, "--rich")) + "\n")
    fake = FakeCpa(events=str(events))
    daemon = Collectord(tmp_path / "data", fake.url, USAGE_BATCH_SIZE="100")
    wal = daemon.db + "-wal"
    try:
        with Watch(wal) as watch:
            daemon.start()
            wait_for(lambda: daemon.count() > 0)
            with reading(daemon.db):
                time.sleep(5)
                assert daemon.count() > 1000, "a reader has stopped collection"
            # each comes before the last one has gone
            with contextlib.ExitStack() as last:
                while daemon.count() < total:
                    this = contextlib.ExitStack()
                    this.enter_context(reading(daemon.db))
                    last.close()
                    time.sleep(0.3)
                    last.push(this.pop_all())
        assert watch.largest < 64 * MIB
        assert watch.largest > 8 * MIB, "the readers were in nobody's way"
        wait_for(lambda: size(wal) <= 8 * MIB, 10, "a short WAL")
        assert daemon.count("gaps") == 0
        print(f"largest WAL {watch.largest / MIB:.1f} MiB, longest transaction {daemon.state()['slowestTransactionMs']} ms")
    finally:
        assert daemon.stop() == 0
        fake.stop()


def ages(items, now_ms):
    return [now_ms - datetime.fromisoformat(json.loads(i)["timestamp"].replace("Z", "+00:00")).timestamp() * 1000 for i in items]


def events_are_whole(daemon, total):
    assert daemon.sql("SELECT value FROM counters WHERE name = 'events'") == [(total,)]
    assert daemon.count() == total
    assert daemon.sql("SELECT count(*) FROM event_detail WHERE event_id NOT IN (SELECT id FROM events)") == [(0,)]


def test_events_past_their_time_go_and_collection_goes_on(cpa, daemon, tmp_path):
    now_ms = int(time.time() * 1000)
    items = generated(20_000, "--end", str(now_ms), "--days", "30")
    clock = tmp_path / "clock"
    clock.write_text("0")
    daemon.env.update(USAGE_RETENTION_DAYS="10", USAGE_BATCH_SIZE="1000", CPA_MANAGER_TEST_CLOCK=str(clock))
    # the first round finds nothing; what has been stored by then is for the next
    daemon.start()
    wait_for(lambda: daemon.state().get("collector") == "running")
    cpa.push(items)
    wait_for(lambda: daemon.count() == len(items), 30)
    pages = daemon.sql("PRAGMA page_count")[0][0]

    longest = 0.0
    with contextlib.closing(sqlite3.connect(daemon.db, timeout=10, isolation_level=None)) as saving:
        for days, left in ((10, 0), (3, 7)):
            clock.write_text(str(11 * 60_000 + left * DAY_MS))
            kept = sum(age < days * DAY_MS - 11 * 60_000 for age in ages(items, now_ms))
            while daemon.count() > kept + 1:
                begun = time.monotonic()
                saving.execute("BEGIN IMMEDIATE")
                longest = max(longest, time.monotonic() - begun)
                saving.execute("COMMIT")
                time.sleep(0.01)
            wait_for(lambda: daemon.sql("PRAGMA freelist_count")[0][0] <= 64, 20, "pages to be given back")
            events_are_whole(daemon, daemon.count())
            assert abs(daemon.count() - kept) <= 1
    print(f"longest wait of a save {1000 * longest:.0f} ms, longest transaction {daemon.state()['slowestTransactionMs']} ms")
    assert longest < 2
    assert daemon.sql("PRAGMA page_count")[0][0] < pages / 3
    fresh = generated(100, "--seed", "3", "--end", str(now_ms + 7 * DAY_MS), "--days", "0.1")
    before = daemon.count()
    cpa.push(fresh)
    wait_for(lambda: daemon.count() == before + 100)
    assert daemon.sql("PRAGMA integrity_check") == [("ok",)]


@pytest.mark.slow
def test_old_events_go_under_permanent_load_too(cpa, daemon, tmp_path):
    """There is always a batch waiting; upkeep gets its small share."""
    now_ms = int(time.time() * 1000)
    daemon.env.update(USAGE_BATCH_SIZE="100")
    daemon.start()
    cpa.push(generated(4_000, "--end", str(now_ms - 20 * DAY_MS), "--days", "1"))
    wait_for(lambda: daemon.count() == 4_000, 30)
    assert daemon.stop() == 0
    daemon.env.update(USAGE_RETENTION_DAYS="10")
    cpa.push(generated(25_000, "--end", str(now_ms), "--days", "1", "--seed", "5"))
    daemon.start()
    wait_for(lambda: daemon.sql("SELECT 1 FROM events WHERE ts_ms < ? LIMIT 1", now_ms - 10 * DAY_MS) == [], 60, step_s=0.1)
    assert cpa.state()["queued"] > 0, "the load has ended before"
    wait_for(lambda: daemon.count() == 25_000, 60, step_s=0.1)
    events_are_whole(daemon, 25_000)


@pytest.mark.parametrize("name, value", [("USAGE_RETENTION_DAYS", "ten"), ("USAGE_RETENTION_DAYS", "-1"),
                                         ("USAGE_DEAD_LETTER_DAYS", "1.5")])
def test_days_that_are_none_end_the_start_with_one_line(tmp_path, name, value):
    run = subprocess.run([os.path.join(BUILD, "collectord"), "--data", str(tmp_path / "d")], timeout=20,
                         env=dict(os.environ, **sanitizer_environment(), **{name: value}), capture_output=True, text=True)
    assert run.returncode == 1
    assert run.stderr.count("\n") == 1 and name in run.stderr
