// The frame around every page, and which page it is.
import { language, languages, setLanguage, t, type Language } from "./i18n";
import { HomePage } from "./pages/home";
import { LoginPage } from "./pages/login";
import { SetupPage } from "./pages/setup";
import { Problem } from "./parts/problem";
import { begin, info, logout, problem, stage } from "./session";
import { setTheme, theme, type Theme } from "./theme";

function Header() {
  return (
    <header class="top">
      <a class="skip" href="#main">
        {t("skip")}
      </a>
      <span class="brand" aria-hidden="true">
        <i />
        <i />
        <i />
      </span>
      <h1>{t("appName")}</h1>
      {info.value?.demo !== undefined && (
        <span class="badge demo" title={t("demoNote")}>
          {t("demo")}
        </span>
      )}
      <div class="tools">
        <label>
          <span class="hidden">{t("language")}</span>
          <select value={language.value} onChange={(e) => setLanguage(e.currentTarget.value as Language)}>
            {languages.map(([id, name]) => (
              <option key={id} value={id}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <label>
          <span class="hidden">{t("theme")}</span>
          <select value={theme.value} onChange={(e) => setTheme(e.currentTarget.value as Theme)}>
            <option value="auto">{t("themeAuto")}</option>
            <option value="light">{t("themeLight")}</option>
            <option value="dark">{t("themeDark")}</option>
          </select>
        </label>
        {stage.value === "home" && (
          <button type="button" class="quiet" onClick={logout}>
            {t("logout")}
          </button>
        )}
      </div>
    </header>
  );
}

function Page() {
  switch (stage.value) {
    case "setup":
      return <SetupPage />;
    case "login":
      return <LoginPage />;
    case "home":
      return <HomePage />;
    case "offline":
      return (
        <section class="narrow">
          {problem.value !== null && <Problem error={problem.value} />}
          <button type="button" onClick={() => void begin()}>
            {t("retry")}
          </button>
        </section>
      );
    case "loading":
      return (
        <p class="narrow muted" role="status">
          {t("loading")}
        </p>
      );
  }
}

export function App() {
  return (
    <>
      <Header />
      <main id="main" tabIndex={-1}>
        <Page />
      </main>
      {info.value?.version !== undefined && (
        <footer>
          {t("appName")} {info.value.version}
        </footer>
      )}
    </>
  );
}
