"""cpactl export, import and events, run as a person would."""
import csv
import ctypes
import ctypes.util
import gzip
import io
import json
import os
import pty
import re
import resource
import shutil
import signal
import sqlite3
import struct
import subprocess
import termios
import time
import unicodedata
from datetime import datetime, timezone
from fcntl import ioctl

import pytest
from application import Application
from ctl import CPACTL, cpactl, environment
from harness import CPA_KEY, Collectord, FakeCpa, generated, wait_for

MIXED = 1200  # more than two pages of 512
KEY = "sk-0123456789abcdef0123456789abcdef"
DAY_MS = 86400000
NOW_MS = int(time.time() * 1000)
MANY_MS = 1500000000000
NAMED_MS = 1763596800000  # 2025-11-20T00:00:00Z
COLUMNS = ["timestamp", "request_id", "model", "resolved_model", "provider", "account", "auth_index", "api_key_hash",
           "endpoint", "input_tokens", "output_tokens", "reasoning_tokens", "total_tokens", "cache_read_tokens",
           "cache_creation_tokens", "latency_ms", "ttft_ms", "failed", "fail_status_code", "fail_summary"]
WIDE = "\u6a21\u578b" * 20
NASTY = "a\x1b[31m\u009b31m\x7fred\u202eevil"


def payload(name, **more):
    event = {"timestamp": NAMED_MS, "request_id": name, "model": "m", "provider": "claude", "source": "acct",
             "tokens": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}, **more}
    event["timestamp"] = datetime.fromtimestamp(event["timestamp"] / 1000, timezone.utc).isoformat(timespec="milliseconds")
    return json.dumps(event)


# the last to arrive, and not the last by their time
NAMED = [
    payload("wide", model=WIDE, source="\u7528\u6237\U0001f642", timestamp=NAMED_MS),
    payload("accent", model="e\u0301te\u0301", timestamp=NAMED_MS + 1),
    payload("nasty", model=NASTY, source="=1+2", timestamp=NAMED_MS + 2),
    payload("failed", model="gpt-5(high)", source="acct-b", provider="codex", api_key=KEY, failed=True, latency_ms=4200,
            fail={"status_code": 429, "body": 'said "no",\nthen\r\nleft \u00e9'}, timestamp=NAMED_MS + 3),
    payload("plain", model="gpt-5", source="acct-b", provider="codex", auth_index="idx-7", timestamp=NAMED_MS + DAY_MS),
    payload("recent", timestamp=NOW_MS - 3600 * 1000),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """What a daemon has stored and left; only read."""
    data = tmp_path_factory.mktemp("events") / "data"
    cpa = FakeCpa()
    daemon = Collectord(data, cpa.url)
    try:
        daemon.start()
        cpa.push(generated(MIXED))
        wait_for(lambda: daemon.count() == MIXED)
        for one in NAMED:  # each by itself: this is the order of arrival
            cpa.push([one])
            wait_for(lambda: cpa.state()["queued"] == 0)
        wait_for(lambda: daemon.count() == MIXED + len(NAMED))
    finally:
        assert daemon.stop() == 0
        cpa.stop()
    return data


@pytest.fixture(scope="module")
def thirty_thousand():
    return generated(30000)


@pytest.fixture
def importing(tmp_path):
    """A collectord without a CPA, which takes imports."""
    daemon = Collectord(tmp_path / "target").start()
    wait_for(lambda: cpactl("status", data=daemon.data).returncode != 1, what="a database")
    yield daemon
    assert daemon.stop() in (0, -9)


def run(*args, data, code=0, stdin=b"", **more):
    """Output as bytes; nothing on standard error when all is well."""
    done = subprocess.run([CPACTL, "--data", str(data), *args], capture_output=True, timeout=120, input=stdin, env=environment(**more))
    assert done.returncode == code, done.stderr.decode()
    assert code != 0 or done.stderr == b""
    return done.stdout


def lines(*args, data):
    return [json.loads(line) for line in run(*args, data=data).splitlines()]


def ids(*args, data):
    return [e["request_id"] for e in lines(*args, "--format", "json", data=data)]


def query(*args, data):
    return ids("events", "query", *args, data=data)


def usual_signals():
    """A shell has what runs in its background ignore some, and us inherit that."""
    for sig in (signal.SIGINT, signal.SIGHUP):
        signal.signal(sig, signal.SIG_DFL)


def start(*args, data, before=usual_signals):
    return subprocess.Popen([CPACTL, "--data", str(data), *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, env=environment(), preexec_fn=before)


def imports(data):
    path = os.path.join(data, "imports")
    return os.listdir(path) if os.path.isdir(path) else []


def zstd(what, content):
    """libzstd itself: "compress" or "decompress"."""
    lib = ctypes.CDLL(ctypes.util.find_library("zstd"))
    call = getattr(lib, "ZSTD_" + what)
    call.restype = ctypes.c_size_t
    out = ctypes.create_string_buffer(len(content) * 40 + 65536)
    more = (ctypes.c_int(3),) if what == "compress" else ()
    n = call(out, ctypes.c_size_t(len(out)), content, ctypes.c_size_t(len(content)), *more)
    assert n <= len(out), "libzstd gave an error"
    return out.raw[:n]


PACKED = {"": (bytes, bytes), ".gz": (gzip.compress, gzip.decompress),
          ".zst": (lambda b: zstd("compress", b), lambda b: zstd("decompress", b))}


# ---- the command lines


@pytest.mark.parametrize("name, names", [
    ("export", ["-o FILE", "--output FILE", "--from TIME", "--to TIME", "--full", "UTC", "FILE.part"]),
    ("import", ["FILE", "standard", "gzip", "zstd", "collectord", "Exit code 1"]),
    ("events", ["tail|query", "tail:", "query:", "-f, --follow", "--from TIME", "--to TIME", "--model NAME", "--provider NAME",
                "--account NAME", "--api-key-hash HASH", "--failed", "--limit N", "--format FORMAT", "Ctrl-C", "UTC", "local"])])
def test_each_command_has_its_help(name, names, tmp_path):
    assert re.search(rf"^  {name}\b", cpactl("--help").stdout, re.M)
    for args in ([name, "--help"], [name, "--data", str(tmp_path), "--help"]):
        answer = cpactl(*args)
        assert answer.returncode == 0 and answer.stderr == ""
        assert answer.stdout.startswith(f"usage: cpactl [--data DIR] {name} ")
        assert [n for n in names if n not in answer.stdout] == []
        assert max(map(len, answer.stdout.splitlines())) <= 80


TIME_SAYS = "must be a day (2026-11-24), a time (2026-11-24T08:00:00Z), so long ago (90m, 24h, 7d), or Unix milliseconds"


@pytest.mark.parametrize("args, says", [
    ("export x", 'cpactl export: unexpected argument "x"'),
    ("export -o", 'cpactl export: nothing follows "-o"'),
    ("export --output", 'cpactl export: nothing follows "--output"'),
    ("export --limit 3", 'cpactl export: unknown option "--limit"'),
    ("export --full=1", 'cpactl export: unknown option "--full=1"'),
    ("export --from x", f'cpactl export: --from "x": {TIME_SAYS}'),
    ("export --from 2025", f'cpactl export: --from "2025": {TIME_SAYS}'),
    ("export --to 24x", f'cpactl export: --to "24x": {TIME_SAYS}'),
    ("import", "cpactl import: an argument is missing"),
    ("import a b", 'cpactl import: unexpected argument "b"'),
    ("import --json a", 'cpactl import: unknown option "--json"'),
    ("events", "cpactl events: an argument is missing"),
    ("events show", 'cpactl events: "show": must be tail or query'),
    ("events tail query", 'cpactl events: unexpected argument "query"'),
    ("events tail -x", 'cpactl events: unknown option "-x"'),
    ("events --failed -xf tail", 'cpactl events: unknown option "-x"'),
    ("events tail -fx", 'cpactl events: unknown option "-x"'),
    ("events tail --from 24h", "cpactl events: --from is for query"),
    ("events tail --to 24h", "cpactl events: --to is for query"),
    ("events query -f", "cpactl events: --follow is for tail"),
    ("events query --from 2026-13-01", f'cpactl events: --from "2026-13-01": {TIME_SAYS}'),
    ("events query --to \x1b", f'cpactl events: --to "?": {TIME_SAYS}'),
    ("events query --limit 0", 'cpactl events: --limit "0": must be a number above 0'),
    ("events query --limit 3x", 'cpactl events: --limit "3x": must be a number above 0'),
    ("events query --format xml", 'cpactl events: --format "xml": must be table, json or csv'),
    ("events query --model", 'cpactl events: nothing follows "--model"'),
])
def test_wrong_use_says_how(args, says, data):
    answer = cpactl(*args.split(" "), data=data)
    assert answer.returncode == 2 and answer.stdout == "" and says in answer.stderr
    assert "usage: cpactl" in answer.stderr or "must be" in says or "is for" in says


ALL = [["export"], ["export", "-o", "FILE"], ["import", "FILE"], ["events", "tail"], ["events", "tail", "-f"], ["events", "query"]]


@pytest.mark.parametrize("args", ALL)
def test_no_database(args, tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"{}")
    answer = cpactl(*[str(file) if a == "FILE" else a for a in args], data=tmp_path / "x")
    assert answer.returncode == 1 and answer.stdout == ""
    assert f"no database at {tmp_path / 'x' / 'usage.sqlite'}" in answer.stderr and "--data DIR" in answer.stderr
    assert list(tmp_path.iterdir()) == [file] and file.read_bytes() == b"{}"


@pytest.mark.parametrize("args", ALL)
@pytest.mark.parametrize("content, says", [(b"", "has schema 0"), (b"no database at all" * 100, "is not a database")])
def test_file_that_is_no_database(args, content, says, tmp_path):
    (tmp_path / "usage.sqlite").write_bytes(content)
    file = tmp_path / "file"
    file.write_bytes(b"{}")
    answer = cpactl(*[str(file) if a == "FILE" else a for a in args], data=tmp_path)
    assert answer.returncode == 1 and answer.stdout == "" and says in answer.stderr
    assert (tmp_path / "usage.sqlite").read_bytes() == content and file.read_bytes() == b"{}"
    assert not (tmp_path / "file.part").exists()


# ---- export


def test_export_gives_every_event_oldest_first(data):
    all_of_them = lines("export", data=data)
    assert len(all_of_them) == MIXED + len(NAMED)
    assert len({e["event_hash"] for e in all_of_them}) == len(all_of_them)
    times = [e["timestamp_ms"] for e in all_of_them]
    assert times == sorted(times)
    failed = next(e for e in all_of_them if e["request_id"] == "failed")
    assert failed["model"] == "gpt-5(high)" and failed["failed"] is True and failed["fail_status_code"] == 429
    assert failed["fail_summary"] == 'said "no",\nthen\r\nleft \u00e9' and failed["latency_ms"] == 4200
    assert next(e for e in all_of_them if e["request_id"] == "nasty")["model"] == NASTY


def test_export_full_adds_and_changes_nothing_else(data):
    short, full = lines("export", data=data), lines("export", "--full", data=data)
    more = {"request_service_tier", "response_service_tier", "cache_input_mode"}
    assert not any(more & e.keys() for e in short) and any("cache_input_mode" in e for e in full)
    assert [{k: v for k, v in e.items() if k not in more} for e in full] == short


def test_export_is_that_of_the_application(data, tmp_path):
    shutil.copytree(data, tmp_path / "data")
    key = "a key that is known"
    assert cpactl("reset-admin-key", "--admin-key-file=/dev/stdin", data=tmp_path / "data", stdin=key).returncode == 0
    app = Application(tmp_path, CPA_UPSTREAM_URL="http://127.0.0.1:1", CPA_MANAGEMENT_KEY=CPA_KEY).start()
    try:
        answer = app.ask("GET", "/v0/management/usage/export", key)
    finally:
        assert app.stop() == 0
    assert answer.status == 200 and answer.body == run("export", data=data)


ALL_NAMED = ["wide", "accent", "nasty", "failed", "plain", "recent"]


@pytest.mark.parametrize("options, expected", [
    (f"--from {NAMED_MS + 2} --to {NAMED_MS + 3}", ["nasty"]),
    (f"--from {NAMED_MS + 4} --to 2025-11-21", []),
    ("--from 2025-11-20T00:00:00.003Z --to 2025-11-20T00:00:00.004Z", ["failed"]),
    ("--from 2025-11-20T01:00:00.001+01:00 --to 2025-11-20T00:00:00.002", ["accent"]),
    ("--from 2025-11-19T19:00:00.003-05:00 --to 2025-11-20T00:00:00.004Z", ["failed"]),
    ("--from 24h", ["recent"]), ("--from 90m", ["recent"]), ("--from 7d", ["recent"]), ("--from 4000s", ["recent"]),
    ("--from 50m", []), ("--from 2025-11-20", ALL_NAMED), ("--from 2025-11-21", ["plain", "recent"]),
    ("--from 2025-11-20 --to 2025-11-21", ALL_NAMED[:4]), ("--to 24h", ALL_NAMED[:5]),
    ("--from 2025-11-21 --to 2025-11-20", []),
])
def test_times_in_all_forms(options, expected, data):
    """From then on, and before then; the same for both commands."""
    exported = [e["request_id"] for e in lines("export", *options.split(), data=data)]
    assert [i for i in exported if i in ALL_NAMED] == expected
    assert query(*options.split(), "--limit", "100000", data=data) == exported[::-1]


def test_an_empty_export_is_empty(data, tmp_path):
    assert run("export", "--from", "1m", data=data) == b""
    for ending, (_, unpack) in PACKED.items():
        path = tmp_path / ("none" + ending)
        assert cpactl("export", "--from", "1m", "-o", str(path), data=data).returncode == 0
        assert unpack(path.read_bytes()) == b""


@pytest.mark.parametrize("ending", PACKED)
def test_export_to_a_file(ending, data, tmp_path):
    path = tmp_path / ("events.jsonl" + ending)
    path.write_bytes(b"an older one")
    answer = cpactl("export", "-o", str(path), data=data)
    assert answer.returncode == 0 and answer.stdout == ""
    assert answer.stderr == f"{MIXED + len(NAMED)} events in {path}\n"
    assert PACKED[ending][1](path.read_bytes()) == run("export", data=data)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert path.stat().st_mode & 0o777 == 0o600, "keys' hashes and accounts are nobody else's"


def test_export_to_what_is_no_file_leaves_it_there(data, tmp_path):
    """A link, a pipe and a device are written through."""
    whole = run("export", data=data)
    real, link, fifo = tmp_path / "real", tmp_path / "link", tmp_path / "fifo"
    real.write_bytes(b"x" * 10)
    link.symlink_to(real)
    assert run("export", "-o", str(link), data=data) == b""
    assert link.is_symlink() and real.read_bytes() == whole
    os.mkfifo(fifo)
    with open(real, "wb") as out, subprocess.Popen(["cat", fifo], stdout=out) as cat:
        run("export", "-o", str(fifo), data=data)
        assert cat.wait(60) == 0 and real.read_bytes() == whole
    assert run("export", "-o", "/dev/stdout", data=data) == run("export", "-o", "-", data=data) == whole
    run("export", "-o", "/dev/null", data=data)
    assert os.path.exists("/dev/null") and not os.path.isfile("/dev/null")
    assert {p.name for p in tmp_path.iterdir()} == {"real", "link", "fifo"}


def small_files():
    """What a full disk does to a file, without one."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))


@pytest.mark.parametrize("ending", PACKED)
def test_export_that_does_not_fit_says_so(ending, data, tmp_path):
    path = tmp_path / ("out" + ending)
    path.write_bytes(b"an older one")
    process = start("export", "-o", str(path), data=data, before=small_files)
    out, err = process.communicate()
    assert process.returncode == 1 and out == b""
    assert err.decode() == f"cpactl export: {path}.part: File too large\n"
    assert [p.name for p in tmp_path.iterdir()] == [path.name] and path.read_bytes() == b"an older one"


def test_export_to_a_full_device_says_so(data):
    answer = cpactl("export", "-o", "/dev/full", data=data)
    assert answer.returncode == 1 and answer.stderr == "cpactl export: /dev/full: No space left on device\n"
    with open("/dev/full", "wb") as full:
        done = subprocess.run([CPACTL, "--data", str(data), "export"], stdout=full, stderr=subprocess.PIPE, env=environment(), timeout=60)
    assert done.returncode == 1 and done.stderr == b"cpactl export: standard output: No space left on device\n"


def test_export_to_where_nothing_can_be_written(data, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for where, says in [("nowhere/x", "nowhere/x.part: No such file or directory"), ("file/x", "file/x.part: Not a directory"),
                        ("", "Is a directory"), ("x" * 253, "File name too long")]:
        answer = cpactl("export", "-o", os.path.join(tmp_path, where), data=data)
        assert answer.returncode == 1 and answer.stdout == "" and says in answer.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    if os.getuid() != 0:
        tmp_path.chmod(0o555)
        assert "Permission denied" in cpactl("export", "-o", str(tmp_path / "x"), data=data).stderr


@pytest.fixture(scope="module")
def many(data, tmp_path_factory):
    """Enough events to last a moment; always a thousand in a millisecond."""
    copy = shutil.copytree(data, tmp_path_factory.mktemp("many") / "data")
    db = sqlite3.connect(copy / "usage.sqlite")
    with db:
        columns = ", ".join(row[1] for row in db.execute("PRAGMA table_info(events)") if row[1] not in ("id", "ts_ms", "hash16"))
        db.execute("CREATE TEMP TABLE one AS SELECT * FROM events WHERE id = 1")
        db.execute("WITH n (v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n WHERE v < 60000) "
                   f"INSERT INTO events (ts_ms, hash16, {columns}) "
                   f"SELECT {MANY_MS} + (n.v - 1) / 1000, randomblob(16), {columns} FROM n, one")
    db.close()
    return copy


def test_many_of_the_same_time(many):
    """Pages begin and end among them."""
    times = ["--from", str(MANY_MS), "--to", str(MANY_MS + 3)]
    assert len(lines("export", *times, data=many)) == 3000
    assert len(query(*times, "--limit", "100000", data=many)) == 3000


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_an_interrupted_export_has_no_name(sig, many, tmp_path):
    path = tmp_path / "out.gz"
    path.write_bytes(b"an older one")
    process = start("export", "-o", str(path), data=many)
    wait_for((tmp_path / "out.gz.part").exists, step_s=0.001)
    process.send_signal(sig)
    out, err = process.communicate()
    assert process.returncode == -sig and out == err == b""
    assert path.read_bytes() == b"an older one"
    # what a kill leaves is plain to see
    assert (tmp_path / "out.gz.part").exists() == (sig == signal.SIGKILL)


def test_what_a_kill_left_is_no_hindrance(data, tmp_path):
    (tmp_path / "out.part").write_bytes(b"x" * 1000000)
    assert cpactl("export", "-o", str(tmp_path / "out"), data=data).returncode == 0
    assert (tmp_path / "out").read_bytes() == run("export", data=data) and not (tmp_path / "out.part").exists()


@pytest.mark.parametrize("args", [["export"], ["events", "query", "--limit", "100000"], ["events", "tail", "--limit", "100000"]])
def test_a_reader_that_has_enough_is_no_error(args, many):
    process = start(*args, data=many)
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b"" and process.wait(30) in (0, -signal.SIGPIPE)


# ---- import


def added(n, there=0, bad=0):
    return f"{n} added, {there} there already, {bad} unreadable\n".encode()


ALL_OF_THEM = MIXED + len(NAMED)


@pytest.mark.parametrize("ending", PACKED)
@pytest.mark.parametrize("way", ["file", "stdin"])
def test_import_of_an_export(way, ending, data, importing, tmp_path):
    """What comes out is what went in; the second time nothing is new."""
    whole = run("export", "--full", data=data)
    file = tmp_path / "events"  # how it begins tells, not its name
    file.write_bytes(PACKED[ending][0](whole))
    args, stdin = (["import", str(file)], b"") if way == "file" else (["import", "-"], file.read_bytes())
    assert run(*args, data=importing.data, stdin=stdin) == added(ALL_OF_THEM)
    assert run(*args, data=importing.data, stdin=stdin) == added(0, ALL_OF_THEM)

    def comparable(text):
        return [{k: v for k, v in json.loads(line).items() if k != "created_at_ms"} for line in text.splitlines()]

    assert comparable(run("export", "--full", data=importing.data)) == comparable(whole)
    assert imports(importing.data) == []


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_import_from_a_pipe_that_gives_crumbs(ending, importing):
    content = PACKED[ending][0](payload("one").encode() + b"\n")
    process = start("import", "-", data=importing.data)
    for i in range(6):
        process.stdin.write(content[i:i + 1])
        process.stdin.flush()
        time.sleep(0.02)
    process.stdin.write(content[6:])
    out, err = process.communicate()
    assert (process.returncode, out, err) == (0, added(1), b"")


def test_import_of_many_counts_exactly(importing, thirty_thousand, tmp_path):
    """30,000, some of them unreadable, some twice."""
    events = thirty_thousand
    file = tmp_path / "many.gz"
    file.write_bytes(gzip.compress("\n".join(events[:20000] + ["{bad"] * 7 + events[15000:]).encode(), 1))
    assert run("import", str(file), data=importing.data, code=1) == added(30000, 5000, 7)
    assert importing.count() == 30000
    assert run("export", data=importing.data).count(b"\n") == 30000


def test_import_goes_on_after_a_kill(importing, thirty_thousand, tmp_path):
    file = tmp_path / "many"
    file.write_text("\n".join(thirty_thousand), encoding="ascii")
    process = start("import", str(file), data=importing.data)
    wait_for(lambda: importing.count() > 500, step_s=0.005)
    importing.kill()
    out, err = process.communicate(timeout=30)
    assert process.returncode == 1 and out == b""
    assert err == b"cpactl import: collectord has stopped; the import goes on when it is started\n"
    assert 500 < importing.count() < 30000
    importing.start()
    wait_for(lambda: importing.count() == 30000)
    wait_for(lambda: imports(importing.data) == [])


def test_import_without_collectord(data, tmp_path):
    shutil.copytree(data, tmp_path / "data")
    file = tmp_path / "file"
    file.write_text(NAMED[0], encoding="utf-8")
    answer = cpactl("import", str(file), data=tmp_path / "data")
    assert answer.returncode == 1 and answer.stdout == ""
    assert answer.stderr == "cpactl import: collectord does the import and does not run: start it, then try again\n"
    assert imports(tmp_path / "data") == []


def refused(importing, stdin, code=1):
    answer = subprocess.run([CPACTL, "--data", importing.data, "import", "-"], input=stdin, capture_output=True, timeout=60,
                            env=environment())
    assert answer.returncode == code and answer.stdout == b""
    assert imports(importing.data) == [] and importing.count() == 0
    return answer.stderr.decode()


def test_import_of_what_cannot_be_read(importing, tmp_path):
    before = len(importing.sql("SELECT id FROM jobs"))
    for path, says in [(tmp_path / "none", "No such file or directory"), (tmp_path, "Is a directory")]:
        answer = cpactl("import", str(path), data=importing.data)
        assert answer.returncode == 1 and answer.stdout == ""
        assert answer.stderr == f"cpactl import: {path}: {says}\n"
    packed = gzip.compress(b"\n".join(n.encode() for n in NAMED))
    assert refused(importing, packed[:-20]) == "cpactl import: standard input: the gzip data ends early\n"
    assert refused(importing, packed[:30] + b"\0" * 99) == "cpactl import: standard input: the data is not valid gzip\n"
    packed = zstd("compress", b"\n".join(n.encode() for n in NAMED))
    assert refused(importing, packed[:-20]) == "cpactl import: standard input: the zstd data ends early\n"
    assert len(importing.sql("SELECT id FROM jobs")) == before, "collectord is not asked"


@pytest.mark.parametrize("garbage", [b"", b"\n\n", b"no events at all", b"\0\xff" * 500, b"[1, 2"])
def test_import_of_garbage(garbage, importing):
    process = start("import", "-", data=importing.data)
    out, err = process.communicate(garbage)
    assert process.returncode == 1
    assert out.endswith(b" unreadable\n") and out.startswith(b"0 added, 0 there already, ") or err.startswith(b"cpactl import: ")
    assert importing.count() == 0 and imports(importing.data) == []


def test_import_that_does_not_fit_says_so(importing):
    process = start("import", "-", data=importing.data, before=small_files)
    out, err = process.communicate(b"x" * 100000)
    assert process.returncode == 1 and out == b""
    assert err == b"cpactl import: standard input: import file: write: File too large\n"
    assert imports(importing.data) == []


def test_an_interrupted_import_leaves_nothing(importing):
    process = start("import", "-", data=importing.data)
    process.stdin.write(b"x" * 200000)
    process.stdin.flush()
    wait_for(lambda: [n for n in imports(importing.data) if os.path.getsize(os.path.join(importing.data, "imports", n))])
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == -signal.SIGINT
    assert process.communicate() == (b"", b"") and imports(importing.data) == []


# ---- events: which


@pytest.mark.parametrize("options, expected", [
    ("--model gpt-5", ["plain", "failed"]), ("--model GPT-5(HIGH)", ["failed"]), ("--model gpt", []),
    ("--provider CODEX --from 2025-11-20 --to 2025-11-22 --account acct-b", ["plain", "failed"]),
    ("--account acct-b", ["plain", "failed"]), ("--account idx-7", ["plain"]), ("--account acct-b --failed", ["failed"]),
    ("--account acct-b --provider claude", []), ("--account acct-b --limit 1", ["plain"]),
    ("--account \u7528\u6237\U0001f642", ["wide"]),
])
def test_query_chooses(options, expected, data):
    assert query(*options.split(), data=data) == expected


def test_query_by_api_key(data):
    failed = lines("events", "query", "--account", "acct-b", "--failed", "--format", "json", data=data)[0]
    digest = failed["api_key_hash"]
    assert re.fullmatch("[0-9a-f]{64}", digest)
    for hash_ in (digest, digest[:8], digest[:12].upper()):
        assert query("--api-key-hash", hash_, data=data) == ["failed"]
    assert query("--api-key-hash", digest[:63] + "g", data=data) == query("--api-key-hash", digest + "0", data=data) == []


def test_query_finds_what_the_export_has(data):
    every = lines("export", "--full", data=data)[::-1]
    for options, fits in [([], lambda e: True), (["--failed"], lambda e: e["failed"]),
                          (["--provider", "codex"], lambda e: e.get("provider") == "codex"),
                          (["--model", "gpt-5.1"], lambda e: e["model"] == "gpt-5.1")]:
        expected = [e for e in every if fits(e)]
        assert len(expected) > 20
        found = lines("events", "query", *options, "--format", "json", "--limit", "100000", data=data)
        assert found == expected
        assert lines("events", "query", *options, "--format", "json", data=data) == expected[:20]


def test_tail_shows_the_last_to_arrive(data):
    assert ids("events", "tail", "--limit", "6", data=data) == ALL_NAMED
    assert len(ids("events", "tail", data=data)) == 20
    assert ids("events", "tail", "--limit", "2", data=data) == ["plain", "recent"]
    assert len(ids("events", "tail", "--limit", "9223372036854775807", data=data)) == ALL_OF_THEM


def test_tail_counts_those_that_fit(data):
    """Not those among the last ones."""
    arrived = lines("events", "tail", "--limit", "100000", "--format", "json", data=data)
    failed = [e for e in arrived if e["failed"]]
    assert len(failed) > 20
    assert lines("events", "tail", "--failed", "--format", "json", data=data) == failed[-20:]
    assert ids("events", "tail", "--account", "acct-b", data=data) == ["failed", "plain"]


def test_nothing_that_fits(data):
    for args in (["query"], ["tail"], ["query", "--from", "1m"]):
        assert run("events", *args, "--model", "none", data=data) == b"no events\n"
        assert run("events", *args, "--model", "none", "--format", "json", data=data) == b""
        assert run("events", *args, "--model", "none", "--format", "csv", data=data).decode() == ",".join(COLUMNS) + "\r\n"


def test_large_events(importing):
    """A page of them does not fit into memory at once."""
    names = [f"{i}" + "y" * 3000000 for i in range(24)]
    text = "\n".join(json.dumps({"timestamp": f"2026-05-01T00:00:{i:02}Z", "model": "m", "request_id": n}) for i, n in enumerate(names))
    assert run("import", "-", data=importing.data, stdin=text.encode()) == added(24)
    assert ids("events", "query", "--limit", "100", data=importing.data) == names[::-1]
    assert [json.loads(line)["request_id"] for line in run("export", data=importing.data).splitlines()] == names


# ---- events: how


def test_json_lines_are_those_of_the_export(data):
    exported = run("export", "--full", data=data).splitlines()
    assert run("events", "query", "--format", "json", "--limit", "100000", data=data).splitlines() == exported[::-1]


def test_csv_is_read_back(data):
    raw = run("events", "query", "--format", "csv", "--limit", "100000", data=data).decode()
    assert raw.endswith("\r\n") and raw.isprintable() is False
    rows = list(csv.DictReader(io.StringIO(raw, newline=""), strict=True))
    assert list(rows[0]) == COLUMNS
    events = lines("events", "query", "--format", "json", "--limit", "100000", data=data)
    assert len(rows) == len(events) == ALL_OF_THEM
    for row, event in zip(rows, events):
        for name in COLUMNS:
            value = event.get(name, "")
            if name in ("account", "provider", "input_tokens", "cache_read_tokens", "cache_creation_tokens"):
                continue  # as they are shown, not as they came
            value = json.dumps(value) if isinstance(value, (bool, int)) else value
            assert row[name] == ("'" + value if re.match("[=+@\t\r\n-].", value) else value), name
        assert row["account"].removeprefix("'") == event.get("account_snapshot", event.get("source", ""))
    by_id = {row["request_id"]: row for row in rows}
    assert by_id["nasty"]["account"] == "'=1+2", "no sheet may take it for a formula"
    assert by_id["nasty"]["model"] == NASTY and by_id["wide"]["account"] == "\u7528\u6237\U0001f642"
    assert by_id["failed"]["fail_summary"] == 'said "no",\nthen\r\nleft \u00e9'
    assert by_id["failed"]["failed"] == "true" and by_id["failed"]["latency_ms"] == "4200"
    assert by_id["plain"]["failed"] == "false" and by_id["plain"]["latency_ms"] == ""


def width(text):
    """Columns that a terminal takes for it."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def part(line, begin, end):
    """The text between two columns."""
    at, out = 0, ""
    for c in line:
        if begin <= at < end:
            out += c
        elif at < end < at + width(c):
            raise AssertionError(f"{c} stands across column {end}")
        at += width(c)
    return out


def table(text):
    """Rows of cells by name.  A text begins where the name of its column does, a number ends where it ends."""
    head, *rows = text.splitlines()
    at = {m[0]: m.span() for m in re.finditer("local time|[a-z]+", head)}
    texts, numbers = [n for n in at if n not in ("input", "output", "ms")], ("input", "output", "ms")
    found = []
    for row in rows:
        for n in numbers:
            assert re.fullmatch("[0-9-] ", part(row, at[n][1] - 1, at[n][1] + 1)), f"{n} of {row}"
        cells = {n: part(row, at[n][0], at[m][0]).strip() for n, m in zip(texts, texts[1:] + [None]) if m and n != "account"}
        cells.update(zip(("account", *numbers), part(row, at["account"][0], at["outcome"][0]).split()))
        found.append({**cells, "outcome": part(row, at["outcome"][0], 10000)})
    return found


def on_terminal(columns, *args, data):
    """What is shown there."""
    main, side = pty.openpty()
    ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 25, columns, 0, 0))
    process = subprocess.Popen([CPACTL, "--data", str(data), *args], stdout=side, stderr=side, stdin=subprocess.DEVNULL,
                               env=environment(TZ="XXX-05:30"))
    os.close(side)
    raw = b""
    try:
        while piece := os.read(main, 65536):
            raw += piece
    except OSError:  # what the end of a terminal is
        pass
    os.close(main)
    assert process.wait(60) == 0
    return re.sub("\r+\n", "\n", raw.decode())


def assert_steers_nothing(text):
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]", text)


def test_table_in_a_pipe(data):
    """As wide as it likes, in local time."""
    failed = table(run("events", "query", "--account", "acct-b", data=data, TZ="XXX-05:30").decode())[1]
    assert failed == {"local time": "2025-11-20 05:30:00", "model": "gpt-5(high)", "provider": "codex", "account": "acct-b",
                      "input": "10", "output": "5", "ms": "4200", "outcome": "failed 429"}


@pytest.mark.parametrize("columns", [80, 95, 110, 120, 200])
def test_table_fits_the_terminal(columns, data):
    text = on_terminal(columns, "events", "tail", "--limit", "300", data=data)
    assert_steers_nothing(text)
    assert max(map(width, text.splitlines())) <= columns
    wide, accent, nasty, failed, plain, recent = table(text)[-6:]
    assert WIDE.startswith(wide["model"].removesuffix("\u2026")) and len(wide["model"]) > 6
    assert wide["account"] == "\u7528\u6237\U0001f642"
    assert accent["model"] == "e\u0301te\u0301" and accent["ms"] == "-"
    assert nasty["model"].startswith("a?[31m?31m?red") and nasty["account"] == "=1+2"
    assert failed["local time"] == ("2025-" if columns >= 110 else "") + "11-20 05:30:00"
    assert failed["outcome"] == ("failed 429" if columns >= 110 else "429")
    assert (failed["model"], failed["input"], failed["output"], failed["ms"]) == ("gpt-5(high)", "10", "5", "4200")
    assert failed.get("provider") == ("codex" if columns >= 110 else None)
    assert plain["outcome"] == recent["outcome"] == "ok"


def test_a_tiny_terminal_still_shows_everything(data):
    assert table(on_terminal(30, "events", "tail", "--limit", "3", data=data))[0]["outcome"] == "429"


@pytest.mark.parametrize("form", ["json", "csv"])
def test_what_is_for_programs_steers_no_terminal(form, data):
    args = ["events", "query", "--to", "2025-11-22", "--limit", "100000", "--format", form]
    text = on_terminal(120, *args, data=data)
    assert_steers_nothing(text)
    if form == "json":
        assert [json.loads(line) for line in text.splitlines()] == lines(*args, data=data)
    assert NASTY in run(*args, data=data).decode().replace("\\u001b", "\x1b")


def test_output_that_cannot_be_written_is_a_failure(data):
    for args in (["query"], ["tail"], ["tail", "-f"], ["query", "--format", "csv", "--limit", "100000"]):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([CPACTL, "--data", str(data), "events", *args], stdout=full, stderr=subprocess.PIPE,
                                  env=environment(), timeout=60)
        assert done.returncode == 1 and done.stderr == b"cpactl: the output could not be written\n"


# ---- events tail -f


@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_tail_follows(form, cpa, daemon):
    cpa.push([payload("old")])
    daemon.start()
    wait_for(lambda: daemon.count() == 1)
    process = start("events", "tail", "-f", "--format", form, "--model", "m", data=daemon.data)
    shown = [process.stdout.readline().decode() for _ in range(1 if form == "json" else 2)]
    assert re.search("acct", shown[-1])
    for i in range(3):
        cpa.push([payload(f"other{i}", model="other"), payload(f"new{i}", source=f"acct-{i}", timestamp=NAMED_MS - i)])
        line = process.stdout.readline().decode()
        assert f"acct-{i}" in line and "other" not in line
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    # as every program that Ctrl-C ends: a shell makes 130 of it and ends its script
    assert process.returncode == -signal.SIGINT and out == err == b""


def test_tail_follows_from_nothing(cpa, daemon):
    daemon.start()
    wait_for(lambda: cpactl("events", "tail", data=daemon.data).stdout == "no events\n", what="an empty database")
    process = start("events", "tail", "--follow", data=daemon.data)
    assert process.stdout.readline().startswith(b"local time")
    cpa.push([payload("one")])
    assert b"acct" in process.stdout.readline()
    # ... and goes on when the daemon has died and come again
    daemon.kill()
    daemon.start()
    cpa.push([payload("two", source="acct-2")])
    assert b"acct-2" in process.stdout.readline()
    process.kill()
    process.communicate()


def test_tail_ends_when_nobody_reads(data):
    """Also while nothing comes that it could write."""
    process = start("events", "tail", "-f", data=data)
    process.stdout.readline()
    process.stdout.close()
    begun = time.monotonic()
    assert process.wait(10) in (0, -signal.SIGPIPE) and time.monotonic() - begun < 5
    assert process.stderr.read() == b""
