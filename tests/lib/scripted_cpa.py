"""The few management calls of CPA that setup and configuration make, answered as a test says."""
import http.server
import json
import threading


class ScriptedCpa:
    """Change key, config, config_status, enable_status at will; `calls` is what was asked."""

    def __init__(self, key="cpa-mgmt-secret"):
        self.key = key
        self.config = {"usage-statistics-enabled": True, "redis-usage-queue-retention-seconds": 60}
        self.config_status = self.enable_status = self.yaml_status = 200
        self.yaml = b"port: 8317\nusage-statistics-enabled: true\n"
        self.calls = []
        cpa = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                cpa.calls.append((self.command, self.path, self.headers.get("Authorization"), body.decode()))
                if self.headers.get("Authorization") != "Bearer " + cpa.key:
                    self.answer(401, {"error": "invalid management key"})
                elif self.path == "/v0/management/config":
                    self.answer(cpa.config_status, cpa.config)
                elif self.path == "/v0/management/usage-statistics-enabled":
                    self.answer(cpa.enable_status, {"status": "ok"})
                elif self.path == "/v0/management/config.yaml":
                    if self.command == "PUT" and cpa.yaml_status == 200:
                        cpa.yaml = body
                    self.answer(cpa.yaml_status, cpa.yaml if self.command == "GET" else {"ok": True})
                elif self.path.startswith("/v0/management/usage-queue"):
                    self.answer(200, [])
                else:
                    self.answer(404, {"error": "not found"})

            do_GET = do_PUT = do_POST = do

            def answer(self, status, value):
                body = value if isinstance(value, bytes) else json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def port(self):
        return self.server.server_port

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def asked(self, method, path):
        """How often, by whomever."""
        return sum(1 for c in self.calls if c[:2] == (method, path))

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
