// The states in which a person meets the page.
import { ADMIN_KEY, json } from "./mock.mjs";

const HOUR_MS = 3_600_000;

const info = (more = {}) => ({
  service: "cpa-manager-plus",
  mode: "embedded",
  startedAt: Date.now() - 3 * HOUR_MS,
  configured: true,
  adminReady: true,
  projectInitialized: true,
  setupRequired: false,
  migrationStatus: "ready",
  dataKeyReady: true,
  hasHistoricalData: false,
  implementation: "cpa-manager",
  version: "0.1.0",
  databaseReady: true,
  ...more,
});

const collector = (more = {}) => ({
  collector: "running",
  upstream: "http://127.0.0.1:8317",
  mode: "auto",
  transport: "http",
  queue: "usage",
  lastConsumedAt: Date.now() - 2000,
  lastInsertedAt: Date.now() - 2000,
  totalInserted: 12_345,
  totalSkipped: 0,
  deadLetters: 0,
  x_alive: true,
  x_spoolBytes: 0,
  ...more,
});

const status = (c, more = {}) => ({
  collector: c,
  database: { databaseBytes: 3_900_000, walBytes: 4_100_000, shmBytes: 32_768, totalBytes: 8_032_768 },
  deadLetters: 0,
  events: 12_345,
  eventCount: 12_345,
  lastConsumedAt: c.lastConsumedAt,
  lastInsertedAt: c.lastInsertedAt,
  gaps: 0,
  service: "cpa-manager-plus",
  version: "0.1.0",
  databaseReady: true,
  dataKeyReady: true,
  ...more,
});

const config = (more = {}) => ({
  config: { cpaConnection: { cpaBaseUrl: "http://127.0.0.1:8317", managementKey: "********" }, collector: { enabled: true } },
  source: "db",
  cpaUsage: { usageStatisticsEnabled: true, redisUsageQueueRetentionSeconds: 60, retentionSourceDefault: true },
  ...more,
});

const models = [
  ["gpt-5.1-codex", "codex", "POST /v1/responses"],
  ["claude-sonnet-4-5-20250929", "claude", "POST /v1/messages"],
  ["gemini-2.5-pro", "gemini", "POST /v1beta/models/*action"],
  ["qwen3-coder", "openai-compatible-local", "POST /v1/chat/completions"],
];
const accounts = ["ada.lovelace@example.org", "very.long.account.name.of.somebody@subdomain.example.com", "", "api-key 3"];

/** The nth newest request; every seventh failed. */
export function event(n, nowMs, total) {
  const [model, provider, endpoint] = models[n % models.length];
  const failed = n % 7 === 3;
  return {
    id: total - n,
    tsMs: nowMs - 1500 - n * 700_000,
    model,
    provider,
    account: accounts[n % accounts.length],
    apiKeyHash: n % 5 === 4 ? "" : (n % 3 === 0 ? "9f2c" : "04ab").padEnd(64, "7"),
    apiKeyAlias: n % 3 === 0 && n % 5 !== 4 ? "build server" : "",
    endpoint,
    failed,
    failStatus: failed ? (n % 2 === 0 ? null : 429) : null,
    failSummary: failed ? "usage_limit_reached: The usage limit has been reached" : "",
    inputTokens: 1000 + n * 977,
    outputTokens: failed ? 0 : 321 + n * 13,
    cachedTokens: n * 811,
    reasoningTokens: failed ? 0 : n * 5,
    totalTokens: 1321 + n * 990,
    latencyMs: n % 11 === 10 ? null : 800 + n * 1234,
    ttftMs: n % 4 === 0 ? null : 420 + n * 7,
  };
}

export function overview(events, { perHour = 40 } = {}) {
  const nowMs = Date.now();
  const midnight = new Date(nowMs).setHours(0, 0, 0, 0);
  const first = Math.floor(nowMs / HOUR_MS) * HOUR_MS - 23 * HOUR_MS;
  const hours = Array.from({ length: 24 }, (_, i) => {
    const requests = events === 0 ? 0 : Math.round(perHour * (1.2 + Math.sin(i / 3.3)) + (i % 5));
    return { startMs: first + i * HOUR_MS, requests, failures: Math.floor(requests / 9), totalTokens: requests * 4321 };
  });
  return {
    nowMs,
    dayStartMs: midnight,
    today: {
      requests: events === 0 ? 0 : 1284,
      failures: events === 0 ? 0 : 37,
      inputTokens: events === 0 ? 0 : 48_123_456,
      outputTokens: events === 0 ? 0 : 2_345_678,
      cachedTokens: events === 0 ? 0 : 39_876_543,
      reasoningTokens: events === 0 ? 0 : 912_345,
      totalTokens: events === 0 ? 0 : 50_469_134,
      averageLatencyMs: events === 0 ? null : 7345.2,
    },
    total: { events, firstMs: events === 0 ? null : nowMs - 40 * 24 * HOUR_MS, lastMs: events === 0 ? null : nowMs - 1500 },
    hours,
    events: Array.from({ length: Math.min(events, 100) }, (_, n) => event(n, nowMs, events)),
  };
}

/** Connected, collecting, with figures. */
export function full(more = {}) {
  return {
    adminKey: ADMIN_KEY,
    info: info(),
    status: status(collector()),
    overview: overview(12_345),
    config: config(),
    onSetup: () => json(200, { ok: true, upstream: "http://127.0.0.1:8317" }),
    ...more,
  };
}

/** Just installed: only the admin key is there. */
export function fresh() {
  const scene = {
    ...empty(),
    info: info({ configured: false, projectInitialized: false, setupRequired: true, migrationStatus: "fresh" }),
    setups: [],
  };
  scene.onSetup = (body) => {
    scene.setups.push(body);
    if (scene.setupAnswer !== undefined) return scene.setupAnswer;
    scene.info = info();
    return json(200, { ok: true, upstream: body.cpaBaseUrl });
  };
  return scene;
}

/** Connected, nothing collected yet. */
export function empty() {
  return full({
    status: status(collector({ lastConsumedAt: 0, lastInsertedAt: 0, totalInserted: 0 }), { events: 0, eventCount: 0 }),
    overview: overview(0),
  });
}

export function stopped() {
  return full({
    status: status(
      collector({
        collector: "stopped",
        x_alive: false,
        x_hint: "collectord does not run, so no event is collected; start it: systemctl start cpa-manager-collectord",
      }),
      { gaps: 2, lastGapAt: Date.now() - 5 * HOUR_MS, deadLetters: 3 },
    ),
  });
}

export function refused() {
  return full({
    status: status(
      collector({
        collector: "error",
        lastError: "http: usage queue request failed: 401 Unauthorized",
        x_hint: "CPA refuses the stored key. Enter the right one in the setup.",
        x_refusedUntil: Date.now() + 400_000,
        x_spoolBytes: 48_000,
      }),
    ),
  });
}

export function demo() {
  return full({ info: info({ demo: { adminKey: ADMIN_KEY } }), config: config({ source: "env" }) });
}

export const databaseLocked = json(503, { code: "service_unavailable", error: "the database is locked by another program" });
export const webServerOnly = json(502, {
  code: "application_unavailable",
  error: "the application does not run or does not answer; see its log",
});
export { collector, config, info, status };
