import { databaseCommands, loadDirectory } from "../operator/settings/backup-script.ts";
import type { RecoveryReport } from "../schema/report.ts";
import type { Data } from "../schema/settings.ts";
import type { Spec } from "../schema/spec.ts";
import { Fail } from "../util/fail.ts";
import type { Log } from "../util/log.ts";
import type { Secret } from "../util/secret.ts";
import type { Machine, MachineDisk } from "../vm/machine/machine.ts";

/** On ordinary hardware; an emulated machine gets its scale of it. */
const waits = { base: 120, question: 60, build: 1_800, restore: 7_200, system: 180, count: 300 } as const;
/** Lines of the program that restores that are kept, its last. */
const saidLines = 40;
const restoring = "restoring the data from its backup";

type Phases = RecoveryReport["seconds"]["phases"];
type Restored = NonNullable<RecoveryReport["restored"]>;

/** Does at the machine's console what somebody would do after a disaster, and adds to `phases` how long each part took. */
export async function recover(
  machine: Machine,
  about: {
    readonly spec: Spec;
    readonly disks: readonly MachineDisk[];
    readonly passphrase: Secret;
    readonly phases: Phases;
  },
  log: Log,
): Promise<void> {
  const { spec, phases } = about;
  const hasSecrets = Object.keys(spec.secrets).length > 0;
  let asked = 0;
  const answer = async (question: RegExp, text: string, withinSeconds: number) => {
    await machine.waitForConsole(question, { withinSeconds, after: asked });
    asked = machine.console.mark();
    machine.type(`${text}\n`);
  };
  const phase = async <T>(name: string, doing: string, work: () => Promise<T>) => {
    const began = Date.now();
    const value = await log.task(doing, work);
    phases.push({ phase: name, seconds: Math.round((Date.now() - began) / 100) / 10 });
    return value;
  };
  /** Until the console shows it; the machine's own failure is thrown. */
  const shown = async (pattern: string, withinSeconds: number) => {
    const [line] = await machine.waitForConsole(new RegExp(`FAILED: .*|${pattern}`), {
      ...{ withinSeconds, after: asked },
    });
    if (!line.startsWith("FAILED")) return line;
    throw new Fail(`the machine was not rebuilt: ${line}`, {
      hint: `its console: ${machine.directory}/console.log, with --keep`,
    });
  };
  // The machine's own disks come before the medium: they are started as soon as there is something to start.
  await phase("medium", "starting the medium", async () => {
    await machine.start();
    await machine.waitForConsole(/Type a number: /, { withinSeconds: waits.base });
  });
  const end = "press Enter; in \\d+ s";
  const first = await phase("rebuild", "rebuilding the machine", async () => {
    await answer(/ 1 {2}rebuild this machine[\s\S]*Type a number: /, "1", waits.question);
    if (hasSecrets) {
      // What opens them with nothing typed is asked first.
      const either = /Passphrase of the medium .*: |opens the secrets\./;
      const [said] = await machine.waitForConsole(either, { withinSeconds: waits.question, after: asked });
      asked = machine.console.mark();
      if (said.startsWith("Passphrase"))
        machine.type(`${Buffer.from(about.passphrase.expose()).toString()}\n`);
    }
    for (const { serial = "" } of about.disks) await answer(questionFor(serial), serial, waits.question);
    return await shown(`${restoring}|${end}`, waits.build);
  });
  if (first === restoring) {
    await phase("restore", "restoring its data", () => shown(`${restoring}: done`, waits.restore));
    await phase("finish", "finishing its system", () => shown(end, waits.build));
  }
  machine.type("\n");
  await phase("system", "waiting for the new system", () => machine.boot({ withinSeconds: waits.system }));
}

function questionFor(serial: string): RegExp {
  const word = serial.replace(/[^A-Za-z0-9]/g, "\\$&");
  return new RegExp(`Type the serial of the disk to be wiped \\(.*, ${word}\\): `);
}

/** What has come back, as it is found in the new system. */
export async function restoredIn(machine: Machine, data: Data): Promise<Restored> {
  const paths: Restored["paths"] = [];
  for (const path of data.paths) paths.push({ path, ...(await countIn(machine, path)) });
  const said = saidOf(machine.console.text);
  const databases: Restored["databases"] = [];
  for (const { name } of databaseCommands(data)) {
    // A dump stays there until it is loaded.
    const { code } = await machine.execute(["test", "-e", `${loadDirectory}/${name}`]);
    databases.push({ name, loaded: code !== 0 && !said.some((line) => line.endsWith(`no dump of ${name}`)) });
  }
  return { by: data.backup.type, paths, databases, said };
}

/** Each database has to be there: one that a backup does not have is noticed before it is needed. */
export function loadedChecks(restored: Restored | undefined): RecoveryReport["checks"] {
  return (restored?.databases ?? []).map(({ name, loaded: ok }) => ({
    check: `database ${name} is loaded`,
    ...{ ok, seconds: 0 },
    detail: ok ? "passed" : "the backup has no dump of it, or the dump was not loaded",
  }));
}

async function countIn(
  machine: Machine,
  path: string,
): Promise<Pick<Restored["paths"][number], "files" | "sizeBytes">> {
  const script = 'find "$1" -type f | wc -l && du --apparent-size --block-size=1 --summarize "$1"';
  const { code, stdout } = await machine.execute(["bash", "-o", "pipefail", "-c", script, "bash", path], {
    withinSeconds: waits.count,
  });
  const [files, size] = stdout.split("\n").map((line) => Number.parseInt(line, 10));
  if (code !== 0 || !Number.isInteger(files) || !Number.isInteger(size))
    return { files: null, sizeBytes: null };
  return { files: files!, sizeBytes: size! };
}

/** What the medium's console showed of the program that restores. */
export function saidOf(text: string): string[] {
  const lines = text.replaceAll("\r", "").split("\n");
  const from = lines.findLastIndex((line) => line.includes(restoring) && !line.includes(`${restoring}: `));
  const to = lines.findIndex((line, index) => index > from && line.includes(`${restoring}: done`));
  if (from === -1 || to === -1) return [];
  return lines
    .slice(from + 1, to)
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .slice(-saidLines);
}

/** Whether the medium had the host keys of before, as its console said. */
export function hostKeysSaid(text: string): NonNullable<RecoveryReport["hostKeys"]> {
  return /gets new SSH host keys/.test(text) ? "new" : "of before";
}
