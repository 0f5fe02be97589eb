// The connection as it is stored now, to start from when it is changed.
import { useEffect, useState } from "preact/hooks";
import { api, ApiError } from "../../api";
import { key, logout, untilLogout } from "../../lib/session";

export interface Stored {
  url: string;
  collect: boolean;
  /** Given by the server's environment: nothing here can change it. */
  fixed: boolean;
}

/** null: not known yet.  What cannot be read starts empty. */
export function useStoredConnection(): Stored | null {
  const [stored, setStored] = useState<Stored | null>(null);
  useEffect(() => {
    let gone = false;
    api
      .config(key.value, untilLogout())
      .then(
        ({ config, source }) => ({
          url: config.cpaConnection.cpaBaseUrl,
          collect: config.collector.enabled,
          fixed: source === "env",
        }),
        (e: unknown) => {
          if (e instanceof ApiError && e.status === 401) logout(e);
          return { url: "", collect: true, fixed: false };
        },
      )
      .then((s) => {
        if (!gone) setStored(s);
      });
    return () => {
      gone = true;
    };
  }, []);
  return stored;
}

/** An http or https address, whose scheme may be left out. */
export function usableUrl(text: string): boolean {
  const trimmed = text.trim();
  if (/\s/.test(trimmed)) return false;
  try {
    const url = new URL(/^[a-z][a-z0-9+.-]*:\/\//i.test(trimmed) ? trimmed : `http://${trimmed}`);
    return (url.protocol === "http:" || url.protocol === "https:") && url.hostname !== "";
  } catch {
    return false;
  }
}
