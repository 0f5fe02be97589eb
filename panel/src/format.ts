// Numbers and times for people.
import { locale, t } from "./i18n";

export function count(n: number): string {
  return new Intl.NumberFormat(locale()).format(n);
}

/** 12,345,678 -> 12.3M: for tiles, where the size matters and not the digit. */
export function short(n: number): string {
  return new Intl.NumberFormat(locale(), { notation: "compact", maximumFractionDigits: 1 }).format(n);
}

export function percent(part: number, whole: number): string {
  if (whole === 0) return "–";
  return new Intl.NumberFormat(locale(), { style: "percent", maximumFractionDigits: 1 }).format(part / whole);
}

export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 100_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.round(ms / 60_000)} min`;
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

export function clock(ms: number): string {
  return new Intl.DateTimeFormat(locale(), { hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(ms);
}

export function hourOf(ms: number): string {
  return new Intl.DateTimeFormat(locale(), { hour: "2-digit", minute: "2-digit" }).format(ms);
}

export function dateTime(ms: number): string {
  return new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "medium" }).format(ms);
}

/** The day is named only when it is not today. */
export function shortTime(ms: number, nowMs: number): string {
  if (new Date(ms).toDateString() === new Date(nowMs).toDateString()) return clock(ms);
  return new Intl.DateTimeFormat(locale(), {
    month: "short",
    day: "numeric",
    hour: "2-digit",
    minute: "2-digit",
  }).format(ms);
}

export function ago(ms: number, nowMs: number): string {
  if (ms === 0) return t("never");
  const s = Math.max(0, Math.round((nowMs - ms) / 1000));
  if (s < 90) return t("agoS", s);
  if (s < 5400) return t("agoMin", Math.round(s / 60));
  if (s < 129_600) return t("agoH", Math.round(s / 3600));
  return t("agoD", Math.round(s / 86_400));
}
