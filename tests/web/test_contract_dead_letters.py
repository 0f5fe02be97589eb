"""Payloads that were no events, and the jobs that read them again."""
import contextlib
import hashlib
import json
import os
import sqlite3
import time

import pytest
from harness import CPA_KEY, FakeCpa, generated, wait_for

LETTERS, RETRY, JOBS = "/v0/management/collector/dead-letters", "/v0/management/collector/dead-letters/retry", "/v0/management/jobs/"
KEY = "sk-client-0123456789SECRETKEY"
BROKEN = [*(f'{{"broken {i}' for i in range(60)), "[1,2,3]", "42",
          '{"model":"m","api_key":"%s","headers":{"Set-Cookie":["sid=SECRETCOOKIE; Path=/"]' % KEY,
          '["Authorization: Bearer SECRETBEARER0123456789", "%s"]' % KEY]


@pytest.fixture(scope="module", params=["nginx", "apache"])
def server(request, make_stack):
    """A stack whose CPA has handed out what is no event, beside one that is."""
    cpa = FakeCpa(faults="http_strings=1")
    s = make_stack(web=request.param)
    cpa.push([*BROKEN, generated(1)[0]])
    try:
        answer = s.request("POST", "/setup", {"cpaBaseUrl": cpa.url, "managementKey": CPA_KEY, "pollIntervalMs": 50}, key=True)
        assert answer.status == 200, answer.body
        wait_for(lambda: s.get("/status").json["events"] == 1 and total(s) == len(BROKEN), 20, "the dead letters")
        yield s
    finally:
        cpa.stop()


def letters(s, query=""):
    answer = s.get(LETTERS + query)
    assert answer.status == 200, answer.body
    return answer.json


def total(s):
    return letters(s)["totalCount"]


def retry(s, body, **more):
    return s.request("POST", RETRY, body, key=True, **more)


def put(s, *payloads):
    """Letters that a newer program can read: as if the one that refused them had been older.  Their ids."""
    with contextlib.closing(sqlite3.connect(os.path.join(s.data, "usage.sqlite"), timeout=10)) as db, db:
        ids = []
        for p in payloads:
            digest = hashlib.sha256(p.encode() + os.urandom(8)).digest()
            ids.append(db.execute("INSERT INTO dead_letters (created_ms, reason, payload, digest) VALUES (?, 'old', ?, ?)",
                                  (time.time_ns() // 1_000_000, p.encode(), digest)).lastrowid)
        db.execute("UPDATE counters SET value = value + ? WHERE name = 'dead_letters'", (len(ids),))
    return ids


# ---- the list


def test_none(fresh):
    assert fresh.get(LETTERS).json == {"items": [], "nextBeforeId": 0, "hasMore": False, "totalCount": 0}
    assert retry(fresh, {}).json == {"retried": 0, "added": 0, "skipped": 0, "failed": 0}


def test_the_newest_come_first(server):
    answer = letters(server, "?limit=500")
    assert answer["totalCount"] == len(answer["items"]) == len(BROKEN) and not answer["hasMore"] and answer["nextBeforeId"] == 0
    ids = [i["id"] for i in answer["items"]]
    assert ids == sorted(ids, reverse=True)
    assert [i["payload"] for i in answer["items"]][-60:] == BROKEN[59::-1]
    for i in answer["items"]:
        assert set(i) == {"id", "createdAtMs", "reason", "payload"} and i["reason"] and i["createdAtMs"] > 1_700_000_000_000
    assert "usage payload is not a JSON object" in {i["reason"] for i in answer["items"]}


def test_no_key_in_clear(server):
    body = server.get(LETTERS + "?limit=500").body
    assert b"SECRET" not in body
    assert sum("[redacted]" in i["payload"] for i in json.loads(body)["items"]) == 2, "their places are to be seen"


@pytest.mark.parametrize("limit", [1, 7, 63, 64, 65])
def test_a_walk_meets_each_once(server, limit):
    want = [i["id"] for i in letters(server, "?limit=500")["items"]]
    seen, before = [], ""
    while True:
        answer = letters(server, f"?limit={limit}{before}")
        seen += [i["id"] for i in answer["items"]]
        assert answer["totalCount"] == len(want)
        if not answer["hasMore"]:
            assert answer["nextBeforeId"] == 0
            break
        assert len(answer["items"]) == limit and answer["nextBeforeId"] == seen[-1]
        before = f"&before_id={answer['nextBeforeId']}"
    assert seen == want


def test_the_default_is_fifty(server):
    answer = letters(server)
    assert len(answer["items"]) == 50 and answer["hasMore"]
    assert letters(server, "?before_id=1") == {"items": [], "nextBeforeId": 0, "hasMore": False, "totalCount": len(BROKEN)}


@pytest.mark.parametrize("query, name", [("limit=0", "limit"), ("limit=501", "limit"), ("limit=x", "limit"), ("limit=-1", "limit"),
                                         ("before_id=0", "before_id"), ("before_id=x", "before_id"), ("before_id=1.5", "before_id"),
                                         ("before_id=99999999999999999999", "before_id")])
def test_bad_parameters_are_named(server, query, name):
    answer = server.get(f"{LETTERS}?{query}")
    assert answer.status == 400 and answer.json["code"] == "request_failed" and name in answer.json["error"]


# ---- read once more


def test_what_is_broken_stays(server):
    """With its reason; that of a redacted text tells the place where that one breaks."""
    n = len(BROKEN)
    before = letters(server, "?limit=500")["items"]
    assert retry(server, {}).json == {"retried": n, "added": 0, "skipped": 0, "failed": n}
    after = letters(server, "?limit=500")["items"]
    assert [dict(i, reason="") for i in after] == [dict(i, reason="") for i in before]
    assert all(i["reason"] for i in after)
    assert [i["reason"] for i in after if "[redacted]" not in i["payload"]] == [
        i["reason"] for i in before if "[redacted]" not in i["payload"]]


def test_all_that_can_be_read_now_becomes_events(server):
    events = server.get("/status").json["events"]
    good, known = generated(2, "--seed", "21"), generated(1)
    put(server, *good, good[0], *known, "[]")
    n = len(BROKEN)
    assert total(server) == n + 5
    # good[0] came twice; the known one is stored already, unless its redaction made another of it
    answer = retry(server, {}).json
    assert answer == {"retried": n + 5, "added": 2, "skipped": 2, "failed": n + 1}
    status = server.get("/status").json
    assert status["events"] == events + 2 and total(server) == n + 1 == status["deadLetters"]
    shown = {i["payload"] for i in letters(server, "?limit=500")["items"]}
    assert not shown & set(good) and "[]" in shown
    with contextlib.closing(sqlite3.connect(os.path.join(server.data, "usage.sqlite"), timeout=10)) as db, db:
        assert db.execute("SELECT count(*) FROM events").fetchone() == (events + 2,)
        db.execute("DELETE FROM dead_letters WHERE payload = ?", (b"[]",))
        db.execute("UPDATE counters SET value = value - 1 WHERE name = 'dead_letters'")


def test_those_that_are_named(server):
    n = total(server)
    ids = put(server, *generated(3, "--seed", "33"))
    lowest = letters(server, "?limit=500")["items"][-1]["id"]
    assert retry(server, {"ids": []}).json == {"retried": 0, "added": 0, "skipped": 0, "failed": 0}
    assert retry(server, {"ids": [ids[1], lowest, 999_999_999, -5]}).json == {"retried": 2, "added": 1, "skipped": 0, "failed": 1}
    assert total(server) == n + 2
    # the same once more: it is gone
    assert retry(server, {"IDS": [ids[1], ids[0], ids[0]]}).json == {"retried": 1, "added": 1, "skipped": 0, "failed": 0}
    assert retry(server, {"ids": [ids[2]]}).json == {"retried": 1, "added": 1, "skipped": 0, "failed": 0}
    assert total(server) == n


@pytest.mark.parametrize("body, name", [({"ids": "1"}, "ids"), ({"ids": 1}, "ids"), ({"ids": {}}, "ids"), ({"ids": [1, "2"]}, "ids[1]"),
                                        ({"ids": [1.5]}, "ids[0]"), ({"ids": [None]}, "ids[0]"), ({"ids": [1] * 10001}, "ids"),
                                        (b"", ""), (b"[1]", ""), (b'{"ids":[1', "")])
def test_bad_lists_are_refused(server, body, name):
    answer = retry(server, body)
    assert answer.status == 400 and answer.json["code"] == "request_failed" and name in answer.json["error"]


def test_too_many_bytes(server):
    answer = retry(server, b'{"ids":[' + b" " * 70_000 + b"]}")
    assert answer.status == 413 and answer.json["code"] == "request_failed"


def test_only_with_the_key_and_by_its_method(server):
    assert server.get(LETTERS, key=None).status == server.request("POST", RETRY, {}).status == server.get(JOBS + "1", key=None).status == 401
    assert server.request("POST", LETTERS, {}, key=True).headers["allow"] == "GET, HEAD, OPTIONS"
    assert server.get(RETRY).headers["allow"] == "POST, OPTIONS"
    assert server.request("POST", JOBS + "1", {}, key=True).status == 405


# ---- jobs


def test_a_job_tells_its_result(server):
    assert server.request("POST", "/v0/management/usage/import", b'{"event_hash":"a-job","model":"m"}\nbad', key=True).status == 200
    with contextlib.closing(sqlite3.connect(f"file:{server.data}/usage.sqlite?mode=ro", uri=True, timeout=10)) as db:
        newest = db.execute("SELECT max(id) FROM jobs").fetchone()[0]
    job = server.get(f"{JOBS}{newest}").json
    assert (job["id"], job["kind"], job["state"]) == (newest, "usage_import", "done")
    assert job["createdAtMs"] <= job["updatedAtMs"] and "error" not in job
    assert job["result"]["status"] == 200 and job["result"]["body"]["added"] == 1 and job["result"]["body"]["failed"] == 1
    retry(server, {"ids": []})
    job = server.get(f"{JOBS}{newest + 1}").json
    assert job["kind"] == "dead_letter_retry" and job["result"] == {"retried": 0, "added": 0, "skipped": 0, "failed": 0}


@pytest.mark.parametrize("job", ["999999", "0", "-1"])
def test_no_such_job(server, job):
    answer = server.get(JOBS + job)
    assert answer.status == 404 and answer.json == {"code": "request_failed", "error": "no job has this id"}


@pytest.mark.parametrize("job", ["x", "1x", "1.0", "%31x", "99999999999999999999"])
def test_an_id_that_is_none(server, job):
    answer = server.get(JOBS + job)
    assert answer.status == 400 and answer.json["code"] == "request_failed" and "id" in answer.json["error"]
