// Numbers and times for people, in the language of the page.
import { computed } from "@preact/signals";
import { language, locale, t } from "../i18n";

// Making a formatter costs a hundred times more than using it.
const numbers = computed(() => new Intl.NumberFormat(locale()));
// British "m" for a million reads like a milli: English is American here.
const compact = computed(() => new Intl.NumberFormat(language.value === "en" ? "en-US" : locale(), { notation: "compact", maximumFractionDigits: 1 }));
const percents = computed(() => new Intl.NumberFormat(locale(), { style: "percent", maximumFractionDigits: 1 }));
const clocks = computed(
  () => new Intl.DateTimeFormat(locale(), { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" }),
);
const minutes = computed(
  () => new Intl.DateTimeFormat(locale(), { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }),
);
const days = computed(
  () =>
    new Intl.DateTimeFormat(locale(), {
      month: "short",
      day: "numeric",
      hour: "2-digit",
      minute: "2-digit",
      hourCycle: "h23",
    }),
);
const dates = computed(
  () => new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" }),
);

export function count(n: number): string {
  return numbers.value.format(n);
}

/** 12,345,678 -> 12.3M: where the size matters and not the digit. */
export function short(n: number): string {
  return compact.value.format(n);
}

/** Every digit as long as they fit into a column of a table. */
export function figure(n: number): string {
  return n < 1_000_000 ? count(n) : short(n);
}

/** part of whole; nothing of nothing is no percentage. */
export function percent(part: number, whole: number): string {
  return whole === 0 ? "–" : percents.value.format(part / whole);
}

export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const s = Math.round(ms / 1000);
  return `${Math.floor(s / 60)} min ${s % 60} s`;
}

export function bytes(n: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  while (n >= 1024 && i < units.length - 1) {
    n /= 1024;
    i++;
  }
  return `${n.toFixed(i === 0 || n >= 100 ? 0 : 1)} ${units[i]}`;
}

/** 14:03:27 */
export function clock(ms: number): string {
  return clocks.value.format(ms);
}

/** 14:00 */
export function minute(ms: number): string {
  return minutes.value.format(ms);
}

export function dateTime(ms: number): string {
  return dates.value.format(ms);
}

/** The day is named only when it is not today. */
export function shortTime(ms: number, nowMs: number): string {
  return new Date(ms).toDateString() === new Date(nowMs).toDateString() ? clock(ms) : days.value.format(ms);
}

export function ago(ms: number, nowMs: number): string {
  if (ms === 0) return t("never");
  const s = Math.max(0, Math.round((nowMs - ms) / 1000));
  if (s < 90) return t("agoS", s);
  if (s < 5400) return t("agoMin", Math.round(s / 60));
  if (s < 129_600) return t("agoH", Math.round(s / 3600));
  return t("agoD", Math.round(s / 86_400));
}

export function zone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}
