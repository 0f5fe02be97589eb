#!/usr/bin/python3
"""A stand-in for CPA that makes traffic up: 30 days of history, then a stream.

usage: GATEWAY_KEY=... tools/gateway_demo.py PORT [--history EVENTS] [--days DAYS] [--seed N]

Answers the few management routes that this project asks of a gateway, on
127.0.0.1 only.  Nobody's account, key or request is in what it publishes.
"""
import argparse
import collections
import datetime
import hashlib
import hmac
import json
import math
import os
import random
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

Model = collections.namedtuple("Model", "provider executor name endpoint auth weight input output")
MODELS = [
    Model("codex", "CodexExecutor", "gpt-5.1-codex", "POST /v1/responses", "oauth", 24, 9.2, 6.4),
    Model("codex", "CodexExecutor", "gpt-5.1", "POST /v1/responses", "oauth", 9, 8.4, 6.1),
    Model("codex", "CodexExecutor", "gpt-5-mini", "POST /v1/chat/completions", "oauth", 7, 7.1, 5.6),
    Model("claude", "ClaudeExecutor", "claude-sonnet-4-5", "POST /v1/messages", "oauth", 26, 5.0, 6.6),
    Model("claude", "ClaudeExecutor", "claude-opus-4-5", "POST /v1/messages", "oauth", 8, 5.4, 6.9),
    Model("claude", "ClaudeExecutor", "claude-haiku-4-5", "POST /v1/messages", "oauth", 6, 4.6, 5.5),
    Model("gemini", "GeminiExecutor", "gemini-2.5-pro", "POST /v1beta/models/*action", "apikey", 7, 8.1, 6.5),
    Model("gemini", "GeminiExecutor", "gemini-2.5-flash", "POST /v1beta/models/*action", "apikey", 6, 7.6, 5.9),
    Model("xai", "XAIExecutor", "grok-4", "POST /v1/chat/completions", "oauth", 4, 7.9, 6.2),
    Model("openai-compatible-local", "OpenAICompatExecutor", "qwen3-coder", "POST /v1/chat/completions", "apikey",
          3, 7.2, 5.8),
]
PEOPLE = ["ada", "ben", "chen", "dana", "emil", "fatma", "goran", "hana", "ivan", "jun"]
AGENTS = ["codex_cli_rs/0.58.0", "claude-cli/2.0.50 (external, cli)", "opencode/1.0.1", "python-openai/1.90"]
FAILURES = [
    (429, '{"error":{"message":"The usage limit has been reached","type":"usage_limit_reached"}}'),
    (500, '{"error":{"message":"The server had an error while processing your request"}}'),
    (503, '{"error":{"type":"overloaded_error","message":"Overloaded"}}'),
    (400, '{"error":{"message":"context length exceeded","code":"context_length_exceeded"}}'),
    (401, '{"error":{"message":"Your authentication token has been invalidated","code":"token_invalidated"}}'),
]
EFFORTS = ["", "low", "medium", "medium", "high"]


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


class Publisher:
    """Makes payloads as CPA publishes them, and keeps the queue."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.queue = collections.deque()
        self.lock = threading.Lock()
        self.keys = ["sk-demo-" + digest(f"key{i}")[:32] for i in range(8)]

    def credential(self, model):
        person = PEOPLE[min(int(self.random.expovariate(0.45)), len(PEOPLE) - 1)]
        if model.auth == "apikey":
            return "sk-upstream-" + digest(model.provider)[:28], digest(model.provider)[:16]
        email = f"{person}@example.com"
        return email, digest(model.provider + email)[:16]

    def tokens(self, model, failed):
        r = self.random
        inp = int(r.lognormvariate(model.input, 0.9))
        out = 0 if failed else int(r.lognormvariate(model.output, 0.8))
        cached = int(inp * r.choice([0, 0.3, 0.7, 0.9]))
        creation = reasoning = 0
        if failed:
            inp = cached = 0
        if model.provider == "claude":
            # input is what was not cached; cached parts stand beside it
            cached, creation = cached * 20, int(inp * r.choice([0, 0, 2, 6]))
            total = inp + cached + creation + out
        else:
            reasoning = int(out * r.choice([0, 0.2, 0.5])) if model.provider in ("codex", "xai", "gemini") else 0
            total = inp + out + (reasoning if model.provider == "gemini" else 0)
        return {"input_tokens": inp, "output_tokens": out, "reasoning_tokens": reasoning, "cached_tokens": cached,
                "cache_read_tokens": cached, "cache_read_tokens_present": True, "cache_creation_tokens": creation,
                "total_tokens": total}

    def breakdown(self, model, t):
        separate = model.provider == "claude"
        whole = t["input_tokens"] + (t["cache_read_tokens"] + t["cache_creation_tokens"] if separate else 0)
        return {"schema_version": 2, "quality": "complete", "total_tokens": t["total_tokens"],
                "input": {"total_tokens": whole,
                          "uncached_tokens": max(0, whole - t["cache_read_tokens"] - t["cache_creation_tokens"]),
                          "cache_read_tokens": t["cache_read_tokens"],
                          "cache_write_tokens": t["cache_creation_tokens"]},
                "output": {"total_tokens": t["output_tokens"],
                           "non_reasoning_tokens": max(0, t["output_tokens"] - t["reasoning_tokens"]),
                           "reasoning_tokens": t["reasoning_tokens"]},
                "unclassified_tokens": 0}

    def headers(self, model, at_s, status):
        h = {"Content-Type": ["text/event-stream"], "X-Request-Id": [digest(f"{at_s}{self.random.random()}")[:32]]}
        if model.provider == "codex":
            h.update({"X-Codex-Plan-Type": ["plus"],
                      "X-Codex-Primary-Used-Percent": [str(int(at_s / 180 % 100))],
                      "X-Codex-Primary-Window-Minutes": ["300"],
                      "X-Codex-Primary-Reset-After-Seconds": [str(18000 - int(at_s) % 18000)],
                      "X-Codex-Secondary-Used-Percent": [str(int(at_s / 6048 % 100))],
                      "X-Codex-Secondary-Window-Minutes": ["10080"],
                      "X-Codex-Secondary-Reset-After-Seconds": [str(604800 - int(at_s) % 604800)]})
        if status == 429:
            h["Retry-After"] = [str(self.random.choice([20, 60, 300]))]
        return h

    def event(self, at_s):
        r = self.random
        model = r.choices(MODELS, [m.weight for m in MODELS])[0]
        source, auth_index = self.credential(model)
        failed = r.random() < 0.035
        status, body = r.choice(FAILURES) if failed else (200, "")
        tokens = self.tokens(model, failed)
        ttft = int(r.lognormvariate(6.6, 0.5))
        effort = r.choice(EFFORTS) if model.provider in ("codex", "xai") else ""
        when = datetime.datetime.fromtimestamp(at_s, datetime.timezone.utc)
        return {
            "timestamp": when.strftime("%Y-%m-%dT%H:%M:%S.%f") + f"{r.randrange(1000):03d}Z",
            "latency_ms": int(r.lognormvariate(5.2, 0.6)) if failed else ttft + int(r.lognormvariate(8.2, 0.8)),
            "ttft_ms": 0 if failed else ttft, "source": source, "auth_index": auth_index,
            "client_ip": f"192.0.2.{r.randrange(1, 40)}", "x_forwarded_for": "", "user_agent": r.choice(AGENTS),
            "tokens": tokens, "failed": failed, "generate": True, "fail": {"status_code": status, "body": body},
            "response_headers": self.headers(model, at_s, status), "accounting_version": 2,
            "token_breakdown": self.breakdown(model, tokens), "provider": model.provider,
            "executor_type": model.executor, "model": model.name,
            "alias": model.name + (f"({effort})" if effort == "high" else ""), "endpoint": model.endpoint,
            "auth_type": model.auth, "api_key": self.keys[min(int(r.expovariate(0.5)), len(self.keys) - 1)],
            "request_id": f"{r.getrandbits(32):08x}", "reasoning_effort": effort,
            "service_tier": r.choice(["auto", "auto", "default", "priority"])}

    def publish(self, at_s):
        item = json.dumps(self.event(at_s), separators=(",", ":")).encode()
        with self.lock:
            self.queue.append(item)

    def pop(self, count):
        with self.lock:
            return [self.queue.popleft() for _ in range(min(count, len(self.queue)))]

    def history(self, events, days):
        """Busy by day, quiet by night and at the weekend; ascending, as a queue delivers."""
        now = time.time()
        hours = int(days * 24)
        weights = []
        for i in range(hours):
            at = time.localtime(now - (hours - i) * 3600)
            day = 0.35 + max(0.0, math.sin((at.tm_hour - 6) / 24 * 2 * math.pi))
            weights.append(day * (0.4 if at.tm_wday >= 5 else 1.0) * self.random.uniform(0.7, 1.3))
        scale = events / sum(weights)
        for i, w in enumerate(weights):
            start = now - (hours - i) * 3600
            for at in sorted(self.random.random() for _ in range(int(w * scale + self.random.random()))):
                self.publish(start + at * 3600)

    def stream(self):
        while True:
            time.sleep(self.random.uniform(0.3, 1.2))
            self.publish(time.time())


def handler_of(publisher, key):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version, sys_version = "demo-gateway", ""

        def answer(self, status, body):
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(data)))
            self.send_header("X-CPA-VERSION", "demo")
            self.end_headers()
            self.wfile.write(data)

        def allowed(self):
            given = self.headers.get("Authorization", "")
            given = given[7:] if given[:7].lower() == "bearer " else self.headers.get("X-Management-Key", "")
            if hmac.compare_digest(given.encode(), key.encode()):
                return True
            self.answer(401, {"error": "invalid management key" if given else "missing management key"})
            return False

        def do_GET(self):
            url = urlsplit(self.path)
            if not self.allowed():
                return
            if url.path == "/v0/management/usage-queue":
                text = parse_qs(url.query).get("count", ["1"])[0].strip()
                if not text.isdigit() or int(text) <= 0:
                    self.answer(400, {"error": "count must be a positive integer"})
                    return
                self.answer(200, b"[" + b",".join(publisher.pop(int(text))) + b"]")
            elif url.path == "/v0/management/config":
                self.answer(200, {"usage-statistics-enabled": True, "redis-usage-queue-retention-seconds": 3600})
            elif url.path == "/v0/management/usage-statistics-enabled":
                self.answer(200, {"usage-statistics-enabled": True})
            elif url.path == "/v0/management/auth-files":
                self.answer(200, {"files": []})
            else:
                self.answer(404, {"error": "not found"})

        def do_PUT(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.allowed():
                self.answer(200, {"status": "ok"})

        def log_message(self, *_args):
            pass

    return Handler


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("port", type=int)
    p.add_argument("--history", type=int, default=20000, metavar="EVENTS")
    p.add_argument("--days", type=float, default=30)
    p.add_argument("--seed", type=int, default=None)
    a = p.parse_args()
    publisher = Publisher(a.seed)
    server = ThreadingHTTPServer(("127.0.0.1", a.port), handler_of(publisher, os.environ["GATEWAY_KEY"]))
    server.daemon_threads = True

    def publish():
        publisher.history(a.history, a.days)
        publisher.stream()

    threading.Thread(target=publish, daemon=True).start()
    print(f"stand-in gateway on 127.0.0.1:{a.port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
