import { useState } from "preact/hooks";
import { t } from "../i18n";
import { Problem } from "../parts/problem";
import { SecretField } from "../parts/secret";
import { login, loginProblem } from "../session";

export function LoginPage() {
  const [given, setGiven] = useState("");
  const [remember, setRemember] = useState(false);
  const [busy, setBusy] = useState(false);
  const [missing, setMissing] = useState(false);

  async function submit(e: Event): Promise<void> {
    e.preventDefault();
    const trimmed = given.trim();
    setMissing(trimmed === "");
    if (trimmed === "") return;
    setBusy(true);
    await login(trimmed, remember);
    setBusy(false);
  }

  return (
    <section class="narrow card">
      <h2>{t("loginTitle")}</h2>
      <form onSubmit={(e) => void submit(e)} noValidate>
        {loginProblem.value !== null && <Problem error={loginProblem.value} />}
        <SecretField
          id="admin-key"
          label={t("adminKey")}
          value={given}
          complete="current-password"
          onValue={setGiven}
          {...(missing ? { error: t("fieldRequired") } : {})}
        />
        <label class="check">
          <input type="checkbox" checked={remember} onChange={(e) => setRemember(e.currentTarget.checked)} />
          {t("remember")}
        </label>
        <button type="submit" class="primary" disabled={busy}>
          {t("login")}
        </button>
      </form>
      <details>
        <summary>{t("loginHelp")}</summary>
        <p>{t("loginHelpText")}</p>
      </details>
    </section>
  );
}
