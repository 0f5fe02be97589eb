// The shape that every translation must have: each text of the English one,
// with the same holes ({0}, {1}).  One that lacks either does not compile.
import { en } from "./en";

export type Text = keyof typeof en;

/** A translation is declared `as const satisfies Texts`. */
export type Texts = Readonly<Record<Text, string>>;

type Holes<S> = S extends `${string}{${infer N extends number}}${infer Rest}` ? N | Holes<Rest> : never;
type SameHoles<A, B> = [Holes<A>] extends [Holes<B>] ? ([Holes<B>] extends [Holes<A>] ? A : never) : never;

/** The texts themselves; a text with other holes than the English one is a type error. */
export function sameHoles<T extends Texts>(texts: T & { [K in Text]: SameHoles<T[K], (typeof en)[K]> }): Texts {
  return texts;
}
