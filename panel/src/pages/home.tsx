// The one screen: today's figures, the hours, the newest requests, the collector.
import type { Overview } from "../api";
import { count, dateTime, duration, percent, short } from "../format";
import { t } from "../i18n";
import { Collector } from "../parts/collector";
import { Events } from "../parts/events";
import { Hours } from "../parts/hours";
import { Problem } from "../parts/problem";
import { overview, problem, status } from "../session";

function Figure({ label, value, title, note }: { label: string; value: string; title?: string; note?: string }) {
  return (
    <div class="figure">
      <dt>{label}</dt>
      <dd {...(title === undefined ? {} : { title })}>{value}</dd>
      {note !== undefined && <dd class="muted note">{note}</dd>}
    </div>
  );
}

function Today({ o }: { o: Overview }) {
  const d = o.today;
  return (
    <section class="card" aria-labelledby="today">
      <h2 id="today">{t("today")}</h2>
      <dl class="figures">
        <Figure label={t("requests")} value={count(d.requests)} />
        <Figure
          label={t("failures")}
          value={count(d.failures)}
          note={t("failureRate", percent(d.failures, d.requests))}
        />
        <Figure
          label={t("tokensIn")}
          value={short(d.inputTokens)}
          title={count(d.inputTokens)}
          note={`${t("tokensCached")} ${short(d.cachedTokens)}`}
        />
        <Figure
          label={t("tokensOut")}
          value={short(d.outputTokens)}
          title={count(d.outputTokens)}
          note={`${t("tokensReasoning")} ${short(d.reasoningTokens)}`}
        />
        <Figure
          label={t("averageLatency")}
          value={d.averageLatencyMs === null ? t("noneYet") : duration(d.averageLatencyMs)}
        />
      </dl>
    </section>
  );
}

function Empty() {
  return (
    <section class="card empty" aria-labelledby="empty">
      <h2 id="empty">{t("emptyTitle")}</h2>
      <ul>
        <li>{t("emptySend")}</li>
        <li>{t("emptyNew")}</li>
        <li>{t("emptySwitch")}</li>
        <li>{t("emptyOther")}</li>
      </ul>
    </section>
  );
}

export function HomePage() {
  const o = overview.value;
  const s = status.value;
  const stale = problem.value !== null && o !== null;
  return (
    <div class="home">
      {problem.value !== null && (
        <div class="wide">
          <Problem error={problem.value} />
          {stale && <p class="muted">{t("staleNote", dateTime(o.nowMs))}</p>}
        </div>
      )}
      {o === null && problem.value === null && (
        <p class="muted wide" role="status">
          {t("loading")}
        </p>
      )}
      {o !== null && <Today o={o} />}
      {s !== null && <Collector s={s} nowMs={o?.nowMs ?? Date.now()} />}
      {o !== null && o.total.events === 0 && <Empty />}
      {o !== null && o.total.events > 0 && (
        <>
          <Hours hours={o.hours} />
          <Events events={o.events} nowMs={o.nowMs} />
        </>
      )}
    </div>
  );
}
