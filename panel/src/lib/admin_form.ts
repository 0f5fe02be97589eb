// The admin key as login and setup ask for it: typed, tried, kept.
import { useState } from "preact/hooks";
import { ApiError } from "../api";
import { useCountdown } from "../parts/problem";
import { keep, key, prove, trouble } from "./session";

export interface AdminForm {
  value: string;
  setValue: (value: string) => void;
  stay: boolean;
  setStay: (stay: boolean) => void;
  /** Shown as missing: sent while empty. */
  missing: boolean;
  busy: boolean;
  error: ApiError | null;
  /** Seconds for which the server answers nobody from this address. */
  waitS: number;
  /** Try the key and keep it; true when it is the right one. */
  submit: () => Promise<boolean>;
}

export function useAdminForm(): AdminForm {
  const [value, setValue] = useState(key.value);
  const [stay, setStay] = useState(false);
  const [missing, setMissing] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const waitS = useCountdown(error);

  async function submit(): Promise<boolean> {
    const given = value.trim();
    setMissing(given === "");
    if (given === "" || waitS > 0) return false;
    setBusy(true);
    trouble.value = null;
    try {
      await prove(given);
      keep(given, stay);
      setError(null);
      return true;
    } catch (e) {
      if (!(e instanceof ApiError)) throw e;
      setError(e);
      return false;
    } finally {
      setBusy(false);
    }
  }

  return { value, setValue, stay, setStay, missing, busy, error, waitS, submit };
}
