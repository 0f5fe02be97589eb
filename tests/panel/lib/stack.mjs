// The real thing: web server, application and daemon by tools/stack, and in
// front of them the stand-in for CPA; all in a directory that goes away.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");
const READY_MS = 40_000;

async function freePort() {
  const s = createServer();
  await new Promise((ready) => s.listen(0, "127.0.0.1", ready));
  const { port } = s.address();
  await new Promise((done) => s.close(done));
  return port;
}

/** A child process that is ended with the test. */
class Child {
  constructor(argv) {
    this.output = "";
    this.process = spawn(argv[0], argv.slice(1), { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [this.process.stdout, this.process.stderr])
      stream.on("data", (text) => (this.output += text));
    this.ended = new Promise((done) => this.process.once("exit", done));
  }

  async until(happened, what) {
    const end = Date.now() + READY_MS;
    while (!(await happened())) {
      if (this.process.exitCode !== null || Date.now() > end) throw new Error(`${what}: ${this.output}`);
      await new Promise((later) => setTimeout(later, 50));
    }
  }

  async stop() {
    this.process.kill("SIGTERM");
    await this.ended;
  }
}

const answers = (url) => fetch(url).then((r) => r.ok, () => false);

/** Publishes payloads as CPA does. */
const pusher = (cpaUrl) => async (payloads) => {
  const answer = await fetch(`${cpaUrl}/__ctl/push`, { method: "POST", body: JSON.stringify(payloads) });
  if (!answer.ok) throw new Error(`push: ${answer.status}`);
};

/** Start everything.  Returns { url, adminKey, cpaUrl, cpaKey, push, stop }. */
export async function startStack() {
  const cpaKey = "management-key-of-the-stand-in";
  const data = mkdtempSync(join(tmpdir(), "panel-stack-"));
  const cpaPort = await freePort();
  const port = await freePort();
  const cpa = new Child(["/usr/bin/python3", "tests/lib/fake_cpa.py", String(cpaPort), "--key", cpaKey]);
  const stack = new Child(["/usr/bin/python3", "tools/stack", "--port", String(port), "--data", data]);

  async function stop() {
    await Promise.all([stack.stop(), cpa.stop()]);
    rmSync(data, { recursive: true, force: true });
  }

  const cpaUrl = `http://127.0.0.1:${cpaPort}`;
  try {
    await cpa.until(() => answers(`${cpaUrl}/__ctl/state`), "the stand-in for CPA does not start");
    await stack.until(() => stack.output.includes("ready http"), "the stack does not start");
  } catch (e) {
    await stop();
    throw e;
  }
  return {
    url: `http://127.0.0.1:${port}/management.html`,
    adminKey: readFileSync(join(data, "admin-key.txt"), "utf8").trim(),
    cpaUrl,
    cpaKey,
    push: pusher(cpaUrl),
    stop,
  };
}

/**
 * A stack that runs already, fresh, with a stand-in for CPA (fake_cpa.py) for
 * it: BASE_URL, ADMIN_KEY, CPA_URL, CPA_KEY.  null: the environment names none.
 */
export function givenStack() {
  const { BASE_URL, ADMIN_KEY, CPA_URL, CPA_KEY } = process.env;
  if (BASE_URL === undefined) return null;
  return {
    url: `${BASE_URL.replace(/\/$/, "")}/management.html`,
    adminKey: ADMIN_KEY,
    cpaUrl: CPA_URL,
    cpaKey: CPA_KEY,
    push: pusher(CPA_URL),
    stop: () => Promise.resolve(),
  };
}
