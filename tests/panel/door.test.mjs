// Setup and login: the first minute of a person with the page.
import assert from "node:assert/strict";
import { after, before, beforeEach, afterEach, test } from "node:test";
import { openPage, startBrowser } from "./lib/browser.mjs";
import { ADMIN_KEY, json, startMock } from "./lib/mock.mjs";
import { empty, fresh, full } from "./lib/scenes.mjs";

let browser, mock, view;
before(async () => (browser = await startBrowser()));
after(() => browser.close());
beforeEach(async () => (mock = await startMock(full())));
afterEach(async () => {
  await view?.context.close();
  await mock.stop();
});

async function open(scene, more = {}) {
  mock.scene = scene;
  view = await openPage(browser, { url: mock.url, ...more });
  return view.page;
}
const field = (page, name) => page.getByRole("textbox", { name }).or(page.getByLabel(name, { exact: true }));
const press = (page, name) => page.getByRole("button", { name, exact: true }).click();
const quiet = (provoked = []) =>
  assert.deepEqual(view.complaints.filter((c) => !provoked.some((status) => c.includes(`status of ${status}`))), []);

/** Through the setup up to the last step. */
async function answerAll(page, { url = "10.0.0.5:8317", key = "secret of cpa", collect = true } = {}) {
  await field(page, "Admin key").fill(ADMIN_KEY);
  await press(page, "Next");
  await field(page, "CPA address").fill(url);
  await press(page, "Next");
  await field(page, "CPA management key").fill(key);
  await page.keyboard.press("Enter");
  const box = page.getByRole("checkbox", { name: /Collect/ });
  await box.setChecked(collect);
  await press(page, "Next");
  await page.getByRole("button", { name: "Connect", exact: true }).waitFor();
}

test("setup: five questions, then the figures", async () => {
  const scene = fresh();
  const page = await open(scene);
  await page.getByRole("heading", { name: "Connect to CPA" }).waitFor();
  await answerAll(page);
  assert.match(await page.locator("main").innerText(), /10\.0\.0\.5:8317/);
  assert.doesNotMatch(await page.locator("main").innerText(), /secret of cpa/);
  await press(page, "Connect");
  await page.getByRole("heading", { name: "Today" }).waitFor();
  assert.deepEqual(scene.setups, [
    {
      cpaBaseUrl: "10.0.0.5:8317",
      cpaManagementKey: "secret of cpa",
      requestMonitoringEnabled: true,
      ensureUsageStatisticsEnabled: true,
    },
  ]);
  quiet();
});

test("setup: monitoring can be left off", async () => {
  const scene = fresh();
  const page = await open(scene);
  await answerAll(page, { collect: false });
  await press(page, "Connect");
  await page.getByRole("heading", { name: "Today" }).waitFor();
  assert.equal(scene.setups[0].requestMonitoringEnabled, false);
  assert.equal(scene.setups[0].ensureUsageStatisticsEnabled, false);
  quiet();
});

test("setup: a wrong admin key stops at the first question", async () => {
  const page = await open(fresh());
  await press(page, "Next");
  await page.getByText("Please fill this in.").waitFor();
  await field(page, "Admin key").fill("cmp_admin_wrong");
  await press(page, "Next");
  await page.getByRole("alert").getByText("This is not the admin key.").waitFor();
  quiet([401]);
});

test("setup: an address that is none, and an empty key, are found before sending", async () => {
  const page = await open(fresh());
  await field(page, "Admin key").fill(ADMIN_KEY);
  await press(page, "Next");
  for (const wrong of ["ftp://cpa", "http://", "not an address"]) {
    await field(page, "CPA address").fill(wrong);
    await press(page, "Next");
    await page.getByText("This is no http:// or https:// address.").waitFor();
  }
  await field(page, "CPA address").fill("https://cpa.internal");
  await press(page, "Next");
  await press(page, "Next");
  await page.getByText("Please fill this in.").waitFor();
  assert.equal(mock.asked.filter((r) => r.startsWith("POST")).length, 0);
  quiet();
});

const setupErrors = [
  [502, "management_api_validation_failed", "management API validation failed: 401 Unauthorized", "CPA does not accept this management key."],
  [502, "management_api_validation_failed", "management API validation failed: 403 Forbidden", "CPA does not let this server in."],
  [502, "management_api_validation_failed", "management API validation failed: 404 Not Found", "There is no management interface at this address."],
  [502, "cpa_key_refused", "CPA has refused this management key", "CPA does not accept this management key."],
  [502, "request_failed", "GET http://10.0.0.5:8317: connection refused", "CPA is not reached at this address."],
  [502, "enable_cpa_usage_statistics_failed", "enable CPA usage statistics failed: 500", "Usage publishing could not be switched on in CPA."],
  [400, "cpa_usage_retention_invalid", "must be greater than 0", "CPA keeps events for too short a time."],
  [409, "setup_env_managed", "managed by environment", "The connection is given by the server's environment."],
  [400, "cpa_key_required", "must be typed again", "The address names another host."],
  [401, "invalid_existing_management_key", "invalid management key for existing setup", "Address and key both differ from what is stored."],
];
for (const [status, code, error, words] of setupErrors)
  test(`setup: ${code} (${/\d{3}/.exec(error)?.[0] ?? status}) is told in plain words, and can be put right`, async () => {
    const scene = fresh();
    scene.setupAnswer = json(status, { code, error });
    const page = await open(scene);
    await answerAll(page);
    await press(page, "Connect");
    const alert = page.getByRole("alert");
    await alert.getByText(words).waitFor();
    await alert.getByText("The server's own words").click();
    await alert.getByText(error).waitFor();
    delete scene.setupAnswer;
    await press(page, "Connect");
    await page.getByRole("heading", { name: "Today" }).waitFor();
    quiet([status]);
  });

test("login: wrong key, then the right one; the key is in no address", async () => {
  const page = await open(full());
  await page.getByRole("heading", { name: "Log in" }).waitFor();
  await field(page, "Admin key").fill("cmp_admin_wrong");
  await press(page, "Log in");
  await page.getByRole("alert").getByText("This is not the admin key.").waitFor();
  await field(page, "Admin key").fill(` ${ADMIN_KEY} `);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Today" }).waitFor();
  assert.ok(!mock.asked.some((r) => r.includes("cmp_admin")));
  assert.ok(!page.url().includes("cmp_admin"));
  quiet([401]);
});

test("login: the key lives with the tab, or on the device when asked", async () => {
  const page = await open(full());
  const stored = () => page.evaluate(() => [sessionStorage.getItem("cpam.key"), localStorage.getItem("cpam.key")]);
  await field(page, "Admin key").fill(ADMIN_KEY);
  await press(page, "Log in");
  await page.getByRole("heading", { name: "Today" }).waitFor();
  assert.deepEqual(await stored(), [ADMIN_KEY, null]);
  await page.reload();
  await page.getByRole("heading", { name: "Today" }).waitFor();
  await press(page, "Log out");
  assert.deepEqual(await stored(), [null, null]);

  await field(page, "Admin key").fill(ADMIN_KEY);
  await page.getByRole("checkbox").check();
  await press(page, "Log in");
  await page.getByRole("heading", { name: "Today" }).waitFor();
  assert.deepEqual(await stored(), [null, ADMIN_KEY]);
  const other = await view.context.newPage();
  await other.goto(mock.url);
  await other.getByRole("heading", { name: "Today" }).waitFor();
  await other.getByRole("button", { name: "Log out", exact: true }).click();
  await page.getByRole("heading", { name: "Log in" }).waitFor();
  quiet();
});

test("login: too many tries show how long to wait", async () => {
  const page = await open(full({ throttledS: 3 }));
  await field(page, "Admin key").fill("cmp_admin_wrong");
  await press(page, "Log in");
  await page.getByRole("alert").getByText("Too many wrong keys from your address.").waitFor();
  await page.getByText(/You can try again in [23] s\./).waitFor();
  assert.ok(await page.getByRole("button", { name: "Log in", exact: true }).isDisabled());
  delete mock.scene.throttledS;
  await page.getByText(/You can try again/).waitFor({ state: "hidden", timeout: 6000 });
  await field(page, "Admin key").fill(ADMIN_KEY);
  await press(page, "Log in");
  await page.getByRole("heading", { name: "Today" }).waitFor();
  quiet([429]);
});

test("login: says where the key is found", async () => {
  const page = await open(full());
  await page.getByText("Where do I find the admin key?").click();
  for (const words of ["admin-key.txt", "In the terminal", "cpactl reset-admin-key"])
    await page.getByText(words).waitFor();
  quiet();
});

test("a key that the server no longer takes logs out and says so", async () => {
  const page = await open(full(), { key: ADMIN_KEY });
  await page.getByRole("heading", { name: "Today" }).waitFor();
  mock.scene.adminKey = "cmp_admin_another";
  await page.getByRole("heading", { name: "Log in" }).waitFor({ timeout: 8000 });
  await page.getByText("The key is no longer accepted.").waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.getItem("cpam.key")), null);
  quiet([401]);
});

test("Connection: the stored key is kept when the field stays empty", async () => {
  const scene = full({ setups: [] });
  scene.onSetup = (body) => {
    scene.setups.push(body);
    return json(200, { ok: true, upstream: body.cpaBaseUrl });
  };
  const page = await open(scene, { key: ADMIN_KEY });
  await page.getByRole("link", { name: "Connection" }).click();
  assert.equal(await field(page, "CPA address").inputValue(), "http://127.0.0.1:8317");
  await press(page, "Next");
  await press(page, "Next");
  await press(page, "Next");
  await page.getByText("the stored one is kept").waitFor();
  await press(page, "Connect");
  await page.getByRole("heading", { name: "Today" }).waitFor();
  assert.equal("cpaManagementKey" in scene.setups[0], false);
  assert.match(page.url(), /#\/$/);
  quiet();
});

test("Connection: one that the environment gives cannot be edited", async () => {
  const scene = full();
  scene.config.source = "env";
  const page = await open(scene, { url: `${mock.url}#/connection`, key: ADMIN_KEY });
  await page.getByText("The connection is given by the server's environment.").waitFor();
  assert.equal(await page.getByRole("textbox").count(), 0);
  quiet();
});

test("a database that cannot be used does not look like a missing setup", async () => {
  const scene = empty();
  Object.assign(scene.info, {
    configured: false, projectInitialized: false, adminReady: false, setupRequired: false,
    databaseReady: false, databaseError: "unable to open database file",
  });
  const page = await open(scene);
  await page.getByRole("heading", { name: "Log in" }).waitFor();
  await page.getByText("The database cannot be used just now.").waitFor();
  quiet();
});
