"""POST .../monitoring/analytics, as far as it pages through events: contract/analytics.md sections 1, 3 and 4.14."""
import json
import random
import time

import pytest
from harness import BUILD

PATH = "/v0/management/monitoring/analytics"
IMPORT, EXPORT = "/v0/management/usage/import", "/v0/management/usage/export"
DAY_MS = 24 * 3600 * 1000
BASE_MS = 1_700_000_000_000
SAME_MS = BASE_MS + 500  # the moment that many share
TO_MS = BASE_MS + 10 * DAY_MS
PAGE = 512  # what the application reads at once
LARGE = 20_000


def ask(s, body, **more):
    return s.request("POST", PATH, body, key=True, **more)


def page(s, from_ms=1, to_ms=TO_MS, **options):
    answer = ask(s, {"from_ms": from_ms, "to_ms": to_ms, "include": {"events_page": options}})
    assert answer.status == 200, answer.body
    return answer.json["events"]


def names(items):
    return [i["event_hash"] for i in items]


def lines_of(times, name, **fields):
    return "".join(json.dumps({"event_hash": f"{name}-{i}", "timestamp_ms": t, "model": "m", "endpoint": "POST /x", **fields}) + "\n"
                   for i, t in enumerate(times))


def bring_in(s, text, count):
    answer = s.request("POST", IMPORT, text, key=True, timeout=90)
    assert answer.status == 200 and answer.json["added"] == count, answer.body


@pytest.fixture(scope="module", params=["nginx", "apache"])
def stocked(request, make_stack):
    """Events that came in without order: some alone in their millisecond, and many more than a page in one."""
    s = make_stack(web=request.param)
    times = [SAME_MS] * (2 * PAGE + 100) + [BASE_MS + i for i in range(450)] + [SAME_MS + 1 + i // 3 for i in range(350)]
    random.Random(5).shuffle(times)
    bring_in(s, lines_of(times, "e"), len(times))
    exported = [json.loads(line) for line in s.get(EXPORT).body.splitlines()]
    assert len(exported) == len(times)
    s.newest_first = names(reversed(exported))
    return s


# ---- the page


def test_the_newest_come_first(stocked):
    want = stocked.newest_first
    answer = page(stocked, limit=len(want))
    assert names(answer["items"]) == want
    assert {k: v for k, v in answer.items() if k != "items"} == {
        "next_before_ms": 0, "next_before_id": 0, "has_more": False, "total_count": len(want)}
    assert list(answer) == ["items", "next_before_ms", "next_before_id", "has_more", "total_count"]
    times = [i["timestamp_ms"] for i in answer["items"]]
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize("limit, shown", [(None, 100), (0, 100), (-5, 100), (1, 1), (PAGE - 1, PAGE - 1), (PAGE, PAGE), (PAGE + 1, PAGE + 1),
                                          (2 * PAGE, 2 * PAGE), (50000, None)])
def test_limits(stocked, limit, shown):
    want = stocked.newest_first
    answer = page(stocked, **({} if limit is None else {"limit": limit}))
    assert names(answer["items"]) == want[:shown]
    assert answer["total_count"] == len(want) and answer["has_more"] == (shown is not None)
    last = answer["items"][-1]
    assert answer["next_before_ms"] == (last["timestamp_ms"] if shown else 0) and (answer["next_before_id"] > 0) == (shown is not None)


def test_has_more_at_the_very_end(stocked):
    total = len(stocked.newest_first)
    for limit, more in ((total - 1, True), (total, False), (total + 1, False)):
        answer = page(stocked, limit=limit)
        assert answer["has_more"] == more and len(answer["items"]) == min(limit, total), limit
        assert (answer["next_before_ms"] > 0) == more


@pytest.mark.parametrize("limit", [37, 100, PAGE - 1, PAGE, PAGE + 1, 1700])
def test_a_walk_meets_each_event_once(stocked, limit):
    """Also through the millisecond that holds more than two pages."""
    seen, cursor = [], {}
    while True:
        answer = page(stocked, limit=limit, **cursor)
        seen += names(answer["items"])
        assert answer["total_count"] == len(stocked.newest_first), "the cursor does not count"
        if not answer["has_more"]:
            break
        assert len(answer["items"]) == limit
        cursor = {"before_ms": answer["next_before_ms"], "before_id": answer["next_before_id"]}
    assert seen == stocked.newest_first
    assert len(set(seen)) == len(seen)


def test_cursors_that_are_half_there(stocked):
    want, everything = stocked.newest_first, page(stocked, limit=50000)["items"]
    older = [i["event_hash"] for i in everything if i["timestamp_ms"] < SAME_MS]
    assert names(page(stocked, limit=50000, before_ms=SAME_MS)["items"]) == older and older
    assert names(page(stocked, limit=50000, before_ms=SAME_MS, before_id=0)["items"]) == older
    for none in ({"before_id": 3}, {"before_ms": 0, "before_id": 3}, {"before_ms": -1, "before_id": 3}, {"before_ms": TO_MS * 2, "before_id": 1}):
        assert names(page(stocked, limit=50000, **none)["items"]) == want, none
    assert page(stocked, before_ms=1, before_id=1)["items"] == []


def test_the_range_is_half_open(stocked):
    everything = page(stocked, limit=50000)["items"]
    for from_ms, to_ms in ((SAME_MS, SAME_MS + 1), (SAME_MS - 1, SAME_MS), (SAME_MS + 1, SAME_MS + 2), (BASE_MS, SAME_MS), (1, BASE_MS)):
        want = [i for i in everything if from_ms <= i["timestamp_ms"] < to_ms]
        answer = page(stocked, from_ms, to_ms, limit=50000)
        assert answer["items"] == want and answer["total_count"] == len(want)
    # a cursor behind the range does not open it
    assert names(page(stocked, BASE_MS, SAME_MS, limit=50000, before_ms=TO_MS, before_id=9)["items"]) == names(
        i for i in everything if i["timestamp_ms"] < SAME_MS)


def test_an_empty_range(stocked):
    assert page(stocked, 1, 2) == {"items": [], "next_before_ms": 0, "next_before_id": 0, "has_more": False, "total_count": 0}


def test_a_page_that_is_larger_than_any_buffer(make_stack):
    """It flows: more than the application ever holds, in little memory."""
    s = make_stack()
    chance = random.Random(1)
    texts = ["".join(chance.choices("abcdefghij ", k=900)) for _ in range(50)]
    text = "".join(json.dumps({"event_hash": f"l-{i}", "timestamp_ms": BASE_MS + i, "model": "m", "failed": True,
                               "fail_summary": texts[i % 50]}) + "\n" for i in range(LARGE))
    bring_in(s, text, LARGE)
    answer = ask(s, {"from_ms": 1, "to_ms": TO_MS, "include": {"events_page": {"limit": 50000}}}, timeout=60)
    assert answer.status == 200 and len(answer.body) > 20_000_000
    assert "content-length" not in answer.headers
    got = answer.json["events"]
    assert names(got["items"]) == [f"l-{i}" for i in reversed(range(LARGE))] and got["total_count"] == LARGE
    with open(f"/proc/{s.pids()['application']}/status", encoding="ascii") as f:
        memory = dict(line.split(":", 1) for line in f if ":" in line)
    if "asan" not in BUILD:
        assert int(memory["RssAnon"].split()[0]) < 32 * 1024


# ---- what is not asked for


def test_nothing_included_leaves_two_scalars(stocked):
    for include in ({}, None, {"events_page": None}, {"summary": False, "recent_failures": 0, "task_buckets": None}, "absent"):
        body = {"from_ms": 1, "to_ms": 2, "include": include}
        if include == "absent":
            del body["include"]
        answer = ask(stocked, body)
        assert answer.status == 200 and list(answer.json) == ["generated_at_ms", "granularity"], include
        assert answer.headers["content-type"] == "application/json" and answer.body.endswith(b"}\n")
        assert abs(answer.json["generated_at_ms"] - time.time() * 1000) < 60_000


@pytest.mark.parametrize("span, asked, want", [(DAY_MS, None, "hour"), (DAY_MS + 1, None, "day"), (DAY_MS, "day", "day"),
                                               (10 * DAY_MS, "hour", "hour"), (DAY_MS, "week", "hour"), (10 * DAY_MS, "HOUR", "day"),
                                               (DAY_MS + 1, "", "day")])
def test_the_granularity(stocked, span, asked, want):
    answer = ask(stocked, {"from_ms": BASE_MS, "to_ms": BASE_MS + span, "include": {} if asked is None else {"granularity": asked}})
    assert answer.json["granularity"] == want


def test_keys_in_any_case_and_what_is_not_known(stocked):
    body = {"From_MS": 1, "TO_ms": TO_MS, "INCLUDE": {"Events_Page": {"LIMIT": 2, "nonsense": "x"}, "more": 1}, "extra": [1]}
    answer = ask(stocked, body)
    assert answer.status == 200 and names(answer.json["events"]["items"]) == stocked.newest_first[:2]


def test_null_leaves_the_default(stocked):
    answer = ask(stocked, {"from_ms": 1, "to_ms": TO_MS, "now_ms": None, "time_zone": None, "search_query": None, "filters": None,
                           "search_api_key_hash": None, "include": {"events_page": {"limit": None, "before_ms": None, "before_id": None}}})
    assert answer.status == 200 and names(answer.json["events"]["items"]) == stocked.newest_first[:100]


def test_filters_that_let_everything_through(stocked):
    answer = ask(stocked, {"from_ms": 1, "to_ms": TO_MS, "search_query": "  ", "search_api_key_hash": "",
                           "filters": {"include_failed": True, "failed_only": False, "models": [], "min_latency_ms": 0, "cache_status": ""},
                           "include": {"events_page": {"limit": 1}}})
    assert answer.status == 200 and answer.json["events"]["total_count"] == len(stocked.newest_first)


def test_only_the_first_value_of_the_body_counts(stocked):
    answer = ask(stocked, json.dumps({"from_ms": 1, "to_ms": 2}) + " trailing {", headers={"Content-Type": "text/plain"})
    assert answer.status == 200


@pytest.mark.parametrize("zone", ["UTC", " Europe/Berlin ", "America/New_York", "Asia/Kathmandu", "Local", ""])
def test_time_zones(stocked, zone):
    assert ask(stocked, {"from_ms": 1, "to_ms": 2, "time_zone": zone}).status == 200


# ---- what is refused


@pytest.mark.parametrize("zone", ["Mars/Olympus", "europe", "../../../etc/passwd", "/etc/localtime", "Europe/Berlin\u0000", "Europe/", ".",
                                  "x" * 5000])
def test_unknown_time_zones(stocked, zone):
    answer = ask(stocked, {"from_ms": 1, "to_ms": 2, "time_zone": zone})
    assert answer.status == 400 and answer.json["code"] == "invalid_time_zone" and "time zone" in answer.json["error"]


RANGES = [{}, {"from_ms": 1}, {"to_ms": 1}, {"from_ms": 5, "to_ms": 5}, {"from_ms": 6, "to_ms": 5}, {"from_ms": 0, "to_ms": 5},
          {"from_ms": -1, "to_ms": 5}, {"from_ms": 1, "to_ms": 0}, {"from_ms": None, "to_ms": 7}]


@pytest.mark.parametrize("body", RANGES, ids=json.dumps)
def test_ranges_that_are_none(stocked, body):
    answer = ask(stocked, body)
    assert answer.status == 400 and answer.json == {
        "code": "request_failed", "error": "from_ms and to_ms are required and from_ms must be less than to_ms"}


def test_too_large_a_page(stocked):
    answer = ask(stocked, {"from_ms": 1, "to_ms": 2, "time_zone": "Mars/Olympus", "include": {"events_page": {"limit": 50001}}})
    assert answer.status == 400 and answer.json == {
        "code": "request_failed", "error": "events_page.limit must be less than or equal to 50000"}


WRONG = [({"from_ms": "1"}, "from_ms"), ({"to_ms": [2]}, "to_ms"), ({"from_ms": 1.5}, "from_ms"), ({"to_ms": True}, "to_ms"),
         ({"to_ms": 1e30}, "to_ms"), ({"include": []}, "include"), ({"include": "x"}, "include"), ({"filters": 1}, "filters"),
         ({"time_zone": 1}, "time_zone"), ({"search_query": 1}, "search_query"), ({"search_api_key_hash": {}}, "search_api_key_hash"),
         ({"include": {"events_page": 5}}, "events_page"), ({"include": {"events_page": []}}, "events_page"),
         ({"include": {"events_page": {"limit": "9"}}}, "limit"), ({"include": {"events_page": {"before_ms": {}}}}, "before_ms"),
         ({"include": {"events_page": {"before_id": "x"}}}, "before_id"), ({"include": {"granularity": 1}}, "granularity")]


@pytest.mark.parametrize("part, name", WRONG, ids=[json.dumps(w[0]) for w in WRONG])
def test_wrong_types_are_named(stocked, part, name):
    answer = ask(stocked, {"from_ms": 1, "to_ms": 2, **part})
    assert answer.status == 400 and answer.json["code"] == "request_failed" and name in answer.json["error"], answer.body


@pytest.mark.parametrize("body", [b"", b" ", b"{", b'{"from_ms":1', b"[]", b"5", b'"x"', b"null", b"{'a':1}", b"\xff"])
def test_bodies_that_are_none(stocked, body):
    answer = ask(stocked, body)
    assert answer.status == 400 and answer.json["code"] == "request_failed" and answer.json["error"]


SECTIONS = ["summary", "summary_comparison", "timeline", "hourly_distribution", "heatmap", "anomaly_points", "model_share", "model_stats",
            "channel_share", "failure_sources", "account_stats", "credential_stats", "credential_timeline", "api_key_timeline",
            "api_key_stats", "filter_options", "filter_selectors", "task_buckets"]
FILTERS = {"models": ["m"], "providers": ["p"], "accounts": ["a"], "credential_ids": ["-"], "auth_files": ["f"], "auth_indices": ["i"],
           "api_key_hashes": ["h"], "source_hashes": ["h"], "project_ids": ["p"], "request_types": ["t"], "header_error_kinds": ["k"],
           "header_error_codes": ["c"], "header_quota_plans": ["p"], "header_trace_ids": ["t"], "include_failed": False, "failed_only": True,
           "min_latency_ms": 1, "cache_status": "hit"}
UNSUPPORTED = [*(({"include": {name: True}}, f"include.{name}") for name in SECTIONS),
               ({"include": {"recent_failures": 5}}, "include.recent_failures"),
               ({"include": {"drilldown_preview": {"from_ms": 1, "to_ms": 2}}}, "include.drilldown_preview"),
               *(({"filters": {name: value}}, f"filters.{name}") for name, value in FILTERS.items()),
               ({"search_query": " x "}, "search_query"), ({"search_api_key_hash": "ab"}, "search_api_key_hash")]


@pytest.mark.parametrize("part, name", UNSUPPORTED, ids=[u[1] for u in UNSUPPORTED])
def test_what_is_not_supported_yet_is_said_not_ignored(stocked, part, name):
    """An answer without it would pass for one with it."""
    body = {"from_ms": 1, "to_ms": TO_MS, **part}
    answer = ask(stocked, body)
    assert answer.status == 400, answer.body
    assert answer.json == {"code": "not_supported", "error": f"{name} is not supported by this version"}


def test_only_with_the_key_and_by_post(stocked):
    body = {"from_ms": 1, "to_ms": 2}
    assert stocked.request("POST", PATH, body).status == 401
    for method in ("GET", "PUT"):
        answer = stocked.request(method, PATH, body if method == "PUT" else None, key=True)
        assert answer.status == 405 and answer.headers["allow"] == "POST, OPTIONS"
