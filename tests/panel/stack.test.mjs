// The page against the real server: from nothing to figures.  The tests build
// on each other, as a person's first minutes do.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { DESK, openPage, startBrowser } from "./lib/browser.mjs";
import { givenStack, startStack } from "./lib/stack.mjs";

let browser, stack, view;
before(async () => {
  stack = givenStack() ?? (await startStack());
  browser = await startBrowser();
  view = await openPage(browser, { url: stack.url, size: DESK });
});
after(async () => {
  await browser?.close();
  await stack?.stop();
});

const press = (name) => view.page.getByRole("button", { name, exact: true }).click();
const region = (name) => view.page.getByRole("region", { name, exact: true }).first();

function payload(n, more = {}) {
  return {
    timestamp: new Date().toISOString(),
    latency_ms: 1500,
    ttft_ms: 320,
    source: "ada@example.com",
    auth_index: "0123456789abcdef",
    tokens: { input_tokens: 100, output_tokens: 20, reasoning_tokens: 5, cached_tokens: 40, total_tokens: 120 },
    failed: false,
    fail: { status_code: 200, body: "" },
    provider: "codex",
    executor_type: "CodexExecutor",
    model: "gpt-5.1-codex",
    alias: "gpt-5.1-codex",
    endpoint: "POST /v1/responses",
    auth_type: "oauth",
    api_key: "client-key-1",
    request_id: `panel-${n}`,
    ...more,
  };
}

test("the server sends the page with the policy that it was built with", async () => {
  const answer = await fetch(stack.url);
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get("content-security-policy"), /^default-src 'none'; script-src 'sha256-/);
  assert.match(answer.headers.get("cache-control"), /no-cache/);
  assert.ok(answer.headers.get("etag"));
  await view.page.getByRole("heading", { name: "Connect to CPA" }).waitFor();
});

test("setup refuses a wrong admin key and a wrong CPA key, and takes the right ones", async () => {
  const page = view.page;
  await page.locator("#admin-key").fill("cmp_admin_not_the_right_one_at_all");
  await press("Next");
  await page.getByRole("alert").getByText("This is not the admin key.").waitFor();
  await page.locator("#admin-key").fill(stack.adminKey);
  await press("Next");
  await page.locator("#cpa-url").fill("http://127.0.0.1:9");
  await press("Next");
  await page.locator("#cpa-key").fill("not the key of CPA");
  await press("Next");
  await press("Next");
  await press("Connect");
  await page.getByRole("alert").getByText("CPA is not reached at this address.").waitFor();

  await press("Back");
  await press("Back");
  await press("Back");
  await page.locator("#cpa-url").fill(stack.cpaUrl);
  await press("Next");
  await press("Next");
  await press("Next");
  await press("Connect");
  await page.getByRole("alert").getByText("CPA does not accept this management key.").waitFor();

  await press("Back");
  await press("Back");
  await page.locator("#cpa-key").fill(stack.cpaKey);
  await press("Next");
  await press("Next");
  await press("Connect");
  await page.getByRole("heading", { name: "Today" }).waitFor();
  assert.deepEqual(view.complaints.filter((c) => !/status of (401|502)/.test(c)), []);
  view.complaints.length = 0;
});

test("nothing to see yet: every check is fine", async () => {
  await region("Collector").getByText("Running", { exact: true }).waitFor({ timeout: 15_000 });
  const help = region("Nothing to see yet");
  await help.getByText("fine").nth(3).waitFor();
  assert.deepEqual(view.complaints, []);
});

test("what CPA publishes appears by itself", async () => {
  const body = '{"error":{"message":"The usage limit has been reached","type":"usage_limit_reached"}}';
  await stack.push([
    payload(1),
    payload(2, { latency_ms: 2500 }),
    payload(3, {
      failed: true, latency_ms: 500, fail: { status_code: 429, body },
      tokens: { input_tokens: 0, output_tokens: 0, reasoning_tokens: 0, cached_tokens: 0, total_tokens: 0 },
    }),
  ]);
  const newest = region("Newest requests");
  await newest.getByText("the newest 3 of 3").waitFor({ timeout: 15_000 });
  assert.equal(await newest.locator("tbody tr").count(), 3);
  assert.match(await newest.locator("tbody").innerText(), /ada\*\*\*@example\.com/);

  const figures = await region("Today").locator("dd:not(.note)").allInnerTexts();
  assert.deepEqual(figures.slice(0, 6), ["3", "1", "200", "80", "40", "10"]);
  assert.equal(figures[6], "1.5 s");

  await newest.getByRole("button", { name: "429: details of the failure" }).click();
  await newest.locator(".failure").getByText(/usage.limit/i).waitFor();
  assert.match(await region("Collector").innerText(), /Events stored\s+3/);
  await region("Requests per hour").getByRole("button", { name: "Table" }).click();
  await region("Requests per hour").getByRole("row").nth(1).getByText("3", { exact: true }).waitFor();
  assert.deepEqual(view.complaints, []);
});

test("reload, log out, log in again", async () => {
  const page = view.page;
  await page.reload();
  await page.getByText("the newest 3 of 3").waitFor();
  await press("Log out");
  await page.locator("#admin-key").fill(stack.adminKey);
  await press("Log in");
  await page.getByText("the newest 3 of 3").waitFor();
  assert.deepEqual(view.complaints, []);
});
