// The one place that sends requests: relative to the page, with a time-out,
// and with every failure turned into one kind of error.

/** An answer that is no success; status 0: none came. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly retryAfterS: number = 0,
  ) {
    super(message);
  }
}

export interface CallOptions {
  /** Admin key; "": the route needs none. */
  key: string;
  body?: unknown;
  signal?: AbortSignal;
  timeoutMs?: number;
}

const TIMEOUT_MS = 30_000;

// The page's own folder, so that it works below a sub-path as well.
const base = new URL(".", location.href).pathname;

async function errorOf(answer: Response): Promise<ApiError> {
  const retryAfterS = Number(answer.headers.get("Retry-After")) || 0;
  let body: unknown;
  try {
    body = await answer.json();
  } catch {
    // Not one of the application's: a web server's own error page.
    return new ApiError(answer.status, "not_json", answer.statusText, retryAfterS);
  }
  const { code, error } = (body ?? {}) as { code?: unknown; error?: unknown };
  return new ApiError(
    answer.status,
    typeof code === "string" ? code : "request_failed",
    typeof error === "string" ? error : answer.statusText,
    retryAfterS,
  );
}

/**
 * Send a request and return its JSON answer.  Throws ApiError, code "aborted"
 * when options.signal ended it.
 */
export async function call<T>(method: string, path: string, options: CallOptions): Promise<T> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (options.key !== "") headers["Authorization"] = `Bearer ${options.key}`;
  if (options.body !== undefined) headers["Content-Type"] = "application/json";

  const stop = new AbortController();
  const abort = (): void => stop.abort();
  const timer = setTimeout(abort, options.timeoutMs ?? TIMEOUT_MS);
  options.signal?.addEventListener("abort", abort);
  try {
    const answer = await fetch(base + path, {
      method,
      headers,
      cache: "no-store",
      credentials: "omit",
      signal: stop.signal,
      ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
    });
    if (!answer.ok) throw await errorOf(answer);
    try {
      return (await answer.json()) as T;
    } catch {
      throw new ApiError(answer.status, "not_json", "");
    }
  } catch (e) {
    if (e instanceof ApiError) throw e;
    if (options.signal?.aborted === true) throw new ApiError(0, "aborted", "");
    throw new ApiError(0, stop.signal.aborted ? "timeout" : "unreachable", "");
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", abort);
  }
}
