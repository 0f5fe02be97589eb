// What the build promises about the page, whatever a browser makes of it.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { brotliDecompressSync, gunzipSync } from "node:zlib";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const built = (name) => readFileSync(join(root, "build", name));
const html = built("management.html").toString("utf8");
const policy = built("management.csp").toString("utf8");

const bodies = (tag) => [...html.matchAll(new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`, "g"))].map((m) => m[1]);
const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

test("the page has one script and one style, and the policy allows exactly these", () => {
  assert.equal(bodies("script").length, 1);
  assert.equal(bodies("style").length, 1);
  assert.match(policy, /^default-src 'none'; /);
  assert.ok(policy.includes(`script-src ${hash(bodies("script")[0])};`));
  assert.ok(policy.includes(`style-src ${hash(bodies("style")[0])};`));
  for (const rule of ["connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"])
    assert.ok(policy.includes(rule), rule);
  assert.doesNotMatch(policy, /unsafe|\*|https?:/);
  assert.equal(policy.trim().split("\n").length, 1);
});

test("the markup has no handlers, no inline styles, no files of its own", () => {
  const markup = html.replace(/<(script|style)>[\s\S]*?<\/\1>/g, "");
  assert.doesNotMatch(markup, /\son[a-z]+\s*=/i);
  assert.doesNotMatch(markup, /\sstyle\s*=/i);
  assert.doesNotMatch(markup, /\s(src|href)\s*=\s*"(?!data:)/i);
  assert.match(markup, /<noscript>[\s\S]*JavaScript[\s\S]*<\/noscript>/);
});

test("the compressed files are the page", () => {
  assert.equal(gunzipSync(built("management.html.gz")).toString("utf8"), html);
  assert.equal(brotliDecompressSync(built("management.html.br")).toString("utf8"), html);
});

test("the page stays small", () => {
  assert.ok(built("management.html.gz").length <= 60 * 1024, `${built("management.html.gz").length} bytes gzip`);
});

test("the same sources give the same bytes", () => {
  const dir = mkdtempSync(join(tmpdir(), "panel-"));
  try {
    execFileSync(process.execPath, [join(root, "panel", "build.mjs"), dir], { stdio: "ignore" });
    for (const name of ["management.html", "management.html.gz", "management.html.br", "management.csp"])
      assert.ok(readFileSync(join(dir, name)).equals(built(name)), name);
    // bytes 4 to 7 of a gzip file are a time: none
    assert.equal(readFileSync(join(dir, "management.html.gz")).readUInt32LE(4), 0);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

test("the lock files name packages and no hosts, and every version is exact", () => {
  for (const dir of ["panel", "tests/panel"]) {
    const lock = readFileSync(join(root, dir, "package-lock.json"), "utf8");
    assert.doesNotMatch(lock, /:\/\//, `${dir}/package-lock.json`);
    const { dependencies = {}, devDependencies } = JSON.parse(readFileSync(join(root, dir, "package.json"), "utf8"));
    for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies }))
      assert.match(version, /^\d+\.\d+\.\d+$/, name);
  }
});

function sources(dir) {
  return readdirSync(dir).flatMap((name) => {
    const path = join(dir, name);
    return statSync(path).isDirectory() ? sources(path) : [path];
  });
}

// That no language lacks a text is the compiler's business: i18n/catalogue.ts.
test("every text is used", () => {
  const src = join(root, "panel", "src");
  const code = sources(src)
    .filter((path) => /\.tsx?$/.test(path) && !path.startsWith(join(src, "i18n")))
    .map((path) => readFileSync(path, "utf8"))
    .join("\n");
  const names = [...readFileSync(join(src, "i18n", "en.ts"), "utf8").matchAll(/^ {2}(\w+):/gm)].map((m) => m[1]);
  assert.ok(names.length > 100);
  assert.deepEqual(names.filter((name) => !code.includes(`"${name}"`)), []);
});
