// Every route that the page calls, one line each.
import { call } from "./client";
import type { Gaps, Info, ManagerConfig, Overview, SetupRequest, Status } from "./types";

export { ApiError } from "./client";
export type * from "./types";

/** CPA may take its time to answer the server, which asks it three things. */
const SETUP_TIMEOUT_MS = 120_000;

export const api = {
  info: () => call<Info>("GET", "usage-service/info", { key: "" }),

  status: (key: string, signal?: AbortSignal) =>
    call<Status>("GET", "status", { key, ...(signal && { signal }) }),

  overview: (key: string, dayStartMs: number, signal?: AbortSignal) =>
    call<Overview>("GET", `v0/management/overview?day_start_ms=${dayStartMs}&hours=24&limit=100`, {
      key,
      ...(signal && { signal }),
    }),

  gaps: (key: string, limit: number, signal?: AbortSignal) =>
    call<Gaps>("GET", `v0/management/collector/gaps?limit=${limit}`, { key, ...(signal && { signal }) }),

  config: (key: string, signal?: AbortSignal) =>
    call<ManagerConfig>("GET", "usage-service/config", { key, ...(signal && { signal }) }),

  setup: (key: string, body: SetupRequest) =>
    call<{ ok: boolean; upstream: string }>("POST", "setup", { key, body, timeoutMs: SETUP_TIMEOUT_MS }),
};
