// The newest requests: a table where there is room, cards on a phone.
import { useState } from "preact/hooks";
import type { UsageEvent } from "../api";
import { count, dateTime, duration, short, shortTime } from "../format";
import { t } from "../i18n";

function keyName(e: UsageEvent): string {
  if (e.apiKeyAlias !== "") return e.apiKeyAlias;
  return e.apiKeyHash === "" ? t("unknownKey") : e.apiKeyHash.slice(0, 8);
}

function Result({ e, open, onToggle }: { e: UsageEvent; open: boolean; onToggle: () => void }) {
  if (!e.failed) return <span class="badge good">{t("ok")}</span>;
  const label = e.failStatus === null ? t("failed") : String(e.failStatus);
  if (e.failSummary === "") return <span class="badge bad">{label}</span>;
  return (
    <button
      type="button"
      class="badge bad"
      aria-expanded={open}
      aria-label={`${t("failed")} ${label}: ${t("details")}`}
      onClick={onToggle}
    >
      {label} <span aria-hidden="true">{open ? "▴" : "▾"}</span>
    </button>
  );
}

function Row({ e, nowMs }: { e: UsageEvent; nowMs: number }) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <tr>
        <td data-label={t("time")} class="time">
          <time dateTime={new Date(e.tsMs).toISOString()} title={dateTime(e.tsMs)}>
            {shortTime(e.tsMs, nowMs)}
          </time>
        </td>
        <td data-label={t("model")}>
          <strong>{e.model}</strong> <small class="muted">{e.provider}</small>
        </td>
        <td data-label={t("account")}>{e.account === "" ? "–" : e.account}</td>
        <td data-label={t("key")} title={e.apiKeyHash} class={e.apiKeyAlias === "" ? "mono" : ""}>
          {keyName(e)}
        </td>
        <td data-label={t("endpoint")} class="mono">
          {e.endpoint}
        </td>
        <td
          data-label={t("tokens")}
          class="number"
          title={`${t("tokensIn")} ${count(e.inputTokens)} · ${t("tokensCached")} ${count(e.cachedTokens)} · ${t("tokensOut")} ${count(e.outputTokens)} · ${t("tokensReasoning")} ${count(e.reasoningTokens)}`}
        >
          {short(e.inputTokens)} → {short(e.outputTokens)}
        </td>
        <td data-label={t("duration")} class="number">
          {e.latencyMs === null ? "–" : duration(e.latencyMs)}
          {e.ttftMs !== null && e.ttftMs > 0 && (
            <small class="muted">{t("firstByte", duration(e.ttftMs))}</small>
          )}
        </td>
        <td data-label={t("result")}>
          <Result e={e} open={open} onToggle={() => setOpen(!open)} />
        </td>
      </tr>
      {open && (
        <tr class="detail">
          <td colSpan={8}>
            <pre>{e.failSummary}</pre>
          </td>
        </tr>
      )}
    </>
  );
}

export function Events({ events, nowMs }: { events: UsageEvent[]; nowMs: number }) {
  return (
    <section class="card wide" aria-labelledby="newest">
      <div class="head">
        <h2 id="newest">{t("newest")}</h2>
        <span class="muted">{t("newestNote", events.length)}</span>
      </div>
      <div class="scroll" tabIndex={0} role="region" aria-labelledby="newest">
        <table class="events">
          <thead>
            <tr>
              <th scope="col">{t("time")}</th>
              <th scope="col">{t("model")}</th>
              <th scope="col">{t("account")}</th>
              <th scope="col">{t("key")}</th>
              <th scope="col">{t("endpoint")}</th>
              <th scope="col" class="number">
                {t("tokens")}
              </th>
              <th scope="col" class="number">
                {t("duration")}
              </th>
              <th scope="col">{t("result")}</th>
            </tr>
          </thead>
          <tbody>
            {events.map((e) => (
              <Row key={e.id} e={e} nowMs={nowMs} />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
