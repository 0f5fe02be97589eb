// Bundles src/ into one page, build/management.html, with its compressed
// forms and the Content-Security-Policy that fits exactly this page.
// usage: node build.mjs [OUT_DIR]
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2] ?? join(here, "..", "build");

async function bundle(entry) {
  const result = await build({
    entryPoints: [join(here, "src", entry)],
    bundle: true,
    minify: true,
    write: false,
    format: "iife",
    target: ["chrome100", "firefox100", "safari15.4"],
    jsx: "automatic",
    jsxImportSource: "preact",
    legalComments: "none",
    charset: "utf8",
    logLevel: "warning",
  });
  return result.outputFiles[0].text.trim();
}

const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

// Text inside an element ends at the first "</": neither may contain it.
function inline(text, tag) {
  if (text.toLowerCase().includes(`</${tag}`)) throw new Error(`bundle contains </${tag}`);
  return text;
}

const script = inline(await bundle("main.tsx"), "script");
const style = inline(await bundle("styles/index.css"), "style");
const page = readFileSync(join(here, "src", "page.html"), "utf8")
  .replace("/*STYLE*/", () => style)
  .replace("/*SCRIPT*/", () => script);

const policy = [
  "default-src 'none'",
  `script-src ${hash(script)}`,
  `style-src ${hash(style)}`,
  "img-src data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

mkdirSync(out, { recursive: true });
const file = join(out, "management.html");
const bytes = Buffer.from(page, "utf8");
const gzip = gzipSync(bytes, { level: 9 });
const brotli = brotliCompressSync(bytes, {
  params: {
    [constants.BROTLI_PARAM_MODE]: constants.BROTLI_MODE_TEXT,
    [constants.BROTLI_PARAM_QUALITY]: 11,
    [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
  },
});
writeFileSync(file, bytes);
writeFileSync(`${file}.gz`, gzip);
writeFileSync(`${file}.br`, brotli);
writeFileSync(join(out, "management.csp"), `${policy}\n`);
console.log(`  PAGE ${file}: ${bytes.length} bytes, ${gzip.length} gzip, ${brotli.length} brotli`);
