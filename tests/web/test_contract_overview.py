"""GET /v0/management/overview: what the page's first screen is made of."""
import contextlib
import os
import sqlite3
import time

import pytest

PATH = "/v0/management/overview"
HOUR, DAY = 3600000, 86400000
KEYS = ["id", "tsMs", "model", "provider", "account", "apiKeyHash", "apiKeyAlias", "endpoint", "failed", "failStatus",
        "failSummary", "inputTokens", "outputTokens", "cachedTokens", "reasoningTokens", "totalTokens", "latencyMs", "ttftMs"]


@pytest.fixture(scope="module")
def filled(make_stack):
    """Events at known distances from now, written as collectord writes them."""
    s = make_stack()
    now = int(time.time() * 1000)
    key = bytes(range(32))
    with contextlib.closing(sqlite3.connect(os.path.join(s.data, "usage.sqlite"))) as db:
        db.executemany("INSERT INTO dict VALUES (?, ?, ?)", [
            (1, 1, "model-a"), (1, 2, "<b>&é"), (2, 1, "provider-a"), (4, 1, "POST /v1/x"), (8, 1, key)])
        names = ["digest", "auth_index", "source", "account", "label", "file", "provider", "project"]
        for i, texts in enumerate((("a@x", "label", "file.json"), ("", "label", "file.json"), ("", "", "file.json"),
                                   ("", "", "")), 1):
            db.execute(f"INSERT INTO identities (id, {','.join(names)}) VALUES ({','.join('?' * 9)})",
                       (i, os.urandom(16), "", "m:****", *texts, "", ""))
        db.execute("INSERT INTO api_key_aliases VALUES (?, 'team', 1)", (key.hex(),))
        columns = [r[1] for r in db.execute("PRAGMA table_info(events)")]
        for i, (ago, more) in enumerate((
                (2 * DAY, {}), (26 * HOUR, {"flags": 1, "fail_status": 429}), (90 * 60000, {"latency_ms": 10}),
                (30 * 60000, {"latency_ms": 31, "ttft_ms": 0}), (5, {"model_id": 2, "api_key_id": 1})), 1):
            row = dict.fromkeys(columns, 0)
            row.update(id=i, gateway_id=1, ts_ms=now - ago, hash16=os.urandom(16), hash_rest=None, ts_text=None,
                       request_id=None, model_id=1, provider_id=1, endpoint_id=1, identity_id=min(i, 4), snapshot_ms=None,
                       latency_ms=None, ttft_ms=None, fail_status=None, input_tokens=100 * i, output_tokens=i,
                       cache_read_tokens=10, total_tokens=101 * i)
            row.update(more)
            db.execute(f"INSERT INTO events ({','.join(columns)}) VALUES ({','.join('?' * len(columns))})",
                       list(row.values()))
        db.execute("UPDATE counters SET value = 5 WHERE name = 'events'")
        db.commit()
    s.now = now
    return s


def test_an_empty_database(fresh):
    o = fresh.get(PATH).json
    assert list(o) == ["nowMs", "dayStartMs", "today", "total", "hours", "events"]
    assert o["today"] == {"requests": 0, "failures": 0, "inputTokens": 0, "outputTokens": 0, "cachedTokens": 0,
                          "reasoningTokens": 0, "totalTokens": 0, "averageLatencyMs": None}
    assert o["total"] == {"events": 0, "firstMs": None, "lastMs": None}
    assert len(o["hours"]) == 24 and o["events"] == []
    assert abs(o["nowMs"] - time.time() * 1000) < 5000 and o["dayStartMs"] == o["nowMs"] - DAY


def test_the_newest_events(filled):
    o = filled.get(PATH).json
    assert [e["id"] for e in o["events"]] == [5, 4, 3, 2, 1]
    assert [e["id"] for e in filled.get(PATH + "?limit=2").json["events"]] == [5, 4]
    assert filled.get(PATH + "?limit=0").json["events"] == []
    newest = o["events"][0]
    assert list(newest) == KEYS
    assert newest["model"] == "<b>&é" and newest["apiKeyHash"] == bytes(range(32)).hex() and newest["apiKeyAlias"] == "team"
    # who paid: account, else label, else file, else the masked source
    assert [e["account"] for e in o["events"]] == ["m:****", "m:****", "file.json", "label", "a@x"]
    assert o["events"][1]["latencyMs"] == 31 and o["events"][1]["ttftMs"] == 0
    failed = o["events"][3]
    assert failed["failed"] is True and failed["failStatus"] == 429 and failed["latencyMs"] is None
    assert o["total"] == {"events": 5, "firstMs": filled.now - 2 * DAY, "lastMs": filled.now - 5}


def test_today(filled):
    start = filled.now - 27 * HOUR
    today = filled.get(f"{PATH}?day_start_ms={start}").json["today"]
    assert today == {"requests": 4, "failures": 1, "inputTokens": 1400, "outputTokens": 14, "cachedTokens": 40,
                     "reasoningTokens": 0, "totalTokens": 1414, "averageLatencyMs": 20.5}
    # the default is the last 24 hours; the edge belongs to the day
    assert filled.get(PATH).json["today"]["requests"] == 3
    assert filled.get(f"{PATH}?day_start_ms={filled.now - 2 * DAY}").json["today"]["requests"] == 5
    assert filled.get(f"{PATH}?day_start_ms={filled.now - 2 * DAY + 1}").json["today"]["requests"] == 4


@pytest.mark.parametrize("offset", (0, 30 * 60000, 45 * 60000, -HOUR, 1))
@pytest.mark.parametrize("hours", (1, 24, 168))
def test_hours(filled, offset, hours):
    start = filled.now - 12 * HOUR + offset
    o = filled.get(f"{PATH}?day_start_ms={start}&hours={hours}").json
    starts = [h["startMs"] for h in o["hours"]]
    assert len(starts) == hours and all(b - a == HOUR for a, b in zip(starts, starts[1:]))
    assert starts[0] % HOUR == start % HOUR
    assert starts[-1] <= o["nowMs"] < starts[-1] + HOUR
    for h in o["hours"]:
        inside = [e for e in o["events"] if h["startMs"] <= e["tsMs"] < h["startMs"] + HOUR]
        assert (h["requests"], h["failures"], h["totalTokens"]) == (
            len(inside), sum(e["failed"] for e in inside), sum(e["totalTokens"] for e in inside))
    assert sum(h["requests"] for h in o["hours"]) >= {1: 0, 24: 3, 168: 5}[hours]


def test_a_day_that_begins_later(filled):
    """The browser's clock may be ahead of ours."""
    start = filled.now + HOUR + 7
    o = filled.get(f"{PATH}?day_start_ms={start}&hours=3").json
    assert o["today"]["requests"] == 0 and len(o["hours"]) == 3
    assert o["hours"][0]["startMs"] % HOUR == start % HOUR and o["hours"][-1]["startMs"] <= o["nowMs"]


@pytest.mark.parametrize("query,name", (
    ("day_start_ms=x", "day_start_ms"), ("day_start_ms=-1", "day_start_ms"), ("day_start_ms=1.5", "day_start_ms"),
    ("day_start_ms=99999999999999999999", "day_start_ms"), ("day_start_ms=9223372036854775807", "day_start_ms"),
    ("hours=0", "hours"), ("hours=169", "hours"), ("hours=x", "hours"), ("limit=-1", "limit"), ("limit=501", "limit"),
    ("limit=1e2", "limit"), ("limit=0x10", "limit"), ("limit=%201", "limit")))
def test_wrong_parameters_are_named(fresh, query, name):
    answer = fresh.get(f"{PATH}?{query}")
    assert answer.status == 400 and answer.json["error"].startswith(name + " must be")


def test_empty_parameters_are_absent(fresh):
    assert fresh.get(PATH + "?day_start_ms=&hours=&limit=&other=x").status == 200
