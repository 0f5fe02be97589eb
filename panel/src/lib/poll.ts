// Asks again and again: the next question waits for the answer before it, and
// nobody is asked while the page is hidden.

export interface Poll {
  /** Ask now, unless a question is under way. */
  now(): void;
  stop(): void;
}

/** Call ask at once and then everyMs after each time that it has ended. */
export function poll(ask: () => Promise<void>, everyMs: number): Poll {
  let timer = 0;
  let busy = false;
  let stopped = false;

  function later(): void {
    clearTimeout(timer);
    if (!stopped && !document.hidden) timer = window.setTimeout(() => void round(), everyMs);
  }

  async function round(): Promise<void> {
    if (busy || stopped) return;
    clearTimeout(timer);
    busy = true;
    try {
      await ask();
    } finally {
      busy = false;
      later();
    }
  }

  function seen(): void {
    if (document.hidden) clearTimeout(timer);
    else void round();
  }

  document.addEventListener("visibilitychange", seen);
  void round();
  return {
    now: () => void round(),
    stop() {
      stopped = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
    },
  };
}
