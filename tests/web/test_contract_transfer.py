"""Export and import: contract/database.md sections 11 and 12, on both web servers."""
import contextlib
import gzip
import http.client
import json
import os
import signal
import socket
import sqlite3
import time

import pytest
import zstd
from harness import ROOT, wait_for

EXPORT, IMPORT, USAGE = (f"/v0/management/usage{rest}" for rest in ("/export", "/import", ""))
WARNINGS = ["legacy_usage_metadata_is_partial", "legacy_usage_source_matching_may_be_approximate"]
NO_DETAILS = "legacy usage export does not contain request details"
MIB = 1024 * 1024
LARGE = 12_000

with open(os.path.join(ROOT, "tests/data/reference-export.jsonl"), "rb") as f:
    REFERENCE = f.read()
THEIRS = [json.loads(line) for line in REFERENCE.splitlines()]
TIMES = [r["timestamp_ms"] for r in THEIRS]


def lines(answer):
    assert answer.status == 200, answer.body
    return [json.loads(line) for line in answer.body.splitlines()]


def bring_in(s, body, **headers):
    return s.request("POST", IMPORT, body, key=True, headers={k.replace("_", "-"): v for k, v in headers.items()}, timeout=90)


def counts(added=0, skipped=0, failed=0, form="usage_service_jsonl", unsupported=0, warnings=None):
    return {"format": form, "added": added, "skipped": skipped, "total": added + skipped, "failed": failed,
            "unsupported": unsupported, "warnings": warnings}


def refusal(error, form="usage_service_jsonl", failed=0, unsupported=0, warnings=None):
    return {"error": error, "failed": failed, "format": form, "unsupported": unsupported, "warnings": warnings}


def left_behind(s):
    folder = os.path.join(s.data, "imports")
    return os.listdir(folder) if os.path.isdir(folder) else []


@pytest.fixture(scope="module", params=["nginx", "apache"])
def web(request):
    return request.param


@pytest.fixture(scope="module")
def empty(make_stack, web):
    """A server without an event, as long as nobody puts one in."""
    return make_stack(web=web)


@pytest.fixture(scope="module")
def target(make_stack, web):
    """A server that the cases import into, each its own events."""
    return make_stack(web=web)


@pytest.fixture(scope="module")
def stocked(make_stack, web):
    """A server that holds what the reference exported, and nothing else."""
    s = make_stack(web=web)
    answer = bring_in(s, REFERENCE)
    assert answer.status == 200 and answer.json == counts(added=len(THEIRS)), answer.body
    return s


# ---- export


def test_an_empty_database_has_an_empty_export(empty):
    answer = empty.get(EXPORT)
    assert answer.status == 200 and answer.body == b""
    assert answer.headers["content-type"] == "application/x-ndjson"
    for coding, unpack in (("gzip", gzip.decompress), ("zstd", zstd.decompress)):
        answer = empty.get(EXPORT, headers={"Accept-Encoding": coding})
        assert answer.status == 200 and answer.headers["content-encoding"] == coding and unpack(answer.body) == b""


def test_what_the_reference_exported_is_exported_again(stocked):
    """Line by line, in its order, fields in theirs."""
    answer = stocked.get(EXPORT)
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["content-disposition"] == 'attachment; filename="usage-events.jsonl"'
    assert answer.headers["cache-control"] == "no-store" and answer.headers["vary"] == "Accept-Encoding"
    assert answer.body.endswith(b"}\n")
    mine = lines(answer)
    assert [r["event_hash"] for r in mine] == [r["event_hash"] for r in THEIRS]
    for ours, theirs in zip(mine, THEIRS):
        assert ours == theirs
        assert list(ours) == list(theirs), "the order of fields"


@pytest.mark.parametrize("first, behind", [(0, 200), (17, 120), (0, 1), (199, 200), (50, 51)])
def test_a_range_is_half_open(stocked, first, behind):
    assert len(set(TIMES)) == len(TIMES), "each of these has a time of its own"
    to = f"&to_ms={TIMES[behind]}" if behind < len(TIMES) else ""
    got = lines(stocked.get(f"{EXPORT}?from_ms={TIMES[first]}{to}"))
    assert [r["timestamp_ms"] for r in got] == TIMES[first:behind]
    # a millisecond behind both of its ends
    got = lines(stocked.get(f"{EXPORT}?from_ms={TIMES[first] + 1}&to_ms={TIMES[behind - 1] + 2}"))
    assert [r["timestamp_ms"] for r in got] == TIMES[first + 1:behind]


def test_a_range_with_nothing_in_it(stocked):
    for query in (f"from_ms={TIMES[-1] + 1}", f"to_ms={TIMES[0]}", f"from_ms={TIMES[0] + 1}&to_ms={TIMES[1]}",
                  "from_ms=9223372036854775806"):
        answer = stocked.get(f"{EXPORT}?{query}")
        assert answer.status == 200 and answer.body == b"", query


@pytest.mark.parametrize("yes", ["1", "true"])
def test_full_adds_three_fields(stocked, yes):
    added = {"request_service_tier", "response_service_tier", "cache_input_mode"}
    plain, full = lines(stocked.get(EXPORT)), lines(stocked.get(f"{EXPORT}?full={yes}"))
    assert len(plain) == len(full)
    for a, b in zip(plain, full):
        assert {k: v for k, v in b.items() if k not in added} == a
    assert all(r.get("cache_input_mode") for r in full) and any(r.get("request_service_tier") for r in full)
    for no in ("0", "false", ""):
        assert lines(stocked.get(f"{EXPORT}?full={no}")) == plain


@pytest.mark.parametrize("accept, coding", [("gzip", "gzip"), ("zstd", "zstd"), ("gzip, deflate, br, zstd", "zstd"),
                                            ("GZIP;q=0.5", "gzip"), ("zstd;q=0, gzip", "gzip"), ("br", None),
                                            ("gzip;q=0", None), ("identity", None)])
def test_it_is_packed_as_the_client_takes_it(stocked, accept, coding):
    answer = stocked.get(EXPORT, headers={"Accept-Encoding": accept})
    assert answer.status == 200 and answer.headers.get("content-encoding") == coding
    body = {"gzip": gzip.decompress, "zstd": zstd.decompress, None: bytes}[coding](answer.body)
    assert body == stocked.get(EXPORT).body
    assert coding is None or len(answer.body) < len(body) / 3
    assert answer.headers["vary"] == "Accept-Encoding"


def test_head(stocked):
    get, head = (stocked.request(m, EXPORT, key=True) for m in ("GET", "HEAD"))
    assert head.status == 200 and head.body == b""
    for name in ("content-type", "content-disposition", "vary"):
        assert head.headers[name] == get.headers[name]


@pytest.mark.parametrize("query, name", [("from_ms=x", "from_ms"), ("from_ms=1.5", "from_ms"), ("to_ms=", None), ("to_ms=1e3", "to_ms"),
                                         ("to_ms=99999999999999999999", "to_ms"), ("from_ms=5&to_ms=5", "from_ms"),
                                         ("from_ms=6&to_ms=5", "from_ms"), ("full=yes", "full"), ("full=2", "full")])
def test_bad_parameters_of_the_export_are_named(empty, query, name):
    answer = empty.get(f"{EXPORT}?{query}")
    if name is None:
        assert answer.status == 200
        return
    assert answer.status == 400 and answer.json["code"] == "request_failed" and name in answer.json["error"]
    assert "content-disposition" not in answer.headers


@pytest.mark.parametrize("method, path, allow", [("POST", EXPORT, "GET, HEAD, OPTIONS"), ("DELETE", EXPORT, "GET, HEAD, OPTIONS"),
                                                 ("GET", IMPORT, "POST, OPTIONS"), ("PUT", IMPORT, "POST, OPTIONS")])
def test_wrong_methods(empty, method, path, allow):
    answer = empty.request(method, path, "" if method != "GET" else None, key=True)
    assert answer.status == 405 and set(answer.headers["allow"].split(", ")) == set(allow.split(", "))


def test_nothing_goes_in_or_out_without_the_key(empty):
    for method, path in (("GET", EXPORT), ("POST", IMPORT)):
        answer = empty.request(method, path, REFERENCE if method == "POST" else None)
        assert answer.status == 401 and answer.json["code"] == "invalid_admin_key"
    assert empty.get(EXPORT).body == b"" and left_behind(empty) == []


# ---- import, row by row of section 12.4


ROWS = [
    ("nothing", b"", 400, refusal("empty usage import payload", "")),
    ("blanks", b" \r\n\t ", 400, refusal("empty usage import payload", "")),
    ("null", b"null", 200, counts(failed=1)),
    ("a number", b"5", 200, counts(failed=1)),
    ("a text", b'"x"', 200, counts(failed=1)),
    ("an empty list", b"[]", 200, counts()),
    ("an empty object", b"{}", 200, counts(added=1)),
    ("a snapshot of nothing", b'{"apis":{}}', 200, counts(added=1)),
    ("a mixed list", b'[1,{"model":"m1"},null]', 200, counts(added=1, failed=2)),
    ("usage is a number", b'{"usage":5}', 400, refusal(NO_DETAILS)),
    ("usage is empty", b'{"usage":{}}', 400, refusal(NO_DETAILS, "legacy_usage_export", unsupported=1)),
    ("usage has no endpoint", b'{"usage":{"apis":{}}}', 400, refusal(NO_DETAILS, "legacy_usage_export", unsupported=1)),
    ("totals alone", b'{"total_requests":3}', 400, refusal(NO_DETAILS, "legacy_usage_payload", unsupported=1)),
    ("no details", b'{"apis":{"POST /x":{"models":{"m":{"details":[]}}}}}', 400,
     refusal(NO_DETAILS, "legacy_usage_payload", unsupported=1, warnings=WARNINGS)),
    ("broken off", b'{"bad', 400, refusal("unexpected EOF")),
    ("a brace too many", b'{"model":"a","timestamp":1}}', 200, counts(added=1, failed=1)),
    ("a list broken off", b'[{"model":"z","timestamp":100}', 400, refusal("EOF")),
    ("a bad line", b'foo\n{"model":"zz","timestamp":5}', 200, counts(added=1, failed=1)),
    ("two on the first line", b'{"model":"t1","timestamp":11}{"model":"t2","timestamp":12}', 200, counts(added=2)),
    ("two on a later line", b'{"model":"t3","timestamp":13}\n{"model":"t4","timestamp":14}{"model":"t5","timestamp":15}', 200,
     counts(added=1, failed=1)),
    ("a hash of null", b'{"event_hash":null,"model":"m","timestamp":7}', 200, counts(added=1)),
    ("a snapshot within lines", b'{"model":"t6","timestamp":16}\n{"apis":{"POST /x":{"models":{"m":{"details":[{"timestamp":"2026-11-24T00:00:00Z"}]}}}}}',
     200, counts(added=2)),
    ("something behind a snapshot", b'{"apis":{"POST /x":{"models":{"m":{"details":[{"timestamp":"2026-11-24T00:00:00Z"}]}}}}} {}', 400,
     refusal("usage import payload contains multiple JSON values", "legacy_usage_payload", warnings=WARNINGS)),
]


@pytest.mark.parametrize("body, status, want", [pytest.param(*r[1:], id=r[0].replace(" ", "-")) for r in ROWS])
def test_each_row_of_the_contract(target, body, status, want):
    before = target.get("/status").json["events"]
    answer = bring_in(target, body)
    assert answer.status == status and answer.json == want, answer.body
    assert answer.body.endswith(b"}\n")
    assert target.get("/status").json["events"] == before + want.get("added", 0)
    assert left_behind(target) == []


def test_an_event_is_known_by_its_hash(target):
    body = b'{"event_hash":"h1"}'
    assert bring_in(target, body).json == counts(added=1)
    assert bring_in(target, body).json == counts(skipped=1)
    assert bring_in(target, b'{"event_hash":"h2"}\n{"event_hash":"h1"}\n{"eventHash":"h2"}').json == counts(added=1, skipped=2)


def test_small_numbers_are_seconds(target):
    bring_in(target, b'{"event_hash":null,"model":"in-seconds","timestamp":8}')
    got = [r for r in lines(target.get(f"{EXPORT}?from_ms=0&to_ms=100000")) if r["model"] == "in-seconds"]
    assert [r["timestamp_ms"] for r in got] == [8000]


def test_names_in_either_spelling(target):
    """camelCase and snake_case, the first present wins, though it be null."""
    record = {"eventHash": "camel1", "timestampMs": 1700000000123, "model": "cc", "inputTokens": 7, "output_tokens": 5,
              "outputTokens": 9, "latencyMs": 12, "failed": "yes", "failStatusCode": 418, "requestId": "req-camel"}
    assert bring_in(target, json.dumps(record)).json == counts(added=1)
    got = lines(target.get(f"{EXPORT}?from_ms=1700000000123&to_ms=1700000000124"))
    assert len(got) == 1
    assert {k: got[0].get(k) for k in ("event_hash", "input_tokens", "output_tokens", "latency_ms", "failed", "fail_status_code",
                                       "request_id")} == {
        "event_hash": "camel1", "input_tokens": 7, "output_tokens": 5, "latency_ms": 12, "failed": True, "fail_status_code": 418,
        "request_id": "req-camel"}


# ---- import, how the body comes


def record(name, count=3):
    return b"".join(b'{"event_hash":"%s-%d","model":"p","timestamp_ms":%d}\n' % (name.encode(), i, 1600000000000 + i)
                    for i in range(count))


@pytest.mark.parametrize("name, pack, coding", [
    ("gzip-named", gzip.compress, "gzip"), ("x-gzip-named", gzip.compress, "x-gzip"), ("zstd-named", zstd.compress, "ZSTD"),
    ("gzip-seen", gzip.compress, None), ("zstd-seen", zstd.compress, None), ("identity", bytes, "identity"),
    ("gzip-in-members", lambda b: gzip.compress(b[:50]) + gzip.compress(b[50:]), None),
    ("zstd-in-frames", lambda b: zstd.compress(b[:50]) + zstd.compress(b[50:]), None)])
def test_packed_bodies(target, name, pack, coding):
    answer = bring_in(target, pack(record(name)), **({"Content_Encoding": coding} if coding else {}))
    assert answer.status == 200 and answer.json == counts(added=3), answer.body


CUT = gzip.compress(record("cut", 500))
BROKEN = [
    ("gzip-cut", CUT[:len(CUT) // 2], None, "gzip"),
    ("gzip-without-its-end", CUT[:-4], "gzip", "gzip"),
    ("gzip-damaged", CUT[:40] + bytes(b ^ 0x55 for b in CUT[40:60]) + CUT[60:], None, "gzip"),
    ("gzip-with-a-wrong-sum", CUT[:-8] + b"\0\0\0\0" + CUT[-4:], None, "gzip"),
    ("gzip-with-more-behind", CUT + b"more", None, "gzip"),
    ("no-gzip", record("no"), "gzip", "gzip"),
    ("zstd-cut", zstd.compress(record("cut", 500))[:-9], None, "zstd"),
    ("no-zstd", record("no"), "zstd", "zstd"),
    ("one-for-the-other", CUT, "zstd", "zstd"),
    ("unknown", record("no"), "br", "Content-Encoding"),
    ("several", record("no"), "gzip, zstd", "Content-Encoding"),
]


@pytest.mark.parametrize("body, coding, part", [pytest.param(*b[1:], id=b[0]) for b in BROKEN])
def test_what_cannot_be_unpacked_is_refused_whole(target, body, coding, part):
    before = target.get("/status").json["events"]
    answer = bring_in(target, body, **({"Content_Encoding": coding} if coding else {}))
    assert answer.status == 400 and answer.json["code"] == "request_failed" and part in answer.json["error"], answer.body
    assert target.get("/status").json["events"] == before and left_behind(target) == []


def head(s, *more):
    return "\r\n".join([f"POST {IMPORT} HTTP/1.1", f"Host: 127.0.0.1:{s.port}", f"Authorization: Bearer {s.key}", "Connection: close",
                        *more, "", ""]).encode()


def answer_of(connection):
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    return answer.status, json.loads(answer.read())


TOO_LARGE = {"code": "request_failed", "error": "http: request body too large"}


def test_a_body_that_announces_too_much(target):
    with socket.create_connection(("127.0.0.1", target.port), 30) as c:
        c.sendall(head(target, f"Content-Length: {64 * MIB + 1}"))
        try:
            for _ in range(64):
                c.sendall(b" " * MIB)
            c.sendall(b" ")
        except OSError:
            pass  # no more is taken
        status, body = answer_of(c)
    assert status == 413 and body["code"] == TOO_LARGE["code"] and "large" in body["error"]
    assert left_behind(target) == []


def test_a_chunked_body_that_is_too_large(target):
    """Nobody announced how much it is."""
    piece = b"100000\r\n" + b" " * MIB + b"\r\n"
    with socket.create_connection(("127.0.0.1", target.port), 60) as c:
        c.sendall(head(target, "Transfer-Encoding: chunked"))
        try:
            for _ in range(66):
                c.sendall(piece)
            c.sendall(b"0\r\n\r\n")
        except OSError:
            pass  # no more is taken
        status, body = answer_of(c)
    assert status == 413 and body["code"] == TOO_LARGE["code"] and "large" in body["error"]
    assert left_behind(target) == []


def test_a_body_of_exactly_the_limit_and_one_in_chunks(target):
    body = record("at-the-limit")
    answer = bring_in(target, body + b" " * (64 * MIB - len(body)))
    assert answer.status == 200 and answer.json == counts(added=3)
    with socket.create_connection(("127.0.0.1", target.port), 30) as c:
        whole = record("in-chunks")
        c.sendall(head(target, "Transfer-Encoding: chunked"))
        for at in range(0, len(whole), 20):
            c.sendall(b"%x\r\n%s\r\n" % (len(whole[at:at + 20]), whole[at:at + 20]))
        c.sendall(b"0\r\n\r\n")
        status, body = answer_of(c)
    assert (status, body) == (200, counts(added=3))


@pytest.mark.parametrize("coding", ["length", "chunked"])
def test_an_upload_that_breaks_off(target, coding):
    """Whether the web server waits for the whole body or hands on what it has."""
    before, body = target.get("/status").json["events"], record("broken-off", 4000)
    with socket.create_connection(("127.0.0.1", target.port), 30) as c:
        if coding == "length":
            c.sendall(head(target, f"Content-Length: {len(body)}") + body[:150_000])
        else:
            c.sendall(head(target, "Transfer-Encoding: chunked") + b"%x\r\n%s\r\n" % (150_000, body[:150_000]))
        time.sleep(0.2)  # what is handed on has arrived
    wait_for(lambda: left_behind(target) == [], 10, "the file to be gone")
    time.sleep(0.3)  # an import would have been done
    assert target.get("/status").json["events"] == before


# ---- an export that does not come to its end


@pytest.fixture(scope="module")
def large(make_stack, web):
    """More than the buffers between the application and a client hold."""
    s = make_stack(web=web)
    summary = "x" * 1500
    text = "".join(json.dumps({"event_hash": f"l{i}", "timestamp_ms": 1600000000000 + i, "failed": True, "fail_summary": f"{i} {summary}"}) + "\n"
                   for i in range(LARGE))
    assert bring_in(s, text).json == counts(added=LARGE)
    return s


def begin_export(s, coding="identity"):
    """A client that has taken little of it."""
    c = socket.socket()
    c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    c.settimeout(30)
    c.connect(("127.0.0.1", s.port))
    c.sendall("\r\n".join([f"GET {EXPORT} HTTP/1.1", f"Host: 127.0.0.1:{s.port}", f"Authorization: Bearer {s.key}",
                           f"Accept-Encoding: {coding}", "Connection: close", "", ""]).encode())
    answer = http.client.HTTPResponse(c)
    answer.begin()
    assert answer.status == 200 and answer.read(1000)
    return answer


def test_a_slow_client_gets_it_whole_and_holds_up_nobody(large):
    slow = [begin_export(large) for _ in range(3)]
    begun = time.monotonic()
    assert large.get("/status").status == 200
    assert bring_in(large, b'{"event_hash":"l0","timestamp_ms":1600000000000}').json == counts(skipped=1)
    assert time.monotonic() - begun < 3
    for answer in slow:
        assert answer.read().count(b"\n") == LARGE


def break_table(s):
    with contextlib.closing(sqlite3.connect(os.path.join(s.data, "usage.sqlite"), timeout=10)) as db:
        db.execute("ALTER TABLE events RENAME TO events_away")


def mend_table(s):
    with contextlib.closing(sqlite3.connect(os.path.join(s.data, "usage.sqlite"), timeout=10)) as db:
        db.execute("ALTER TABLE events_away RENAME TO events")


def kill(s):
    os.kill(s.pids()["application"], signal.SIGKILL)


@pytest.mark.parametrize("how, mend", [(break_table, mend_table), (kill, lambda s: None)], ids=["an error", "kill -9"])
def test_an_export_that_breaks_off_does_not_pass_for_a_whole_one(large, how, mend):
    """Whoever restores from it would miss the rest."""
    answer = begin_export(large)
    how(large)
    try:
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            answer.read()
    finally:
        mend(large)
    wait_for(lambda: large.get(EXPORT).body.count(b"\n") == LARGE, 20, "whole exports again")


# ---- there and back


def test_its_own_export_brings_nothing_new(stocked):
    exported = stocked.get(f"{EXPORT}?full=1").body
    for body in (exported, stocked.get(EXPORT).body, b"[" + b",".join(exported.splitlines()) + b"]"):
        assert bring_in(stocked, body).json == counts(skipped=len(THEIRS))
    assert stocked.get(f"{EXPORT}?full=1").body == exported
    assert stocked.get("/status").json["events"] == len(THEIRS)


@pytest.mark.parametrize("query, coding", [("", None), ("?full=1", "zstd")])
def test_an_export_makes_an_equal_server(make_stack, stocked, query, coding):
    second = make_stack()
    exported = stocked.get(EXPORT + query, headers={"Accept-Encoding": coding} if coding else None)
    answer = bring_in(second, exported.body, **({"Content_Encoding": coding} if coding else {}))
    assert answer.json == counts(added=len(THEIRS))
    assert second.get(EXPORT).body == stocked.get(EXPORT).body
    if query:
        assert second.get(EXPORT + query).body == stocked.get(EXPORT + query).body
        assert second.get(USAGE).json == stocked.get(USAGE).json


def details(snapshot):
    return sorted((endpoint, model, d["timestamp"], d["failed"], *d["tokens"].values())
                  for endpoint, api in snapshot["apis"].items() for model, m in api["models"].items() for d in m["details"])


def test_a_snapshot_fills_an_empty_server(make_stack, stocked):
    snapshot = stocked.get(USAGE)
    assert snapshot.json["total_requests"] == len(THEIRS)
    second = make_stack()
    want = counts(added=len(THEIRS), form="legacy_usage_payload", warnings=WARNINGS)
    answer = bring_in(second, snapshot.body)
    assert answer.status == 200 and answer.json == want
    again = second.get(USAGE).json
    assert {k: v for k, v in again.items() if k != "apis"} == {k: v for k, v in snapshot.json.items() if k != "apis"}
    assert details(again) == details(snapshot.json)
    # the same file again, and as the other legacy form: nothing new
    assert bring_in(second, snapshot.body).json == dict(want, added=0, skipped=len(THEIRS))
    wrapped = json.dumps({"version": 1, "usage": snapshot.json})
    assert bring_in(second, wrapped).json["format"] == "legacy_usage_export"
    assert second.get("/status").json["events"] >= len(THEIRS)


def test_a_snapshot_adds_nothing_to_the_server_that_made_it(stocked):
    """The reference adds every event once more; here they are recognised."""
    answer = bring_in(stocked, stocked.get(USAGE).body)
    assert answer.json == counts(skipped=len(THEIRS), form="legacy_usage_payload", warnings=WARNINGS)
    assert stocked.get("/status").json["events"] == len(THEIRS)
