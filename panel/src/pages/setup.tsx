// First steps: who you are, where CPA is, and a look at it all before saving.
import { useState } from "preact/hooks";
import { api, ApiError } from "../api";
import { t, type Text } from "../i18n";
import { Problem } from "../parts/problem";
import { SecretField } from "../parts/secret";
import { begin, keep, key } from "../session";

const steps: readonly Text[] = ["stepAdmin", "stepCpa", "stepReview"];

function Steps({ at }: { at: number }) {
  return (
    <ol class="steps">
      {steps.map((name, i) => (
        <li key={name} class={i < at ? "done" : ""} {...(i === at ? { "aria-current": "step" as const } : {})}>
          {t(name)}
        </li>
      ))}
    </ol>
  );
}

export function SetupPage() {
  const [step, setStep] = useState(0);
  const [admin, setAdmin] = useState(key.value);
  const [remember, setRemember] = useState(false);
  const [url, setUrl] = useState("http://127.0.0.1:8317");
  const [cpaKey, setCpaKey] = useState("");
  const [collect, setCollect] = useState(true);
  const [busy, setBusy] = useState(false);
  const [missing, setMissing] = useState<readonly string[]>([]);
  const [error, setError] = useState<ApiError | null>(null);

  /** Names of the fields of this step that are empty. */
  function empty(): string[] {
    const fields = step === 0 ? { admin } : step === 1 ? { url, cpaKey } : {};
    return Object.entries(fields)
      .filter(([, value]) => value.trim() === "")
      .map(([name]) => name);
  }

  async function proveAdmin(): Promise<void> {
    try {
      await api.status(admin.trim());
    } catch (e) {
      const problem = e as ApiError;
      if (problem.status !== 503) throw problem;
    }
    keep(admin.trim(), remember);
  }

  async function advance(): Promise<void> {
    if (step === 0) await proveAdmin();
    if (step < 2) {
      setStep(step + 1);
      return;
    }
    await api.setup(admin.trim(), {
      cpaBaseUrl: url.trim(),
      cpaManagementKey: cpaKey.trim(),
      requestMonitoringEnabled: collect,
      ensureUsageStatisticsEnabled: collect,
    });
    await begin();
  }

  async function submit(e: Event): Promise<void> {
    e.preventDefault();
    const names = empty();
    setMissing(names);
    setError(null);
    if (names.length > 0) return;
    setBusy(true);
    try {
      await advance();
    } catch (problem) {
      setError(problem as ApiError);
    }
    setBusy(false);
  }

  const wrong = (name: string) => (missing.includes(name) ? { error: t("fieldRequired") } : {});

  return (
    <section class="narrow card">
      <h2>{t("setupTitle")}</h2>
      <p class="muted">{t("setupIntro")}</p>
      <Steps at={step} />
      <form onSubmit={(e) => void submit(e)} noValidate>
        {error !== null && <Problem error={error} />}
        {step === 0 && (
          <>
            <SecretField
              id="admin-key"
              label={t("adminKey")}
              value={admin}
              help={t("loginHelpText")}
              complete="current-password"
              onValue={setAdmin}
              {...wrong("admin")}
            />
            <label class="check">
              <input type="checkbox" checked={remember} onChange={(e) => setRemember(e.currentTarget.checked)} />
              {t("remember")}
            </label>
          </>
        )}
        {step === 1 && (
          <>
            <div class="field">
              <label for="cpa-url">{t("cpaUrl")}</label>
              <input
                id="cpa-url"
                type="url"
                inputMode="url"
                autocapitalize="off"
                spellcheck={false}
                value={url}
                aria-invalid={missing.includes("url")}
                aria-describedby="cpa-url-help"
                onInput={(e) => setUrl(e.currentTarget.value)}
              />
              <small id="cpa-url-help" class={missing.includes("url") ? "wrong" : "muted"}>
                {missing.includes("url") ? t("fieldRequired") : t("cpaUrlHelp")}
              </small>
            </div>
            <SecretField
              id="cpa-key"
              label={t("cpaKey")}
              value={cpaKey}
              help={t("cpaKeyHelp")}
              complete="off"
              onValue={setCpaKey}
              {...wrong("cpaKey")}
            />
            <label class="check">
              <input type="checkbox" checked={collect} onChange={(e) => setCollect(e.currentTarget.checked)} />
              <span>
                {t("collect")}
                <small class="muted">{t("collectHelp")}</small>
              </span>
            </label>
          </>
        )}
        {step === 2 && (
          <dl class="pairs">
            <dt>{t("cpaUrl")}</dt>
            <dd>{url.trim()}</dd>
            <dt>{t("cpaKey")}</dt>
            <dd>••••••••</dd>
            <dt>{t("collect")}</dt>
            <dd>{collect ? t("yes") : t("no")}</dd>
          </dl>
        )}
        <div class="row">
          {step > 0 && (
            <button type="button" disabled={busy} onClick={() => setStep(step - 1)}>
              {t("back")}
            </button>
          )}
          <button type="submit" class="primary" disabled={busy}>
            {busy && step === 2 ? t("connecting") : step < 2 ? t("next") : t("connect")}
          </button>
        </div>
      </form>
    </section>
  );
}
