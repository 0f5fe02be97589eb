// Today's sums, in one row.
import type { Overview } from "../../api";
import { t, type Text } from "../../i18n";
import { clock, count, duration, percent, short } from "../../lib/format";
import { waiting } from "./data";

interface FigureProps {
  label: string;
  value: string;
  /** The exact figure, on hover. */
  exact?: string;
  note?: string;
  bad?: boolean;
}

function Figure({ label, value, exact, note, bad = false }: FigureProps) {
  return (
    <div class={bad ? "figure bad" : "figure"}>
      <dt>{label}</dt>
      <dd {...(exact !== undefined && exact !== value && { title: exact })}>{value}</dd>
      {note !== undefined && <dd class="note">{note}</dd>}
    </div>
  );
}

export function TodayCard({ o }: { o: Overview | null }) {
  const d = o?.today;
  const share = (name: Text, part: number, whole: number): string => (whole === 0 ? " " : t(name, percent(part, whole)));
  const many = (n: number | undefined): { value: string; exact?: string } =>
    n === undefined ? { value: t("noneYet") } : { value: short(n), exact: count(n) };
  return (
    <section class="card all" aria-labelledby="today" aria-busy={o === null}>
      <div class="head">
        <h2 id="today">{t("today")}</h2>
        <span class="quiet">{o === null ? waiting() : t("asOf", clock(o.nowMs))}</span>
      </div>
      <dl class="figures">
        <Figure label={t("requests")} value={d === undefined ? t("noneYet") : count(d.requests)} />
        <Figure
          label={t("failures")}
          value={d === undefined ? t("noneYet") : count(d.failures)}
          note={share("failureRate", d?.failures ?? 0, d?.requests ?? 0)}
          bad={d !== undefined && d.failures > 0}
        />
        <Figure label={t("tokensIn")} {...many(d?.inputTokens)} />
        <Figure
          label={t("tokensCached")}
          {...many(d?.cachedTokens)}
          note={share("shareOfInput", d?.cachedTokens ?? 0, d?.inputTokens ?? 0)}
        />
        <Figure label={t("tokensOut")} {...many(d?.outputTokens)} />
        <Figure
          label={t("tokensReasoning")}
          {...many(d?.reasoningTokens)}
          note={share("shareOfOutput", d?.reasoningTokens ?? 0, d?.outputTokens ?? 0)}
        />
        <Figure
          label={t("averageLatency")}
          value={d === undefined || d.averageLatencyMs === null ? t("noneYet") : duration(d.averageLatencyMs)}
          note={t("perRequest")}
        />
      </dl>
    </section>
  );
}
