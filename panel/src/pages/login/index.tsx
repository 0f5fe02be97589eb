// The door: one key opens it.
import { t } from "../../i18n";
import { useAdminForm } from "../../lib/admin_form";
import { enter, info, trouble } from "../../lib/session";
import { AdminKey } from "../../parts/admin_key";
import { Problem } from "../../parts/problem";
import { ApiError } from "../../api";

export function LoginPage() {
  const form = useAdminForm();
  const databaseError = info.value?.databaseReady === false ? (info.value.databaseError ?? "") : null;

  async function submit(e: Event): Promise<void> {
    e.preventDefault();
    if (await form.submit()) enter();
  }

  return (
    <section class="narrow card" aria-labelledby="title">
      <h1 id="title">{t("loginTitle")}</h1>
      <p class="quiet">{t("loginIntro")}</p>
      {databaseError !== null && (
        <Problem error={new ApiError(503, "service_unavailable", databaseError)} calm />
      )}
      {trouble.value !== null && form.error === null && (
        <p class="notice wait" role="status">
          {t("loggedOut")}
        </p>
      )}
      <form onSubmit={(e) => void submit(e)} noValidate>
        <AdminKey form={form} />
        <div class="actions">
          <button type="submit" class="primary" disabled={form.busy || form.waitS > 0}>
            {form.busy ? t("loggingIn") : t("login")}
          </button>
        </div>
      </form>
    </section>
  );
}
