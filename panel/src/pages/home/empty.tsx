// Nothing to see: goes through the reasons why, and says which one it is.
import { useEffect, useState } from "preact/hooks";
import { api, ApiError, type ManagerConfig, type Status } from "../../api";
import { t, type Text } from "../../i18n";
import { key, logout, untilLogout } from "../../lib/session";
import { Icon } from "../../parts/icon";

type Verdict = "done" | "bad" | "open" | "unknown";

const verdicts: Readonly<Record<Verdict, { text: Text; look: string; icon: "check" | "cross" | "dots" }>> = {
  done: { text: "checkDone", look: "good", icon: "check" },
  bad: { text: "checkBad", look: "bad", icon: "cross" },
  open: { text: "checkOpen", look: "wait", icon: "dots" },
  unknown: { text: "checkUnknown", look: "", icon: "dots" },
};

interface Check {
  name: Text;
  verdict: Verdict;
  todo?: Text;
}

function judge(good: boolean | undefined): Verdict {
  return good === undefined ? "unknown" : good ? "done" : "bad";
}

/** config null: not known yet, or it cannot be had. */
function checks(s: Status | null, config: ManagerConfig | null): Check[] {
  const running = s === null ? undefined : s.collector.collector !== "stopped";
  const collect = config?.config.collector.enabled;
  const reached = config === null ? undefined : config.cpaUsage !== undefined;
  const publishing = config?.cpaUsage?.usageStatisticsEnabled;
  return [
    { name: "checkCollector", verdict: judge(running), todo: "checkCollectorNo" },
    { name: "checkCollect", verdict: judge(collect), todo: "checkCollectNo" },
    { name: "checkCpa", verdict: judge(reached), todo: "checkCpaNo" },
    { name: "checkPublish", verdict: judge(publishing), todo: "checkPublishNo" },
  ];
}

function Line({ check }: { check: Check }) {
  const v = verdicts[check.verdict];
  return (
    <li>
      <span class={`badge ${v.look}`}>
        <Icon name={v.icon} /> {t(v.text)}
      </span>
      <span>
        <strong>{t(check.name)}</strong>
        {check.todo !== undefined && check.verdict !== "done" && check.verdict !== "unknown" && (
          <small>{t(check.todo)}</small>
        )}
      </span>
    </li>
  );
}

export function EmptyCard({ s }: { s: Status | null }) {
  const [config, setConfig] = useState<ManagerConfig | null>(null);
  const [busy, setBusy] = useState(false);

  // The server asks CPA for the answer: once, and when a person wants it.
  async function look(): Promise<void> {
    setBusy(true);
    try {
      setConfig(await api.config(key.value, untilLogout()));
    } catch (e) {
      if (e instanceof ApiError && e.status === 401) logout(e);
      setConfig(null);
    } finally {
      setBusy(false);
    }
  }
  useEffect(() => void look(), []);

  return (
    <section class="card main" aria-labelledby="empty">
      <div class="head">
        <h2 id="empty">{t("emptyTitle")}</h2>
        <button type="button" disabled={busy} onClick={() => void look()}>
          {t("checkAgain")}
        </button>
      </div>
      <p>{t("emptyIntro")}</p>
      <ul class="checks">
        {checks(s, config).map((check) => (
          <Line key={check.name} check={check} />
        ))}
        <Line check={{ name: "checkEvent", verdict: "open", todo: "checkEventTodo" }} />
      </ul>
      <p class="quiet">{t("checkOther")}</p>
    </section>
  );
}
