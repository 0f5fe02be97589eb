"""What is shown of collected events: the events page, the export and the counts, against what the reference showed."""
import json
import math
import os

import pytest
from harness import CPA_KEY, FakeCpa, ROOT, wait_for

FROM_MS, TO_MS = 1, 4102444800000  # what the reference was asked for
MASKED = {"source", "fail_summary"}  # stricter here: there or not there is all that must agree
CLOCK = {"created_at_ms", "auth_snapshot_at_ms"}
UNDATED = 12  # payloads without a time: their hashes are of the moment
EMPTY = (None, "", 0, False, {}, [])

with open(os.path.join(ROOT, "tests/data/events-visible.json"), encoding="utf-8") as f:
    REFERENCE = json.load(f)


def page(s, **options):
    answer = s.request("POST", "/v0/management/monitoring/analytics",
                       {"from_ms": FROM_MS, "to_ms": TO_MS, "include": {"events_page": {"limit": 5000, **options}}}, key=True)
    assert answer.status == 200, answer.body
    return answer.json["events"]


def export(s):
    answer = s.get("/v0/management/usage/export")
    assert answer.status == 200, answer.body
    return [json.loads(line) for line in answer.body.splitlines()]


@pytest.fixture(scope="module", params=["nginx", "apache"])
def collected(request, make_stack):
    """A stack that has collected every recorded payload, those that are no JSON included."""
    cpa = FakeCpa(events=os.path.join(ROOT, "tests/data/events.jsonl"), faults="http_strings=1")
    s = make_stack(web=request.param)
    try:
        answer = s.request("POST", "/setup", {"cpaBaseUrl": cpa.url, "managementKey": CPA_KEY, "pollIntervalMs": 50}, key=True)
        assert answer.status == 200, answer.body
        wait_for(lambda: cpa.state()["queued"] == 0 and all(s.get("/status").json[k] >= n for k, n in REFERENCE["status"].items()),
                 20, "the events")
        yield s
    finally:
        cpa.stop()


def same(mine, theirs):
    if isinstance(mine, float) or isinstance(theirs, float):
        return isinstance(mine, (int, float)) and isinstance(theirs, (int, float)) and math.isclose(mine, theirs, rel_tol=1e-9)
    if isinstance(mine, dict) and isinstance(theirs, dict):
        return all(same_field(k, mine.get(k), theirs.get(k)) for k in mine.keys() | theirs.keys())
    if isinstance(mine, list) and isinstance(theirs, list):
        return len(mine) == len(theirs) and all(map(same, mine, theirs))
    return mine == theirs or (mine in EMPTY and theirs in EMPTY)


def same_field(name, mine, theirs):
    if name in CLOCK:
        return True
    return bool(mine) == bool(theirs) if name in MASKED else same(mine, theirs)


def differences(mine, theirs):
    """The fields that are not as the reference has them."""
    out = []
    for k in sorted(mine.keys() | theirs.keys()):
        ours_alone = k.startswith("x_") and k not in theirs
        needless = k == "fail_summary" and not theirs["failed"]
        if not ours_alone and not needless and not same_field(k, mine.get(k), theirs.get(k)):
            out.append(f"{k}: {json.dumps(mine.get(k))[:90]}, the reference has {json.dumps(theirs.get(k))[:90]}")
    return out


@pytest.mark.parametrize("part, rows", [("events", lambda s: page(s)["items"]), ("export", export)], ids=["events", "export"])
def test_each_event_is_shown_as_the_reference_shows_it(collected, part, rows):
    mine, theirs = ({r["event_hash"]: r for r in those} for those in (rows(collected), REFERENCE[part]))
    assert len(mine) == len(theirs) == len(REFERENCE[part])
    common = mine.keys() & theirs.keys()
    assert len(theirs) - len(common) <= UNDATED
    bad = {theirs[h].get("request_id", h): d for h in common if (d := differences(mine[h], theirs[h]))}
    assert not bad, json.dumps(bad, indent=1, ensure_ascii=False)


def test_the_comparison_sees_a_difference():
    row = next(r for r in REFERENCE["events"] if r["failed"] and r.get("response_metadata") and r.get("fail_summary"))
    assert differences(row, row) == []
    for name in set(row) - MASKED - CLOCK:
        changed = dict(row, **{name: "another"})
        assert len(differences(changed, row)) == 1, name
    assert differences(dict(row, source="", fail_summary=""), row)
    assert differences(dict(row, more=1), row) and differences(dict(row, x_more=1), row) == []


def test_the_counts(collected):
    status = collected.get("/status").json
    assert {k: status[k] for k in REFERENCE["status"]} == REFERENCE["status"]
    assert page(collected)["total_count"] == len(REFERENCE["events"])
    assert len(export(collected)) == status["events"]


def test_the_order_of_fields(collected):
    """As the reference writes them: texts of two exports can be compared line by line."""
    order = ("request_id event_hash timestamp_ms timestamp provider executor_type model analytics_model requested_model "
             "resolved_model endpoint method path auth_type auth_index source source_hash api_key_hash account_snapshot "
             "auth_label_snapshot auth_file_snapshot auth_provider_snapshot auth_project_id_snapshot auth_snapshot_at_ms "
             "reasoning_effort service_tier input_tokens output_tokens reasoning_tokens cached_tokens cache_tokens "
             "cache_read_tokens cache_creation_tokens total_tokens latency_ms ttft_ms failed fail_status_code fail_summary "
             "header_quota_recover_at_ms header_quota_used_percent header_quota_plan_type header_error_kind "
             "header_error_code header_trace_id created_at_ms response_metadata").split()
    for line in export(collected):
        assert [k for k in order if k in line] == list(line)


def test_the_export_has_its_order(collected):
    """Ascending by time; the page is its reverse, since both break ties by the order of arrival."""
    times = [r["timestamp_ms"] for r in export(collected)]
    assert times == sorted(times)
    shown = [r["event_hash"] for r in page(collected)["items"]]
    assert shown == [r["event_hash"] for r in reversed(export(collected)) if FROM_MS <= r["timestamp_ms"] < TO_MS]
