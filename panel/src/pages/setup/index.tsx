// Connecting to CPA: at first with the admin key in front, later again as the
// page "Connection".  Every step is one question.
import { useState } from "preact/hooks";
import { api, ApiError, type SetupRequest } from "../../api";
import { t, type Text } from "../../i18n";
import { useAdminForm } from "../../lib/admin_form";
import { explainSetup } from "../../lib/explain";
import { go } from "../../lib/router";
import { begin, key, logout, needsSetup } from "../../lib/session";
import { AdminKey } from "../../parts/admin_key";
import { focusOnce } from "../../parts/field";
import { Problem } from "../../parts/problem";
import { Collect, CpaKey, CpaUrl, Review, type Answers } from "./fields";
import { usableUrl, useStoredConnection, type Stored } from "./stored";

type Step = "admin" | "url" | "key" | "collect" | "review";

const titles: Readonly<Record<Step, Text>> = {
  admin: "stepAdmin",
  url: "stepUrl",
  key: "stepKey",
  collect: "stepCollect",
  review: "stepReview",
};

function Steps({ steps, at }: { steps: readonly Step[]; at: number }) {
  return (
    <ol class="steps" aria-label={t("stepOf", at + 1, steps.length)}>
      {steps.map((name, i) => (
        <li key={name} class={i < at ? "done" : ""} {...(i === at && { "aria-current": "step" as const })}>
          <span>{t(titles[name])}</span>
        </li>
      ))}
    </ol>
  );
}

function request(a: Answers): SetupRequest {
  const typed = a.cpaKey.trim();
  return {
    cpaBaseUrl: a.url.trim(),
    ...(typed !== "" && { cpaManagementKey: typed }),
    requestMonitoringEnabled: a.collect,
    ensureUsageStatisticsEnabled: a.collect,
  };
}

/** Goes through the steps; first: the server has no connection yet. */
function Wizard({ first, stored }: { first: boolean; stored: Omit<Stored, "fixed"> }) {
  const steps: readonly Step[] = first
    ? ["admin", "url", "key", "collect", "review"]
    : ["url", "key", "collect", "review"];
  const admin = useAdminForm();
  const [at, setAt] = useState(0);
  const [answers, setAnswers] = useState<Answers>({ url: stored.url, cpaKey: "", collect: stored.collect });
  const [wrong, setWrong] = useState<Text | null>(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const step = steps[at] ?? "review";
  const last = at === steps.length - 1;

  function turn(to: number): void {
    setWrong(null);
    setError(null);
    setAt(to);
  }

  function check(): Text | null {
    if (step === "url" && answers.url.trim() === "") return "fieldRequired";
    if (step === "url" && !usableUrl(answers.url)) return "cpaUrlWrong";
    if (step === "key" && first && answers.cpaKey.trim() === "") return "fieldRequired";
    return null;
  }

  async function send(): Promise<void> {
    setBusy(true);
    setError(null);
    try {
      await api.setup(key.value, request(answers));
      await begin();
      go("/");
    } catch (e) {
      if (!(e instanceof ApiError)) throw e;
      if (e.status === 401 && e.code === "invalid_admin_key") logout(e);
      else setError(e);
    } finally {
      setBusy(false);
    }
  }

  async function submit(e: Event): Promise<void> {
    e.preventDefault();
    if (step === "admin") {
      if (await admin.submit()) turn(at + 1);
      return;
    }
    const found = check();
    setWrong(found);
    if (found !== null) return;
    if (last) await send();
    else turn(at + 1);
  }

  const fields = { answers, wrong, first, onChange: setAnswers };
  return (
    <section class="narrow card" aria-labelledby="title">
      <h1 id="title">{first ? t("setupTitle") : t("connection")}</h1>
      <p class="quiet">{first ? t("setupIntro") : t("setupAgain")}</p>
      <Steps steps={steps} at={at} />
      <form onSubmit={(e) => void submit(e)} noValidate key={step}>
        {error !== null && <Problem error={error} how={explainSetup} />}
        {step === "admin" && <AdminKey form={admin} help={t("adminKeyHelp")} />}
        {step === "url" && <CpaUrl {...fields} />}
        {step === "key" && <CpaKey {...fields} />}
        {step === "collect" && <Collect {...fields} />}
        {step === "review" && <Review {...fields} />}
        <div class="actions">
          {at > 0 && (
            <button type="button" disabled={busy} onClick={() => turn(at - 1)}>
              {t("back")}
            </button>
          )}
          <button
            type="submit"
            class="primary"
            disabled={busy || admin.busy || (step === "admin" && admin.waitS > 0)}
            ref={last ? focusOnce : null}
          >
            {busy ? t("connecting") : admin.busy ? t("loggingIn") : t(last ? "connect" : "next")}
          </button>
        </div>
      </form>
    </section>
  );
}

function Fixed({ url }: { url: string }) {
  return (
    <section class="narrow card" aria-labelledby="title">
      <h1 id="title">{t("connection")}</h1>
      <dl class="review">
        <dt>{t("cpaUrl")}</dt>
        <dd class="mono">{url}</dd>
      </dl>
      <p>
        {t("errEnv")} {t("errEnvTodo")}
      </p>
    </section>
  );
}

function Again() {
  const stored = useStoredConnection();
  if (stored === null)
    return (
      <p class="narrow quiet" role="status">
        {t("loading")}
      </p>
    );
  if (stored.fixed) return <Fixed url={stored.url} />;
  return <Wizard first={false} stored={stored} />;
}

export function SetupPage() {
  if (!needsSetup.value) return <Again />;
  return <Wizard first stored={{ url: "http://127.0.0.1:8317", collect: true }} />;
}
