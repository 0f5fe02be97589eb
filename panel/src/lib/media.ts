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

export interface Size {
  width: number;
  height: number;
}

/** The size of an element's inside in CSS pixels, kept up to date. */
export function useSize<T extends HTMLElement>(first: Size): [RefObject<T | null>, Size] {
  const ref = useRef<T | null>(null);
  const [size, setSize] = useState(first);
  useEffect(() => {
    const element = ref.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => {
      if (element.clientWidth > 0) setSize({ width: element.clientWidth, height: element.clientHeight });
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return [ref, size];
}
