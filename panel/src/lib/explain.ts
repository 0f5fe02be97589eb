// What an error means for the person in front of the page, and what helps.
import type { ApiError } from "../api";
import type { Text } from "../i18n";

export interface Explanation {
  what: Text;
  todo: Text;
  /** The server's own words, where they say more; "" : they do not. */
  detail: string;
}

const byCode: Readonly<Record<string, readonly [Text, Text]>> = {
  unreachable: ["errUnreachable", "errUnreachableTodo"],
  timeout: ["errTimeout", "errTimeoutTodo"],
  application_unavailable: ["errDown", "errDownTodo"],
  invalid_admin_key: ["errKey", "errKeyTodo"],
  login_throttled: ["errThrottled", "errThrottledTodo"],
  usage_service_not_configured: ["errSetupNeeded", "errSetupNeededTodo"],
  cpa_key_refused: ["errCpaKey", "errCpaRefusedTodo"],
  cpa_key_required: ["errKeyAgain", "errKeyAgainTodo"],
  cpa_connection_required: ["errCpaUrl", "errCpaUrlTodo"],
  invalid_existing_management_key: ["errBothNew", "errBothNewTodo"],
  setup_env_managed: ["errEnv", "errEnvTodo"],
  connection_env_managed: ["errEnv", "errEnvTodo"],
  cpa_usage_retention_invalid: ["errRetention", "errRetentionTodo"],
  poll_interval_exceeds_retention: ["errRetention", "errRetentionTodo"],
  enable_cpa_usage_statistics_failed: ["errCpaPublish", "errCpaPublishTodo"],
};

const unhelpful = new Set(["unreachable", "timeout", "application_unavailable", "invalid_admin_key", "login_throttled"]);

/** CPA was reached and said no: its status stands in the message. */
function byCpaStatus(message: string): readonly [Text, Text] {
  const status = /: (\d{3})\b/.exec(message)?.[1];
  if (status === "401") return ["errCpaKey", "errCpaKeyTodo"];
  if (status === "403") return ["errCpaForbidden", "errCpaForbiddenTodo"];
  if (status === "404") return ["errCpaMissing", "errCpaMissingTodo"];
  return ["errCpaAnswer", "errCpaAnswerTodo"];
}

function byStatus(e: ApiError): readonly [Text, Text] {
  // Without a body of ours it was the web server, which found nobody behind it.
  if (e.code === "not_json" && (e.status >= 500 || e.status < 300)) return ["errDown", "errDownTodo"];
  if (e.status === 401) return ["errKey", "errKeyTodo"];
  if (e.status === 429) return ["errThrottled", "errThrottledTodo"];
  if (e.status === 503) return ["errDatabase", "errDatabaseTodo"];
  return ["errOther", "errOtherTodo"];
}

export function explain(e: ApiError): Explanation {
  const [what, todo] =
    byCode[e.code] ??
    (e.code === "management_api_validation_failed" || e.code === "management_api_config_failed"
      ? byCpaStatus(e.message)
      : byStatus(e));
  const status = e.status === 0 ? "" : `HTTP ${e.status}`;
  return { what, todo, detail: unhelpful.has(e.code) ? "" : e.message || status };
}

/** The same for POST /setup, where an unnamed error is about reaching CPA. */
export function explainSetup(e: ApiError): Explanation {
  if (e.code === "request_failed" && e.status === 502)
    return { what: "errCpaUnreachable", todo: "errCpaUnreachableTodo", detail: e.message };
  if (e.code === "request_failed" && e.status === 400)
    return { what: "errCpaUrl", todo: "errCpaUrlTodo", detail: e.message };
  return explain(e);
}
