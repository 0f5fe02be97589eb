// Every state in both themes and both languages, on a desk and on a phone:
// accessible by axe, no wider than the window, no word of a broken figure.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import axe from "axe-core";
import { DESK, openPage, PHONE, startBrowser } from "./lib/browser.mjs";
import { ADMIN_KEY, json, startMock } from "./lib/mock.mjs";
import * as scenes from "./lib/scenes.mjs";

let browser, mock, view;
before(async () => (browser = await startBrowser()));
after(() => browser.close());
beforeEach(async () => (mock = await startMock(scenes.full())));
afterEach(async () => {
  await view?.context.close();
  view = undefined;
  await mock.stop();
});

async function violations(page) {
  await page.evaluate(axe.source);
  const found = await page.evaluate(() =>
    globalThis.axe.run(document, { resultTypes: ["violations"] }).then((r) => r.violations));
  return found.map((v) => `${v.impact}: ${v.id}: ${v.nodes.map((n) => n.html).join(" | ").slice(0, 400)}`);
}

async function checkLooks(page, name) {
  assert.deepEqual(await violations(page), [], name);
  const widths = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  assert.ok(widths[0] <= widths[1], `${name}: ${widths[0]} px wide in ${widths[1]}`);
  const text = await page.evaluate(() => document.body.innerText);
  for (const broken of ["undefined", "NaN", "Invalid Date", "[object", "null"])
    assert.ok(!text.includes(broken), `${name}: ${broken}`);
  assert.equal(await page.evaluate(() => document.querySelectorAll("h1").length), 1, `${name}: one h1`);
}

const heading = (level) => (page) => page.getByRole("heading", { level }).first().waitFor();
const button = (page, en, zh) => page.getByRole("button", { name: new RegExp(`^(${en}|${zh})$`) });

/** name -> what the server says, the key in the browser, how to get there. */
const states = {
  "setup, admin key": { scene: scenes.fresh, reach: heading(1) },
  "setup, review and error": {
    scene: () => ({
      ...scenes.fresh(),
      onSetup: () => json(502, { code: "request_failed", error: "GET http://10.0.0.5:8317/v0/management/config: connection refused" }),
    }),
    provoked: 502,
    reach: async (page) => {
      await page.locator("#admin-key").fill(ADMIN_KEY);
      await page.keyboard.press("Enter");
      await page.locator("#cpa-url").waitFor();
      await page.keyboard.press("Enter");
      await page.locator("#cpa-key").fill("secret");
      await page.keyboard.press("Enter");
      await page.getByRole("checkbox").waitFor();
      await button(page, "Next", "下一步").click();
      await button(page, "Connect", "连接").click();
      await page.getByRole("alert").waitFor();
    },
  },
  login: { scene: scenes.full, reach: (page) => page.locator("details").first().click() },
  "login throttled": {
    scene: () => scenes.full({ throttledS: 600 }),
    provoked: 429,
    reach: async (page) => {
      await page.locator("#admin-key").fill("wrong");
      await page.keyboard.press("Enter");
      await page.getByRole("alert").waitFor();
    },
  },
  "full, a failure open": {
    scene: scenes.full,
    long: true,
    key: ADMIN_KEY,
    reach: async (page) => {
      await page.locator("button.badge").first().click();
      await page.locator(".failure").waitFor();
    },
  },
  "hours as a table": {
    scene: scenes.full,
    key: ADMIN_KEY,
    hash: "#/?hours=table",
    reach: (page) => page.locator(".plot td").first().waitFor(),
  },
  empty: { scene: scenes.empty, key: ADMIN_KEY, reach: (page) => page.locator(".checks .good").nth(3).waitFor() },
  "collector stopped": { scene: scenes.stopped, key: ADMIN_KEY, reach: (page) => page.getByRole("alert").waitFor() },
  "key refused": { scene: scenes.refused, key: ADMIN_KEY, reach: (page) => page.getByRole("alert").waitFor() },
  "503 from the start": {
    scene: () => scenes.full({ broken: scenes.databaseLocked }),
    key: ADMIN_KEY,
    provoked: 503,
    reach: (page) => page.locator(".trouble").waitFor(),
  },
  "nobody there": {
    scene: () => scenes.full({ down: scenes.webServerOnly }),
    provoked: 502,
    reach: (page) => page.locator(".notice").waitFor(),
  },
  connection: { scene: scenes.full, key: ADMIN_KEY, hash: "#/connection", reach: (page) => page.locator("#cpa-url").waitFor() },
  demo: { scene: scenes.demo, reach: (page) => page.locator(".badge.demo").waitFor() },
};

for (const [name, state] of Object.entries(states))
  for (const dark of [false, true])
    test(`looks: ${name}, ${dark ? "dark" : "light"}`, async () => {
      // both languages and both sizes, crosswise
      for (const [lang, size] of dark ? [["en-GB", PHONE], ["zh-CN", DESK]] : [["en-GB", DESK], ["zh-CN", PHONE]]) {
        mock.scene = state.scene();
        // one state has all hundred rows; for the others a few say as much
        if (state.long !== true) mock.scene.overview.events.splice(8);
        view = await openPage(browser, { url: mock.url + (state.hash ?? ""), key: state.key, dark, lang, size });
        await state.reach(view.page);
        await checkLooks(view.page, `${name} ${lang} ${size.width}`);
        assert.equal(await view.page.evaluate(() => document.documentElement.lang), lang === "zh-CN" ? "zh-CN" : "en");
        assert.equal(await view.page.evaluate(() => document.documentElement.dataset.theme), dark ? "dark" : "light");
        if (lang === "zh-CN")
          assert.match(await view.page.locator("main").innerText(), /[\u4e00-\u9fff]{2}/);
        assert.deepEqual(view.complaints.filter((c) => !c.includes(`status of ${state.provoked}`)), [], name);
        await view.context.close();
      }
    });

test("language and theme can be chosen, and are remembered", async () => {
  view = await openPage(browser, { url: mock.url, lang: "de-DE" });
  const page = view.page;
  await page.getByRole("heading", { name: "Log in" }).waitFor();
  await page.getByLabel("Language").selectOption("zh");
  await page.getByRole("heading", { name: "登录" }).waitFor();
  await page.getByLabel("外观").selectOption("dark");
  await page.reload();
  await page.getByRole("heading", { name: "登录" }).waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
  await page.getByLabel("外观").selectOption("auto");
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "light");
  await page.emulateMedia({ colorScheme: "dark" });
  await page.waitForFunction(() => document.documentElement.dataset.theme === "dark");
  assert.deepEqual(view.complaints, []);
});

test("the keyboard is enough, and shows where it is", async () => {
  view = await openPage(browser, { url: mock.url });
  const page = view.page;
  const at = () => page.evaluate(() => document.activeElement?.id || document.activeElement?.textContent);
  await page.locator("#admin-key").waitFor();
  assert.equal(await at(), "admin-key");
  await page.keyboard.type(ADMIN_KEY);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Today" }).waitFor();
  await page.reload();
  await page.getByRole("heading", { name: "Today" }).waitFor();
  await page.keyboard.press("Tab");
  assert.equal(await at(), "Skip to content");
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.equal(outline, "solid");
  await page.keyboard.press("Enter");
  assert.equal(await at(), "main");
  assert.doesNotMatch(page.url(), /#main/);
  await page.keyboard.press("Tab");
  assert.equal(await at(), "Table");
  await page.keyboard.press("Enter");
  await page.getByRole("columnheader", { name: "Hour" }).waitFor();
  assert.deepEqual(view.complaints, []);
});

test("back and forward go where they should; an unknown page is the overview", async () => {
  view = await openPage(browser, { url: `${mock.url}#/no-such-page`, key: ADMIN_KEY });
  const page = view.page;
  await page.getByRole("heading", { name: "Today" }).waitFor();
  await page.getByRole("link", { name: "Connection" }).click();
  await page.getByRole("heading", { name: "Connection" }).waitFor();
  assert.match(await page.title(), /^Connection/);
  await page.goBack();
  await page.getByRole("heading", { name: "Today" }).waitFor();
  await page.goForward();
  await page.getByRole("heading", { name: "Connection" }).waitFor();
  assert.deepEqual(view.complaints, []);
});

test("without JavaScript the page says what it needs", async () => {
  view = await openPage(browser, { url: mock.url, javaScriptEnabled: false, wait: false });
  const words = view.page.locator(".noscript");
  await words.waitFor();
  assert.match(await words.innerText(), /This page is drawn by JavaScript[^]*此页面需要 JavaScript/);
});

test("the shell is painted before any data", async () => {
  let release;
  mock.hold = (path) => (path === "/management.html" ? undefined : new Promise((r) => (release = r)));
  view = await openPage(browser, { url: mock.url, key: ADMIN_KEY });
  await view.page.getByText("CPA Manager", { exact: true }).first().waitFor();
  await view.page.getByText("Loading…").waitFor();
  await checkLooks(view.page, "before the first answer");
  mock.hold = undefined;
  release();
  await view.page.getByRole("heading", { name: "Today" }).waitFor();
});

test("storage that is forbidden changes nothing but memory", async () => {
  view = await openPage(browser, {
    url: mock.url,
    before: (page) =>
      page.addInitScript(() => {
        for (const name of ["localStorage", "sessionStorage"])
          Object.defineProperty(window, name, { get: () => { throw new DOMException("denied", "SecurityError"); } });
      }),
  });
  await view.page.locator("#admin-key").fill(ADMIN_KEY);
  await view.page.keyboard.press("Enter");
  await view.page.getByRole("heading", { name: "Today" }).waitFor();
  assert.deepEqual(view.complaints, []);
});
