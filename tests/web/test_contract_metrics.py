"""GET /metrics: off by default, a key of its own, or this machine alone."""
import re

import pytest
from harness import ADMIN_KEY, wait_for

KEY = "metrics-key-0123456789"


def ask(stack, key=None, **headers):
    if key:
        headers["Authorization"] = "Bearer " + key
    return stack.request("GET", "/metrics", headers=headers)


def figures(answer):
    return dict(line.rsplit(" ", 1) for line in answer.body.decode().splitlines() if not line.startswith("#"))


@pytest.fixture(scope="module")
def keyed(make_stack):
    return make_stack(CPA_MANAGER_METRICS_KEY=KEY)


def test_off_by_default(fresh):
    assert ask(fresh).status == 404 and ask(fresh, ADMIN_KEY).status == 404


def test_its_key_opens_it_and_nothing_else(keyed):
    assert ask(keyed, KEY).status == 200
    assert ask(keyed).status == 401
    assert ask(keyed, "wrong").status == 401
    assert ask(keyed, ADMIN_KEY).status == 401
    assert keyed.request("GET", "/status", headers={"Authorization": "Bearer " + KEY}).status == 401


def test_the_text_is_in_the_form_of_prometheus(keyed):
    answer = ask(keyed, KEY)
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    for line in answer.body.decode().splitlines():
        assert re.fullmatch(r"# (HELP|TYPE) cpa_manager_\w+ .+|cpa_manager_\w+(\{\w+=\"[\w-]+\"(,\w+=\"\w+\")*\})? -?\d+", line), line
    seen = figures(answer)
    assert seen["cpa_manager_database_up"] == "1" and int(seen["cpa_manager_database_bytes"]) >= 4096
    assert {"cpa_manager_collector_up", "cpa_manager_spool_bytes", "cpa_manager_dead_letters", "cpa_manager_gaps",
            "cpa_manager_wal_bytes", "cpa_manager_events"} <= set(seen)


def test_answers_are_counted_by_who_may_ask_and_how_it_went(keyed):
    name = 'cpa_manager_http_requests_total{class="%s",status="%s"}'
    before = figures(ask(keyed, KEY))
    assert keyed.get("/health", key=None).status == 200
    assert keyed.request("GET", "/status").status == 401

    def grown():
        now = figures(ask(keyed, KEY))
        return all(int(now[n]) > int(before[n]) for n in (name % ("none", "2xx"), name % ("admin", "4xx"),
                                                         name % ("metrics", "2xx")))
    wait_for(grown, 10, "the counts")


def test_this_machine_alone_when_that_is_configured(make_stack):
    s = make_stack(CPA_MANAGER_METRICS_LOOPBACK="1")
    assert ask(s).status == 200
    # passed on by somebody: it may be anybody
    for header in ("X-Forwarded-For", "Forwarded", "X-Real-IP"):
        assert ask(s, **{header: "127.0.0.1"}).status == 404
