// Light, dark, or as the system says.
import { effect, signal } from "@preact/signals";
import { language } from "./i18n";

export type Theme = "auto" | "light" | "dark";
const STORE = "cpam.theme";

function first(): Theme {
  const stored = localStorage.getItem(STORE);
  return stored === "light" || stored === "dark" ? stored : "auto";
}

export const theme = signal<Theme>(first());

export function setTheme(value: Theme): void {
  theme.value = value;
  localStorage.setItem(STORE, value);
}

effect(() => {
  if (theme.value === "auto") document.documentElement.removeAttribute("data-theme");
  else document.documentElement.setAttribute("data-theme", theme.value);
});

effect(() => {
  document.documentElement.lang = language.value === "zh" ? "zh-CN" : "en";
});
