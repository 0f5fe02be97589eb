// What the server's answers look like.  Only what the page uses is named.

export interface Info {
  service: string;
  configured: boolean;
  adminReady: boolean;
  projectInitialized: boolean;
  setupRequired: boolean;
  startedAt?: number;
  version?: string;
  databaseReady?: boolean;
  databaseError?: string;
  demo?: { adminKey: string };
}

export type CollectorState = "stopped" | "starting" | "running" | "error";

export interface CollectorStatus {
  collector: CollectorState;
  upstream: string;
  mode: string;
  transport: string;
  lastConsumedAt: number;
  lastInsertedAt: number;
  totalInserted: number;
  totalSkipped: number;
  /** "<stage>: <message>" */
  lastError?: string;
  /** What to do about lastError, in English. */
  x_hint?: string;
  x_spoolBytes?: number;
  /** CPA refused the key: it is not tried again before this time. */
  x_refusedUntil?: number;
}

export interface Status {
  collector: CollectorStatus;
  database: { databaseBytes: number; walBytes: number; totalBytes: number };
  eventCount: number;
  deadLetters: number;
  gaps: number;
  lastGapAt?: number;
  lastConsumedAt: number;
  lastInsertedAt: number;
  version: string;
  dataKeyError?: string;
}

/** A stretch of time in which events may be missing. */
export interface Gap {
  id: number;
  fromMs: number;
  toMs: number;
  reason: string;
  /** At most so many events; null: nobody knows. */
  inDoubt: number | null;
  detail: string;
}

export interface Gaps {
  items: Gap[];
  totalCount: number;
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

export interface ManagerConfig {
  config: {
    cpaConnection: { cpaBaseUrl: string };
    collector: { enabled: boolean };
  };
  source: "" | "db" | "env";
  /** Missing: CPA was not reached, or refuses the key. */
  cpaUsage?: { usageStatisticsEnabled: boolean; redisUsageQueueRetentionSeconds: number };
}

export interface SetupRequest {
  cpaBaseUrl: string;
  /** Left out: the stored one is kept. */
  cpaManagementKey?: string;
  requestMonitoringEnabled: boolean;
  ensureUsageStatisticsEnabled: boolean;
}
