"""Events are told who paid for them, and lose nothing when CPA does not say."""
import time

import pytest
from application import Application
from harness import ADMIN_KEY, generated, wait_for

SNAPSHOTS = ("account_snapshot", "auth_label_snapshot", "auth_file_snapshot", "auth_provider_snapshot",
             "auth_project_id_snapshot", "auth_snapshot_at_ms")


def event(n, auth_index="idx-a", **more):
    return dict({"timestamp": f"2026-04-25T00:{n // 60:02}:{n % 60:02}Z", "model": "m", "request_id": f"{n:08x}",
                 "auth_index": auth_index}, **more)


def files(account="ada@example.com"):
    return {"files": [
        {"id": "codex-ada.json", "name": "codex-ada.json", "auth_index": "idx-a", "account": account, "label": "Ada",
         "provider": "codex", "project_id": "project-1"},
        {"id": "key", "auth_index": "idx-k", "account": "sk-upstream-SECRET-0123456789", "label": "gemini-apikey",
         "type": "gemini"}]}


def accounts(daemon):
    """How many events have which account."""
    return dict(daemon.sql("SELECT i.account, count(*) FROM events e JOIN identities i ON i.id = e.identity_id GROUP BY 1"))


def details(tmp_path):
    """What the usage route says of the events, by their order in time."""
    app = Application(tmp_path).start()
    try:
        answer = app.ask("GET", "/v0/management/usage", ADMIN_KEY)
        assert answer.status == 200
        found = [d for api in answer.json["apis"].values() for m in api["models"].values() for d in m["details"]]
        return sorted(found, key=lambda d: d["timestamp"])
    finally:
        assert app.stop() == 0


def test_events_name_the_account(cpa, daemon, tmp_path):
    """The first ones as well, which come when nothing is known yet."""
    cpa.faults(auth_files_body=files())
    daemon.env["CPA_MANAGER_ADMIN_KEY"] = ADMIN_KEY  # who starts first makes the database
    began = time.time() * 1000
    cpa.push([event(0, request_service_tier="priority", response_service_tier="default"),
              event(1, "idx-k"),
              event(2, "idx-unknown"),
              event(3, account_snapshot="mine@example.com", auth_snapshot_at_ms=5),
              event(4, account_snapshot="mine@example.com", project_id="mine"),
              event(5, "")])
    daemon.start()
    wait_for(lambda: daemon.count() == 6)
    got = details(tmp_path)
    have = [{k: d.get(k) for k in SNAPSHOTS} for d in got]
    ada = dict(zip(SNAPSHOTS[1:5], ("Ada", "codex-ada.json", "codex", "project-1")))
    none = dict.fromkeys(SNAPSHOTS)
    at = have[0]["auth_snapshot_at_ms"]
    assert began - 1 <= at <= time.time() * 1000
    assert have[0] == dict(none, **ada, account_snapshot="ada@example.com", auth_snapshot_at_ms=at)
    assert have[1] == dict(none, account_snapshot="gemini-apikey", auth_label_snapshot="gemini-apikey",
                           auth_provider_snapshot="gemini", auth_snapshot_at_ms=at)
    assert have[2] == none
    assert have[3] == dict(none, **ada, account_snapshot="mine@example.com", auth_snapshot_at_ms=5)
    assert have[4] == dict(none, account_snapshot="mine@example.com", auth_project_id_snapshot="mine")
    assert have[5] == none
    # with Codex, which only the list says it is, the tier is the one asked for
    assert got[0]["service_tier"] == "priority"
    assert b"SECRET" not in open(daemon.db, "rb").read() + open(daemon.db + "-wal", "rb").read()


def test_one_question_serves_many_batches(cpa, daemon):
    cpa.faults(auth_files_body=files())
    daemon.start()
    for n in range(10):
        cpa.push([event(n)])
        wait_for(lambda want=n + 1: daemon.count() == want)
    assert cpa.state()["auth_files"] == 1
    # CPA says that its accounts have changed: from the next batch on, and the same event is not a new one
    cpa.faults(auth_files_body=files("eve@example.com"))
    cpa.push([event(9), {"refresh": True}, event(10)])
    wait_for(lambda: daemon.count() == 11)
    cpa.push([event(11), event(0)])
    wait_for(lambda: daemon.count() == 12)
    assert cpa.state()["auth_files"] == 2
    assert accounts(daemon) == {"ada@example.com": 11, "eve@example.com": 1}


def test_events_that_need_nothing_ask_nothing(cpa, daemon):
    cpa.push([event(0, ""), event(1, account_snapshot="a", project_id="p"), {"refresh": True}])
    daemon.start()
    wait_for(lambda: daemon.count() == 2)
    time.sleep(1.3)
    # but for the look that counts CPA's requests, once a minute
    assert cpa.state()["auth_files"] <= 1


@pytest.mark.parametrize("fault", [{"auth_files_status": 500}, {"auth_files_body": {"error": "no"}},
                                   {"auth_files_body": "[broken"}])
def test_a_list_that_is_not_given_holds_up_nothing(cpa, daemon, fault):
    cpa.faults(**fault)
    daemon.start()
    wait_for(lambda: daemon.state().get("collector") == "running")
    began = time.monotonic()
    for n in range(5):
        cpa.push([event(n)])
        wait_for(lambda want=n + 1: daemon.count() == want)
    assert time.monotonic() - began < 4
    # it is not asked again with each batch
    assert cpa.state()["auth_files"] == 1
    assert accounts(daemon) == {"": 5}
    assert daemon.log().count("accounts not read") == 1
    assert daemon.count("gaps") == 0 and daemon.state()["lastError"] == ""


def test_an_old_list_serves_when_there_is_no_new_one(cpa, daemon):
    cpa.faults(auth_files_body=files())
    cpa.push([event(0), {"refresh": True}])
    daemon.start()
    wait_for(lambda: daemon.count() == 1)
    wait_for(lambda: cpa.state()["auth_files"] == 2)
    cpa.faults(auth_files_status=503)
    cpa.push([{"refresh": True}])
    wait_for(lambda: cpa.state()["auth_files"] == 3)
    cpa.push([event(1), event(2)])
    wait_for(lambda: daemon.count() == 3)
    assert accounts(daemon) == {"ada@example.com": 3}


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_ends_all_questions(cpa, daemon, status):
    """CPA bans who tries a wrong key five times."""
    cpa.faults(auth_files_status=status)
    cpa.push([event(0)])
    daemon.start()
    state = wait_for(lambda: daemon.count() == 1 and daemon.state().get("collector") == "error" and daemon.state())
    assert "refused" in state["lastError"] and "again" in state["hint"]
    wait_for(lambda: daemon.state().get("refusedUntil", 0) > time.time() * 1000)
    before = cpa.state()
    cpa.push([event(1)])
    time.sleep(1)
    # and it is remembered over a restart
    assert daemon.stop() == 0
    daemon.start()
    time.sleep(1)
    after = cpa.state()
    assert after["auth_files"] == 1
    assert after["http_pops"] == before["http_pops"] and after["queued"] == 1


def test_cpa_that_keeps_silent_costs_five_seconds_once(cpa, daemon):
    cpa.faults(auth_files_delay=60)
    daemon.env["USAGE_BATCH_SIZE"] = "50"
    items = generated(200)
    cpa.push(items)
    daemon.start()
    # the queue is emptied all the same
    wait_for(lambda: cpa.state()["queued"] == 0, 4, "CPA's queue to be emptied")
    wait_for(lambda: daemon.count() == 200, 7)
    began = time.monotonic()
    for n in range(5):
        cpa.push([event(n)])
        wait_for(lambda want=201 + n: daemon.count() == want)
    assert time.monotonic() - began < 4
    assert cpa.state()["auth_files"] == 1 and daemon.count("gaps") == 0


def test_the_end_does_not_wait_for_cpa(cpa, daemon):
    cpa.faults(auth_files_delay=60)
    cpa.push([event(n) for n in range(20)])
    daemon.start()
    wait_for(lambda: cpa.state()["auth_files"] == 1)
    assert daemon.count() == 0
    began = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - began < 3
    assert daemon.count() == 20 and daemon.count("gaps") == 0
