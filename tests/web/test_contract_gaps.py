"""GET /v0/management/collector/gaps: newest first, page by page."""
import contextlib
import sqlite3

import pytest

ROUTE = "/v0/management/collector/gaps"


@pytest.fixture(scope="module")
def gaps(make_stack):
    s = make_stack()
    with contextlib.closing(sqlite3.connect(s.data + "/usage.sqlite", timeout=10)) as db, db:
        for i in range(1, 6):
            db.execute("INSERT INTO gaps (from_ms, to_ms, reason, in_doubt, detail, created_ms, digest) VALUES (?, ?, ?, ?, ?, ?, ?)",
                       (i * 1000, i * 1000 + 500, "pop_in_doubt", i if i % 2 else None, f"case {i}", 7, bytes([i])))
    return s


def test_all_of_them(gaps):
    answer = gaps.get(ROUTE).json
    assert [g["id"] for g in answer["items"]] == [5, 4, 3, 2, 1]
    assert answer["items"][0] == {"id": 5, "fromMs": 5000, "toMs": 5500, "reason": "pop_in_doubt", "inDoubt": 5, "detail": "case 5",
                                  "createdAtMs": 7}
    assert answer["items"][1]["inDoubt"] is None
    assert (answer["nextBeforeId"], answer["hasMore"], answer["totalCount"]) == (0, False, 5)


def test_page_by_page(gaps):
    seen, before = [], ""
    while True:
        page = gaps.get(f"{ROUTE}?limit=2{before}").json
        seen += [g["id"] for g in page["items"]]
        if not page["hasMore"]:
            break
        before = f"&before_id={page['nextBeforeId']}"
    assert seen == [5, 4, 3, 2, 1]


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "before_id=0", "before_id=x"])
def test_wrong_parameters_are_named(gaps, query):
    answer = gaps.get(f"{ROUTE}?{query}")
    assert answer.status == 400 and query.split("=")[0] in answer.json["error"]
