// Light, dark, or as the system says.
import { effect, signal } from "@preact/signals";
import { recall, remember } from "./store";

export type Theme = "auto" | "light" | "dark";
const STORE = "cpam.theme";

function first(): Theme {
  const stored = recall("local", STORE);
  return stored === "light" || stored === "dark" ? stored : "auto";
}

export const theme = signal<Theme>(first());

export function setTheme(value: Theme): void {
  theme.value = value;
  remember("local", STORE, value === "auto" ? "" : value);
}

const systemDark = matchMedia("(prefers-color-scheme: dark)");
const systemIsDark = signal(systemDark.matches);
systemDark.addEventListener("change", (e) => {
  systemIsDark.value = e.matches;
});

// The style sheet knows two themes only: "auto" is decided here.
effect(() => {
  const dark = theme.value === "dark" || (theme.value === "auto" && systemIsDark.value);
  document.documentElement.dataset["theme"] = dark ? "dark" : "light";
});
