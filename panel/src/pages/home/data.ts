// What the overview shows, asked again while somebody looks at it.
import { effect, signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api, ApiError, type Overview, type Status } from "../../api";
import { t } from "../../i18n";
import { poll, type Poll } from "../../lib/poll";
import { begin, isDemo, key, logout, phase, untilLogout } from "../../lib/session";

const REFRESH_MS = 5000;

export const status = signal<Status | null>(null);
export const overview = signal<Overview | null>(null);
/** Why the last question was not answered; what was known before stays. */
export const problem = signal<ApiError | null>(null);

/** Stands where figures will be: they are on their way, or they are not. */
export function waiting(): string {
  return t(problem.value === null ? "loading" : "unavailable");
}

effect(() => {
  if (phase.value !== "out") return;
  status.value = null;
  overview.value = null;
  problem.value = null;
});

/** Where today began, by the browser's clock and zone. */
function midnight(): number {
  const d = new Date();
  d.setHours(0, 0, 0, 0);
  return d.getTime();
}

async function ask(): Promise<void> {
  const signal = untilLogout();
  const [s, o] = await Promise.allSettled([
    api.status(key.value, signal),
    api.overview(key.value, midnight(), signal),
  ]);
  if (signal.aborted) return;
  const errors = [s, o].flatMap((r) => (r.status === "rejected" ? [r.reason as ApiError] : []));
  const denied = errors.find((e) => e.status === 401);
  if (denied !== undefined) {
    // a demo that was started again has another key, which it tells
    if (isDemo.value) await begin();
    else logout(denied);
    return;
  }
  if (s.status === "fulfilled") status.value = s.value;
  if (o.status === "fulfilled") overview.value = o.value;
  problem.value = errors[0] ?? null;
}

let current: Poll | null = null;

/** Keep the data fresh while the calling component is shown. */
export function useFreshData(): void {
  useEffect(() => {
    const mine = poll(ask, REFRESH_MS);
    current = mine;
    return () => {
      mine.stop();
      if (current === mine) current = null;
    };
  }, []);
}

/** Ask now, on a person's wish. */
export function askNow(): void {
  current?.now();
}
