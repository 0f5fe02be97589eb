"""The application on its socket, without a web server between: clients that behave badly."""
import datetime
import os
import signal
import sqlite3
import subprocess
import threading
import time

import pytest
from application import FREED_S, IO_TIMEOUT_S, THREADS, Application
from fcgi_client import (ABORT, AUTHORIZER, GET_VALUES, KEEP, PARAMS, STDIN, STDOUT, begin, cgi, pairs, record, stream)
from harness import ADMIN_KEY, BUILD, sanitizer_environment, wait_for


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    a = Application(tmp_path_factory.mktemp("app")).start()
    yield a
    code, log = a.stop(), a.log()
    assert code == 0, log[-4000:]
    assert "ERROR: " not in log and "runtime error" not in log, log[-4000:]


def test_a_plain_request(app):
    answer = app.ask("GET", "/health")
    assert answer.status == 200 and answer.json == {"ok": True, "service": "cpa-manager-plus"}
    assert answer.ended and answer.end_status == (0, 0) and answer.errors == b""
    assert answer.headers["content-length"] == str(len(answer.body))
    assert answer.headers["x-request-id"] in app.log()


@pytest.mark.parametrize("piece", (1, 3, 8, 100))
@pytest.mark.parametrize("padding", (0, 7))
def test_records_may_be_cut_anywhere(app, piece, padding):
    body = b'{"cpaBaseUrl":5}'
    c = app.connect()
    c.send(begin(), stream(PARAMS, pairs(cgi("POST", "/setup", ADMIN_KEY, body)), piece, padding),
           stream(STDIN, body, piece, padding))
    answer = c.read_answer()
    assert answer.status == 400 and "cpaBaseUrl" in answer.json["error"]


def test_bytes_may_come_one_by_one(app):
    c = app.connect()
    for byte in begin() + stream(PARAMS, pairs(cgi("GET", "/health"))) + stream(STDIN, b""):
        c.send(bytes([byte]))
    assert c.read_answer().status == 200


def test_the_web_servers_wish_to_keep_the_connection_is_not_granted(app):
    c = app.connect()
    c.send(begin(flags=KEEP), stream(PARAMS, pairs(cgi("GET", "/health"))), stream(STDIN, b""))
    start = time.monotonic()
    assert c.read_answer().status == 200  # reads to the end of the connection
    assert time.monotonic() - start < 1


def test_half_requests_pin_no_thread(app):
    whole = begin() + stream(PARAMS, pairs(cgi("GET", "/health")), end=False)
    stuck = [app.connect() for _ in range(2 * THREADS)]
    for i, c in enumerate(stuck):
        c.send(whole[:(0, 4, 8, 12, 20, len(whole) - 1, len(whole), 1)[i % 8]])
    start = time.monotonic()
    assert app.ask("GET", "/health").status == 200
    assert time.monotonic() - start < 2 * FREED_S + 1
    for c in stuck:
        c.close()
    app.assert_all_threads_work()


def test_half_a_body_is_a_time_out(app):
    c = app.connect()
    c.send(begin(), stream(PARAMS, pairs(cgi("POST", "/setup", ADMIN_KEY, b"x" * 100))), record(STDIN, b"{"))
    answer = c.read_answer()
    assert answer.status == 408 and answer.ended


def test_a_body_shorter_than_announced(app):
    answer = app.ask("POST", "/setup", ADMIN_KEY, b"{}", CONTENT_LENGTH="3")
    assert answer.status == 400 and "announced" in answer.json["error"]


def test_a_client_that_leaves_within_its_body(app):
    for _ in range(2 * THREADS):
        c = app.connect()
        c.send(begin(), stream(PARAMS, pairs(cgi("POST", "/setup", ADMIN_KEY, b"x" * 100))), record(STDIN, b"{"))
        c.close()
    app.assert_all_threads_work()


@pytest.mark.parametrize("announced", (True, False))
def test_a_body_that_is_too_large(app, announced):
    """The answer arrives although nobody reads the rest of the body."""
    body = b"x" * (4 << 20)
    answer = app.ask("PUT", "/usage-service/config", ADMIN_KEY, body,
                     CONTENT_LENGTH=str(len(body)) if announced else "")
    assert answer.status == 413 and answer.ended


def test_the_largest_body(app):
    body = b"{" + b" " * (64 * 1024 - 2) + b"}"
    assert app.ask("PUT", "/usage-service/config", ADMIN_KEY, body).status == 400
    assert app.ask("PUT", "/usage-service/config", ADMIN_KEY, body + b" ").status == 413


def test_a_body_that_nobody_asked_for(app):
    answer = app.ask("GET", "/health", body=b"x" * (2 << 20))
    assert answer.status == 200 and answer.ended
    assert app.ask("POST", "/setup", body=b"x" * (2 << 20)).status == 401


@pytest.mark.parametrize("size,status", ((60000, 200), (66000, 431), (2000000, 431)))
def test_many_headers(app, size, status):
    answer = app.ask("GET", "/health", HTTP_X_LONG="a" * size)
    assert answer.status == status
    if status == 431:
        assert answer.json["code"] == "request_failed"


def test_many_small_headers(app):
    more = {f"HTTP_X_{i}": "v" for i in range(20000)}
    assert app.ask("GET", "/health", **more).status == 431


def test_garbage(app):
    for garbage in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\0" * 64, os.urandom(4096), b"\xff" * 9,
                    record(STDIN, b"x"), record(PARAMS, b"\xff\xff\xff\xff\xff\xff\xff\xff"),
                    begin() + record(PARAMS, b"\x80"), begin() + record(PARAMS, b"\x85\x00\x00\x00\x01a") + record(PARAMS),
                    begin() + record(PARAMS, b"\x01\x7fa") + record(PARAMS), record(1, b"\0\x01", version=9)):
        c = app.connect()
        c.send(garbage)
        assert c.read_answer().raw == b""
    app.assert_all_threads_work()


def test_another_role(app):
    c = app.connect()
    c.send(begin(role=AUTHORIZER), stream(PARAMS, pairs(cgi("GET", "/health"))), stream(STDIN, b""))
    c.read_answer()
    c = app.connect()
    c.send(begin(role=77), stream(PARAMS, pairs(cgi("GET", "/health"))), stream(STDIN, b""))
    c.read_answer()
    app.assert_all_threads_work()


def test_a_web_server_that_asks_what_we_can(app):
    """No web server does; it costs the connection, nothing else."""
    c = app.connect()
    c.send(record(GET_VALUES, pairs({"FCGI_MPXS_CONNS": "", "FCGI_MAX_REQS": ""}), request_id=0))
    c.read_answer()
    app.assert_all_threads_work()


def test_an_aborted_request(app):
    c = app.connect()
    c.send(begin(), record(PARAMS, pairs(cgi("GET", "/health"))), record(ABORT))
    c.read_answer()
    c = app.connect()
    c.send(begin(), stream(PARAMS, pairs(cgi("POST", "/setup", ADMIN_KEY, b"{}"))), record(ABORT))
    c.read_answer()
    app.assert_all_threads_work()


def test_many_connections_at_once(app):
    answers = []

    def one():
        answers.append(app.ask("GET", "/status", ADMIN_KEY).status)

    threads = [threading.Thread(target=one) for _ in range(100)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert answers == [200] * 100


def test_idle_connections(app):
    idle = [app.connect() for _ in range(3 * THREADS)]
    assert app.ask("GET", "/health").status == 200
    for c in idle:
        c.close()


# ---- long answers


EVENTS = 20000


@pytest.fixture(scope="module")
def full(app):
    """The application with enough events for an answer of several megabytes."""
    with sqlite3.connect(os.path.join(app.data, "usage.sqlite")) as db:
        db.execute("INSERT INTO dict VALUES (1, 1, 'model-a'), (4, 1, 'POST /v1/responses')")
        columns = [r[1] for r in db.execute("PRAGMA table_info(events)")]
        row = dict.fromkeys(columns, 0)
        row.update(gateway_id=1, hash_rest=None, ts_text=None, request_id=None, model_id=1, endpoint_id=1,
                   snapshot_ms=None, latency_ms=5, ttft_ms=None, fail_status=None)
        db.executemany(f"INSERT INTO events ({','.join(columns)}) VALUES ({','.join('?' * len(columns))})",
                       [list(dict(row, id=i + 1, ts_ms=1700000000000 + i, hash16=os.urandom(16)).values())
                        for i in range(EVENTS)])
        db.execute("UPDATE counters SET value = ? WHERE name = 'events'", (EVENTS,))
    return app


USAGE = (begin(), stream(PARAMS, pairs(cgi("GET", "/v0/management/usage", ADMIN_KEY))), stream(STDIN, b""))


def test_a_long_answer(full):
    answer = full.ask("GET", "/v0/management/usage", ADMIN_KEY)
    assert answer.status == 200 and answer.ended and "content-length" not in answer.headers
    details = answer.json["apis"]["POST /v1/responses"]["models"]["model-a"]["details"]
    assert answer.json["total_requests"] == EVENTS == len(details)
    times = [datetime.datetime.fromisoformat(d["timestamp"]) for d in details]
    assert times == sorted(times, reverse=True)


def test_the_head_of_a_long_answer(full):
    answer = full.ask("HEAD", "/v0/management/usage", ADMIN_KEY)
    assert answer.status == 200 and answer.body == b"" and answer.ended


def test_a_client_that_leaves_within_the_answer(full):
    for _ in range(2 * THREADS):
        c = full.connect()
        c.send(*USAGE)
        assert c.read_record()[0] == STDOUT
        c.close()
    full.assert_all_threads_work()


def test_clients_that_do_not_read_pin_no_thread(full):
    stuck = [full.connect() for _ in range(THREADS)]
    for c in stuck:
        c.send(*USAGE)
    time.sleep(IO_TIMEOUT_S / 2)
    start = time.monotonic()
    assert full.ask("GET", "/health").status == 200
    assert time.monotonic() - start < FREED_S + 1
    full.assert_all_threads_work()
    # what they were sent does not look whole
    for c in stuck:
        assert not c.read_answer().ended


def test_writing_goes_on_while_a_client_reads_slowly(full):
    """No read transaction stays open while bytes wait for a client: the WAL can be cut."""
    c = full.connect()
    c.send(*USAGE)
    assert c.read_record()[0] == STDOUT
    with sqlite3.connect(os.path.join(full.data, "usage.sqlite"), timeout=5) as db:
        db.execute("INSERT INTO api_key_aliases VALUES (?, 'slow', 1)", ("ab" * 32,))
        db.commit()
        assert db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0, "a reader is in the way"
    assert c.read_answer().status == 0  # its head was read above


# ---- the end


def test_it_stops_at_once_and_finishes_what_it_has(tmp_path):
    app = Application(tmp_path).start()
    c = app.connect()
    c.send(begin(), stream(PARAMS, pairs(cgi("POST", "/setup", ADMIN_KEY, b"{}"))))
    time.sleep(0.1)
    app.process.send_signal(signal.SIGTERM)
    wait_for(lambda: not os.path.exists(app.path), 5, "the socket to go")
    c.send(stream(STDIN, b"{}"))
    assert c.read_answer().json["code"] == "cpa_connection_required"
    assert app.process.wait(5) == 0
    assert "stopped" in app.log()


def test_idle_it_stops_within_a_moment(tmp_path):
    app = Application(tmp_path).start()
    start = time.monotonic()
    assert app.stop() == 0
    assert time.monotonic() - start < 2


def test_a_socket_in_use_is_said(app):
    run = subprocess.run([os.path.join(BUILD, "cpa-manager.fcgi"), "--socket", app.path, "--data", app.data],
                         env=app.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    assert run.returncode == 1 and app.path in run.stderr
    assert app.ask("GET", "/health").status == 200


@pytest.mark.parametrize("args,code", ((["--version"], 0), (["--help"], 0), (["--routes"], 0), (["--nonsense"], 2),
                                       (["word"], 2), (["--threads", "0"], 2), (["--threads", "x"], 2),
                                       (["--threads", "257"], 2), ([], 1)))
def test_the_command_line(tmp_path, args, code):
    run = subprocess.run([os.path.join(BUILD, "cpa-manager.fcgi"), *args], stdin=subprocess.DEVNULL,
                         capture_output=True, text=True, timeout=30,
                         env=dict(os.environ, USAGE_DATA_DIR=str(tmp_path), **sanitizer_environment()))
    assert run.returncode == code, run.stderr
    assert bool(run.stdout) == (code == 0) and bool(run.stderr) == (code != 0)
