// Which language the page speaks, and its texts.
import { effect, signal } from "@preact/signals";
import { recall, remember } from "../lib/store";
import { sameHoles, type Text, type Texts } from "./catalogue";
import { en } from "./en";
import { zh } from "./zh";

export type { Text } from "./catalogue";

/** tag: for the document's lang and for Intl; matches: of navigator.language. */
const catalogue = {
  en: { name: "English", tag: "en", matches: /^en\b/i, texts: en as Texts },
  zh: { name: "简体中文", tag: "zh-CN", matches: /^zh\b/i, texts: sameHoles(zh) },
} as const;

export type Language = keyof typeof catalogue;
export const languages = Object.entries(catalogue).map(([id, l]) => ({ id: id as Language, name: l.name }));

const STORE = "cpam.language";

function known(id: string): id is Language {
  return Object.hasOwn(catalogue, id);
}

function first(): Language {
  const stored = recall("local", STORE);
  if (known(stored)) return stored;
  for (const wanted of navigator.languages ?? [navigator.language])
    for (const l of languages) if (catalogue[l.id].matches.test(wanted)) return l.id;
  return "en";
}

export const language = signal<Language>(first());

export function setLanguage(id: Language): void {
  language.value = id;
  remember("local", STORE, id);
}

/** A text in the chosen language; {0}, {1} are replaced by what follows. */
export function t(name: Text, ...values: (string | number)[]): string {
  return catalogue[language.value].texts[name].replace(/\{(\d)\}/g, (_, i: string) => String(values[Number(i)] ?? ""));
}

/**
 * For Intl: numbers and times as people of the language write them.  A
 * browser set to the same language knows the region better than we do.
 */
export function locale(): string {
  const { tag, matches } = catalogue[language.value];
  return matches.test(navigator.language) ? navigator.language : tag;
}

effect(() => {
  document.documentElement.lang = catalogue[language.value].tag;
});
