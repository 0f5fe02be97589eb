// The overview: what it shows, how it keeps fresh, what it says in trouble.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { openPage, PHONE, startBrowser } from "./lib/browser.mjs";
import { ADMIN_KEY, json, startMock } from "./lib/mock.mjs";
import * as scenes from "./lib/scenes.mjs";

let browser, mock, view;
before(async () => (browser = await startBrowser()));
after(() => browser.close());
beforeEach(async () => (mock = await startMock(scenes.full())));
afterEach(async () => {
  await view?.context.close();
  await mock.stop();
});

async function open(scene, more = {}) {
  mock.scene = scene;
  view = await openPage(browser, { url: mock.url, key: ADMIN_KEY, ...more });
  await view.page.getByRole("heading", { name: /Today|今天/ }).waitFor();
  return view.page;
}
const quiet = (provoked = []) =>
  assert.deepEqual(view.complaints.filter((c) => !provoked.some((words) => c.includes(words))), []);
/** Makes the page ask now: it does so whenever it is looked at again. */
const lookAgain = (page) => page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
const card = (page, name) => page.getByRole("region", { name, exact: true }).first();
const asked = (path) => mock.asked.filter((r) => r.includes(path)).length;

test("today's figures, exact on hover", async () => {
  const page = await open(scenes.full());
  const today = card(page, "Today");
  await today.getByText("1,284", { exact: true }).waitFor();
  const text = await today.innerText();
  for (const words of ["37", "2.9% of all", "48.1M", "2.3M", "39.9M", "82.9% of input", "912.3K", "38.9% of output", "7.3 s"])
    assert.ok(text.includes(words), words);
  await today.getByTitle("48,123,456").waitFor();
  quiet();
});

test("the day begins at the browser's midnight", async () => {
  await open(scenes.full(), { timezoneId: "Asia/Kolkata" });
  await view.page.getByText("times are in Asia/Calcutta").or(view.page.getByText("times are in Asia/Kolkata")).waitFor();
  const url = mock.asked.find((r) => r.includes("overview"));
  const start = Number(/day_start_ms=(\d+)/.exec(url)[1]);
  const india = new Date(start + 5.5 * 3_600_000);
  assert.deepEqual([india.getUTCHours(), india.getUTCMinutes(), india.getUTCSeconds()], [0, 0, 0]);
  assert.ok(Date.now() - start < 24 * 3_600_000);
  assert.match(url, /hours=24&limit=100$/);
  quiet();
});

test("the hours: a chart with words for it, and a table that the address remembers", async () => {
  const page = await open(scenes.full());
  const hours = card(page, "Requests per hour");
  const sum = mock.scene.overview.hours.reduce((n, h) => n + h.requests, 0);
  const name = await hours.getByRole("img").getAttribute("aria-label");
  assert.ok(name.includes(`${sum.toLocaleString("en-GB")} requests`), name);
  assert.equal(await hours.locator("svg .hour").count(), 24);
  // what failed stands on what did not
  const bars = await hours.locator("svg .hour").nth(5).locator("rect:not(.hit)").evaluateAll((all) =>
    all.map((r) => [Number(r.getAttribute("y")), Number(r.getAttribute("height"))]));
  assert.ok(Math.abs(bars[1][0] + bars[1][1] - bars[0][0]) < 0.01);

  await hours.getByRole("button", { name: "Table" }).click();
  assert.equal(await hours.getByRole("row").count(), 25);
  assert.match(page.url(), /#\/\?hours=table$/);
  await page.reload();
  await hours.getByRole("button", { name: "Chart" }).waitFor();
  quiet();
});

test("the newest requests, and why one failed", async () => {
  const page = await open(scenes.full());
  const newest = card(page, "Newest requests");
  await newest.getByText("the newest 100 of 12,345").waitFor();
  assert.equal(await newest.locator("tbody tr").count(), 100);
  const first = await newest.locator("tbody tr").first().innerText();
  for (const words of ["gpt-5.1-codex", "ada.lovelace@example.org", "build server", "/v1/responses", "1,000", "321", "800 ms", "OK"])
    assert.ok(first.includes(words), words);
  await newest.getByText("04ab7777", { exact: true }).first().waitFor();
  await newest.getByText("no key").first().waitFor();

  const failed = newest.getByRole("button", { name: "429: details of the failure" }).first();
  assert.equal(await failed.getAttribute("aria-expanded"), "false");
  await failed.focus();
  await page.keyboard.press("Enter");
  await newest.getByText("The usage limit has been reached").waitFor();
  assert.equal(await failed.getAttribute("aria-expanded"), "true");
  mock.scene.overview = { ...mock.scene.overview, today: { ...mock.scene.overview.today, requests: 1285 } };
  await lookAgain(page);
  await page.getByText("1,285", { exact: true }).waitFor();
  // the next round of data does not close what a person opened
  await newest.getByText("The usage limit has been reached").waitFor();
  quiet();
});

test("a phone gets cards, and nothing to scroll sideways", async () => {
  const page = await open(scenes.full(), { size: PHONE });
  const newest = card(page, "Newest requests");
  assert.equal(await newest.getByRole("listitem").count(), 100);
  assert.equal(await newest.getByRole("table").count(), 0);
  await newest.getByRole("button", { name: "429: details of the failure" }).first().click();
  await newest.getByText("The usage limit has been reached").waitFor();
  quiet();
});

test("nothing to see: each reason has its verdict", async () => {
  const scene = scenes.empty();
  const page = await open(scene);
  const help = card(page, "Nothing to see yet");
  await help.getByText("fine").nth(3).waitFor();
  await help.getByText("Send any request through CPA").waitFor();

  scene.config.cpaUsage.usageStatisticsEnabled = false;
  await help.getByRole("button", { name: "Check again" }).click();
  await help.getByText("Usage publishing is off in CPA.").waitFor();
  scene.config.config.collector.enabled = false;
  await help.getByRole("button", { name: "Check again" }).click();
  await help.getByText("Monitoring was switched off in the setup.").waitFor();
  delete scene.config.cpaUsage;
  await help.getByRole("button", { name: "Check again" }).click();
  await help.getByText("CPA does not answer, or refuses the key.").waitFor();

  scene.overview = scenes.overview(1);
  await lookAgain(page);
  await card(page, "Newest requests").getByText("the newest 1 of 1").waitFor();
  assert.equal(await help.count(), 0);
  quiet();
});

test("history without a request in the last day says when the last one was", async () => {
  const scene = scenes.full();
  for (const h of scene.overview.hours) h.requests = h.failures = h.totalTokens = 0;
  const page = await open(scene);
  await page.getByText(/No requests in the last 24 hours\. The last one was on/).waitFor();
  quiet();
});

test("the collector: stopped, and what to do", async () => {
  const page = await open(scenes.stopped());
  const collector = card(page, "Collector");
  await collector.getByText("Stopped", { exact: true }).waitFor();
  await collector.getByRole("alert").getByText("systemctl start cpa-manager-collectord").waitFor();
  const text = await collector.innerText();
  assert.match(text, /Gaps\s+2/);
  assert.match(text, /Unreadable events\s+3/);
  assert.match(text, /Database\s+7\.7 MiB/);
  quiet();
});

test("the collector: an error with the server's hint, in Chinese with ours", async () => {
  let page = await open(scenes.refused());
  const alert = card(page, "Collector").getByRole("alert");
  await alert.getByText("http: usage queue request failed: 401 Unauthorized").waitFor();
  await alert.getByText("Enter the right one in the setup.").waitFor();
  quiet();
  await view.context.close();
  page = await open(scenes.refused(), { lang: "zh-CN" });
  await card(page, "采集器").getByRole("alert").getByText("CPA 不接受已保存的密钥").waitFor();
  quiet();
});

const troubles = [
  ["503", () => ({ broken: scenes.databaseLocked }), "The database cannot be used just now."],
  ["502 of the web server", () => ({ down: scenes.webServerOnly }), "The application behind the web server does not answer."],
  ["an error page of somebody else", () => ({ down: { status: 504, body: "<html>Gateway Time-out</html>", headers: { "Content-Type": "text/html" } } }),
    "The application behind the web server does not answer."],
  ["200 with a page instead of data", () => ({ broken: { status: 200, body: "<html>", headers: { "Content-Type": "text/html" } } }),
    "The application behind the web server does not answer."],
  ["500", () => ({ broken: json(500, { code: "request_failed", error: "a fault" }) }), "It did not work."],
];
for (const [name, broken, words] of troubles)
  test(`in trouble (${name}) the old figures stay, and it recovers by itself`, async () => {
    const page = await open(scenes.full());
    await page.getByText("1,284", { exact: true }).waitFor();
    Object.assign(mock.scene, broken());
    await lookAgain(page);
    const banner = page.locator(".trouble");
    await banner.getByText(words).waitFor();
    await banner.getByText(/Figures of \d\d:\d\d:\d\d/).waitFor();
    await page.getByText("1,284", { exact: true }).waitFor();
    delete mock.scene.broken;
    delete mock.scene.down;
    await banner.getByRole("button", { name: "Try again" }).click();
    await banner.waitFor({ state: "detached" });
    quiet(["status of 50"]);
  });

test("offline the old figures stay", async () => {
  const page = await open(scenes.full());
  await page.getByText("1,284", { exact: true }).waitFor();
  await view.context.setOffline(true);
  await lookAgain(page);
  await page.getByText("The server does not answer.").waitFor();
  await page.getByText("1,284", { exact: true }).waitFor();
  await view.context.setOffline(false);
  await page.locator(".trouble").waitFor({ state: "detached" });
  quiet(["ERR_INTERNET_DISCONNECTED"]);
});

test("a server that is not there at the start: says so, and comes in when it is", async () => {
  mock.scene = scenes.full({ down: scenes.webServerOnly });
  view = await openPage(browser, { url: mock.url, key: ADMIN_KEY });
  await view.page.getByText("The application behind the web server does not answer.").waitFor();
  delete mock.scene.down;
  await view.page.getByRole("heading", { name: "Today" }).waitFor();
  quiet(["status of 502"]);
});

test("one half of the data missing does not hide the other", async () => {
  const scene = scenes.full();
  const page = await open(scene);
  await page.getByText("1,284", { exact: true }).waitFor();
  scene.instead = { "GET /v0/management/overview": scenes.databaseLocked };
  scene.status = scenes.stopped().status;
  await lookAgain(page);
  await page.getByText("Stopped", { exact: true }).waitFor();
  await page.locator(".trouble").getByText("The database cannot be used just now.").waitFor();
  await page.getByText("1,284", { exact: true }).waitFor();
  quiet(["status of 503"]);
});

test("the next question waits five seconds after the answer, and none is asked unseen", async () => {
  let release;
  const page = await open(scenes.full());
  mock.hold = (path) => (path.includes("overview") ? new Promise((r) => (release = r)) : undefined);
  while (release === undefined) await page.waitForTimeout(50);
  // while an answer is missing nobody asks again
  const status = asked("/status");
  await page.waitForTimeout(6500);
  assert.equal(asked("/status"), status);
  mock.hold = undefined;
  release();
  const answered = Date.now();
  while (asked("/status") === status) await page.waitForTimeout(50);
  assert.ok(Date.now() - answered > 4000, `${Date.now() - answered} ms`);

  await page.evaluate(() => {
    Object.defineProperty(document, "hidden", { value: true, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await page.waitForTimeout(300);
  const unseen = mock.asked.length;
  await page.waitForTimeout(6500);
  assert.equal(mock.asked.length, unseen);
  await page.evaluate(() => {
    Object.defineProperty(document, "hidden", { value: false, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await page.waitForTimeout(500);
  assert.ok(mock.asked.length > unseen);
  quiet();
});

test("the demo comes in by itself, also with a stale key, and says what it is", async () => {
  const page = await open(scenes.demo(), { key: "cmp_admin_of_an_older_demo" });
  await page.getByText("1,284", { exact: true }).waitFor();
  await page.getByText("Demo", { exact: false }).first().waitFor();
  assert.match(await page.title(), /Demo/);
  assert.equal(await page.getByRole("button", { name: "Log out" }).count(), 0);
  await page.getByRole("link", { name: "Connection" }).click();
  await page.getByText("The connection is given by the server's environment.").waitFor();
  await page.locator(".badge.demo").waitFor();
  quiet();
});

test("the gaps, asked for when somebody wants to see them", async () => {
  const scene = scenes.full();
  scene.status.gaps = 12;
  const at = Date.now() - 3_600_000;
  scene.gaps = {
    items: [
      { id: 12, fromMs: at, toMs: at + 250_000, reason: "collector_down", inDoubt: null, detail: "" },
      { id: 11, fromMs: at - 900_000, toMs: at - 899_000, reason: "pop_in_doubt", inDoubt: 100, detail: "" },
      { id: 10, fromMs: at - 1_900_000, toMs: at - 1_899_000, reason: "of_a_later_version", inDoubt: 1, detail: "something new" },
    ],
    totalCount: 12,
  };
  const page = await open(scene);
  assert.equal(asked("collector/gaps"), 0);
  const collector = card(page, "Collector");
  await collector.getByText("When events may be missing").click();
  await collector.getByText("The collector did not run for longer than CPA keeps events. (number unknown)").waitFor();
  await collector.getByText("(at most 100 events)").waitFor();
  await collector.getByText("something new (at most 1 events)").waitFor();
  await collector.getByText("The newest 3 of 12").waitFor();
  // another one is asked for at once
  scene.status.gaps = scene.gaps.totalCount = 13;
  await lookAgain(page);
  await collector.getByText("The newest 3 of 13").waitFor();
  quiet();
});

test("gaps that cannot be read, and none at all", async () => {
  const scene = scenes.full();
  scene.status.gaps = 1;
  scene.instead = { "GET /v0/management/collector/gaps": { status: 503, body: '{"code":"request_failed","error":"database is locked"}' } };
  const page = await open(scene);
  await card(page, "Collector").getByText("When events may be missing").click();
  await card(page, "Collector").locator(".gaps [role=status]").waitFor();
  scene.status.gaps = 0;
  await lookAgain(page);
  await card(page, "Collector").getByText("When events may be missing").waitFor({ state: "detached" });
  quiet(["503"]);
});

test("advice while all seems well", async () => {
  const scene = scenes.full();
  scene.status.collector.x_hint = "CPA publishes no usage: set usage-statistics-enabled to true.";
  const page = await open(scene);
  const alert = card(page, "Collector").getByRole("alert");
  await alert.getByText("What to do").waitFor();
  assert.ok((await alert.innerText()).includes("usage-statistics-enabled"));
  quiet();
});
