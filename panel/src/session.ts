// Who is logged in, and what the server has said.  The key lives in memory;
// for the tab in sessionStorage; on the device only where a person asks.
import { signal } from "@preact/signals";
import { api, ApiError, type Info, type Overview, type Status } from "./api";

const STORE = "cpam.key";
const REFRESH_MS = 5000;

export type Stage = "loading" | "offline" | "setup" | "login" | "home";

export const stage = signal<Stage>("loading");
export const info = signal<Info | null>(null);
export const key = signal(sessionStorage.getItem(STORE) ?? localStorage.getItem(STORE) ?? "");
export const status = signal<Status | null>(null);
export const overview = signal<Overview | null>(null);
export const problem = signal<ApiError | null>(null);
export const loginProblem = signal<ApiError | null>(null);

let timer = 0;

/** Find out what the server is and whether we are let in. */
export async function begin(): Promise<void> {
  try {
    info.value = await api.info();
  } catch (e) {
    problem.value = e as ApiError;
    stage.value = "offline";
    schedule(begin);
    return;
  }
  problem.value = null;
  const demo = info.value.demo?.adminKey;
  if (demo !== undefined && key.value === "") key.value = demo;
  if (!(info.value.projectInitialized || info.value.configured)) stage.value = "setup";
  else if (key.value === "") stage.value = "login";
  else await enter();
}

async function enter(): Promise<void> {
  stage.value = "home";
  await refresh();
}

export async function login(given: string, remember: boolean): Promise<void> {
  loginProblem.value = null;
  try {
    await api.status(given);
  } catch (e) {
    const error = e as ApiError;
    // a database that is out of order is a reason to come in and see
    if (error.status !== 503 || error.code === "invalid_admin_key") {
      loginProblem.value = error;
      return;
    }
  }
  keep(given, remember);
  await enter();
}

export function keep(given: string, remember: boolean): void {
  key.value = given;
  sessionStorage.setItem(STORE, given);
  if (remember) localStorage.setItem(STORE, given);
}

export function logout(): void {
  clearTimeout(timer);
  key.value = "";
  sessionStorage.removeItem(STORE);
  localStorage.removeItem(STORE);
  status.value = null;
  overview.value = null;
  problem.value = null;
  stage.value = "login";
}

function midnight(): number {
  const d = new Date();
  d.setHours(0, 0, 0, 0);
  return d.getTime();
}

/** One round; the next is scheduled after the answer, never on top of it. */
export async function refresh(): Promise<void> {
  try {
    const [s, o] = await Promise.all([api.status(key.value), api.overview(key.value, midnight())]);
    status.value = s;
    overview.value = o;
    problem.value = null;
  } catch (e) {
    const error = e as ApiError;
    if (error.status === 401) {
      logout();
      loginProblem.value = error;
      return;
    }
    problem.value = error;
  }
  if (stage.value === "home") schedule(refresh);
}

function schedule(what: () => Promise<void>): void {
  clearTimeout(timer);
  if (!document.hidden) timer = window.setTimeout(what, REFRESH_MS);
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) clearTimeout(timer);
  else if (stage.value === "home") void refresh();
  else if (stage.value === "offline") void begin();
});
