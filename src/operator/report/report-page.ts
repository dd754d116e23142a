import type { Report } from "../../schema/report.ts";
import { countOf, seconds, sizeOf } from "../../util/count.ts";
import { type Html, html } from "./html.ts";
import {
  type Bar,
  bars,
  facts,
  healthChecks,
  judgements,
  moment,
  page,
  section,
  type Tone,
  table,
  unbroken,
  whatWentWrong,
} from "./page.ts";

/** The report of a deploy for people: `report.html`. */
export function reportPage(report: Report): string {
  const { host, health, preflight } = report;
  const title = `Deploy of ${report.hostname} to ${host}`;
  return page({ title, ...outcomeOf(report) }, [
    whatWentWrong(report, report.outcome === "done" ? "What was accepted" : undefined),
    section("In short", inShort(report)),
    section("Times", timeline(report), steps(report)),
    report.disks.length === 0
      ? undefined
      : section(
          "Disks",
          report.disks.map((one) => disk(one, written[report.outcome])),
        ),
    health.length === 0
      ? undefined
      : section("Checks of the new system", healthChecks("Each check, those that failed first", health)),
    preflight.length === 0
      ? undefined
      : section(
          "Preflight",
          judgements(
            "What was looked at before anything was changed, the worst first",
            preflight.map(({ check: name, verdict, detail, hint }) => {
              return { name, ...verdicts[verdict], detail, hint };
            }),
          ),
        ),
    section("To look up", toLookUp(report)),
  ]);
}

const verdicts: Readonly<Record<Report["preflight"][number]["verdict"], { tone: Tone; word: string }>> = {
  go: { tone: "good", word: "go" },
  warn: { tone: "care", word: "warning" },
  "no-go": { tone: "bad", word: "no-go" },
};

function outcomeOf({ outcome, message, hostname, os }: Report): {
  readonly outcome: string;
  readonly tone: Tone;
} {
  const runs = `${hostname} runs ${os.new}`;
  switch (outcome) {
    case "done":
      return message === undefined
        ? { outcome: `Done: ${runs}`, tone: "good" }
        : { outcome: `Done, with a fault that was accepted: ${runs}`, tone: "care" };
    case "refused":
      return { outcome: "Refused: nothing was changed", tone: "care" };
    case "old-system":
      return { outcome: "Failed before any disk was written: the old system is in place", tone: "care" };
    case "failed":
      if (os.new !== null) return { outcome: `Failed: ${runs}, but it is not well`, tone: "bad" };
      return {
        outcome: os.old === "" ? "Failed: the host was not looked at" : "Failed: no system is proven",
        tone: "bad",
      };
  }
}

function inShort(report: Report): Html {
  const { started, seconds: took, packages, health, disks, preflight } = report;
  const passed = health.filter(({ ok }) => ok).length;
  const warnings = preflight.filter(({ verdict }) => verdict === "warn").length;
  const planned = disks.filter(({ action }) => action === "written").length;
  return facts({
    Host: report.host,
    "Name of the new system": report.hostname,
    Systems: `${report.os.old || "unknown"} → ${report.os.new ?? "none proven"}`,
    Started: moment(started),
    Took: seconds(took.total * 1000),
    "Host was down":
      took.downtime === null ? "not known: no takeover was completed" : seconds(took.downtime * 1000),
    Disks: `${planned} ${written[report.outcome]}, ${disks.length - planned} kept`,
    Packages: packages && `${packages.count}, of them ${packages.security} from Debian's security archive`,
    "Checks of the new system": health.length === 0 ? "none ran" : `${passed} of ${health.length} passed`,
    "Preflight warnings": String(warnings),
  });
}

/** Phases follow each other without a gap; the host is down from the takeover on. */
function timeline({ outcome, seconds: { phases, downtime } }: Report): Html | undefined {
  if (phases.length === 0) return undefined;
  let from = 0;
  const rows = phases.flatMap(({ phase, seconds: long }, index): Bar[] => {
    const isEnd = outcome !== "done" && index === phases.length - 1;
    const name = html`${phase}${isEnd ? html` <strong>(ended here)</strong>` : undefined}`;
    const down: Bar[] =
      phase === "takeover" && downtime !== null
        ? [{ name: "host is down", from, long: downtime, kind: "down" }]
        : [];
    const row = { name, from, long };
    from += long;
    return [row, ...down];
  });
  return bars("Phases of the deploy, on a common line of time", "Phase", rows);
}

function steps({ seconds: { steps: all } }: Report): Html | undefined {
  if (all.length === 0) return undefined;
  const rows = all.map(({ doing, seconds: long }) => ({ name: doing, from: 0, long }));
  return html`<details><summary>${countOf(all.length, "step")} on the host</summary>
${bars("In the order in which they ended; a step's time holds that of its parts", "Step", rows)}</details>
`;
}

/** What has become of a disk that the plan writes. */
const written: Readonly<Record<Report["outcome"], string>> = {
  done: "written",
  refused: "not written",
  "old-system": "not written",
  failed: "may be written",
};

function disk(one: Report["disks"][number], asWritten: string): Html {
  const parts = (caption: string, all: typeof one.before) =>
    all === undefined || all.length === 0
      ? undefined
      : table(
          caption,
          ["Name", "Size", "Holds", "Fate"],
          all.map(({ name, sizeBytes, holds, fate }) => [
            name,
            unbroken(sizeOf(sizeBytes)),
            holds,
            unbroken(fate),
          ]),
        );
  return html`<h3>${one.name}: ${one.action === "kept" ? "kept" : asWritten}</h3>
${facts({
  Model: one.model ?? undefined,
  Serial: one.serial ?? undefined,
  WWN: one.wwn ?? undefined,
  Place: one.path,
  Size: sizeOf(one.sizeBytes),
  "Identifier of the new table": one.tableUuid,
})}
${parts(`${one.name} before`, one.before)}${parts(`${one.name} as planned`, one.after)}`;
}

function toLookUp({ bytes, fetched, bootIds, ...report }: Report): Html {
  return facts({
    "Digest of the definition": html`<code>${report.definition}</code>`,
    "Digest of the plan":
      report.planDigest === "" ? "no plan was made" : html`<code>${report.planDigest}</code>`,
    "Sent to the host": `${sizeOf(bytes.base)} of base, ${Math.ceil(bytes.payload / 1024)} KiB of payload`,
    "Fetched by the host":
      fetched && `${countOf(fetched.packages, "package")}, ${sizeOf(fetched.bytes)}, from ${fetched.mirror}`,
    "Most memory in use":
      report.peakMemoryMib === null ? undefined : `${Math.round(report.peakMemoryMib)} MiB`,
    "Boot of the old system": bootIds.old,
    "Boot of the base": bootIds.base ?? undefined,
    "Boot of the new system": bootIds.new ?? undefined,
  });
}
