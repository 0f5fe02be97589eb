// The fields for the admin key, the same at login and in the setup.
import { t } from "../i18n";
import type { AdminForm } from "../lib/admin_form";
import { SecretField } from "./field";
import { KeyHelp } from "./key_help";
import { Problem } from "./problem";

export function AdminKey({ form, help }: { form: AdminForm; help?: string }) {
  return (
    <>
      {form.error !== null && <Problem error={form.error} />}
      {form.waitS > 0 && <p class="quiet">{t("waitBefore", form.waitS)}</p>}
      <SecretField
        id="admin-key"
        label={t("adminKey")}
        value={form.value}
        complete="current-password"
        autoFocus
        onValue={form.setValue}
        {...(help !== undefined && { help })}
        {...(form.missing && { error: t("fieldRequired") })}
      />
      <label class="check">
        <input type="checkbox" checked={form.stay} onChange={(e) => form.setStay(e.currentTarget.checked)} />
        <span>
          {t("remember")} <small>{t("rememberHelp")}</small>
        </span>
      </label>
      <KeyHelp />
    </>
  );
}
