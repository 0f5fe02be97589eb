// Who is logged in, and what kind of server answers.  The key lives in memory,
// and for the tab in sessionStorage, or on the device where a person asks.
import { computed, signal } from "@preact/signals";
import { api, ApiError, type Info } from "../api";
import { recall, remember } from "./store";

const STORE = "cpam.key";
const RETRY_MS = 5000;

/** starting: nothing is known yet; offline: the server did not say what it is. */
export type Phase = "starting" | "offline" | "out" | "in";

export const phase = signal<Phase>("starting");
export const info = signal<Info | null>(null);
export const key = signal(recall("session", STORE) || recall("local", STORE));
/** Why the server is not reached (offline), or why a person was logged out. */
export const trouble = signal<ApiError | null>(null);

export const isDemo = computed(() => info.value?.demo !== undefined);
export const needsSetup = computed(() => {
  const i = info.value;
  return i !== null && (i.setupRequired || !(i.projectInitialized || i.configured)) && i.databaseReady !== false;
});

// Ends whatever is under way for a person who leaves.
let leaving = new AbortController();
export const untilLogout = (): AbortSignal => leaving.signal;

let timer = 0;

/** Find out what the server is, and whether a remembered key can be tried. */
export async function begin(): Promise<void> {
  clearTimeout(timer);
  try {
    info.value = await api.info();
  } catch (e) {
    trouble.value = e as ApiError;
    phase.value = "offline";
    timer = window.setTimeout(() => void begin(), RETRY_MS);
    return;
  }
  trouble.value = null;
  // A demo's key changes with every start: an older one is worth nothing.
  const demo = info.value.demo?.adminKey;
  if (demo !== undefined) key.value = demo;
  phase.value = key.value === "" ? "out" : "in";
}

/** Is this the admin key?  Throws ApiError when not, or when nobody can say. */
export async function prove(given: string): Promise<void> {
  try {
    await api.status(given);
  } catch (e) {
    // 503: the key is right, the database is in trouble; come in and see
    if (!(e instanceof ApiError && e.status === 503)) throw e;
  }
}

/** Use this key from now on. */
export function keep(given: string, onDevice: boolean): void {
  key.value = given;
  remember("session", STORE, onDevice ? "" : given);
  remember("local", STORE, onDevice ? given : "");
}

export function enter(): void {
  trouble.value = null;
  phase.value = "in";
}

/** Forget the key here and in other tabs; why: shown beside the login. */
export function logout(why: ApiError | null = null): void {
  leaving.abort();
  leaving = new AbortController();
  key.value = "";
  remember("session", STORE, "");
  remember("local", STORE, "");
  trouble.value = why;
  phase.value = "out";
}

window.addEventListener("storage", (e) => {
  if (e.key === STORE && e.newValue === null && recall("session", STORE) === "" && phase.value === "in") logout();
});
