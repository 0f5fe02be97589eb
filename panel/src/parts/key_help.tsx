// Where the admin key is found, for people who look at an empty field.
import { t } from "../i18n";

export function KeyHelp() {
  return (
    <details class="help">
      <summary>{t("whereKey")}</summary>
      <ul>
        <li>{t("whereKeyTerminal")}</li>
        <li>{t("whereKeyFile")}</li>
        <li>
          {t("whereKeyLost")} <code>cpactl reset-admin-key</code>
        </li>
      </ul>
    </details>
  );
}
