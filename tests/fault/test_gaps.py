"""What may have been lost stands in the table of gaps, with the time and the reason; what was not does not."""
import json
import time

import pytest
from harness import generated, wait_for


def gaps(daemon):
    return daemon.sql("SELECT reason, from_ms, to_ms, in_doubt, detail FROM gaps ORDER BY id")


def is_running(daemon):
    return daemon.state().get("collector") == "running"


@pytest.fixture
def clock(daemon, tmp_path):
    path = tmp_path / "clock"
    path.write_text("0")
    daemon.env["CPA_MANAGER_TEST_CLOCK"] = str(path)
    return lambda ms: path.write_text(str(ms))


@pytest.mark.parametrize("mode", ["http", "resp", "subscribe", "auto"])
def test_a_daemon_that_was_down_for_longer_than_cpa_remembers(cpa, daemon, clock, mode):
    daemon.env["USAGE_COLLECTOR_MODE"] = mode
    cpa.push(generated(3))
    daemon.start()
    wait_for(lambda: daemon.count() == 3 and is_running(daemon))
    assert daemon.stop() == 0
    clock(300_000)
    daemon.start()
    wait_for(lambda: gaps(daemon), 10, "the gap")
    reason, start, end, doubt, detail = gaps(daemon)[0]
    assert reason == "collector_down" and doubt is None
    # what came in the last minute CPA still had
    assert 230_000 <= end - start <= 250_000
    assert "did not run" in detail and "60 s" in detail
    assert len(gaps(daemon)) == 1


@pytest.mark.parametrize("mode", ["http", "resp", "subscribe", "auto"])
def test_a_short_stop_is_no_gap(cpa, daemon, mode):
    daemon.env["USAGE_COLLECTOR_MODE"] = mode
    daemon.start()
    wait_for(lambda: is_running(daemon))
    for n in (5, 10):
        assert daemon.stop() == 0
        cpa.push(generated(10)[n - 5:n])
        daemon.start()
        wait_for(lambda n=n: daemon.count() == n)
    assert gaps(daemon) == []


@pytest.mark.parametrize("mode", ["http", "resp", "auto"])
def test_a_restart_of_cpa_empties_its_queue(cpa, daemon, mode):
    daemon.env["USAGE_COLLECTOR_MODE"] = mode
    daemon.start()
    wait_for(lambda: is_running(daemon))
    cpa.stop()
    wait_for(lambda: daemon.state().get("collector") == "error")
    assert cpa.start()
    wait_for(lambda: is_running(daemon), 30, "collecting again")
    cpa.push(generated(2))
    wait_for(lambda: daemon.count() == 2)
    # a subscriber sees the connection end, whoever ended it
    told = "subscription_dropped" if mode == "auto" else "cpa_restarted"
    wait_for(lambda: told in [g[0] for g in gaps(daemon)], 10, "the gap")


def test_cpa_out_of_reach_for_longer_than_it_remembers(cpa, daemon):
    cpa.faults(retention=2)
    daemon.start()
    wait_for(lambda: is_running(daemon))
    time.sleep(0.3)  # it has looked at CPA's configuration
    cpa.faults(http_status=500)
    began = time.time() * 1000
    time.sleep(5)
    cpa.faults(http_status=None)
    wait_for(lambda: gaps(daemon), 15, "the gap")
    reason, start, end, doubt, detail = gaps(daemon)[0]
    assert reason == "cpa_unreachable" and doubt is None
    assert abs(start - began) < 1500
    assert end <= time.time() * 1000 - 1000


def test_a_step_of_the_clock_is_no_gap(cpa, daemon, clock):
    daemon.start()
    wait_for(lambda: is_running(daemon))
    for step in (3_600_000, -7_200_000, 86_400_000):
        clock(step)
        time.sleep(0.4)
    cpa.push(generated(1))
    wait_for(lambda: daemon.count() == 1)
    assert gaps(daemon) == []


@pytest.mark.parametrize("mode", ["http", "auto"])
def test_usage_that_is_switched_off_is_told(cpa, daemon, mode):
    cpa.faults(usage_off=1)
    daemon.env["USAGE_COLLECTOR_MODE"] = mode
    daemon.start()
    wait_for(lambda: "usage-statistics-enabled" in daemon.state().get("hint", ""), 10, "the hint")
    assert is_running(daemon) and daemon.state()["lastError"] == ""


def test_a_poll_interval_longer_than_cpa_remembers_is_told(cpa, daemon):
    cpa.faults(retention=2)
    daemon.env["USAGE_POLL_INTERVAL_MS"] = "3000"
    daemon.start()
    wait_for(lambda: "poll interval" in daemon.state().get("hint", ""), 10, "the hint")


@pytest.mark.parametrize("mode", ["http", "auto"])
def test_another_consumer_of_the_queue_is_told(cpa, daemon, clock, mode):
    def accounts(success, failed):
        cpa.faults(auth_files_body=json.dumps(
            {"files": [{"name": "a.json", "auth_index": "1", "success": success, "failed": failed}]}))

    def looks_again(at_ms):
        before = cpa.state()["auth_files"]
        clock(at_ms)
        wait_for(lambda: cpa.state()["auth_files"] > before, 10, "another look")
        time.sleep(0.5)

    accounts(10, 1)
    daemon.env["USAGE_COLLECTOR_MODE"] = mode
    daemon.start()
    wait_for(lambda: is_running(daemon) and cpa.state()["auth_files"] > 0)
    looks_again(70_000)
    assert daemon.state()["hint"] == "", "nothing has happened"
    accounts(11, 1)
    cpa.push(generated(1))
    wait_for(lambda: daemon.count() == 1)
    looks_again(140_000)
    assert daemon.state()["hint"] == "", "the request has its event"
    accounts(15, 2)
    looks_again(210_000)
    wait_for(lambda: "another program takes them" in daemon.state()["hint"], 10, "the hint")
    cpa.push(generated(2)[1:])
    wait_for(lambda: daemon.count() == 2)
    looks_again(280_000)
    wait_for(lambda: daemon.state()["hint"] == "", 10, "the hint to go")
