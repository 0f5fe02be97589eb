// The one place that talks to the server: typed calls, typed errors.

export interface Info {
  service: string;
  configured: boolean;
  adminReady: boolean;
  projectInitialized: boolean;
  setupRequired: boolean;
  version?: string;
  implementation?: string;
  databaseReady?: boolean;
  databaseError?: string;
  demo?: { adminKey: string };
}

export interface CollectorStatus {
  collector: "stopped" | "starting" | "running" | "error";
  upstream: string;
  mode: string;
  transport: string;
  lastConsumedAt: number;
  lastInsertedAt: number;
  lastError?: string;
  x_hint?: string;
  x_spoolBytes?: number;
}

export interface Status {
  collector: CollectorStatus;
  database: { databaseBytes: number; walBytes: number; totalBytes: number };
  events: number;
  deadLetters: number;
  gaps: number;
  lastConsumedAt: number;
  lastInsertedAt: number;
  version: string;
  databaseReady?: boolean;
  dataKeyError?: string;
}

export interface Totals {
  requests: number;
  failures: number;
  inputTokens: number;
  outputTokens: number;
  cachedTokens: number;
  reasoningTokens: number;
  totalTokens: number;
  averageLatencyMs: number | null;
}

export interface Hour {
  startMs: number;
  requests: number;
  failures: number;
  totalTokens: number;
}

export interface UsageEvent {
  id: number;
  tsMs: number;
  model: string;
  provider: string;
  account: string;
  apiKeyHash: string;
  apiKeyAlias: string;
  endpoint: string;
  failed: boolean;
  failStatus: number | null;
  failSummary: string;
  inputTokens: number;
  outputTokens: number;
  cachedTokens: number;
  reasoningTokens: number;
  totalTokens: number;
  latencyMs: number | null;
  ttftMs: number | null;
}

export interface Overview {
  nowMs: number;
  dayStartMs: number;
  today: Totals;
  total: { events: number; firstMs: number | null; lastMs: number | null };
  hours: Hour[];
  events: UsageEvent[];
}

export interface Setup {
  cpaBaseUrl: string;
  cpaManagementKey: string;
  requestMonitoringEnabled: boolean;
  ensureUsageStatisticsEnabled: boolean;
}

/** An answer that is no success; status 0: none came. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly retryAfterS: number,
  ) {
    super(message);
  }
}

const TIMEOUT_MS = 30_000;

// Relative to the page, so that it works below a sub-path as well.
const base = new URL(".", location.href).pathname;

async function errorOf(answer: Response): Promise<ApiError> {
  let code = "request_failed";
  let text = answer.statusText;
  try {
    const body = (await answer.json()) as { code?: string; error?: string };
    code = body.code ?? code;
    text = body.error ?? text;
  } catch {
    // not JSON: the status says enough
  }
  return new ApiError(answer.status, code, text, Number(answer.headers.get("Retry-After") ?? 0));
}

async function call<T>(method: string, path: string, key: string, body?: unknown): Promise<T> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (key !== "") headers["Authorization"] = `Bearer ${key}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer: Response;
  try {
    answer = await fetch(base + path, {
      method,
      headers,
      cache: "no-store",
      credentials: "omit",
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch {
    throw new ApiError(0, "unreachable", "", 0);
  }
  if (!answer.ok) throw await errorOf(answer);
  try {
    return (await answer.json()) as T;
  } catch {
    throw new ApiError(answer.status, "not_json", "", 0);
  }
}

export const api = {
  info: () => call<Info>("GET", "usage-service/info", ""),
  status: (key: string) => call<Status>("GET", "status", key),
  overview: (key: string, dayStartMs: number) =>
    call<Overview>("GET", `v0/management/overview?day_start_ms=${dayStartMs}&hours=24&limit=100`, key),
  setup: (key: string, body: Setup) => call<{ ok: boolean }>("POST", "setup", key, body),
};
