// Is anything being collected, and what to do when not.
import type { Status } from "../api";
import { ago, bytes, count } from "../format";
import { t, type Text } from "../i18n";

const states: Record<Status["collector"]["collector"], { text: Text; look: string }> = {
  running: { text: "stateRunning", look: "good" },
  starting: { text: "stateStarting", look: "wait" },
  stopped: { text: "stateStopped", look: "bad" },
  error: { text: "stateError", look: "bad" },
};

export function Collector({ s, nowMs }: { s: Status; nowMs: number }) {
  const c = s.collector;
  const state = states[c.collector];
  const spool = c.x_spoolBytes ?? 0;
  return (
    <section class="card" aria-labelledby="collector">
      <h2 id="collector">
        {t("collector")}{" "}
        <span class={`badge ${state.look}`} role="status">
          {t(state.text)}
        </span>
      </h2>
      {(c.lastError !== undefined || c.x_hint !== undefined) && (
        <div class="problem" role="alert">
          {c.lastError !== undefined && <p class="mono">{c.lastError}</p>}
          {c.x_hint !== undefined && (
            <p>
              <strong>{t("whatToDo")}:</strong> {c.x_hint}
            </p>
          )}
        </div>
      )}
      {s.dataKeyError !== undefined && (
        <p class="problem" role="alert">
          {s.dataKeyError}
        </p>
      )}
      <dl class="pairs">
        <dt>{t("stored")}</dt>
        <dd>{count(s.events)}</dd>
        <dt>{t("lastReceived")}</dt>
        <dd>{ago(s.lastConsumedAt, nowMs)}</dd>
        <dt>{t("lastStored")}</dt>
        <dd>{ago(s.lastInsertedAt, nowMs)}</dd>
        {spool > 0 && (
          <>
            <dt>{t("spool")}</dt>
            <dd>{bytes(spool)}</dd>
          </>
        )}
        <dt>{t("gaps")}</dt>
        <dd title={t("gapsHelp", s.gaps)}>{count(s.gaps)}</dd>
        <dt>{t("deadLetters")}</dt>
        <dd>{count(s.deadLetters)}</dd>
        <dt>{t("database")}</dt>
        <dd>{bytes(s.database.totalBytes)}</dd>
        {c.upstream !== "" && (
          <>
            <dt>{t("cpa")}</dt>
            <dd class="mono">{c.upstream}</dd>
          </>
        )}
      </dl>
    </section>
  );
}
