// The overview: today's figures, the hours, the collector, the newest requests.
import { t } from "../../i18n";
import { clock } from "../../lib/format";
import { Problem } from "../../parts/problem";
import { CollectorCard } from "./collector";
import { askNow, overview, problem, status, useFreshData } from "./data";
import { EmptyCard } from "./empty";
import { EventsCard } from "./events";
import { HoursCard } from "./hours";
import { TodayCard } from "./today";

function Trouble() {
  if (problem.value === null) return null;
  const o = overview.value;
  return (
    <div class="all trouble">
      <Problem error={problem.value} calm />
      <div class="bar-of-trouble">
        {o !== null && <span class="quiet">{t("staleTitle", clock(o.nowMs))}</span>}
        <button type="button" onClick={askNow}>
          {t("retry")}
        </button>
      </div>
    </div>
  );
}

export function HomePage() {
  useFreshData();
  const o = overview.value;
  const nowMs = o?.nowMs ?? Date.now();
  const empty = o !== null && o.total.events === 0;
  return (
    <div class="home">
      <h1 class="hidden">{t("overview")}</h1>
      <Trouble />
      <TodayCard o={o} />
      {empty ? <EmptyCard s={status.value} /> : <HoursCard o={o} />}
      <CollectorCard s={status.value} nowMs={nowMs} />
      {!empty && <EventsCard o={o} />}
    </div>
  );
}
