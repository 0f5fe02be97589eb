"""/usage-service/config: contract/http-api.md sections 8 and 22.3, with the deviations of docs/deviations.md."""
import json

import pytest
from harness import free_port
from scripted_cpa import ScriptedCpa

SECRET = "cpa-mgmt-secret"
DEFAULTS = {
    "cpaConnection": {"cpaBaseUrl": ""},
    "collector": {"enabled": True, "collectorMode": "auto", "queue": "usage", "popSide": "right", "batchSize": 100,
                  "pollIntervalMs": 50, "queryLimit": 50000},
    "codexInspection": {
        "enabled": False, "schedule": {"mode": "interval", "intervalMinutes": 60}, "targetType": "codex", "workers": 4,
        "deleteWorkers": 4, "timeout": 15000,
        "userAgent": "codex_cli_rs/0.76.0 (Debian 13.0.0; x86_64) WindowsTerminal",
        "xaiInferenceUserAgent": "xai-grok-workspace/0.2.101", "xaiInferenceModel": "grok-4.5",
        "xaiInferencePrompt": "Reply with exactly OK.", "usedPercentThreshold": 100, "autoActionMode": "none"},
    "externalUsageService": {"enabled": False}}


@pytest.fixture(scope="module")
def gateway():
    c = ScriptedCpa()
    yield c
    c.stop()


@pytest.fixture
def joined(make_stack, gateway):
    """A stack connected to the gateway; the gateway is as it was."""
    gateway.key, gateway.config_status, gateway.enable_status = SECRET, 200, 200
    gateway.config = {"usage-statistics-enabled": True, "redis-usage-queue-retention-seconds": 60}
    s = make_stack()
    answer = s.request("POST", "/setup", {"cpaBaseUrl": gateway.url, "managementKey": SECRET}, key=True)
    assert answer.status == 200, answer.body
    return s


def put(stack, config, key=True):
    body = config if isinstance(config, str) else json.dumps({"config": config})
    return stack.request("PUT", "/usage-service/config", body, key=key)


def get(stack, key=True):
    answer = stack.get("/usage-service/config", key=key)
    assert answer.status == 200, answer.body
    return answer.json


def error(answer):
    return answer.status, answer.json["code"], answer.json["error"]


def test_before_the_setup(fresh):
    for key in (None, True, "some-wrong-key-or-other"):
        answer = fresh.get("/usage-service/config", key=key)
        assert answer.json == {"config": DEFAULTS, "source": ""}
        # fixed order of fields
        assert list(answer.json) == ["config", "source"] and list(answer.json["config"]) == list(DEFAULTS)
        assert list(answer.json["config"]["codexInspection"]) == list(DEFAULTS["codexInspection"])


def test_the_key_is_asked_for_before_the_body_is_read(fresh):
    for body in ("{}", "{", "x" * 1000000):
        assert put(fresh, body, key=None).status == 401


@pytest.mark.parametrize("body,expected", (
    ("{", (400, "request_failed", "unexpected EOF")),
    ("", (400, "request_failed", "EOF")),
    ("[]", (400, "request_failed", None)),
    ('{"config":[]}', (400, "request_failed", None)),
    ('{"config":{"collector":5}}', (400, "request_failed", None)),
    ("{}", (400, "cpa_connection_required_for_monitoring",
            "cpaBaseUrl and managementKey are required when request monitoring is enabled")),
    ("null", (400, "cpa_connection_required_for_monitoring", None)),
    ('{"config":{"cpaConnection":{"cpaBaseUrl":"http://127.0.0.1:1"}}}', (400, "cpa_connection_required", None)),
    ('{"config":{"cpaConnection":{"managementKey":"k"}}}', (400, "cpa_connection_required", None)),
    ('{"config":{"codexInspection":{"targetType":"foo"}}}',
     (400, "request_failed", 'unsupported inspection target type "foo"')),
    ('{"config":{"codexInspection":{"targetTypes":[]}}}',
     (400, "request_failed", "at least one inspection target type is required")),
    ('{"config":{"codexInspection":{"targetTypes":["codex","foo"]}}}',
     (400, "request_failed", 'unsupported inspection target type "foo"')),
    ('{"config":{"codexInspection":{"schedule":{"timeZone":"Mars/X"}}}}',
     (400, "invalid_time_zone", 'invalid time zone "Mars/X": unknown time zone Mars/X')),
    ('{"config":{"codexInspection":{"schedule":{"timeZone":"../../etc/passwd"}}}}', (400, "invalid_time_zone", None)),
))
def test_what_is_refused(fresh, body, expected):
    status, code, text = error(put(fresh, body))
    assert (status, code) == expected[:2] and expected[2] in (None, text)


@pytest.mark.parametrize("config", (
    {"cpaConnection": {"cpaBaseUrl": 1}}, {"collector": {"enabled": "yes"}}, {"collector": {"batchSize": "1"}},
    {"collector": {"queue": 1}}, {"codexInspection": {"enabled": 1}}, {"codexInspection": {"schedule": []}},
    {"codexInspection": {"schedule": {"timePoints": "x"}}}, {"codexInspection": {"schedule": {"timePoints": [1]}}},
    {"codexInspection": {"usedPercentThreshold": "x"}}, {"codexInspection": {"workers": 1.5}}))
def test_wrong_types_name_the_field(fresh, config):
    area, value = next(iter(config.items()))
    answer = put(fresh, config)
    assert answer.status == 400 and next(iter(value)) in answer.json["error"], answer.body


def test_monitoring_can_be_off_without_a_gateway(make_stack):
    s = make_stack()
    assert put(s, {"collector": {"enabled": False}}).status == 200
    assert get(s)["config"]["collector"]["enabled"] is False
    assert get(s)["source"] == "db"


def test_saving_a_connection(make_stack, gateway):
    s = make_stack()
    before = len(gateway.calls)
    answer = put(s, {"cpaConnection": {"cpaBaseUrl": gateway.url + "/v0/management/", "managementKey": SECRET}})
    assert answer.status == 200
    assert answer.json["config"]["cpaConnection"] == {"cpaBaseUrl": gateway.url, "managementKey": "********"}
    assert answer.json["source"] == "db" and "cpaUsage" not in answer.json
    assert [c[:2] for c in gateway.calls[before:before + 2]] == [
        ("GET", "/v0/management/config"), ("PUT", "/v0/management/usage-statistics-enabled")]
    assert s.get("/usage-service/info", key=None).json["configured"] is True
    assert s.get("/usage-service/config", key=None).status == 401


def test_reading_and_saving_what_was_read_changes_nothing(joined):
    before = get(joined)
    answer = put(joined, before["config"])
    assert answer.status == 200 and answer.json["config"] == before["config"]
    assert get(joined) == before
    assert put(joined, "{}").status == 200 and get(joined) == before


def test_the_key_does_not_follow_a_changed_host(joined, gateway):
    other = ScriptedCpa()
    try:
        for connection in ({"cpaBaseUrl": other.url}, {"cpaBaseUrl": other.url, "managementKey": "********"},
                           {"cpaBaseUrl": f"http://127.0.0.1:{gateway.port}@127.0.0.1:{other.port}",
                            "managementKey": "********"},
                           {"cpaBaseUrl": f"https://127.0.0.1:{gateway.port}", "managementKey": "********"}):
            answer = put(joined, {"cpaConnection": connection})
            assert answer.status == 400, (connection, answer.body)
        assert other.calls == []
        assert put(joined, {"cpaConnection": {"cpaBaseUrl": other.url, "managementKey": SECRET}}).status == 200
        assert get(joined)["config"]["cpaConnection"]["cpaBaseUrl"] == other.url
    finally:
        other.stop()


def test_merging(joined):
    body = '{"CONFIG":{"Collector":{"QUEUE":" q ","BatchSize":7,"batchsize":9}}}trailing'
    collector = put(joined, body).json["config"]["collector"]
    assert collector["queue"] == "q" and collector["batchSize"] == 9 and collector["enabled"] is True
    config = put(joined, {"codexInspection": {"schedule": {"mode": "time_points", "timePoints": [
        "9:5", "25:00", "09:05", "08:00"]}, "targetTypes": ["XAI", "codex"]}}).json["config"]
    assert config["codexInspection"]["schedule"] == {"mode": "time_points", "timePoints": ["08:00", "09:05"],
                                                     "intervalMinutes": 60}
    assert config["codexInspection"]["targetTypes"] == ["codex", "xai"]
    assert config["codexInspection"]["targetType"] == "codex"
    config = put(joined, {"codexInspection": {"usedPercentThreshold": 0.5, "autoActionMode": "Disable", "workers": 2,
                                              "schedule": {"timeZone": "Europe/Berlin"}}}).json["config"]
    inspection = config["codexInspection"]
    assert inspection["usedPercentThreshold"] == 50 and inspection["autoActionMode"] == "disable"
    assert inspection["workers"] == inspection["deleteWorkers"] == 2
    assert inspection["schedule"]["timeZone"] == "Europe/Berlin"
    # what was not named is as before
    assert config["collector"]["queue"] == "q" and inspection["schedule"]["timePoints"] == ["08:00", "09:05"]


def test_the_gateways_say(joined, gateway):
    assert error(put(joined, {"collector": {"enabled": True, "pollIntervalMs": 61000}})) == (
        400, "poll_interval_exceeds_retention",
        "pollIntervalMs must be less than or equal to CPA redis-usage-queue-retention-seconds (60 seconds)")
    gateway.config = {}
    assert get(joined)["cpaUsage"] == {"usageStatisticsEnabled": False, "redisUsageQueueRetentionSeconds": 60,
                                       "retentionSourceDefault": True}
    gateway.config_status = 500
    assert "cpaUsage" not in get(joined)
    assert error(put(joined, {}))[:2] == (502, "management_api_validation_failed")
    connection = {"cpaBaseUrl": f"http://127.0.0.1:{free_port()}", "managementKey": SECRET}
    assert error(put(joined, {"cpaConnection": connection}))[:2] == (502, "request_failed")
    assert error(put(joined, {"cpaConnection": {"cpaBaseUrl": gateway.url, "managementKey": "wrong"}}))[:2] == (
        502, "management_api_validation_failed")


def test_a_refused_key_is_not_tried_again(make_stack, gateway):
    """A page asks often; CPA must be asked once."""
    s = make_stack(USAGE_COLLECTOR_MODE="http")
    gateway.key = SECRET
    gateway.config_status, gateway.config = 200, {"redis-usage-queue-retention-seconds": 60}
    assert put(s, {"collector": {"enabled": False},
                   "cpaConnection": {"cpaBaseUrl": gateway.url, "managementKey": SECRET}}).status == 200
    gateway.key = "rotated"
    before = gateway.asked("GET", "/v0/management/config")
    for _ in range(10):
        assert "cpaUsage" not in get(s)
        assert put(s, {}).json["code"] in ("management_api_validation_failed", "cpa_key_refused")
    assert gateway.asked("GET", "/v0/management/config") == before + 1
    answer = put(s, {})
    assert answer.status == 502 and answer.json["code"] == "cpa_key_refused" and int(answer.headers["retry-after"]) > 500
    # the right key ends it
    assert put(s, {"cpaConnection": {"cpaBaseUrl": gateway.url, "managementKey": "rotated"}}).status == 200
    assert "cpaUsage" in get(s)
    gateway.key = SECRET


def test_a_connection_from_the_environment(make_stack, gateway):
    gateway.key, gateway.config_status = SECRET, 200
    gateway.config = {"redis-usage-queue-retention-seconds": 60}
    s = make_stack(CPA_UPSTREAM_URL=gateway.url, CPA_MANAGEMENT_KEY=SECRET)
    refused = (409, "connection_env_managed", "connection setup is managed by environment variables")
    for change in ({"collector": {"queue": "other"}}, {"collector": {"enabled": False}}, {"collector": {"batchSize": 7}},
                   {"collector": {"collectorMode": "resp"}}, {"collector": {"popSide": "left"}},
                   {"collector": {"pollIntervalMs": 51}}, {"collector": {"tlsSkipVerify": True}},
                   {"cpaConnection": {"cpaBaseUrl": gateway.url, "managementKey": "other"}}):
        assert error(put(s, change)) == refused, change
    answer = put(s, {"codexInspection": {"enabled": True}})
    assert answer.status == 200 and answer.json["source"] == "env"
    after = get(s)
    assert after["source"] == "env" and after["config"]["codexInspection"]["enabled"] is True
    assert after["config"]["cpaConnection"] == {"cpaBaseUrl": gateway.url, "managementKey": "********"}
