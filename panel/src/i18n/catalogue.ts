// The shape that every translation must have: each text of the English one,
// with the same holes ({0}, {1}).  A translation that lacks one does not
// compile.
import { en } from "./en";

export type Text = keyof typeof en;

type Holes<S> = S extends `${string}{${infer N extends number}}${infer Rest}` ? N | Holes<Rest> : never;
type SameHoles<A, B> = [Holes<A>] extends [Holes<B>] ? ([Holes<B>] extends [Holes<A>] ? A : never) : never;
type Complete<T> = { [K in Text]: K extends keyof T ? SameHoles<T[K], (typeof en)[K]> : never };

export function translation<const T extends Record<Text, string>>(table: T & Complete<T>): Record<Text, string> {
  return table;
}
