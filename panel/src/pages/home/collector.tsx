// Is anything being collected, and what to do when not.
import type { ComponentChildren } from "preact";
import type { CollectorState, CollectorStatus, Status } from "../../api";
import { language, t, type Text } from "../../i18n";
import { ago, bytes, clock, count, dateTime } from "../../lib/format";
import { href } from "../../lib/router";
import { waiting } from "./data";
import { GapList } from "./gaps";

const states: Readonly<Record<CollectorState, { text: Text; look: string }>> = {
  running: { text: "stateRunning", look: "good" },
  starting: { text: "stateStarting", look: "wait" },
  stopped: { text: "stateStopped", look: "bad" },
  error: { text: "stateError", look: "bad" },
};

const transports: Readonly<Record<string, Text>> = {
  http: "transport_http",
  resp: "transport_resp",
  subscribe: "transport_subscribe",
};

/** Advice of our own, in the person's language; null: we know no better. */
function ownAdvice(c: CollectorStatus): string | null {
  if (c.collector === "stopped") return t("todoStopped");
  if (c.x_refusedUntil !== undefined) return t("todoRefused", clock(c.x_refusedUntil));
  const stage = /^(\w+):/.exec(c.lastError ?? "")?.[1];
  if (stage === "auth") return t("todoAuth");
  if (stage === "store") return t("todoStore");
  if (stage !== undefined) return t("todoHttp");
  return null;
}

/** The server knows its own case best, but it speaks English only. */
export function advice(c: CollectorStatus): string | null {
  const theirs = c.x_hint ?? null;
  return language.value === "en" ? (theirs ?? ownAdvice(c)) : (ownAdvice(c) ?? theirs);
}

function Trouble({ s }: { s: Status }) {
  const c = s.collector;
  const bad = c.collector === "stopped" || c.collector === "error" || c.lastError !== undefined;
  const todo = bad ? advice(c) : (c.x_hint ?? null);
  return (
    <>
      {(bad || todo !== null) && (
        <div class={`notice ${bad ? "bad" : "wait"}`} role="alert">
          {c.lastError !== undefined && <p class="mono">{c.lastError}</p>}
          {todo !== null && (
            <p>
              <strong>{t("whatToDo")}</strong> {todo}
            </p>
          )}
        </div>
      )}
      {s.dataKeyError !== undefined && (
        <div class="notice bad" role="alert">
          <p class="mono">{s.dataKeyError}</p>
          <p>
            <strong>{t("whatToDo")}</strong> {t("todoDataKey")}
          </p>
        </div>
      )}
    </>
  );
}

function Fact({ name, help, children }: { name: Text; help?: Text; children: ComponentChildren }) {
  return (
    <div {...(help !== undefined && { title: t(help) })}>
      <dt>{t(name)}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Moment({ ms, nowMs }: { ms: number; nowMs: number }) {
  return <span {...(ms > 0 && { title: dateTime(ms) })}>{ago(ms, nowMs)}</span>;
}

function Facts({ s, nowMs }: { s: Status; nowMs: number }) {
  const c = s.collector;
  const transport = transports[c.transport];
  return (
    <dl class="pairs">
      <Fact name="lastReceived">
        <Moment ms={s.lastConsumedAt} nowMs={nowMs} />
      </Fact>
      <Fact name="lastStored">
        <Moment ms={s.lastInsertedAt} nowMs={nowMs} />
      </Fact>
      <Fact name="stored">{count(s.eventCount)}</Fact>
      <Fact name="spool">{bytes(c.x_spoolBytes ?? 0)}</Fact>
      <Fact name="gaps" help="gapsHelp">
        {count(s.gaps)}
        {s.gaps > 0 && s.lastGapAt !== undefined && <small> · {t("lastGap", ago(s.lastGapAt, nowMs))}</small>}
      </Fact>
      <Fact name="deadLetters" help="deadLettersHelp">
        {count(s.deadLetters)}
      </Fact>
      <Fact name="database">{bytes(s.database.totalBytes)}</Fact>
      {transport !== undefined && <Fact name="transport">{t(transport)}</Fact>}
      {c.upstream !== "" && (
        <Fact name="cpa">
          <a class="mono" href={href("/connection")}>
            {c.upstream}
          </a>
        </Fact>
      )}
    </dl>
  );
}

export function CollectorCard({ s, nowMs }: { s: Status | null; nowMs: number }) {
  const state = s === null ? undefined : states[s.collector.collector];
  return (
    <section class={`card side ${state?.look === "bad" ? "urgent" : ""}`} aria-labelledby="collector" aria-busy={s === null}>
      <div class="head">
        <h2 id="collector">{t("collector")}</h2>
        {state !== undefined && (
          <span class={`badge ${state.look}`} role="status">
            {t(state.text)}
          </span>
        )}
      </div>
      {s === null ? (
        <p class="quiet">{waiting()}</p>
      ) : (
        <>
          <Trouble s={s} />
          <Facts s={s} nowMs={nowMs} />
          <GapList total={s.gaps} />
        </>
      )}
    </section>
  );
}
