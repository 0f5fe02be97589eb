// A server that plays ours: the built page with the headers that it is built
// with, and the answers of a scene that the test sets up and changes.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");
const build = process.env["BUILD_DIR"] ?? join(root, "build");

export const ADMIN_KEY = "cmp_admin_0123456789abcdefghijklmnopqrstuv";
export const policy = readFileSync(join(build, "management.csp"), "utf8").trim();
const page = readFileSync(join(build, "management.html"));

const json = (status, body, headers = {}) => ({ status, body: JSON.stringify(body), headers });
const denied = () => json(401, { code: "invalid_admin_key", error: "invalid admin key" });

function answer(scene, request, body) {
  const path = new URL(request.url, "http://x").pathname;
  const route = `${request.method} ${path}`;
  if (scene.down !== undefined && path !== "/management.html") return scene.down;
  if (route === "GET /management.html")
    return {
      status: 200,
      body: page,
      headers: { "Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": policy },
    };
  if (route === "GET /usage-service/info") return json(200, scene.info);
  if (scene.throttledS !== undefined)
    return json(429, { code: "login_throttled", error: "too many wrong admin keys" }, { "Retry-After": scene.throttledS });
  if (request.headers.authorization !== `Bearer ${scene.adminKey}`) return denied();
  if (scene.broken !== undefined) return scene.broken;
  if (scene.instead?.[route] !== undefined) return scene.instead[route];
  if (route === "GET /status") return json(200, scene.status);
  if (route === "GET /v0/management/overview") return json(200, scene.overview);
  if (route === "GET /v0/management/collector/gaps") return json(200, scene.gaps);
  if (route === "GET /usage-service/config") return json(200, scene.config);
  if (route === "POST /setup") return scene.onSetup(JSON.parse(body));
  return { status: 404, body: "404 page not found\n", headers: { "Content-Type": "text/plain" } };
}

/**
 * Start on a free port.  scene: what is answered (lib/scenes.mjs); the test
 * may change it at any time.  asked: every request so far, "METHOD path".
 * hold: called with a path, may return a promise that the answer waits for.
 */
export async function startMock(scene) {
  const mock = { scene, asked: [], hold: undefined };
  const server = createServer((request, response) => {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", async () => {
      mock.asked.push(`${request.method} ${request.url}`);
      await mock.hold?.(request.url);
      const a = answer(mock.scene, request, Buffer.concat(chunks).toString("utf8"));
      response.writeHead(a.status, { "Content-Type": "application/json", "Cache-Control": "no-cache", ...a.headers });
      response.end(a.body);
    });
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  mock.port = server.address().port;
  mock.origin = `http://127.0.0.1:${mock.port}`;
  mock.url = `${mock.origin}/management.html`;
  mock.stop = () =>
    new Promise((done) => {
      server.close(done);
      server.closeAllConnections();
    });
  return mock;
}

export { json };
