// The questions of the setup.
import { t, type Text } from "../../i18n";
import { Field, focusOnce, SecretField } from "../../parts/field";

export interface Answers {
  url: string;
  /** "": keep the stored one. */
  cpaKey: string;
  collect: boolean;
}

interface Props {
  answers: Answers;
  /** What is wrong with the answer of this step. */
  wrong: Text | null;
  first: boolean;
  onChange: (answers: Answers) => void;
}

export function CpaUrl({ answers, wrong, onChange }: Props) {
  return (
    <Field id="cpa-url" label={t("cpaUrl")} help={t("cpaUrlHelp")} {...(wrong !== null && { error: t(wrong) })}>
      {(aria) => (
        <input
          {...aria}
          type="url"
          class="mono"
          inputMode="url"
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          value={answers.url}
          ref={focusOnce}
          onInput={(e) => onChange({ ...answers, url: e.currentTarget.value })}
        />
      )}
    </Field>
  );
}

export function CpaKey({ answers, wrong, first, onChange }: Props) {
  return (
    <SecretField
      id="cpa-key"
      label={t("cpaKey")}
      value={answers.cpaKey}
      help={first ? t("cpaKeyHelp") : `${t("cpaKeyHelp")} ${t("cpaKeyKeep")}`}
      complete="off"
      autoFocus
      onValue={(cpaKey) => onChange({ ...answers, cpaKey })}
      {...(wrong !== null && { error: t(wrong) })}
    />
  );
}

export function Collect({ answers, onChange }: Props) {
  return (
    <label class="check">
      <input
        type="checkbox"
        checked={answers.collect}
        ref={focusOnce}
        onChange={(e) => onChange({ ...answers, collect: e.currentTarget.checked })}
      />
      <span>
        <strong>{t("collect")}</strong> <small>{t(answers.collect ? "collectHelp" : "collectOff")}</small>
      </span>
    </label>
  );
}

export function Review({ answers }: Props) {
  return (
    <dl class="review">
      <dt>{t("cpaUrl")}</dt>
      <dd class="mono">{answers.url.trim()}</dd>
      <dt>{t("cpaKey")}</dt>
      <dd>{t(answers.cpaKey.trim() === "" ? "keyKept" : "keyGiven")}</dd>
      <dt>{t("stepCollect")}</dt>
      <dd>{t(answers.collect ? "collectOn" : "collectNo")}</dd>
    </dl>
  );
}
