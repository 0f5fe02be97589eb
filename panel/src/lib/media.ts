// What the window is like, for what CSS alone cannot decide.
import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import type { RefObject } from "preact";

const phone = matchMedia("(max-width: 700px)");

/** Too narrow for tables: lists are shown instead. */
export const isNarrow = signal(phone.matches);

phone.addEventListener("change", (e) => {
  isNarrow.value = e.matches;
});

/** The width of an element in CSS pixels, kept up to date. */
export function useWidth<T extends HTMLElement>(firstPx: number): [RefObject<T | null>, number] {
  const ref = useRef<T | null>(null);
  const [width, setWidth] = useState(firstPx);
  useEffect(() => {
    const element = ref.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth || firstPx));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return [ref, width];
}
