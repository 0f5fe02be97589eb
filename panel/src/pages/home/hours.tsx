// Requests per hour: bars, and the same as a table.
import type { Hour, Overview } from "../../api";
import { t } from "../../i18n";
import { count, dateTime, minute } from "../../lib/format";
import { useSize, type Size } from "../../lib/media";
import { route, setParam } from "../../lib/router";

const LEFT = 46;
const BOTTOM = 22;
const TOP = 10;
const LABEL_PX = 54;

/** The next readable end of a scale: 4, 10, 20, 40, 50, 80, 100, 200 ... */
function niceMaximum(n: number): number {
  if (n <= 4) return 4;
  const power = 10 ** Math.floor(Math.log10(n));
  return ([1, 2, 4, 5, 8].find((step) => step * power >= n) ?? 10) * power;
}

function summary(hours: readonly Hour[]): string {
  const sum = (of: (h: Hour) => number): number => hours.reduce((total, h) => total + of(h), 0);
  const most = hours.reduce<Hour | null>((a, h) => (a === null || h.requests > a.requests ? h : a), null);
  if (most === null) return t("perHour");
  return t(
    "perHourSummary",
    count(sum((h) => h.requests)),
    count(sum((h) => h.failures)),
    minute(most.startMs),
    minute(most.startMs + 3_600_000),
    count(most.requests),
  );
}

function Bars({ hours, width, height }: { hours: readonly Hour[] } & Size) {
  const top = niceMaximum(Math.max(...hours.map((h) => h.requests)));
  const slot = (width - LEFT) / Math.max(1, hours.length);
  const bar = Math.max(2, Math.min(slot * 0.72, 34));
  const every = Math.max(1, Math.ceil(LABEL_PX / slot));
  const y = (n: number): number => TOP + (height - TOP - BOTTOM) * (1 - n / top);
  return (
    <svg class="chart" width={width} height={height} role="img" aria-label={summary(hours)}>
      {[0, 0.5, 1].map((part) => (
        <g key={part}>
          <line x1={LEFT} x2={width} y1={y(top * part)} y2={y(top * part)} />
          <text x={LEFT - 8} y={y(top * part) + 4} class="end">
            {count(top * part)}
          </text>
        </g>
      ))}
      {hours.map((h, i) => {
        const x = LEFT + i * slot;
        const good = h.requests - h.failures;
        return (
          <g key={h.startMs} class="hour">
            <title>
              {`${minute(h.startMs)}–${minute(h.startMs + 3_600_000)}\n${t("requests")}: ${count(h.requests)}\n${t("failed")}: ${count(h.failures)}\n${t("tokens")}: ${count(h.totalTokens)}`}
            </title>
            <rect class="hit" x={x} y={TOP} width={slot} height={y(0) - TOP} />
            <rect class="good" x={x + (slot - bar) / 2} y={y(good)} width={bar} height={y(0) - y(good)} />
            <rect class="bad" x={x + (slot - bar) / 2} y={y(h.requests)} width={bar} height={y(good) - y(h.requests)} />
            {(hours.length - 1 - i) % every === 0 && (
              <text x={Math.min(x + slot / 2, width - 18)} y={height - 5} class="middle">
                {minute(h.startMs)}
              </text>
            )}
          </g>
        );
      })}
    </svg>
  );
}

function Chart({ hours }: { hours: readonly Hour[] }) {
  const [ref, size] = useSize<HTMLDivElement>({ width: 720, height: 220 });
  return (
    <div ref={ref} class="plot">
      {hours.length > 0 && <Bars hours={hours} {...size} />}
    </div>
  );
}

function Table({ hours }: { hours: readonly Hour[] }) {
  return (
    <div class="scroll plot" tabIndex={0} role="group" aria-labelledby="hours">
      <table>
        <thead>
          <tr>
            <th scope="col">{t("hour")}</th>
            <th scope="col" class="number">
              {t("requests")}
            </th>
            <th scope="col" class="number">
              {t("failed")}
            </th>
            <th scope="col" class="number">
              {t("tokens")}
            </th>
          </tr>
        </thead>
        <tbody>
          {[...hours].reverse().map((h) => (
            <tr key={h.startMs}>
              <th scope="row">
                {minute(h.startMs)}–{minute(h.startMs + 3_600_000)}
              </th>
              <td class="number">{count(h.requests)}</td>
              <td class={h.failures > 0 ? "number wrong" : "number"}>{count(h.failures)}</td>
              <td class="number">{count(h.totalTokens)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function HoursCard({ o }: { o: Overview | null }) {
  const asTable = route.value.params["hours"] === "table";
  const hours = o?.hours ?? [];
  const quiet = o !== null && hours.every((h) => h.requests === 0);
  return (
    <section class="card main" aria-labelledby="hours" aria-busy={o === null}>
      <div class="head">
        <h2 id="hours">{t("perHour")}</h2>
        <span class="quiet">{t("perHourSpan")}</span>
        {!asTable && (
          <span class="legend" aria-hidden="true">
            <i class="good" /> {t("succeeded")} <i class="bad" /> {t("failed")}
          </span>
        )}
        <button type="button" class="push" onClick={() => setParam("hours", asTable ? "" : "table")}>
          {asTable ? t("asChart") : t("asTable")}
        </button>
      </div>
      {quiet && o.total.lastMs !== null && <p class="quiet">{t("hourQuiet", dateTime(o.total.lastMs))}</p>}
      {asTable ? <Table hours={hours} /> : <Chart hours={hours} />}
    </section>
  );
}
