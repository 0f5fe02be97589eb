// Requests per hour: bars drawn as SVG, and the same as a table.
import { useState } from "preact/hooks";
import type { Hour } from "../api";
import { count, hourOf } from "../format";
import { t } from "../i18n";

const WIDTH = 720;
const HEIGHT = 180;
const LEFT = 44;
const BOTTOM = 22;
const TOP = 8;

/** The next 1, 2 or 5 times a power of ten: a scale that people can read. */
function niceMaximum(n: number): number {
  if (n <= 4) return 4;
  const power = 10 ** Math.floor(Math.log10(n));
  for (const step of [1, 2, 4, 5, 8, 10]) if (step * power >= n) return step * power;
  return 10 * power;
}

function Chart({ hours }: { hours: Hour[] }) {
  const top = niceMaximum(Math.max(1, ...hours.map((h) => h.requests)));
  const slot = (WIDTH - LEFT) / hours.length;
  const y = (n: number) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - n / top);
  const zero = y(0);
  return (
    <svg class="chart" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={t("perHour")}>
      {[0, 0.5, 1].map((part) => (
        <g key={part}>
          <line x1={LEFT} x2={WIDTH} y1={y(top * part)} y2={y(top * part)} class="grid" />
          <text x={LEFT - 6} y={y(top * part) + 4} class="end">
            {count(top * part)}
          </text>
        </g>
      ))}
      {hours.map((h, i) => {
        const x = LEFT + i * slot + slot * 0.14;
        const good = h.requests - h.failures;
        return (
          <g key={h.startMs}>
            <title>
              {`${hourOf(h.startMs)} · ${count(h.requests)} ${t("requests")} · ${count(h.failures)} ${t("failed")}`}
            </title>
            <rect class="hit" x={LEFT + i * slot} y={TOP} width={slot} height={zero - TOP} />
            <rect class="bar" x={x} y={y(good)} width={slot * 0.72} height={zero - y(good)} />
            <rect class="bar bad" x={x} y={y(h.requests)} width={slot * 0.72} height={y(good) - y(h.requests)} />
            {i % 4 === 0 && (
              <text x={LEFT + i * slot + slot / 2} y={HEIGHT - 5} class={i % 8 === 0 ? "middle" : "middle thin"}>
                {hourOf(h.startMs)}
              </text>
            )}
          </g>
        );
      })}
    </svg>
  );
}

function Table({ hours }: { hours: Hour[] }) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={t("perHour")}>
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
          {hours.map((h) => (
            <tr key={h.startMs}>
              <th scope="row">{hourOf(h.startMs)}</th>
              <td class="number">{count(h.requests)}</td>
              <td class="number">{count(h.failures)}</td>
              <td class="number">{count(h.totalTokens)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function Hours({ hours }: { hours: Hour[] }) {
  const [table, setTable] = useState(false);
  return (
    <section class="card wide" aria-labelledby="hours">
      <div class="head">
        <h2 id="hours">{t("perHour")}</h2>
        <span class="legend" aria-hidden="true">
          <i class="bar" /> {t("succeeded")} <i class="bar bad" /> {t("failed")}
        </span>
        <button type="button" class="quiet" onClick={() => setTable(!table)}>
          {table ? t("asChart") : t("asTable")}
        </button>
      </div>
      {table ? <Table hours={hours} /> : <Chart hours={hours} />}
    </section>
  );
}
