"""Each route as it looks from outside: who may ask, which methods, which paths; through the web server."""
import json
import os
import re
import subprocess

import pytest
from harness import BUILD, CPA_KEY, sanitizer_environment

WRONG_KEY = "cmp_admin_wrongwrongwrongwrongwrongwron"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
NOT_FOUND = b"404 page not found\n"


def routes():
    run = subprocess.run([os.path.join(BUILD, "cpa-manager.fcgi"), "--routes"], capture_output=True, check=True,
                         env=dict(os.environ, **sanitizer_environment()))
    return json.loads(run.stdout)


def path_of(pattern):
    return re.sub(r"\{\w+\}", "0" * 64, pattern).replace("*", "x/y")


ROUTES = routes()
# the web server answers this one itself
OURS = [r for r in ROUTES if r["pattern"] != "/management.html"]
PATTERNS = sorted({r["pattern"] for r in OURS})


def assert_denied(answer):
    assert answer.status == 401 and answer.json == {"code": "invalid_admin_key", "error": "invalid admin key"}


@pytest.mark.parametrize("route", OURS, ids=lambda r: f"{r['method']} {r['pattern']}")
def test_the_auth_class_of_each_route(fresh, connected, route):
    """Before the setup and after it, without a key: exactly what the table says."""
    for method in METHODS if route["method"] == "ANY" else (route["method"],):
        body = "{}" if route["bodyMaxBytes"] else None
        answers = [s.request(method, path_of(route["pattern"]), body) for s in (fresh, connected)]
        if route["auth"] == "none":
            assert all(a.status in (200, 307) for a in answers)
        elif route["auth"] == "admin":
            for a in answers:
                assert_denied(a)
        elif route["auth"] == "metrics":  # off
            assert all(a.status == 404 for a in answers)
        else:
            assert route["auth"] == "admin-once-configured"
            assert answers[0].status == 200
            assert_denied(answers[1])


def test_the_table_has_each_class():
    assert {r["auth"] for r in ROUTES} == {"none", "admin", "admin-once-configured", "metrics"}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_other_methods(fresh, pattern):
    """405 with Allow; below /v0/management/ only for who has the key."""
    there = {r["method"] for r in OURS if r["pattern"] == pattern}
    if "ANY" in there:
        return
    for method in set(METHODS) - there:
        answer = fresh.request(method, path_of(pattern), key=True)
        assert answer.status == 405, (method, pattern)
        assert answer.json == {"code": "method_not_allowed", "error": "method not allowed"}
        allow = set(answer.headers["allow"].split(", "))
        assert allow == there | {"OPTIONS"} | ({"HEAD"} if "GET" in there else set())
        stranger = fresh.request(method, path_of(pattern))
        assert stranger.status == (401 if pattern.startswith("/v0/management/") else 405)


@pytest.mark.parametrize("pattern", [p for p in PATTERNS if any(r["method"] == "GET" for r in OURS if r["pattern"] == p)])
def test_head_is_get_without_a_body(connected, pattern):
    get, head = (connected.request(m, path_of(pattern), key=True) for m in ("GET", "HEAD"))
    # no job has that id, metrics are off, and of no events an export is empty
    assert head.status == get.status == (404 if "/jobs/" in pattern or pattern == "/metrics" else 200) and head.body == b""
    assert (get.body != b"") == (not pattern.endswith("/export"))
    assert head.headers["content-type"] == get.headers["content-type"]


@pytest.mark.parametrize("pattern", PATTERNS + ["/unknown"])
def test_options(fresh, pattern):
    answer = fresh.request("OPTIONS", path_of(pattern))
    assert answer.status == 204 and answer.body == b""


@pytest.mark.parametrize("path", ("/health/", "/Health", "/status/", "/setup/", "/usage-service", "/usage-service/",
                                  "/usage-service/x", "/v0/management", "/v0", "/v1/models", "/favicon.ico", "/health%2F",
                                  "/%20", "/caf%C3%A9"))
def test_unknown_paths(fresh, path):
    for method in METHODS:
        answer = fresh.request(method, path, key=True)
        assert answer.status == 404 and answer.body == NOT_FOUND
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ("/v0/management/", "/v0/management/config", "/v0/management/usage-queue",
                                  "/v0/management/usage/x", "/v0/management/usageX", "/v0/management/api-key-aliasesX",
                                  "/v0/management/api-key-aliases/a/b", "/v0/management/%75sage%2F"))
def test_unknown_management_paths_need_the_key_first(connected, path):
    for method in METHODS:
        assert_denied(connected.request(method, path))
        answer = connected.request(method, path, key=True)
        assert answer.status == 404 and answer.body == NOT_FOUND


@pytest.mark.parametrize("path", ("/v0/management/usage/", "/v0/management/%75sage", "/v0/management/usage?x=1",
                                  "/v0/management/api-key-aliases/", "/%68ealth"))
def test_spellings_that_are_the_same_path(connected, path):
    assert connected.get(path).status == 200


@pytest.mark.parametrize("path", ("//health", "/./health", "/a/../health", "/health/..", "/%2e/health", "/%2e%2e/health",
                                  "/.%2E/health", "/v0//management/usage", "/v0/management//usage", "/health%00",
                                  "/%ff", "/%c0%ae", "/%", "/%zz", "/health?a=%00", "/health?%", "/health?a=%ff",
                                  "/" + "a/" * 40))
def test_paths_that_are_not_clean(fresh, path):
    reply = fresh.raw(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert reply.startswith(b"HTTP/1.1 400 "), reply[:200]


def test_head_of_unclean_paths_says_nothing_of_the_route(fresh):
    """An unclean path is refused before the key is looked at."""
    for path in ("/v0/management/../management/usage", "/v0/management/%2e%2e/usage"):
        reply = fresh.raw(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert reply.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("header", ("", "Basic x", "Bearer", "Bearer ", "Bearer\t{key}", "{key}", "Token {key}"))
def test_headers_that_are_no_key(fresh, header):
    key = fresh.key
    assert_denied(fresh.request("GET", "/status", headers={"Authorization": header.format(key=key)} if header else {}))


@pytest.mark.parametrize("header", ("Bearer {key}", "bearer   {key}  ", "BEARER {key}"))
def test_spellings_of_the_key(fresh, header):
    assert fresh.request("GET", "/status", headers={"Authorization": header.format(key=fresh.key)}).status == 200


@pytest.mark.parametrize("where", ("?key={key}", "?Authorization=Bearer%20{key}"))
def test_the_key_has_no_other_carrier(fresh, where):
    path = "/status" + where.format(key=fresh.key)
    assert_denied(fresh.request("GET", path, headers={"X-Management-Key": fresh.key, "Cookie": f"key={fresh.key}"}))


def test_the_gateways_key_opens_nothing(connected):
    for path in ("/status", "/v0/management/usage", "/v0/management/config"):
        assert_denied(connected.get(path, key=CPA_KEY))


def test_large_requests(fresh):
    """Each limit has its answer, whoever gives it: the web server's, or ours."""
    assert fresh.request("GET", "/health", headers={"X-Long": "a" * 8000}).status == 200
    assert fresh.request("GET", "/health", headers={f"X-{i}": "a" * 7000 for i in range(3)}).status == 200
    assert fresh.request("GET", "/health", headers={f"X-{i}": "" for i in range(900)}).status == 200
    assert fresh.get("/health?" + "a" * 8000).status == 200
    for answer in (fresh.request("GET", "/health", headers={"X-Long": "a" * 70000}),
                   fresh.request("GET", "/health", headers={f"X-{i}": "a" * 7000 for i in range(10)}),
                   fresh.request("GET", "/health", headers={f"X-{i}": "" for i in range(10000)})):
        assert answer.status == 431 and answer.json["code"] == "request_failed"
    answer = fresh.get("/health?" + "a" * 9000)
    assert answer.status == 414 and answer.json["code"] == "request_failed"
    head = "PUT /usage-service/config HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer %s\r\n" % fresh.key
    reply = fresh.raw(f"{head}Content-Length: {(64 << 20) + 1}\r\n\r\n".encode())
    assert reply.startswith(b"HTTP/1.1 413 ") and b'"request_failed"' in reply
    answer = fresh.request("PUT", "/usage-service/config", "x" * 70000, key=True)
    assert answer.status == 413 and answer.json["code"] == "request_failed"


def test_bodies_without_a_length(fresh):
    """Chunked by the client, gathered by the web server."""
    head = "PUT /usage-service/config HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer %s\r\n" % fresh.key
    reply = fresh.raw((head + "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n").encode())
    assert reply.startswith(b"HTTP/1.1 400 ") and b"cpa_connection_required_for_monitoring" in reply


def test_every_answer_has_an_id_and_is_not_kept(fresh):
    ids = set()
    for path in ("/health", "/status", "/unknown", "/v0/management/x", "/%2e", "/"):
        answer = fresh.request("GET", path)
        ids.add(answer.headers["x-request-id"])
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert len(ids) == 6
    log = fresh.log("application")
    assert all(i in log for i in ids)


def test_no_origin_may_call_us_unless_it_is_listed(fresh, make_stack):
    for origin in (None, "https://panel.example"):
        answer = fresh.get("/health", headers={"Origin": origin} if origin else {})
        assert not any(h.startswith("access-control") for h in answer.headers)
    s = make_stack(USAGE_CORS_ORIGINS="https://panel.example, https://other.example")
    for path, method in (("/health", "GET"), ("/status", "GET"), ("/health", "OPTIONS"), ("/anything", "OPTIONS"),
                         ("/v0/management/x", "DELETE")):
        answer = s.request(method, path, headers={"Origin": "https://other.example"})
        assert answer.headers["access-control-allow-origin"] == "https://other.example"
        assert answer.headers["vary"] == "Origin"
        assert answer.headers["access-control-allow-methods"] == "GET, POST, PUT, PATCH, DELETE, OPTIONS"
        assert answer.headers["access-control-allow-headers"] == "Authorization, Content-Type"
        answer = s.request(method, path, headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in answer.headers
        assert "access-control-allow-credentials" not in answer.headers
    assert not any(h.startswith("access-control") for h in s.get("/unknown").headers)


def test_any_origin_when_the_operator_says_so(make_stack):
    s = make_stack(USAGE_CORS_ORIGINS="*")
    assert s.get("/health", headers={"Origin": "https://x"}).headers["access-control-allow-origin"] == "*"


def test_wrong_keys_are_throttled(make_stack):
    s = make_stack()
    # requests without a key, and open routes, count for nothing
    for _ in range(8):
        assert_denied(s.request("GET", "/status"))
        assert s.request("GET", "/health", key=WRONG_KEY).status == 200
        assert s.request("GET", "/usage-service/config", key=WRONG_KEY).status == 200
    for i in range(5):
        assert_denied(s.request("GET", "/v0/management/usage", key=WRONG_KEY, headers={"X-Forwarded-For": "203.0.113.9"}))
        if i < 4:  # the right key in between clears nothing
            assert s.get("/status").status == 200
    for key in (WRONG_KEY, s.key):
        answer = s.request("GET", "/status", key=key, headers={"X-Forwarded-For": "203.0.113.10"})
        assert answer.status == 429 and answer.json["code"] == "login_throttled"
        assert 0 < int(answer.headers["retry-after"]) <= 60
    # what needs no key still answers
    assert s.request("GET", "/usage-service/info").status == 200
    assert_denied(s.request("GET", "/status"))
