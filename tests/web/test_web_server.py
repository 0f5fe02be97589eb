"""What the web servers answer themselves, and what they let through: the same for nginx and Apache."""
import gzip
import http.client
import json
import os
import re
import socket

import pytest
from harness import ROOT

SECURITY_HEADERS = {
    "cache-control": "no-cache",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


@pytest.fixture(scope="module", params=["nginx", "apache"])
def web(request, make_stack):
    return make_stack(web=request.param)


def exchange(stack, data):
    """Bytes to the server: status, headers and body of the (first) answer."""
    with socket.create_connection(("127.0.0.1", stack.port), 30) as s:
        s.sendall(data)
        answer = http.client.HTTPResponse(s)
        answer.begin()
        return answer.status, {k.lower(): answer.getheader(k) for k in answer.headers}, answer.read()


def get(stack, target, *more):
    """A request whose target is sent as it stands here."""
    lines = [f"GET {target} HTTP/1.1", f"Host: 127.0.0.1:{stack.port}", "Connection: close", *more, "", ""]
    return exchange(stack, "\r\n".join(lines).encode("latin-1"))


def test_the_page_carries_its_headers(web):
    page = web.get("/management.html", key=None)
    assert page.status == 200 and page.headers["content-type"] == "text/html; charset=utf-8"
    for name, value in SECURITY_HEADERS.items():
        assert page.headers[name] == value, name
    with open(os.path.join(ROOT, "build/management.csp"), encoding="ascii") as f:
        assert page.headers["content-security-policy"] == f.read().strip()
    assert "permissions-policy" in page.headers
    assert "/" not in page.headers.get("server", ""), "the version is nobody's business"


def test_the_page_comes_compressed_and_is_asked_for_again(web):
    plain = web.get("/management.html", key=None)
    assert "content-encoding" not in plain.headers
    packed = web.get("/management.html", key=None, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip" and gzip.decompress(packed.body) == plain.body
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    assert packed.headers["etag"] != plain.headers["etag"]
    for answer, coding in ((plain, "identity"), (packed, "gzip")):
        again = web.get("/management.html", key=None,
                        headers={"Accept-Encoding": coding, "If-None-Match": answer.headers["etag"]})
        assert again.status == 304 and again.body == b""
        assert again.headers["cache-control"] == "no-cache"
    other = web.get("/management.html", key=None, headers={"Accept-Encoding": "gzip", "If-None-Match": '"other"'})
    assert other.status == 200


def test_apache_has_brotli_too(web):
    if "apache2" not in web.pids() and "apache" not in web.pids():
        return  # Debian's nginx has it in a module of its own
    packed = web.get("/management.html", key=None, headers={"Accept-Encoding": "gzip, br"})
    assert packed.headers["content-encoding"] == "br"
    with open(os.path.join(ROOT, "build/management.html.br"), "rb") as f:
        assert packed.body == f.read()


def test_head_of_the_page_has_no_body(web):
    head = web.request("HEAD", "/management.html")
    assert head.status == 200 and head.body == b"" and int(head.headers["content-length"]) > 1000


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_the_page_takes_no_other_method(web, method):
    request = f"{method} /management.html HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    status, headers, body = exchange(web, request.encode())
    assert status == 405 and json.loads(body)["code"] == "method_not_allowed"
    assert set(re.split(r", *", headers["allow"])) - {""} == {"GET", "HEAD"}


@pytest.mark.parametrize("target", ["/", "/?a=1", "/?next=//example.com/"])
def test_the_root_leads_to_the_page_and_nowhere_else(web, target):
    status, headers, _ = get(web, target)
    assert status == 307 and headers["location"] == "/management.html"


@pytest.mark.parametrize("target", [
    "/x/../management.html", "/./management.html", "/x/%2e%2e/management.html", "/x/.%2E/management.html",
    "/x/../health", "/./health", "/%2e/health", "/health/..", "/../health", "/%2e%2e/health",
    "//health", "/health//", "/v0//management/usage", "/%2e%2e%2fhealth", "/a%00b", "/a%", "/a%zz", "/%ff%fe",
])
def test_a_path_that_is_not_clean_is_400(web, target):
    status, headers, body = get(web, target)
    # Apache itself knows no path with NUL or an encoded slash beyond the root: 404
    assert status in (400, 404), body
    if status == 404:
        assert target in ("/a%00b", "/%2e%2e%2fhealth"), body
    assert status == 404 or json.loads(body)["code"]


def test_an_encoded_name_is_the_name(web):
    assert get(web, "/%68ealth")[0] == 200


def test_an_encoded_slash_reaches_the_application(web):
    status, headers, body = get(web, "/v0/management/a%2Fb", f"Authorization: Bearer {web.key}")
    assert status in (400, 404) and "x-request-id" in headers, "the application's answer has an id"


def test_the_key_reaches_the_application(web):
    assert web.get("/status").status == 200
    assert web.get("/status", key=None).status == 401
    assert web.get("/status", key="wrong-key-of-some-length").status == 401


def test_the_applications_errors_stay_its_own(web):
    for method, target, status in (("GET", "/nothing/here", 404), ("DELETE", "/health", 405), ("POST", "/setup", 400)):
        answer = web.request(method, target, body=b"not json" if method == "POST" else None, key=True)
        assert answer.status == status and "x-request-id" in answer.headers
        assert b"<html" not in answer.body


def test_many_and_large_headers_have_a_stated_answer(web):
    """64 KiB of them, in one piece, in many, in as many as fit: never a 500."""
    for size, count in ((65536, 1), (8000, 8), (1000, 64), (30, 1500), (1, 1200), (2, 4000), (500, 60)):
        headers = [f"X-{i:x}: {'v' * size}" for i in range(count)]
        status, _, body = get(web, "/health", *headers)
        assert status in (200, 400, 431), (size, count, status)
        assert status == 200 or json.loads(body)["code"], (size, count)


def test_headers_below_the_limit_pass(web):
    status, _, _ = get(web, "/health", *[f"X-{i:x}: {'v' * 1000}" for i in range(24)])
    assert status == 200
    status, _, _ = get(web, "/health", "Cookie: a=" + "v" * 7000)
    assert status == 200


def test_a_long_address_has_a_stated_answer(web):
    assert get(web, "/health?" + "q" * 7000)[0] == 200
    for n in (20000, 70000):
        status, _, body = get(web, "/health?" + "q" * n)
        assert status in (400, 414, 431) and json.loads(body)["code"]


@pytest.mark.parametrize("data", [b"GARBAGE\r\n\r\n", b"GET\r\n\r\n", b"GET /health HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
                                  b"GET /health HTTP/1.1\r\n\r\n", b"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
                                  b"GET /health HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: nonsense\r\n\r\n",
                                  b"POST /setup HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"])
def test_what_is_no_request_is_refused(web, data):
    answer = web.raw(data)
    status = re.match(rb"HTTP/1\.[01] (\d+)", answer)
    # without a status line (HTTP/0.9) nginx sends the body alone
    assert status is None or 400 <= int(status[1]) < 600 and status[1] != b"500", answer
    assert b"<html" not in answer.lower(), answer


def test_a_body_over_the_limit_is_413(web):
    head = (f"POST /setup HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {web.key}\r\n"
            "Content-Type: application/json\r\n")
    limit = 64 << 20
    status, _, body = exchange(web, f"{head}Content-Length: {limit + 1}\r\n\r\n".encode() + b" " * 100000)
    assert status == 413 and json.loads(body)["code"] == "request_failed"
    # and without saying beforehand how much it will be
    with socket.create_connection(("127.0.0.1", web.port), 60) as s:
        s.sendall(f"{head}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n".encode())
        chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        try:
            for _ in range(66):
                s.sendall(chunk)
            s.sendall(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass  # it need not hear all of it
        answer = b""
        try:
            while more := s.recv(65536):
                answer += more
        except ConnectionResetError:
            pass
    assert answer == b"" or answer.split()[1] == b"413", answer[:200]


def test_a_chunked_body_reaches_the_application(web):
    body = b'{"cpaBaseUrl":""}'
    status, _, answer = exchange(web, (
        f"POST /setup HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {web.key}\r\n"
        "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        f"{len(body):x}\r\n").encode() + body + b"\r\n0\r\n\r\n")
    assert status == 400 and b"required" in answer


def test_the_host_keeps_its_port(web):
    """Same origin is judged by the Host header, which must arrive with its port."""
    origin = f"http://127.0.0.1:{web.port}"
    answer = web.get("/health", key=None, headers={"Origin": origin})
    assert answer.status == 200
