"""/v0/management/api-key-aliases: contract/http-api.md sections 11 and 22.4, with the deviations of docs/deviations.md."""
import time

import pytest

BASE = "/v0/management/api-key-aliases"
A, B, C = ("3fc4cc" + "0" * 58, "1e7937" + "0" * 58, "c0" * 32)
DUPLICATE = (400, {"code": "api_key_alias_duplicate", "error": "api key alias already exists"})


@pytest.fixture
def s(fresh):
    """A stack without aliases."""
    for item in fresh.get(BASE).json["items"]:
        assert fresh.request("DELETE", f"{BASE}/{item['apiKeyHash']}", key=True).json == {"ok": True}
    assert fresh.get(BASE).body == b'{"items":[]}\n'
    return fresh


def put(s, *items, **more):
    return s.request("PUT", BASE, {"items": [dict(zip(("apiKeyHash", "alias", "updatedAtMs"), i)) for i in items], **more},
                     key=True)


def names(s):
    return {i["apiKeyHash"]: i["alias"] for i in s.get(BASE).json["items"]}


def test_names_are_kept(s):
    before = time.time() * 1000
    answer = put(s, (B.upper(), " Zed "), (A, "<b>&é", 5))
    assert answer.status == 200
    items = answer.json["items"]
    assert items[0] == {"apiKeyHash": A, "alias": "<b>&é", "updatedAtMs": 5}
    assert items[1]["apiKeyHash"] == B and items[1]["alias"] == "Zed" and abs(items[1]["updatedAtMs"] - before) < 10000
    assert "\\u003cb\\u003e\\u0026é".encode() in answer.body
    assert s.get(BASE).json == answer.json
    # an upsert: what is not named stays
    assert put(s, (C, "third")).status == 200 and len(names(s)) == 3
    assert put(s, (C, "renamed", -1)).status == 200 and names(s)[C] == "renamed"
    assert put(s).status == 200 and len(names(s)) == 3


@pytest.mark.parametrize("body,code,text", (
    ("{}", "api_key_aliases_required", "api key aliases are required"),
    ("null", "api_key_aliases_required", None),
    ('{"items":null}', "api_key_aliases_required", None),
    ("", "request_failed", "EOF"),
    ("[]", "request_failed", None),
    ('{"items":{}}', "request_failed", None),
    ('{"items":[1]}', "request_failed", None),
    ('{"items":[{"apiKeyHash":5}]}', "request_failed", None),
    ('{"items":[{}]}', "request_failed", "valid apiKeyHash is required"),
    ('{"items":[{"apiKeyHash":"zz","alias":"a"}]}', "request_failed", "valid apiKeyHash is required"),
    (f'{{"items":[{{"apiKeyHash":"{A}"}}]}}', "request_failed", "alias is required"),
    (f'{{"items":[{{"apiKeyHash":"{A}","alias":"  "}}]}}', "request_failed", "alias is required"),
    (f'{{"items":[{{"apiKeyHash":"{A}","alias":"{"é" * 121}"}}]}}', "request_failed",
     "alias must be 120 characters or less"),
    (f'{{"items":[{{"apiKeyHash":"{A}","alias":"a\\u0000b"}}]}}', "request_failed", None),
    (f'{{"items":[],"activeApiKeyHashes":"{A}"}}', "request_failed", None),
    ('{"items":[],"allowOrphanAliasCleanup":1}', "request_failed", None),
))
def test_what_is_refused(s, body, code, text):
    answer = s.request("PUT", BASE, body.encode(), key=True)
    assert answer.status == 400 and answer.json["code"] == code, answer.body
    assert text in (None, answer.json["error"])
    assert names(s) == {}


def test_limits(s):
    assert put(s, (A, "é" * 120)).status == 200
    assert s.request("PUT", BASE, b" " * (1 << 20), key=True).status == 400
    assert s.request("PUT", BASE, b" " * ((1 << 20) + 1), key=True).status == 413


def test_a_name_belongs_to_one_key(s):
    assert put(s, (A, "Zed")).status == 200
    for same in ("Zed", "zED", " zed "):
        answer = put(s, (B, same))
        assert (answer.status, answer.json) == DUPLICATE
    # however it is written
    assert put(s, (A, "Été")).status == 200
    assert put(s, (B, "éTÉ")).status == 400
    # nothing of a request is kept when one part is refused
    assert put(s, (C, "new"), (B, "été")).status == 400 and names(s) == {A: "Été"}
    # twice in one request
    answer = put(s, (B, "x"), (C, "X"))
    assert (answer.status, answer.json) == DUPLICATE
    assert put(s, (B, "x"), (B, "X")).status == 200 and names(s)[B] == "X"


def test_names_may_be_swapped(s):
    assert put(s, (A, "one"), (B, "two")).status == 200
    assert put(s, (A, "two"), (B, "one")).status == 200
    assert names(s) == {A: "two", B: "one"}
    # and a name that is given up is free in the same request
    assert put(s, (A, "three"), (C, "two")).status == 200


def test_names_of_keys_that_are_gone(s):
    assert put(s, (A, "Zed")).status == 200
    assert put(s, (B, "zed"), activeApiKeyHashes=[B]).status == 400
    assert put(s, (B, "zed"), allowOrphanAliasCleanup=True).status == 400
    assert put(s, (B, "zed"), allowOrphanAliasCleanup=True, activeApiKeyHashes=[]).status == 400
    assert put(s, (B, "zed"), allowOrphanAliasCleanup=True, activeApiKeyHashes=[B, A.upper()]).status == 400
    assert names(s) == {A: "Zed"}
    assert put(s, (B, "zed"), allowOrphanAliasCleanup=True, activeApiKeyHashes=[B, "not a hash"]).status == 200
    assert names(s) == {B: "zed"}


def test_deleting(s):
    assert put(s, (A, "Zed")).status == 200
    answer = s.request("DELETE", BASE + "/zz", key=True)
    assert (answer.status, answer.json["error"]) == (400, "valid apiKeyHash is required")
    assert s.request("DELETE", f"{BASE}/{B}", key=True).json == {"ok": True}
    assert s.request("DELETE", f"{BASE}/{A.upper()}/", key=True).json == {"ok": True}
    assert names(s) == {}


def test_many_names_take_no_time(s):
    items = [(f"{i:064x}", f"Schlüssel {i}") for i in range(4000)]
    start = time.monotonic()
    assert put(s, *items).status == 200
    assert put(s, *items).status == 200
    assert time.monotonic() - start < 10
    assert len(names(s)) == 4000
