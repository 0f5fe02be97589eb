// An error in plain words, what to do about it, and how long to wait.
import { useEffect, useState } from "preact/hooks";
import type { ApiError } from "../api";
import { t } from "../i18n";
import { explain, type Explanation } from "../lib/explain";

/** Seconds until waitS after the first render of this error; 0: over. */
export function useCountdown(error: ApiError | null): number {
  const [left, setLeft] = useState(0);
  useEffect(() => {
    const endMs = performance.now() + 1000 * (error?.retryAfterS ?? 0);
    const tell = (): void => setLeft(Math.max(0, Math.ceil((endMs - performance.now()) / 1000)));
    tell();
    if (error === null || error.retryAfterS === 0) return;
    const timer = setInterval(tell, 500);
    return () => clearInterval(timer);
  }, [error]);
  return left;
}

interface Props {
  error: ApiError;
  how?: (e: ApiError) => Explanation;
  /** Calm: nothing that the person did went wrong. */
  calm?: boolean;
}

export function Problem({ error, how = explain, calm = false }: Props) {
  const x = how(error);
  return (
    <div class={calm ? "notice wait" : "notice bad"} role={calm ? "status" : "alert"}>
      <p>
        <strong>{t(x.what)}</strong> {t(x.todo)}
      </p>
      {x.detail !== "" && (
        <details>
          <summary>{t("serverSaid")}</summary>
          <p class="mono">{x.detail}</p>
        </details>
      )}
    </div>
  );
}
