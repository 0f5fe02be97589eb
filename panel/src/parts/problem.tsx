// An error in plain words, and what to do about it.
import type { ApiError } from "../api";
import { t } from "../i18n";

export function explain(e: ApiError): string {
  if (e.status === 0) return t("errUnreachable");
  if (e.code === "application_unavailable" || e.code === "not_json") return t("errDown");
  if (e.code === "invalid_admin_key") return t("errKey");
  if (e.code === "login_throttled") return t("errThrottled", e.retryAfterS);
  if (e.code === "cpa_key_refused" || /: 40[13]\b/.test(e.message)) return t("errCpaRefused");
  if (e.status === 502) return t("errCpaUnreachable", e.message);
  if (e.status === 503) return t("errDatabase", e.message);
  return t("errOther", e.message || `HTTP ${e.status}`);
}

export function Problem({ error }: { error: ApiError }) {
  return (
    <p class="problem" role="alert">
      {explain(error)}
    </p>
  );
}
