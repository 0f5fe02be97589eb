// A field for a key, with a button that shows it.
import { useState } from "preact/hooks";
import { t } from "../i18n";

interface Props {
  id: string;
  label: string;
  value: string;
  help?: string;
  error?: string;
  complete: "current-password" | "off";
  onValue: (value: string) => void;
}

export function SecretField(p: Props) {
  const [shown, setShown] = useState(false);
  const described = [p.help !== undefined && `${p.id}-help`, p.error !== undefined && `${p.id}-error`]
    .filter(Boolean)
    .join(" ");
  const common = {
    id: p.id,
    autocomplete: p.complete,
    autocapitalize: "off" as const,
    spellcheck: false,
    value: p.value,
    "aria-invalid": p.error !== undefined,
    ...(described === "" ? {} : { "aria-describedby": described }),
    onInput: (e: Event) => p.onValue((e.currentTarget as HTMLInputElement).value),
  };
  return (
    <div class="field">
      <label for={p.id}>{p.label}</label>
      <div class="with-button">
        {shown ? <input type="text" {...common} /> : <input type="password" {...common} />}
        <button type="button" class="quiet" aria-pressed={shown} onClick={() => setShown(!shown)}>
          {shown ? t("hide") : t("show")}
        </button>
      </div>
      {p.help !== undefined && (
        <small id={`${p.id}-help`} class="muted">
          {p.help}
        </small>
      )}
      {p.error !== undefined && (
        <small id={`${p.id}-error`} class="wrong">
          {p.error}
        </small>
      )}
    </div>
  );
}
