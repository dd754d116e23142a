import { setTimeout as sleep } from "node:timers/promises";
import type { HealthShell } from "./shell.ts";

/** Between two looks at units that are still starting. */
const lookEveryMs = 2_000;
const askMs = 30_000;
/** How much of a failed unit's journal is shown. */
const journalLines = 10;

/** What is wrong with a unit; undefined where it is as it should be. */
type UnitProblem = string | undefined;

const propertyNames = [
  ...["LoadState", "ActiveState", "SubState", "Result", "Type", "ExecMainStatus", "NRestarts"],
  ...["ExecMainExitTimestampMonotonic", "ConditionResult", "ConditionTimestampMonotonic"],
  ...["WantedBy", "RequiredBy", "UpheldBy"],
] as const;
type Unit = Readonly<Partial<Record<(typeof propertyNames)[number], string>>>;

/**
 * Looks at enabled units until each is active, or has failed, or its time is over. A oneshot that exited 0 counts as active; so does a
 * unit whose condition is not met, and one that nothing active wants: systemd was right not to run them.
 */
export async function judgeUnits(
  units: readonly string[],
  shell: HealthShell,
  options: { readonly boundMs: number; readonly signal: AbortSignal },
): Promise<ReadonlyMap<string, { readonly problem: UnitProblem; readonly restarts: number }>> {
  const judged = new Map<string, { problem: UnitProblem; restarts: number }>();
  const until = Date.now() + options.boundMs;
  let waiting = [...units];
  for (;;) {
    options.signal.throwIfAborted();
    const isLast = Date.now() >= until;
    const states = waiting.length === 0 ? [] : await look(waiting, shell);
    const still: string[] = [];
    for (const [index, name] of waiting.entries()) {
      const unit = states[index] ?? {};
      const problem = await problemOf(unit, shell);
      if (problem?.mayPass && !isLast) still.push(name);
      else judged.set(name, { problem: problem?.says, restarts: Number(unit.NRestarts ?? 0) });
    }
    waiting = still;
    if (waiting.length === 0) return judged;
    await sleep(lookEveryMs);
  }
}

/** The properties of each unit, in their order. */
async function look(units: readonly string[], shell: HealthShell): Promise<Unit[]> {
  const properties = `--property=${propertyNames.join(",")}`;
  const { stdout, stderr, code } = await shell.run(["systemctl", "show", properties, "--", ...units], {
    timeoutMs: askMs,
  });
  if (code !== 0 && stdout.trim() === "") throw new CannotAsk(stderr.trim() || `exit code ${code}`);
  return stdout
    .trim()
    .split(/\n\n+/)
    .map((block) =>
      Object.fromEntries(
        block.split("\n").map((line) => {
          const equals = line.indexOf("=");
          return [line.slice(0, equals), line.slice(equals + 1)];
        }),
      ),
    );
}

/** systemd gives no answer to this user, who has no way to it. */
export class CannotAsk extends Error {}

interface Problem {
  readonly says: string;
  /** It may still pass. */
  readonly mayPass: boolean;
}

async function problemOf(unit: Unit, shell: HealthShell): Promise<Problem | undefined> {
  const state = unit.ActiveState ?? "unknown";
  const final = (says: string): Problem => ({ says, mayPass: false });
  if (state === "active" || state === "reloading") return undefined;
  if (unit.LoadState !== undefined && !["loaded", "masked"].includes(unit.LoadState))
    return final(`it is not there (${unit.LoadState})`);
  if (state === "failed") return final(`it has failed (${how(unit)})`);
  if (state !== "inactive") return { says: `it is ${state} (${unit.SubState ?? ""})`, mayPass: true };
  const wasTried = Number(unit.ConditionTimestampMonotonic ?? 0) > 0;
  if (wasTried && unit.ConditionResult === "no") return undefined;
  const ran = Number(unit.ExecMainExitTimestampMonotonic ?? 0) > 0;
  if (unit.Type === "oneshot" && ran && unit.ExecMainStatus === "0") return undefined;
  if (!wasTried && !(await isWanted(unit, shell))) return undefined;
  return { says: ran ? `it has ended (${how(unit)})` : "it was not started", mayPass: !ran };
}

function how({ Result, ExecMainStatus }: Unit): string {
  return `${Result ?? "unknown"}, status ${ExecMainStatus ?? "unknown"}`;
}

/** Whether anything that runs asks for the unit: one of sleep.target is for later. */
async function isWanted({ WantedBy = "", RequiredBy = "", UpheldBy = "" }: Unit, shell: HealthShell) {
  const wanting = `${WantedBy} ${RequiredBy} ${UpheldBy}`.split(" ").filter((name) => name !== "");
  if (wanting.length === 0) return true;
  const { stdout } = await shell.run(["systemctl", "is-active", "--", ...wanting], { timeoutMs: askMs });
  return stdout.split("\n").some((line) => line === "active" || line === "activating");
}

/** Names of the units that have failed. */
export async function failedUnits(shell: HealthShell): Promise<string[]> {
  const { stdout, stderr, code } = await shell.run(
    ["systemctl", "list-units", "--state=failed", "--no-legend", "--plain", "--full", "--no-pager"],
    { timeoutMs: askMs },
  );
  if (code !== 0) throw new CannotAsk(stderr.trim() || `exit code ${code}`);
  return stdout.split("\n").flatMap((line) => line.trim().split(/\s+/)[0] || []);
}

/** The end of a unit's journal of this boot, or why it cannot be seen. */
export async function journalOf(unit: string, shell: HealthShell): Promise<string> {
  const argv = [
    ...["journalctl", "--boot", "--no-pager", "--quiet", "--output=short-monotonic"],
    ...[`--lines=${journalLines}`, `--unit=${unit}`],
  ];
  try {
    const { stdout, stderr } = await shell.run(argv, { timeoutMs: askMs });
    const journal = stdout.trimEnd();
    if (journal !== "") return journal;
    return stderr.trim() || `nothing in the journal; a user without root's rights does not see it`;
  } catch {
    return "its journal could not be read";
  }
}
