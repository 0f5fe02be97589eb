// The newest requests: a table where there is room, cards where there is not.
import { useState } from "preact/hooks";
import type { Overview, UsageEvent } from "../../api";
import { t } from "../../i18n";
import { count, dateTime, duration, figure, shortTime } from "../../lib/format";
import { isNarrow } from "../../lib/media";
import { Icon } from "../../parts/icon";
import { waiting } from "./data";

interface RowProps {
  e: UsageEvent;
  nowMs: number;
  open: boolean;
  onToggle: (id: number) => void;
}

function keyName(e: UsageEvent): string {
  if (e.apiKeyAlias !== "") return e.apiKeyAlias;
  return e.apiKeyHash === "" ? t("noKey") : e.apiKeyHash.slice(0, 8);
}

/** "POST /v1/messages" -> "/v1/messages": nearly all of them are POST. */
function pathOf(endpoint: string): string {
  return endpoint.replace(/^POST /, "");
}

function When({ e, nowMs }: { e: UsageEvent; nowMs: number }) {
  return (
    <time dateTime={new Date(e.tsMs).toISOString()} title={dateTime(e.tsMs)}>
      {shortTime(e.tsMs, nowMs)}
    </time>
  );
}

function Key({ e }: { e: UsageEvent }) {
  const mono = e.apiKeyAlias === "" && e.apiKeyHash !== "";
  return (
    <span class={mono ? "mono" : ""} {...(e.apiKeyHash !== "" && { title: e.apiKeyHash })}>
      {keyName(e)}
    </span>
  );
}

function Taken({ e }: { e: UsageEvent }) {
  if (e.latencyMs === null) return <>{t("noneYet")}</>;
  return (
    <>
      {duration(e.latencyMs)}
      {e.ttftMs !== null && e.ttftMs > 0 && (
        <small title={t("firstByte", duration(e.ttftMs))}> / {duration(e.ttftMs)}</small>
      )}
    </>
  );
}

function Result({ e, open, onToggle }: Omit<RowProps, "nowMs">) {
  if (!e.failed) return <span class="badge good">{t("ok")}</span>;
  const label = e.failStatus === null ? t("failure") : String(e.failStatus);
  return (
    <button
      type="button"
      class="badge bad"
      aria-expanded={open}
      aria-controls={`failure-${e.id}`}
      aria-label={t("failureDetail", label)}
      onClick={() => onToggle(e.id)}
    >
      {label} <Icon name={open ? "up" : "down"} />
    </button>
  );
}

function Failure({ e }: { e: UsageEvent }) {
  return (
    <div id={`failure-${e.id}`} class="failure mono">
      {e.failSummary === "" ? t("noDetail") : e.failSummary}
    </div>
  );
}

function Row(p: RowProps) {
  const e = p.e;
  return (
    <>
      <tr>
        <td class="time">
          <When e={e} nowMs={p.nowMs} />
        </td>
        <td class="cut" title={`${e.model} · ${e.provider}`}>
          <strong>{e.model}</strong> <small>{e.provider}</small>
        </td>
        <td class="cut" title={e.account}>
          {e.account === "" ? t("noAccount") : e.account}
        </td>
        <td class="cut">
          <Key e={e} />
        </td>
        <td class="cut mono" title={e.endpoint}>
          {pathOf(e.endpoint)}
        </td>
        <td class="number" title={count(e.inputTokens)}>
          {figure(e.inputTokens)}
        </td>
        <td class="number faint" title={count(e.cachedTokens)}>
          {figure(e.cachedTokens)}
        </td>
        <td class="number" title={count(e.outputTokens)}>
          {figure(e.outputTokens)}
        </td>
        <td class="number faint" title={count(e.reasoningTokens)}>
          {figure(e.reasoningTokens)}
        </td>
        <td class="number">
          <Taken e={e} />
        </td>
        <td class="result">
          <Result e={e} open={p.open} onToggle={p.onToggle} />
        </td>
      </tr>
      {p.open && (
        <tr class="detail">
          <td colSpan={11}>
            <Failure e={e} />
          </td>
        </tr>
      )}
    </>
  );
}

function Card(p: RowProps) {
  const e = p.e;
  return (
    <li>
      <div class="line">
        <strong>{e.model}</strong>
        <Result e={e} open={p.open} onToggle={p.onToggle} />
      </div>
      <div class="line quiet">
        <When e={e} nowMs={p.nowMs} />
        <span>
          <Taken e={e} />
        </span>
      </div>
      <div class="line">
        <span>{e.account === "" ? e.provider : e.account}</span>
        <Key e={e} />
      </div>
      <div class="line quiet mono">{pathOf(e.endpoint)}</div>
      <dl class="tokens">
        <dt>{t("input")}</dt>
        <dd>{figure(e.inputTokens)}</dd>
        <dt>{t("tokensCached")}</dt>
        <dd>{figure(e.cachedTokens)}</dd>
        <dt>{t("output")}</dt>
        <dd>{figure(e.outputTokens)}</dd>
        <dt>{t("tokensReasoning")}</dt>
        <dd>{figure(e.reasoningTokens)}</dd>
      </dl>
      {p.open && <Failure e={e} />}
    </li>
  );
}

function Head() {
  return (
    <thead>
      <tr>
        <th scope="col">{t("time")}</th>
        <th scope="col">{t("model")}</th>
        <th scope="col">{t("account")}</th>
        <th scope="col">{t("key")}</th>
        <th scope="col">{t("endpoint")}</th>
        <th scope="col" class="number">
          {t("input")}
        </th>
        <th scope="col" class="number">
          {t("tokensCached")}
        </th>
        <th scope="col" class="number">
          {t("output")}
        </th>
        <th scope="col" class="number">
          {t("tokensReasoning")}
        </th>
        <th scope="col" class="number" title={`${t("duration")} / ${t("firstByte", "")}`}>
          {t("duration")}
        </th>
        <th scope="col">{t("result")}</th>
      </tr>
    </thead>
  );
}

export function EventsCard({ o }: { o: Overview | null }) {
  const [open, setOpen] = useState<ReadonlySet<number>>(new Set());
  const events = o?.events ?? [];

  function toggle(id: number): void {
    const next = new Set(open);
    if (!next.delete(id)) next.add(id);
    setOpen(next);
  }
  const rows = events.map((e) => ({ e, nowMs: o?.nowMs ?? 0, open: open.has(e.id), onToggle: toggle }));

  return (
    <section class="card all" aria-labelledby="newest" aria-busy={o === null}>
      <div class="head">
        <h2 id="newest">{t("newest")}</h2>
        <span class="quiet">
          {o === null ? waiting() : t("newestOf", count(events.length), count(o.total.events))}
        </span>
      </div>
      {isNarrow.value ? (
        <ul class="cards">
          {rows.map((row) => (
            <Card key={row.e.id} {...row} />
          ))}
        </ul>
      ) : (
        <div class="scroll" tabIndex={0} role="group" aria-labelledby="newest">
          <table class="events">
            <Head />
            <tbody>
              {rows.map((row) => (
                <Row key={row.e.id} {...row} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
