import type { RecoveryReport } from "../../schema/report.ts";
import { countOf, seconds, sizeOf } from "../../util/count.ts";
import { type Html, html } from "./html.ts";
import {
  type Bar,
  bars,
  facts,
  healthChecks,
  moment,
  page,
  section,
  table,
  unbroken,
  whatWentWrong,
} from "./page.ts";

type Restored = NonNullable<RecoveryReport["restored"]>;

/** The report of a drill, for whoever asks whether a backup works. */
export function recoveryPage(report: RecoveryReport): string {
  const { hostname, medium, restored, checks, tests } = report;
  return page({ title: `Recovery drill of ${hostname}`, ...outcomeOf(report) }, [
    whatWentWrong(report),
    section("In short", whatWasDone(report), inShort(report)),
    section("Time to recover", timeline(report)),
    restored === undefined ? undefined : section("Data", data(restored)),
    tests.length === 0
      ? undefined
      : section("The definition's own tests", healthChecks("Each test, those that failed first", tests)),
    checks.length === 0
      ? undefined
      : section("Checks of the new system", healthChecks("Each check, those that failed first", checks)),
    section(
      "To look up",
      facts({
        "Digest of the definition": html`<code>${report.definition}</code>`,
        "Label of the medium": medium?.label,
        "SHA-256 of the medium": medium && html`<code>${medium.sha256}</code>`,
      }),
    ),
  ]);
}

function outcomeOf({ hostname, outcome, seconds: { recover } }: RecoveryReport) {
  if (recover === null) return { outcome: `Failed: ${hostname} did not come back`, tone: "bad" } as const;
  const back = `${hostname} was back after ${seconds(recover * 1000)}`;
  return outcome === "done"
    ? ({ outcome: `Passed: ${back}`, tone: "good" } as const)
    : ({ outcome: `Failed: ${back}, but it is not well`, tone: "bad" } as const);
}

function whatWasDone({ firmware, medium, restored }: RecoveryReport): Html {
  const packages =
    medium?.offline === true
      ? "Its system came from the medium alone."
      : "Its packages came from the definition's mirrors.";
  const from = restored === undefined ? "" : " Its data came from the definition's backup.";
  return html`<p>A medium was made from the definition, and a virtual machine with blank disks was started from it by ${firmware === "uefi" ? "UEFI" : "BIOS"}. At its console the questions were answered as a person would answer them. ${packages}${from} The machine then started from its own disks.</p>\n`;
}

function inShort(report: RecoveryReport): Html {
  const { medium, restored, accelerator, hostKeys } = report;
  const { recover, total } = report.seconds;
  return facts({
    "Name of the system": report.hostname,
    Date: moment(report.started),
    "Time to recover": recover === null ? "it did not come back" : seconds(recover * 1000),
    "Whole drill": seconds(total * 1000),
    Machine: accelerator === "tcg" ? "emulated: a real machine takes a fraction of the time" : accelerator,
    Medium:
      medium === undefined
        ? "it could not be made"
        : `${sizeOf(medium.sizeBytes)}, ${medium.offline ? "with the finished system" : "without packages"}`,
    Data: restored === undefined ? "not restored" : `restored by ${programs[restored.by]}`,
    "SSH host keys": hostKeys,
    "Checks of the new system": passed(report.checks),
    "Its own tests": passed(report.tests),
  });
}

const programs: Readonly<Record<Restored["by"], string>> = {
  restic: "restic",
  borg: "BorgBackup",
  rsync: "rsync",
  command: "the definition's own command",
};

/** What each program does by itself when it restores. */
const compared: Readonly<Record<Restored["by"], string>> = {
  restic: "restic compared each file that it restored with the backup.",
  borg: "BorgBackup verified each piece of data that it read.",
  rsync: "rsync compared each file that it restored with the backup.",
  command: "Whether what was restored was compared depends on that command.",
};

function passed(results: RecoveryReport["checks"]): string {
  if (results.length === 0) return "none ran";
  return `${results.filter(({ ok }) => ok).length} of ${results.length} passed`;
}

function timeline({ seconds: { phases } }: RecoveryReport): Html | undefined {
  if (phases.length === 0) return undefined;
  let from = 0;
  const rows = phases.map(({ phase, seconds: long }): Bar => {
    const row = { name: about[phase] ?? phase, from, long };
    from += long;
    return row;
  });
  return bars("From switching the machine on, on a common line of time", "Phase", rows);
}

const about: Readonly<Record<string, string>> = {
  medium: "starting the medium",
  rebuild: "rebuilding the system",
  restore: "restoring the data",
  finish: "finishing the system",
  system: "starting the new system",
};

function data({ by, paths, databases, said }: Restored): Html {
  const files =
    paths.length > 0 &&
    table(
      "Files, as found in the new system",
      ["Path", "Files", "Size"],
      paths.map(({ path, files: count, sizeBytes }) => [
        path,
        count === null ? "not there" : String(count),
        sizeBytes === null
          ? ""
          : unbroken(sizeBytes < 2 ** 20 ? countOf(sizeBytes, "byte") : sizeOf(sizeBytes)),
      ]),
    );
  const loaded =
    databases.length > 0 &&
    table(
      "Databases, from their dumps",
      ["Name", "Result"],
      databases.map(({ name, loaded: isLoaded }) => [name, isLoaded ? "loaded" : "not loaded"]),
    );
  return html`<p>Restored by ${programs[by]}. ${compared[by]}</p>
${files || undefined}${loaded || undefined}${
  said.length === 0
    ? undefined
    : html`<details><summary>What the program that restores said</summary><pre>${said.join("\n")}</pre></details>\n`
}`;
}
