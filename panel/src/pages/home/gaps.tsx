// When events may be missing, and why: asked for once a person wants to see it.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api, ApiError, type Gap, type Gaps } from "../../api";
import { t, type Text } from "../../i18n";
import { count, dateTime } from "../../lib/format";
import { key, untilLogout } from "../../lib/session";
import { Problem } from "../../parts/problem";

const SHOWN = 10;

const reasons: Readonly<Record<string, Text>> = {
  pop_in_doubt: "gap_pop_in_doubt",
  subscription_dropped: "gap_subscription_dropped",
  collector_down: "gap_collector_down",
  cpa_unreachable: "gap_cpa_unreachable",
  cpa_restarted: "gap_cpa_restarted",
};

const open = signal(false);
const gaps = signal<Gaps | null>(null);
const problem = signal<ApiError | null>(null);

async function ask(): Promise<void> {
  const until = untilLogout();
  try {
    gaps.value = await api.gaps(key.value, SHOWN, until);
    problem.value = null;
  } catch (e) {
    if (!until.aborted) problem.value = e as ApiError;
  }
}

function One({ gap }: { gap: Gap }) {
  const reason = reasons[gap.reason];
  return (
    <li>
      <p>
        <time dateTime={new Date(gap.fromMs).toISOString()}>{dateTime(gap.fromMs)}</time>
        {" – "}
        <time dateTime={new Date(gap.toMs).toISOString()}>{dateTime(gap.toMs)}</time>
      </p>
      <p class="quiet">
        {reason !== undefined ? t(reason) : gap.detail}{" "}
        {gap.inDoubt === null ? `(${t("gapUnknown")})` : `(${t("gapAtMost", count(gap.inDoubt))})`}
      </p>
    </li>
  );
}

/** total: how many there are now; another one is asked for at once. */
export function GapList({ total }: { total: number }) {
  useEffect(() => {
    if (open.value) void ask();
  }, [total]);
  if (total === 0) return null;
  return (
    <details class="gaps" open={open.value} onToggle={(e) => {
      open.value = e.currentTarget.open;
      if (open.value) void ask();
    }}>
      <summary>{t("gapsShow")}</summary>
      {problem.value !== null && <Problem error={problem.value} calm />}
      {gaps.value === null ? (
        problem.value === null && <p class="quiet">{t("loading")}</p>
      ) : (
        <>
          <ul>
            {gaps.value.items.map((gap) => (
              <One key={gap.id} gap={gap} />
            ))}
          </ul>
          {gaps.value.totalCount > gaps.value.items.length && (
            <p class="quiet">{t("gapsNewest", count(gaps.value.items.length), count(gaps.value.totalCount))}</p>
          )}
        </>
      )}
    </details>
  );
}
