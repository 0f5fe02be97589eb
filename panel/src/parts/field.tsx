// A field for a key, with a button that shows it.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { t } from "../i18n";

interface FieldProps {
  id: string;
  label: string;
  help?: string;
  error?: string;
  children: (aria: { id: string; "aria-invalid"?: true; "aria-describedby"?: string }) => ComponentChildren;
}

/** Label, input, help and error, tied together for screen readers. */
export function Field({ id, label, help, error, children }: FieldProps) {
  const described = [help !== undefined && `${id}-help`, error !== undefined && `${id}-error`].filter(Boolean).join(" ");
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children({
        id,
        ...(error !== undefined && { "aria-invalid": true as const }),
        ...(described !== "" && { "aria-describedby": described }),
      })}
      {error !== undefined && (
        <p id={`${id}-error`} class="wrong">
          {error}
        </p>
      )}
      {help !== undefined && (
        <p id={`${id}-help`} class="help">
          {help}
        </p>
      )}
    </div>
  );
}

interface SecretProps {
  id: string;
  label: string;
  value: string;
  help?: string;
  error?: string;
  /** For password managers: "current-password" or "off". */
  complete: "current-password" | "off";
  autoFocus?: boolean;
  onValue: (value: string) => void;
}

export function SecretField({ id, label, value, help, error, complete, autoFocus, onValue }: SecretProps) {
  const [shown, setShown] = useState(false);
  const common = {
    class: "mono",
    autocomplete: complete,
    autocapitalize: "off",
    spellcheck: false,
    value,
    ref: autoFocus === true ? focusOnce : null,
    onInput: (e: Event) => onValue((e.currentTarget as HTMLInputElement).value),
  } as const;
  return (
    <Field id={id} label={label} {...(help !== undefined && { help })} {...(error !== undefined && { error })}>
      {(aria) => (
        <div class="joined">
          {shown ? <input {...aria} {...common} type="text" /> : <input {...aria} {...common} type="password" />}
          <button type="button" aria-pressed={shown} aria-controls={id} onClick={() => setShown(!shown)}>
            {shown ? t("hide") : t("show")}
          </button>
        </div>
      )}
    </Field>
  );
}

/** A ref that stays the same: focuses its element when that appears. */
export function focusOnce(element: HTMLElement | null): void {
  element?.focus();
}
