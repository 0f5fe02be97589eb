"""GET /v0/management/usage: contract/database.md section 10, against the rows that the reference stored."""
import json

import pytest
from harness import CPA_KEY, FakeCpa, expected_rows, generated, recorded, wait_for

TEXTS = ("auth_index", "api_key_hash")
AFTER_MODEL = ("resolved_model", "reasoning_effort", "service_tier", "request_service_tier", "response_service_tier",
               "cache_input_mode", "executor_type")
TOKENS = ("input_tokens", "output_tokens", "reasoning_tokens", "cached_tokens", "cache_tokens", "cache_read_tokens",
          "cache_creation_tokens", "total_tokens")


def detail(row):
    """The contract's detail D, from a row of the reference's own table."""
    d = {"timestamp": row["timestamp"], "source": row["source"] or ""}
    d.update({k: row[k] for k in TEXTS if row[k]})
    d.update({k: row[k] for k in ("latency_ms", "ttft_ms") if row[k] is not None})
    if row["requested_model"] or row["model"]:
        d["requested_model"] = row["requested_model"] or row["model"]
    d.update({k: row[k] for k in AFTER_MODEL if row[k]})
    tokens = {k: row[k] for k in TOKENS}
    cached = max(max(row["cached_tokens"], row["cache_tokens"]) - max(row["cache_read_tokens"], 0) -
                 max(row["cache_creation_tokens"], 0), 0)
    tokens.update(cached_tokens=cached, cache_tokens=cached)
    d["tokens"], d["failed"] = tokens, bool(row["failed"])
    if row["fail_status_code"]:
        d["fail_status_code"] = row["fail_status_code"]
    return d


@pytest.fixture(scope="module")
def recordings(make_stack):
    """A stack that has collected what a real CPA published."""
    cpa = FakeCpa()
    s = make_stack()
    rows = [r for r in expected_rows() if r["outcome"] == "inserted" and r["name"] in dict(recorded("genuine:"))]
    assert len(rows) > 10
    cpa.push([dict(recorded("genuine:"))[r["name"]] for r in rows])
    answer = s.request("POST", "/setup", {"cpaBaseUrl": cpa.url, "managementKey": CPA_KEY, "pollIntervalMs": 50}, key=True)
    assert answer.status == 200, answer.body
    distinct = {r["row"]["event_hash"]: r for r in rows}
    wait_for(lambda: s.get("/status").json["events"] == len(distinct), 20, "the events")
    yield s, list(distinct.values())
    cpa.stop()


def test_an_empty_database(fresh):
    answer = fresh.get("/v0/management/usage")
    assert answer.body == (b'{"total_requests":0,"success_count":0,"failure_count":0,"total_tokens":0,"apis":{}}\n')
    assert answer.headers["content-type"] == "application/json"


def test_the_recorded_events(recordings):
    s, rows = recordings
    answer = s.get("/v0/management/usage").json
    assert answer["total_requests"] == len(rows)
    assert answer["failure_count"] == sum(bool(r["row"]["failed"]) for r in rows)
    assert answer["success_count"] + answer["failure_count"] == len(rows)
    assert answer["total_tokens"] == sum(r["row"]["total_tokens"] for r in rows)
    got = {}
    for endpoint, api in answer["apis"].items():
        for model, entry in api["models"].items():
            for d in entry["details"]:
                got.setdefault((endpoint, model, d["timestamp"]), []).append(d)
    want = {}
    for r in rows:
        row = r["row"]
        want.setdefault((row["endpoint"] or "-", r["analytics_model"] or "-", row["timestamp"]), []).append(detail(row))
    assert set(got) == set(want)
    for place, details in want.items():
        for mine, theirs in zip(sorted(got[place], key=str), sorted(details, key=str)):
            mine = {k: v for k, v in mine.items() if k not in ("fail_summary", "response_metadata")}
            theirs["source"] = mine["source"]  # masks are stricter here: proved by the unit tests
            assert mine == theirs, place


def test_order(recordings):
    s, _ = recordings
    body = s.get("/v0/management/usage").body
    answer = json.loads(body)
    assert list(answer) == ["total_requests", "success_count", "failure_count", "total_tokens", "apis"]
    endpoints = [e.encode() for e in answer["apis"]]
    assert endpoints == sorted(endpoints)
    order = ["timestamp", "source", "auth_index", "api_key_hash", "latency_ms", "ttft_ms", "requested_model", *AFTER_MODEL,
             "tokens", "failed", "fail_status_code", "fail_summary", "response_metadata"]
    for api in answer["apis"].values():
        models = [m.encode() for m in api["models"]]
        assert models == sorted(models)
        for entry in api["models"].values():
            for d in entry["details"]:
                known = [k for k in d if k in order]
                assert known == sorted(known, key=order.index)
                assert list(d["tokens"]) == list(TOKENS)


def test_failures_have_their_reason(recordings):
    s, rows = recordings
    details = [d for api in s.get("/v0/management/usage").json["apis"].values() for m in api["models"].values()
               for d in m["details"]]
    assert any(d["failed"] for d in details)
    for d in details:
        assert d["failed"] or "fail_summary" not in d
        assert isinstance(d.get("response_metadata", {}), dict)
    assert any(d.get("fail_summary") for d in details)


def test_the_limit(make_stack):
    """The newest so many, whatever order they came in."""
    cpa = FakeCpa()
    s = make_stack(USAGE_QUERY_LIMIT="50", CPA_UPSTREAM_URL=cpa.url, CPA_MANAGEMENT_KEY=CPA_KEY)
    try:
        items = generated(300, "--seed", "5")
        cpa.push(items)
        wait_for(lambda: s.get("/status").json["events"] == 300, 20, "the events")
        answer = s.get("/v0/management/usage").json
        details = [d for api in answer["apis"].values() for m in api["models"].values() for d in m["details"]]
        assert answer["total_requests"] == len(details) == 50
        newest = s.get("/v0/management/overview?limit=50").json["events"]
        assert answer["total_tokens"] == sum(e["totalTokens"] for e in newest)
        assert answer["failure_count"] == sum(e["failed"] for e in newest)
    finally:
        cpa.stop()


def test_the_overview_counts_them_alike(recordings):
    """Tokens as they count, from the reference's own normalised columns."""
    s, rows = recordings
    rows = [r["row"] for r in rows]
    overview = s.get("/v0/management/overview?day_start_ms=0&limit=500").json
    latencies = [r["latency_ms"] for r in rows if r["latency_ms"] is not None]
    assert overview["today"] == {
        "requests": len(rows), "failures": sum(bool(r["failed"]) for r in rows),
        "inputTokens": sum(r["normalized_total_input_tokens"] for r in rows),
        "outputTokens": sum(r["output_tokens"] for r in rows),
        "cachedTokens": sum(r["normalized_cache_read_tokens"] for r in rows),
        "reasoningTokens": sum(r["reasoning_tokens"] for r in rows), "totalTokens": sum(r["total_tokens"] for r in rows),
        "averageLatencyMs": pytest.approx(sum(latencies) / len(latencies))}
    assert overview["total"] == {"events": len(rows), "firstMs": min(r["timestamp_ms"] for r in rows),
                                 "lastMs": max(r["timestamp_ms"] for r in rows)}
    assert len(overview["events"]) == len(rows)
    for event in overview["events"]:
        row = next(r for r in rows if r["timestamp_ms"] == event["tsMs"] and r["model"] == event["model"]
                   and r["total_tokens"] == event["totalTokens"] and bool(r["failed"]) == event["failed"])
        assert event["inputTokens"] == row["normalized_total_input_tokens"]
        assert event["provider"] == (row["provider"] or "") and event["endpoint"] == row["endpoint"]
        assert event["apiKeyHash"] == (row["api_key_hash"] or "")
        assert event["latencyMs"] == row["latency_ms"] and event["ttftMs"] == row["ttft_ms"]
        assert event["failStatus"] == row["fail_status_code"]
        assert bool(event["failSummary"]) <= event["failed"]
