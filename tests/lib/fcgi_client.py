"""A FastCGI client that can also behave badly: for tests of the application alone.

Well-behaved use:
    answer = Connection(path).ask(message("GET", "/health"))
Otherwise the records are at hand: begin(), params(), stdin(), record(), and
the connection's send(), read_answer(), close().
"""
import json
import socket
import struct

VERSION = 1
BEGIN, ABORT, END, PARAMS, STDIN, STDOUT, STDERR, DATA, GET_VALUES, GET_VALUES_RESULT, UNKNOWN = range(1, 12)
RESPONDER, AUTHORIZER, FILTER = 1, 2, 3
KEEP = 1


def record(kind, content=b"", request_id=1, padding=0, version=VERSION):
    """One record; content up to 65535 bytes."""
    return struct.pack(">BBHHBx", version, kind, request_id, len(content), padding) + content + b"\0" * padding


def stream(kind, content, piece=65535, padding=0, end=True):
    """A stream of records, closed by an empty one."""
    out = b"".join(record(kind, content[i:i + piece], padding=padding) for i in range(0, len(content), piece))
    return out + (record(kind) if end else b"")


def begin(role=RESPONDER, flags=0):
    return record(BEGIN, struct.pack(">HB5x", role, flags))


def pairs(values):
    out = []
    for name, value in values.items():
        for text in (name, value):
            n = len(text.encode())
            out.append(struct.pack(">B", n) if n < 128 else struct.pack(">I", n | 1 << 31))
        out += name.encode(), value.encode()
    return b"".join(out)


def cgi(method, uri, key=None, body=None, **more):
    """What a web server says about a request."""
    values = {"REQUEST_METHOD": method, "REQUEST_URI": uri, "REMOTE_ADDR": "192.0.2.1", "SERVER_PROTOCOL": "HTTP/1.1",
              "CONTENT_LENGTH": str(len(body)) if body is not None else ""}
    if key:
        values["HTTP_AUTHORIZATION"] = "Bearer " + key
    return dict(values, **more)


def message(method, uri, key=None, body=None, **more):
    """A whole request, ready to be sent: what it costs to build must not count as silence."""
    return begin() + stream(PARAMS, pairs(cgi(method, uri, key, body, **more))) + stream(STDIN, body or b"")


class Answer:
    """What came back: status, headers, body; `ended` when it is complete by protocol."""

    def __init__(self, raw, ended, errors, end_status):
        self.raw, self.ended, self.errors, self.end_status = raw, ended, errors, end_status
        head, _, self.body = raw.partition(b"\r\n\r\n")
        self.headers = {}
        for line in head.decode().splitlines():
            name, _, value = line.partition(":")
            self.headers[name.lower()] = value.strip()
        self.status = int(self.headers.get("status", "0").split()[0])

    @property
    def json(self):
        return json.loads(self.body)


class Connection:
    def __init__(self, path, timeout=30):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.socket.connect(path)

    def send(self, *parts):
        self.socket.sendall(b"".join(parts))

    def close(self):
        self.socket.close()

    def receive(self, n):
        data = b""
        while len(data) < n:
            more = self.socket.recv(n - len(data))
            if not more:
                break
            data += more
        return data

    def read_record(self):
        """(kind, content), or None at the end."""
        head = self.receive(8)
        if len(head) < 8:
            return None
        version, kind, _, length, padding = struct.unpack(">BBHHBx", head)
        assert version == VERSION
        return kind, self.receive(length + padding)[:length]

    def read_answer(self):
        """All that comes until the peer closes."""
        raw, errors, end_status = b"", b"", None
        try:
            while (r := self.read_record()) is not None:
                kind, content = r
                if kind == STDOUT:
                    raw += content
                elif kind == STDERR:
                    errors += content
                elif kind == END:
                    end_status = struct.unpack(">IB3x", content)
        except ConnectionResetError:
            pass
        finally:
            self.close()
        return Answer(raw, end_status is not None, errors, end_status)

    def ask(self, whole):
        """Send what message() made; the answer."""
        self.send(whole)
        return self.read_answer()
