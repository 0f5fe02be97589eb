// What the browser remembers.  Storage can be forbidden or full: then the
// page works all the same and remembers nothing.

export function recall(area: "session" | "local", name: string): string {
  try {
    return (area === "local" ? localStorage : sessionStorage).getItem(name) ?? "";
  } catch {
    return "";
  }
}

/** Keep value under name; "" forgets it. */
export function remember(area: "session" | "local", name: string, value: string): void {
  try {
    const storage = area === "local" ? localStorage : sessionStorage;
    if (value === "") storage.removeItem(name);
    else storage.setItem(name, value);
  } catch {
    // nothing to be done, and nothing lost but a convenience
  }
}
