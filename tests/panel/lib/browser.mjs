// Debian's Chromium, with a profile of its own that is thrown away.
import { chromium } from "playwright-core";

const flags = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export const PHONE = { width: 390, height: 844 };
export const DESK = { width: 1280, height: 900 };

export function startBrowser() {
  return chromium.launch({ executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium", headless: true, args: flags });
}

/**
 * A page with its own storage.  complaints: every console error, exception
 * and request to another origin; a test ends with checking that there are
 * none but those it provoked.
 */
export async function openPage(browser, { url, key, lang = "en-GB", dark = false, size = DESK, wait = true, before, ...more }) {
  const context = await browser.newContext({
    locale: lang,
    colorScheme: dark ? "dark" : "light",
    viewport: size,
    reducedMotion: "reduce",
    ...more,
  });
  if (key !== undefined) await context.addInitScript((k) => sessionStorage.setItem("cpam.key", k), key);
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  const complaints = [];
  page.on("console", (m) => {
    if (m.type() === "error") complaints.push(m.text());
  });
  page.on("pageerror", (e) => complaints.push(String(e)));
  page.on("request", (r) => {
    const origin = new URL(r.url()).origin;
    if (origin !== new URL(url).origin && !r.url().startsWith("data:")) complaints.push(`asked a stranger: ${r.url()}`);
  });
  if (before !== undefined) await before(page);
  await page.goto(url);
  if (wait) await page.locator("main").waitFor();
  return { page, context, complaints };
}
