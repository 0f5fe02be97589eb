"""Nothing is lost and nothing is doubled, whatever happens to collectord, CPA or the disk."""
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import threading
import time

import pytest
from harness import (BUILD, CPA_KEY, Collectord, FakeCpa, expected_rows, free_port, generated, recorded,
                     sanitizer_environment, wait_for)

EFFORT = int(os.environ.get("EFFORT", "1"))
ROW = "SELECT count(*), count(DISTINCT hex(hash16)) FROM events"


def exactly_once(daemon, total):
    """Every event is there once, or among those that the gaps call in doubt."""
    rows, distinct = daemon.sql(ROW)[0]
    in_doubt = daemon.sql("SELECT coalesce(sum(in_doubt), 0) FROM gaps")[0][0]
    assert rows == distinct, "an event is stored twice"
    assert rows <= total
    assert total - rows <= in_doubt, f"{total - rows} events are missing, {in_doubt} are in doubt"
    assert daemon.sql("SELECT value FROM counters WHERE name = 'events'")[0][0] == rows
    return rows


def test_genuine_payloads_become_the_expected_rows(cpa, daemon):
    genuine = recorded("genuine:")
    cpa.push([payload for _, payload in genuine])
    daemon.start()
    wait_for(lambda: daemon.count() == len(genuine))
    want = {r["row"]["event_hash"][:32]: r["row"] for r in expected_rows() if r["name"].startswith("genuine:")}
    rows = daemon.sql("""
        SELECT lower(hex(e.hash16)), m.value, e.input_tokens, e.output_tokens, e.total_tokens, e.flags & 1, e.latency_ms,
               e.fail_status, lower(hex(k.value)), i.auth_index
        FROM events e JOIN dict m ON m.kind = 1 AND m.id = e.model_id
        LEFT JOIN dict k ON k.kind = 8 AND k.id = e.api_key_id JOIN identities i ON i.id = e.identity_id""")
    assert {r[0] for r in rows} == set(want)
    for r in rows:
        w = want[r[0]]
        assert list(r[1:]) == [w["model"], w["input_tokens"], w["output_tokens"], w["total_tokens"], w["failed"],
                               w["latency_ms"], w["fail_status_code"], w["api_key_hash"] or "", w["auth_index"] or ""]


def test_no_secret_reaches_the_disk(cpa, daemon):
    """Keys, tokens and cookies of payloads are nowhere in the data directory once they are stored."""
    payload = json.loads(recorded("genuine: codex responses fast")[0][1])
    payload.update(source="sk-upstream-SECRETONE-0123456789", api_key="sk-client-SECRETTWO-0123456789", failed=True,
                   request_id="deadbeef", auth_type="apikey",
                   fail={"status_code": 401, "body": 'Authorization: Bearer SECRETTHREE0123 {"access_token":"SECRETFOUR0123"}'})
    payload["response_headers"]["Set-Cookie"] = ["sid=SECRETFIVE; Path=/"]
    cpa.push([payload, '{"broken": "sk-SECRETSIX0123456789", "api_key":"SECRETSEVEN"'])
    daemon.start()
    wait_for(lambda: daemon.count() == 1 and daemon.count("dead_letters") == 1)
    assert daemon.stop() == 0
    for folder, _, names in os.walk(daemon.data):
        for name in names:
            if name.endswith(".spool"):
                continue
            data = open(os.path.join(folder, name), "rb").read()
            for secret in (b"SECRETONE", b"SECRETTWO", b"SECRETTHREE", b"SECRETFOUR", b"SECRETFIVE", b"SECRETSIX",
                           CPA_KEY.encode()):
                assert secret not in data, f"{secret} in {name}"
    assert b"SECRET" not in open(daemon.log_path, "rb").read()


def test_the_spool_is_emptied_when_all_is_stored(cpa, daemon):
    daemon.env["USAGE_BATCH_SIZE"] = "500"
    cpa.push(generated(500))
    daemon.start()
    wait_for(lambda: daemon.count() == 500)
    spool = os.path.join(daemon.data, "spool")
    wait_for(lambda: sum(os.path.getsize(os.path.join(spool, n)) for n in os.listdir(spool)) < 1000, 5, "an empty spool")
    assert os.stat(spool).st_mode & 0o777 == 0o700
    assert all(os.stat(os.path.join(spool, n)).st_mode & 0o777 == 0o600 for n in os.listdir(spool))


@pytest.mark.slow
def test_kill_9_again_and_again(tmp_path):
    """100,000 events, the daemon killed on the way at random moments: each event is there once, or in doubt."""
    total, kills = 100_000, 12 * EFFORT
    events = tmp_path / "events.jsonl"
    genuine = [payload for _, payload in recorded("genuine:")]
    events.write_text("\n".join(genuine + generated(total)) + "\n")
    total += len(genuine)
    fake = FakeCpa(events=str(events))
    daemon = Collectord(tmp_path / "data", fake.url, USAGE_BATCH_SIZE="500")
    chance = random.Random(int(os.environ.get("SEED", "7")))
    at_work = 0
    try:
        for i in range(kills):
            popped = fake.state()["popped"]
            daemon.start(wait=False)
            if i % 2 == 0:  # at work for sure; the others may be killed while they start
                wait_for(lambda before=popped: fake.state()["popped"] > before or fake.state()["queued"] == 0, 30, "a first batch")
            time.sleep(chance.uniform(0.02, 0.35))
            assert daemon.process.poll() is None, daemon.log()[-2000:]
            daemon.kill()
            at_work += fake.state()["queued"] > 0
        daemon.start()
        wait_for(lambda: fake.state()["queued"] == 0 or daemon.process.poll() is not None, 120, "the queue to be empty")
        assert daemon.process.poll() is None, daemon.log()[-2000:]
        wait_for(lambda: daemon.state().get("spoolBytes") == 0 and daemon.state().get("collector") == "running", 60)
        last = -1
        while last != daemon.count():
            last = daemon.count()
            time.sleep(0.5)
        stored = exactly_once(daemon, total)
        gaps = daemon.sql("SELECT reason, in_doubt, from_ms, to_ms FROM gaps")
        assert at_work >= 4, "the kills came too late to prove anything"
        assert len(gaps) <= kills, "more batches in doubt than kills"
        assert all(g[0] == "pop_in_doubt" and 0 <= g[1] <= 500 and g[2] <= g[3] for g in gaps)
        # what was not in doubt is there
        assert stored >= total - 500 * len(gaps)
        assert daemon.stop() == 0
    finally:
        fake.stop()
        if daemon.process.poll() is None:
            daemon.kill()


def test_an_idle_daemon_that_is_killed_leaves_no_gap(cpa, daemon):
    daemon.start()
    wait_for(lambda: daemon.state().get("collector") == "running")
    for _ in range(5):
        time.sleep(0.12)
        daemon.kill()
        daemon.start()
        wait_for(lambda: daemon.state().get("collector") == "running")
    # a poll may have been on its way at a kill; hardly at each
    assert daemon.count("gaps") <= 2


def test_sigterm_under_load_loses_nothing(cpa, daemon):
    daemon.env["USAGE_BATCH_SIZE"] = "100"
    total = 5000
    cpa.push(generated(total))
    for _ in range(6):
        daemon.start()
        time.sleep(0.15)
        assert daemon.stop() == 0
    daemon.start()
    wait_for(lambda: daemon.count() == total, 30)
    assert daemon.count("gaps") == 0


def test_the_same_event_twice_is_stored_once(cpa, daemon):
    one = generated(1)
    cpa.push(one + one)
    daemon.start()
    wait_for(lambda: daemon.state().get("totalSkipped") == 1)
    assert daemon.count() == 1
    cpa.push(one)
    wait_for(lambda: daemon.state().get("totalSkipped") == 2)
    assert daemon.count() == 1


def test_broken_elements_spoil_nothing_but_themselves(cpa, daemon):
    cpa.faults(http_strings=1)
    cpa.push([*generated(2), "{broken", "[1,2]", "", *generated(1, "--seed", "9")])
    daemon.start()
    wait_for(lambda: daemon.count() == 3 and daemon.count("dead_letters") == 2)
    reasons = {r[0] for r in daemon.sql("SELECT reason FROM dead_letters")}
    assert "usage payload is not a JSON object" in reasons


@pytest.mark.parametrize("body, text", [("<html>no</html>" * 100, "invalid character '<' looking for beginning of value"),
                                        ('{"error":"no"}', "json: cannot unmarshal object into Go value of type []json.RawMessage"),
                                        ('"text"', "invalid character '\"' looking for beginning of value"),
                                        ("nothing like JSON, but it begins as null does", "invalid character 'n' looking for beginning of value"),
                                        ("", "EOF"), (" \n ", "EOF")])
def test_an_answer_that_is_no_list_is_told_and_asked_for_with_patience(cpa, daemon, body, text):
    """A page of some other server must neither fill the database nor be asked for without pause."""
    cpa.faults(http_body=body)
    daemon.start()
    state = wait_for(lambda: daemon.state().get("collector") == "error" and daemon.state())
    assert state["lastError"] == "http: " + text
    assert "address" in state["hint"]
    time.sleep(1)
    assert cpa.state()["http_pops"] <= 3
    cpa.faults(http_body=None)
    cpa.push(generated(1))
    wait_for(lambda: daemon.count() == 1 and daemon.state()["collector"] == "running")
    assert daemon.count("dead_letters") == 0 and daemon.count("gaps") == 0


@pytest.mark.parametrize("body", ["[", "[1,", '[{"a":1},{"b"'])
def test_a_list_that_does_not_end_is_in_doubt(cpa, daemon, body):
    cpa.faults(once={"http_body": body})
    daemon.start()
    wait_for(lambda: daemon.count("gaps") == 1)
    cpa.push(generated(1))
    wait_for(lambda: daemon.state().get("collector") == "running")


@pytest.mark.parametrize("body", ["null", " [ ] ", "[null, \"\", null]", "[]trailing"])
def test_a_list_of_nothing_is_nothing(cpa, daemon, body):
    cpa.faults(once={"http_body": body})
    cpa.push(generated(1))
    daemon.start()
    wait_for(lambda: daemon.count() == 1)
    assert daemon.count("dead_letters") == 0 and daemon.count("gaps") == 0


def test_a_truncated_answer_keeps_what_was_whole(cpa, daemon):
    items = generated(50)
    cpa.push(items)
    cut = len("[" + ",".join(items[:20])) + 300
    cpa.faults(once={"http_truncate": cut})
    daemon.start()
    wait_for(lambda: daemon.count() == 20)
    gaps = wait_for(lambda: daemon.sql("SELECT reason, in_doubt FROM gaps"))
    assert gaps == [("pop_in_doubt", 80)]
    cpa.push(generated(3, "--seed", "5"))
    wait_for(lambda: daemon.count() == 23, 10, "collection to go on")


def test_a_connection_that_closes_without_an_answer_is_in_doubt(cpa, daemon):
    cpa.faults(once={"http_close": 1})
    daemon.start()
    wait_for(lambda: daemon.count("gaps") == 1)
    assert daemon.sql("SELECT in_doubt FROM gaps") == [(100,)]
    wait_for(lambda: daemon.state().get("collector") == "running")


@pytest.mark.parametrize("status, text", [(404, "http usage queue is unsupported: 404 Not Found"),
                                          (500, "usage queue request failed: 500 Internal Server Error: {\"error\": \"fault\"}")])
def test_statuses_are_told_and_tried_again(cpa, daemon, status, text):
    cpa.faults(http_status=status)
    daemon.start()
    state = wait_for(lambda: daemon.state().get("collector") == "error" and daemon.state())
    assert state["lastError"] == "http: " + text
    assert state["hint"]
    cpa.faults(http_status=None)
    cpa.push(generated(1))
    wait_for(lambda: daemon.count() == 1, 15)
    wait_for(lambda: daemon.state()["lastError"] == "", 5)
    assert daemon.count("gaps") == 0


def test_a_refused_key_is_tried_once(cpa, tmp_path):
    daemon = Collectord(tmp_path / "data", cpa.url, CPA_MANAGEMENT_KEY="wrong-key")
    daemon.env["CPA_MANAGEMENT_KEY"] = "wrong-key"
    daemon.start()
    try:
        state = wait_for(lambda: daemon.state().get("collector") == "error" and daemon.state())
        assert "401" in state["lastError"] and "again" in state["hint"]
        time.sleep(2.5)
        assert cpa.state()["auth_fail"] == 1
        # it is remembered over a restart
        assert daemon.stop() == 0
        daemon.start()
        time.sleep(2)
        assert cpa.state()["auth_fail"] == 1
        assert daemon.state()["collector"] == "error"
    finally:
        assert daemon.stop() == 0


def test_cpa_that_is_not_there_is_no_gap(tmp_path):
    daemon = Collectord(tmp_path / "data", f"http://127.0.0.1:{free_port()}").start()
    try:
        state = wait_for(lambda: daemon.state().get("collector") == "error" and daemon.state())
        assert "connection refused" in state["lastError"]
        assert daemon.count("gaps") == 0
    finally:
        assert daemon.stop() == 0


def test_a_locked_database_stops_storing_but_not_collecting(cpa, daemon):
    daemon.start()
    cpa.push(generated(10))
    wait_for(lambda: daemon.count() == 10)
    lock = sqlite3.connect(daemon.db, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    cpa.push(generated(1000, "--seed", "3"))
    wait_for(lambda: cpa.state()["queued"] == 0, 10, "CPA's queue to be emptied")
    time.sleep(7)  # longer than SQLite waits by itself
    assert daemon.count() == 10
    lock.execute("ROLLBACK")
    lock.close()
    wait_for(lambda: daemon.count() == 1010, 20)
    assert daemon.count("gaps") == 0


def test_kill_while_the_database_is_locked(cpa, daemon):
    daemon.start()
    wait_for(lambda: daemon.state().get("collector") == "running")
    lock = sqlite3.connect(daemon.db, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    cpa.push(generated(300))
    wait_for(lambda: cpa.state()["queued"] == 0, 10)
    time.sleep(0.3)
    daemon.kill()
    lock.close()
    daemon.start()
    wait_for(lambda: daemon.count() == 300, 20)


@pytest.mark.parametrize("content", [b"this is no database, but long enough to look like something" * 20, None])
def test_a_database_that_is_broken_or_vanishes(cpa, daemon, content):
    """The daemon goes on collecting; with the file away it begins a new one and loses nothing that waits."""
    daemon.start()
    wait_for(lambda: daemon.state().get("collector") == "running")
    assert daemon.stop() == 0
    for suffix in ("-wal", "-shm"):
        if os.path.exists(daemon.db + suffix):
            os.unlink(daemon.db + suffix)
    if content is None:
        os.unlink(daemon.db)
    else:
        with open(daemon.db, "wb") as f:
            f.write(content)
    cpa.push(generated(20))
    daemon.start()
    wait_for(lambda: cpa.state()["queued"] == 0 if content is None else daemon.process.poll() is None, 10)
    if content is not None:
        time.sleep(1)
        assert daemon.process.poll() is None, "a broken database ended the daemon"
        assert "is not a database" in daemon.log()
        wait_for(lambda: cpa.state()["queued"] == 0, 10, "CPA's queue to be emptied")
        os.unlink(daemon.db)
    wait_for(lambda: daemon.count() == 20, 20)


def test_a_newer_database_is_left_alone(cpa, daemon):
    daemon.start()
    wait_for(lambda: daemon.state().get("collector") == "running")
    assert daemon.stop() == 0
    with sqlite3.connect(daemon.db) as c:
        c.execute("PRAGMA user_version = 999")
    before = open(daemon.db, "rb").read()
    daemon.start()
    wait_for(lambda: "newer version" in daemon.log())
    assert daemon.process.poll() is None
    assert daemon.stop() == 0
    assert open(daemon.db, "rb").read() == before


@pytest.mark.slow
def test_a_full_disk_asks_for_nothing(cpa, daemon, full_disk_shim, tmp_path):
    flag = tmp_path / "full"
    daemon.env.update(LD_PRELOAD=full_disk_shim, FULL_DISK_FLAG=str(flag))
    daemon.start()
    wait_for(lambda: daemon.state().get("collector") == "running")
    flag.touch()
    time.sleep(0.5)  # a poll that was allowed before may still be on its way
    cpa.push(generated(300))
    time.sleep(2)
    taken = cpa.state()["popped"]
    assert daemon.process.poll() is None, "a full disk ended the daemon"
    # room for one batch was there before the disk filled up; no more may be taken than is kept
    assert taken <= 100
    assert "full" in daemon.log()
    flag.unlink()
    wait_for(lambda: daemon.count() == 300, 40)
    assert daemon.count("gaps") == 0


@pytest.mark.slow
def test_a_disk_that_fills_up_and_empties_again(cpa, daemon, full_disk_shim, tmp_path):
    flag = tmp_path / "full"
    daemon.env.update(LD_PRELOAD=full_disk_shim, FULL_DISK_FLAG=str(flag))
    daemon.start()
    items = generated(3000)
    chance = random.Random(3)
    for i in range(0, len(items), 500):
        cpa.push(items[i:i + 500])
        time.sleep(chance.uniform(0.02, 0.2))
        flag.touch()
        time.sleep(chance.uniform(0.1, 0.6))
        flag.unlink()
    wait_for(lambda: daemon.count() == 3000, 60)
    assert exactly_once(daemon, 3000) == 3000
    assert daemon.count("gaps") == 0


def test_a_second_collectord_is_refused(daemon):
    daemon.start()
    second = subprocess.run([os.path.join(BUILD, "collectord"), "--data", daemon.data], env=daemon.env,
                            capture_output=True, text=True, timeout=20)
    assert second.returncode == 1
    assert second.stderr.count("\n") == 1 and "is held" in second.stderr


def test_sighup_reads_the_configuration_again(cpa, daemon):
    config = os.path.join(os.path.dirname(daemon.data), "config.json")
    with open(config, "w") as f:
        json.dump({"batchSize": 7}, f)
    daemon.env["CPA_MANAGER_CONFIG"] = config
    daemon.start()
    wait_for(lambda: any("count=7" in str(x) for x in cpa.state()["log"]))
    with open(config, "w") as f:
        json.dump({"batchSize": 9}, f)
    daemon.process.send_signal(signal.SIGHUP)
    wait_for(lambda: any("count=9" in str(x) for x in cpa.state()["log"]), 10)
    with open(config, "w") as f:
        f.write("{broken")
    daemon.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "configuration not taken over" in daemon.log(), 10)
    cpa.push(generated(1))
    wait_for(lambda: daemon.count() == 1)


def test_readiness_and_watchdog_are_told(cpa, daemon, tmp_path):
    path = str(tmp_path / "notify.sock")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(path)
    sock.settimeout(10)
    daemon.env.update(NOTIFY_SOCKET=path, WATCHDOG_USEC="400000")
    daemon.start()
    seen = []

    def read():
        while True:
            try:
                seen.append(sock.recv(4096).decode())
            except OSError:
                return

    threading.Thread(target=read, daemon=True).start()
    wait_for(lambda: any("READY=1" in s for s in seen) and sum("WATCHDOG=1" in s for s in seen) >= 2, 10)
    assert daemon.stop() == 0
    wait_for(lambda: any("STOPPING=1" in s for s in seen), 5)


@pytest.mark.parametrize("env, text", [({"USAGE_BATCH_SIZE": "many"}, "USAGE_BATCH_SIZE"),
                                       ({"CPA_MANAGER_ADMIN_KEY": "short"}, "CPA_MANAGER_ADMIN_KEY"),
                                       ({"CPA_MANAGEMENT_KEY_FILE": "/nonexistent/key"}, "CPA_MANAGEMENT_KEY_FILE")])
def test_bad_configuration_ends_the_start_with_one_line(tmp_path, env, text):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("CPA_", "USAGE_"))}
    run = subprocess.run([os.path.join(BUILD, "collectord"), "--data", str(tmp_path / "d")],
                         env=dict(clean, **sanitizer_environment(), **env), capture_output=True, text=True, timeout=20)
    assert run.returncode == 1
    assert run.stderr.count("\n") == 1 and text in run.stderr


def test_events_that_arrive_in_pieces_keep_their_texts(cpa, daemon):
    """An answer comes in many pieces; what was read of the first ones must not change with the later ones."""
    daemon.env["USAGE_BATCH_SIZE"] = "1000"
    items = generated(1000, "--rich")
    cpa.push(items)
    daemon.start()
    wait_for(lambda: daemon.count() == 1000)
    assert cpa.state()["http_pops"] >= 1
    rows = daemon.sql("""
        SELECT lower(hex(e.request_id)), m.value, p.value, i.auth_index, u.value, a.value
        FROM events e JOIN dict m ON m.kind = 1 AND m.id = e.model_id JOIN dict p ON p.kind = 2 AND p.id = e.provider_id
        JOIN identities i ON i.id = e.identity_id JOIN dict u ON u.kind = 11 AND u.id = e.user_agent_id
        JOIN dict a ON a.kind = 9 AND a.id = e.client_ip_id ORDER BY 1""")
    want = sorted((o["request_id"], o["alias"], o["provider"], o["auth_index"], o["user_agent"], o["client_ip"])
                  for o in map(json.loads, items))
    assert rows == want


def spool_bytes(daemon):
    spool = os.path.join(daemon.data, "spool")
    return b"".join(open(os.path.join(spool, n), "rb").read() for n in os.listdir(spool) if n.endswith(".spool"))


def test_stored_events_leave_the_spool_within_seconds(cpa, daemon):
    """They carry keys in clear; one small event is not kept until many have gathered, and none at the end."""
    payload = json.loads(generated(1)[0])
    payload["api_key"] = "sk-client-INTHECLEAR-0123456789"
    cpa.push([payload])
    daemon.start()
    wait_for(lambda: daemon.count() == 1)
    wait_for(lambda: b"INTHECLEAR" not in spool_bytes(daemon), 10, "a clean spool")
    payload["request_id"] = "feedbeef"
    cpa.push([payload])
    wait_for(lambda: daemon.count() == 2)
    assert daemon.stop() == 0
    assert os.listdir(os.path.join(daemon.data, "spool")) == []


def test_a_disk_that_is_full_at_the_start_is_waited_for(cpa, daemon, full_disk_shim, tmp_path):
    flag = tmp_path / "full"
    daemon.env.update(LD_PRELOAD=full_disk_shim, FULL_DISK_FLAG=str(flag))
    daemon.start()
    wait_for(lambda: daemon.state().get("collector") == "running")
    assert daemon.stop() == 0
    flag.touch()
    cpa.push(generated(20))
    daemon.start()
    wait_for(lambda: "the disk is full" in daemon.log(), 10)
    time.sleep(1)
    assert daemon.process.poll() is None, "a full disk ended the daemon"
    assert cpa.state()["queued"] == 20
    flag.unlink()
    wait_for(lambda: daemon.count() == 20, 20)
    # and it can be ended while it waits
    assert daemon.stop() == 0
    flag.touch()
    daemon.start()
    wait_for(lambda: daemon.log().count("not collecting") == 2, 10)
    assert daemon.stop(5) == 0


def test_a_database_that_cannot_be_opened_is_waited_for(cpa, daemon):
    daemon.start()
    wait_for(lambda: daemon.state().get("collector") == "running")
    for suffix in ("", "-wal", "-shm"):
        if os.path.exists(daemon.db + suffix):
            os.unlink(daemon.db + suffix)
    os.mkdir(daemon.db)
    wait_for(lambda: "events wait in the spool" in daemon.log(), 10)
    cpa.push(generated(250))
    wait_for(lambda: cpa.state()["queued"] == 0, 10, "CPA's queue to be emptied")
    assert daemon.process.poll() is None
    os.rmdir(daemon.db)
    wait_for(lambda: daemon.count() == 250, 20)


def test_a_database_that_is_replaced_gets_numbers_of_its_own(cpa, daemon):
    """Ids of texts that the old database had would lead nowhere in the new one."""
    items = generated(60)
    cpa.push(items[:40])
    daemon.start()
    wait_for(lambda: daemon.count() == 40)
    for suffix in ("-wal", "-shm", ""):
        if os.path.exists(daemon.db + suffix):
            os.unlink(daemon.db + suffix)
    wait_for(lambda: os.path.exists(daemon.db) and daemon.state().get("collector") == "running")
    cpa.push(items[40:])
    # what the old spool still had comes along: it is not stored in this one
    wait_for(lambda: daemon.count() >= 20)
    wait_for(lambda: daemon.state()["spoolBytes"] == 0)
    for column, kind in (("model_id", 1), ("provider_id", 2), ("user_agent_id", 11)):
        assert daemon.sql(f"SELECT count(*) FROM events e LEFT JOIN dict d ON d.kind = {kind} AND d.id = e.{column} "
                          "WHERE d.id IS NULL") == [(0,)]
    assert daemon.sql("SELECT count(*) FROM events e LEFT JOIN identities i ON i.id = e.identity_id "
                      "WHERE i.id IS NULL") == [(0,)]


def test_the_end_comes_soon_though_the_database_is_locked(cpa, daemon):
    daemon.start()
    wait_for(lambda: daemon.state().get("collector") == "running")
    lock = sqlite3.connect(daemon.db, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    cpa.push(generated(300))
    wait_for(lambda: cpa.state()["queued"] == 0, 10)
    assert daemon.stop(20) == 0
    lock.execute("ROLLBACK")
    lock.close()
    assert daemon.count() == 0
    daemon.start()
    wait_for(lambda: daemon.count() == 300, 20)
    assert daemon.count("gaps") == 0


def test_a_long_poll_interval_holds_up_neither_end_nor_change(cpa, daemon):
    daemon.env["USAGE_POLL_INTERVAL_MS"] = "9000000000"
    daemon.start()
    wait_for(lambda: daemon.state().get("collector") == "running")
    time.sleep(0.5)
    assert cpa.state()["http_pops"] == 1
    assert daemon.stop(5) == 0


def test_cpa_may_restart_while_nothing_is_asked(daemon, cpa):
    """A kept connection that has died in between is no answer that got lost."""
    daemon.env["USAGE_POLL_INTERVAL_MS"] = "1500"
    daemon.start()
    wait_for(lambda: daemon.state().get("collector") == "running")
    time.sleep(0.3)
    cpa.stop()
    cpa.start()
    cpa.push(generated(5))
    wait_for(lambda: daemon.count() == 5, 20)
    assert daemon.count("gaps") == 0


def test_a_large_answer_needs_little_memory(cpa, daemon):
    """40 MB in one answer pass through a few megabytes of memory."""
    daemon.env["USAGE_BATCH_SIZE"] = "100000"
    items = generated(25_000, "--rich")
    cpa.push(items)
    daemon.start()
    wait_for(lambda: daemon.count() == len(items), 90)
    with open(f"/proc/{daemon.process.pid}/status") as f:
        fields = dict(line.split(":", 1) for line in f if ":" in line)
    if "asan" not in BUILD:
        assert int(fields["RssAnon"].split()[0]) < 48 * 1024
    # the WAL stays within bounds, too
    assert os.path.getsize(daemon.db + "-wal") < 64 * 1024 * 1024
