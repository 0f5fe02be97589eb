// The frame around every page, and which page it is.
import { effect } from "@preact/signals";
import type { ComponentType } from "preact";
import { language, languages, setLanguage, t, type Language, type Text } from "./i18n";
import { zone } from "./lib/format";
import { href, route } from "./lib/router";
import { begin, info, isDemo, logout, needsSetup, phase, trouble } from "./lib/session";
import { setTheme, theme, type Theme } from "./lib/theme";
import { HomePage } from "./pages/home";
import { LoginPage } from "./pages/login";
import { SetupPage } from "./pages/setup";
import { Problem } from "./parts/problem";

interface Page {
  title: Text;
  view: ComponentType;
}

/** Pages for a person who is logged in; the first one is home. */
const pages: Readonly<Record<string, Page>> = {
  "/": { title: "overview", view: HomePage },
  "/connection": { title: "connection", view: SetupPage },
};

function here(): string {
  return Object.hasOwn(pages, route.value.path) ? route.value.path : "/";
}

function Navigation() {
  return (
    <nav aria-label={t("pages")}>
      {Object.entries(pages).map(([path, page]) => (
        <a key={path} href={href(path)} {...(path === here() && { "aria-current": "page" as const })}>
          {t(page.title)}
        </a>
      ))}
    </nav>
  );
}

function Choices() {
  return (
    <div class="choices">
      <select
        aria-label={t("language")}
        value={language.value}
        onChange={(e) => setLanguage(e.currentTarget.value as Language)}
      >
        {languages.map((l) => (
          <option key={l.id} value={l.id}>
            {l.name}
          </option>
        ))}
      </select>
      <select aria-label={t("theme")} value={theme.value} onChange={(e) => setTheme(e.currentTarget.value as Theme)}>
        <option value="auto">{t("themeAuto")}</option>
        <option value="light">{t("themeLight")}</option>
        <option value="dark">{t("themeDark")}</option>
      </select>
      {phase.value === "in" && !needsSetup.value && !isDemo.value && (
        <button type="button" onClick={() => logout()}>
          {t("logout")}
        </button>
      )}
    </div>
  );
}

effect(() => {
  const name = phase.value === "out" ? "loginTitle" : (pages[here()]?.title ?? "overview");
  document.title = `${t(needsSetup.value ? "setupTitle" : name)} · ${t("appName")}${isDemo.value ? ` (${t("demo")})` : ""}`;
});

function skip(e: Event): void {
  // The address belongs to the router: "#main" would be a page.
  e.preventDefault();
  document.getElementById("main")?.focus();
}

function Header() {
  return (
    <header class="top">
      <a class="skip" href="#main" onClick={skip}>
        {t("skip")}
      </a>
      <div class="brand">
        <span class="mark" aria-hidden="true">
          <i />
          <i />
          <i />
        </span>
        <span class="name">{t("appName")}</span>
      </div>
      {isDemo.value && (
        <span class="badge wait demo" title={t("demoNote")}>
          {t("demo")}
          <span class="hidden">: {t("demoNote")}</span>
        </span>
      )}
      {phase.value === "in" && !needsSetup.value && <Navigation />}
      <Choices />
    </header>
  );
}

function Offline() {
  return (
    <section class="narrow">
      <h1 class="hidden">{t("appName")}</h1>
      {trouble.value !== null && <Problem error={trouble.value} calm />}
      <button type="button" onClick={() => void begin()}>
        {t("retry")}
      </button>
    </section>
  );
}

function Body() {
  if (phase.value === "starting")
    return (
      <div class="narrow quiet" role="status">
        <h1 class="hidden">{t("appName")}</h1>
        {t("loading")}
      </div>
    );
  if (phase.value === "offline") return <Offline />;
  if (needsSetup.value) return <SetupPage />;
  if (phase.value === "out") return <LoginPage />;
  const View = pages[here()]?.view ?? HomePage;
  return <View />;
}

export function App() {
  return (
    <>
      <Header />
      <main id="main" tabIndex={-1}>
        <Body />
      </main>
      <footer>{t("footer", t("appName"), info.value?.version ?? "", zone())}</footer>
    </>
  );
}
