"""POST /setup: contract/http-api.md sections 7 and 22.2, with the deviations of docs/deviations.md."""
import contextlib
import json
import os
import sqlite3

import pytest
from harness import free_port, wait_for
from scripted_cpa import ScriptedCpa

CONFIG, ENABLE = ("GET", "/v0/management/config"), ("PUT", "/v0/management/usage-statistics-enabled")
SECRET = "cpa-mgmt-secret"


@pytest.fixture
def gateway():
    c = ScriptedCpa()
    yield c
    c.stop()


@pytest.fixture(scope="module")
def plain(make_stack):
    """A stack that is never set up; what it is asked fails."""
    return make_stack()


def setting(stack, key):
    with contextlib.closing(sqlite3.connect(f"file:{stack.data}/usage.sqlite?mode=ro", uri=True)) as db:
        row = db.execute("SELECT value FROM settings WHERE key = ?", (key,)).fetchone()
    return json.loads(row[0]) if row else None


def set_up(stack, body, key=True):
    return stack.request("POST", "/setup", body, key=key)


def error(answer):
    return answer.status, answer.json["code"], answer.json["error"]


@pytest.mark.parametrize("body,expected", (
    ("{", (400, "request_failed", "unexpected EOF")),
    ("", (400, "request_failed", "EOF")),
    ("{}", (400, "cpa_connection_required", "cpaBaseUrl and managementKey are required")),
    ("null", (400, "cpa_connection_required", "cpaBaseUrl and managementKey are required")),
    ('{"cpaBaseUrl":" ","managementKey":"k"}', (400, "cpa_connection_required", None)),
    ('{"cpaBaseUrl":"http://127.0.0.1:1"}', (400, "cpa_connection_required", None)),
    ('{"cpaBaseUrl":"http://127.0.0.1:1","managementKey":"  "}', (400, "cpa_connection_required", None)),
    ('{"cpaBaseUrl":"http://127.0.0.1:1","managementKey":"********"}', (400, "cpa_connection_required", None)),
    ("[]", (400, "request_failed", None)),
    ("nonsense", (400, "request_failed", None)),
    ('{"cpaBaseUrl":"http://127.0.0.1:1\\u0000","managementKey":"k"}', (400, "request_failed", None)),
    ('{"cpaBaseUrl":"http://127.0.0.1:1","managementKey":"k\\u0000"}', (400, "request_failed", None)),
    ('{"cpaBaseUrl":"http://127.0.0.1:1","managementKey":"k\\r\\nX: y"}', (400, "request_failed", None)),
    ('{"cpaBaseUrl":"ftp://127.0.0.1:1","managementKey":"k"}', (400, None, None)),
    ('{"cpaBaseUrl":"http://[::1","managementKey":"k"}', (400, None, None)),
))
def test_bodies_that_are_refused(plain, body, expected):
    answer = set_up(plain, body)
    status, code, text = error(answer)
    assert status == expected[0], answer.body
    assert expected[1] in (None, code) and expected[2] in (None, text)


@pytest.mark.parametrize("field,value", (("cpaBaseUrl", 5), ("cpaManagementKey", []), ("managementKey", True),
                                         ("collectorMode", 1), ("queue", {}), ("popSide", 0), ("batchSize", "x"),
                                         ("pollIntervalMs", 1.5), ("queryLimit", "1"), ("tlsSkipVerify", "yes"),
                                         ("requestMonitoringEnabled", 1), ("ensureUsageStatisticsEnabled", "no")))
def test_wrong_types_name_the_field(plain, field, value):
    answer = set_up(plain, {"cpaBaseUrl": "http://127.0.0.1:1", "managementKey": "k", field: value})
    assert answer.status == 400 and field in answer.json["error"]


def test_nobody_but_the_admin(plain):
    assert set_up(plain, "{}", key=None).status == 401
    assert set_up(plain, "not even read", key=None).status == 401
    assert plain.get("/setup", key=None).status == 405


def test_a_gateway_that_is_not_there(plain):
    port = free_port()
    answer = set_up(plain, {"cpaBaseUrl": f"http://127.0.0.1:{port}", "managementKey": "k"})
    assert error(answer) == (502, "request_failed", f'Get "http://127.0.0.1:{port}/v0/management/config": '
                             f"dial tcp 127.0.0.1:{port}: connect: connection refused")
    assert plain.get("/usage-service/info", key=None).json["setupRequired"] is True


def test_a_wrong_key_is_tried_once(plain, gateway):
    body = {"cpaBaseUrl": gateway.url, "managementKey": "wrong"}
    answer = set_up(plain, body)
    assert error(answer) == (502, "management_api_validation_failed",
                             "management API validation failed: 401 Unauthorized")
    for _ in range(3):
        answer = set_up(plain, body)
        assert answer.status == 502 and answer.json["code"] == "cpa_key_refused"
        assert 0 < int(answer.headers["retry-after"]) <= 600
    assert gateway.asked(*CONFIG) == 1
    # another key is another question
    assert set_up(plain, dict(body, managementKey="wrong too")).json["code"] == "management_api_validation_failed"


def test_other_answers_of_the_gateway(plain, gateway):
    body = {"cpaBaseUrl": gateway.url, "managementKey": SECRET}
    gateway.config_status = 503
    assert error(set_up(plain, body))[:2] == (502, "management_api_validation_failed")
    gateway.config_status, gateway.config = 200, b"<html>"
    assert error(set_up(plain, body))[:2] == (502, "request_failed")
    gateway.config = {"redis-usage-queue-retention-seconds": 0}
    assert error(set_up(plain, body)) == (400, "cpa_usage_retention_invalid",
                                         "CPA redis-usage-queue-retention-seconds must be greater than 0")
    gateway.config = {"redis-usage-queue-retention-seconds": 5}
    assert error(set_up(plain, dict(body, pollIntervalMs=5001))) == (
        400, "poll_interval_exceeds_retention",
        "pollIntervalMs must be less than or equal to CPA redis-usage-queue-retention-seconds (5 seconds)")
    gateway.enable_status = 500
    assert error(set_up(plain, body)) == (502, "enable_cpa_usage_statistics_failed",
                                         "enable CPA usage statistics failed: 500 Internal Server Error")
    # none of it left a trace
    assert setting(plain, "manager_config_v1") is None and setting(plain, "setup") is None


def test_the_whole_way(make_stack, gateway):
    s = make_stack()
    info = s.get("/usage-service/info", key=None).json
    assert {k: info[k] for k in ("service", "mode", "configured", "adminReady", "projectInitialized", "setupRequired",
                                 "migrationStatus", "dataKeyReady", "hasHistoricalData")} == {
        "service": "cpa-manager-plus", "mode": "embedded", "configured": False, "adminReady": True,
        "projectInitialized": False, "setupRequired": True, "migrationStatus": "fresh", "dataKeyReady": True,
        "hasHistoricalData": False}
    answer = set_up(s, {"cpaBaseUrl": f" 127.0.0.1:{gateway.port}/v0/management/ ", "managementKey": f" {SECRET} "})
    assert answer.status == 200 and answer.json == {"ok": True, "upstream": gateway.url}

    assert gateway.calls[0] == (*CONFIG, f"Bearer {SECRET}", "")
    assert json.loads(next(c for c in gateway.calls if c[:2] == ENABLE)[3]) == {"value": True}
    row = setting(s, "setup")
    assert row["cpaBaseUrl"] == gateway.url and row["managementKey"].startswith("enc:v1:")
    assert row["queue"] == "usage" and row["popSide"] == "right"
    assert setting(s, "manager_config_v1")["cpaConnection"]["managementKey"].startswith("enc:v1:")
    state = setting(s, "bootstrap_state_v1")
    assert state["status"] == "ready" and state["projectInitialized"] is True

    info = s.get("/usage-service/info", key=None).json
    assert info["configured"] is True and info["setupRequired"] is False and info["migrationStatus"] == "ready"
    config = s.get("/usage-service/config").json
    assert config["config"]["cpaConnection"] == {"cpaBaseUrl": gateway.url, "managementKey": "********"}
    assert config["source"] == "db"
    assert config["cpaUsage"] == {"usageStatisticsEnabled": True, "redisUsageQueueRetentionSeconds": 60,
                                  "retentionSourceDefault": False}
    # the daemon follows by itself
    wait_for(lambda: any("/usage-queue" in c[1] for c in gateway.calls), 10, "collectord to ask the queue")
    wait_for(lambda: s.get("/status").json["collector"]["upstream"] == gateway.url, 5, "its state")
    # CPA's key is nowhere in clear
    for name in os.listdir(s.data):
        if name.startswith("usage.sqlite"):
            with open(os.path.join(s.data, name), "rb") as f:
                assert SECRET.encode() not in f.read(), name
    for name in ("application", "collectord", "nginx"):
        assert SECRET not in s.log(name) and s.key not in s.log(name)


def test_again(make_stack, gateway):
    """Set up, then set up anew in the ways that there are."""
    s = make_stack()
    other = ScriptedCpa()
    body = {"cpaBaseUrl": gateway.url, "managementKey": SECRET, "queue": "mine", "batchSize": 7, "popSide": "LEFT"}
    assert set_up(s, body).status == 200
    try:
        # what is left out stays
        assert set_up(s, {"cpaBaseUrl": gateway.url, "cpaManagementKey": SECRET}).status == 200
        collector = s.get("/usage-service/config").json["config"]["collector"]
        assert (collector["queue"], collector["batchSize"], collector["popSide"]) == ("mine", 7, "left")
        # the mask, or nothing, keeps the key for this host
        for keep in ({"managementKey": "********"}, {"managementKey": ""}, {}):
            assert set_up(s, {"cpaBaseUrl": gateway.url + "/", **keep}).status == 200
        # but does not send it to another
        for keep in ({"managementKey": "********"}, {}):
            answer = set_up(s, {"cpaBaseUrl": other.url, **keep})
            assert answer.status == 400 and "typed again" in answer.json["error"]
        assert other.calls == []
        # the same key at a new address
        assert set_up(s, {"cpaBaseUrl": other.url, "managementKey": SECRET}).status == 200
        # a new key at the same address
        other.key = "rotated"
        assert set_up(s, {"cpaBaseUrl": other.url, "managementKey": "rotated"}).status == 200
        # both at once could be anybody's
        assert error(set_up(s, {"cpaBaseUrl": gateway.url, "managementKey": SECRET})) == (
            401, "invalid_existing_management_key", "invalid management key for existing setup")
    finally:
        other.stop()


def test_without_monitoring(make_stack, gateway):
    s = make_stack()
    gateway.config = {"redis-usage-queue-retention-seconds": 0}
    answer = set_up(s, {"cpaBaseUrl": gateway.url, "managementKey": SECRET, "requestMonitoringEnabled": False,
                       "ensureUsageStatisticsEnabled": True})
    assert answer.status == 200
    assert gateway.asked(*ENABLE) == 0
    assert s.get("/usage-service/config").json["config"]["collector"]["enabled"] is False


def test_publishing_is_left_alone_when_asked(make_stack, gateway):
    s = make_stack()
    body = {"cpaBaseUrl": gateway.url, "managementKey": SECRET, "ensureUsageStatisticsEnabled": False}
    assert set_up(s, body).status == 200
    assert s.get("/usage-service/config").json["config"]["collector"]["enabled"] is True
    assert gateway.asked(*ENABLE) == 0


def test_a_connection_from_the_environment(make_stack, gateway):
    s = make_stack(CPA_UPSTREAM_URL=gateway.url + "/v0/management", CPA_MANAGEMENT_KEY=SECRET, USAGE_RESP_POP_SIDE="LEFT")
    assert s.get("/usage-service/info", key=None).json["configured"] is True
    assert s.get("/usage-service/config", key=None).status == 401
    assert s.get("/usage-service/config").json["source"] == "env"
    refused = (409, "setup_env_managed", "setup is managed by environment variables")
    assert error(set_up(s, {"cpaBaseUrl": gateway.url, "managementKey": "other"})) == refused
    assert error(set_up(s, {"cpaBaseUrl": "http://127.0.0.1:1", "managementKey": SECRET})) == refused
    assert error(set_up(s, {"cpaBaseUrl": gateway.url, "managementKey": SECRET, "queue": "q"})) == refused
    assert set_up(s, {"cpaBaseUrl": gateway.url, "managementKey": SECRET, "popSide": "left"}).status == 200
    # and is not written down
    for key in ("setup", "manager_config_v1"):
        assert "enc:v1:" not in json.dumps(setting(s, key))


def test_the_retention_of_the_gateway_is_raised_with_consent(make_stack, gateway):
    """One line of its config.yaml changes, and only when that was asked for."""
    s = make_stack()
    before = b"# mine\r\nport: 8317\r\nredis-usage-queue-retention-seconds: 60  # short\r\napi-keys: [\"\xc3\xa9\"]\r\n"
    gateway.yaml = before
    body = {"cpaBaseUrl": gateway.url, "managementKey": SECRET}
    assert set_up(s, json.dumps(body)).status == 200
    assert gateway.yaml == before
    assert set_up(s, json.dumps(dict(body, x_raise_retention=True))).status == 200
    assert gateway.yaml == before.replace(b": 60 ", b": 3600")
    # through the configuration as well, with a poll interval that fits only then
    gateway.yaml, config = before, s.get("/usage-service/config").json["config"]
    config["collector"]["pollIntervalMs"] = 120_000
    answer = s.request("PUT", "/usage-service/config", json.dumps({"config": config}), key=True)
    assert error(answer)[:2] == (400, "poll_interval_exceeds_retention")
    answer = s.request("PUT", "/usage-service/config", json.dumps({"config": config, "x_raise_retention": True}), key=True)
    assert answer.status == 200 and gateway.yaml != before
    gateway.yaml_status = 500
    answer = set_up(s, json.dumps(dict(body, x_raise_retention=True)))
    assert error(answer)[:2] == (502, "raise_cpa_retention_failed")
    assert set_up(s, json.dumps(dict(body, x_raise_retention="yes"))).status == 400
