import { mkdir, stat, writeFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import type { Command } from "commander";
import { deploy } from "../../operator/deploy/deploy.ts";
import { earlierBase } from "../../operator/deploy/earlier-base.ts";
import { deployInputs, deployWorld } from "../../operator/deploy/inputs.ts";
import type { PlanView } from "../../operator/deploy/state.ts";
import { noteTried } from "../../operator/records/rehearsal-record.ts";
import type { Report } from "../../schema/report.ts";
import { requireParent } from "../../system/files/parent.ts";
import { during, exitCodes, Fail, messageOf } from "../../util/fail.ts";
import type { AddCommand, Cli } from "../terminal/context.ts";
import { seconds } from "../terminal/log.ts";
import { each, type HostOptions, hostOptions, secretOptions } from "../terminal/options.ts";
import { planLines } from "../terminal/plan-text.ts";

/** How a plan is confirmed. */
export interface ConfirmOptions {
  yesWipe?: string[];
  unattended?: boolean;
  approve?: string;
}

/** Between GO and the first write the packages are asked for, among other things. */
const minDeadManSeconds = 60;

/** What is done with a new system whose checks fail. */
export interface DegradedOptions {
  acceptDegraded?: boolean;
}

interface Options extends HostOptions, ConfirmOptions, DegradedOptions {
  login?: string;
  report?: string;
  deadMan: string;
  keepAccess?: boolean;
  ignoreClock?: boolean;
  slow: string;
  baseCmdline?: string[];
}

export const deployCommand: AddCommand = (program, act) => {
  const command = confirmOptions(
    program
      .command("deploy")
      .description("replace the system of a live host, disks and all, by the definition")
      .argument("<DEF>", "the definition: a directory with an IMGBUILD.ts, or the file")
      .argument("<HOST>", "[user@]name[:port], or an alias of your ssh_config"),
  )
    .option("--login <USER>", "user of the new system to verify it with")
    .option("--report <FILE>", "where the report goes (default: out/report.json)")
    .option(
      "--dead-man <SECONDS>",
      "return to the old system when the base gets no GO for so long, or has written nothing so long after GO",
      "600",
    )
    .option(
      "--keep-access",
      "let every key of the old login into the base, as root, not only yours and the new system's administrators'",
    )
    .option(
      "--ignore-clock",
      "let the base take a payload of any age, for a machine whose clock cannot be set right",
    )
    .option(
      "--base-cmdline <WORD>",
      "a word added to the base's kernel command line, for hardware that needs it; may be repeated",
      each((word) => word),
    )
    .option("--slow <FACTOR>", "multiply every wait, for an emulated or very slow machine", "1");
  secretOptions(hostOptions(degradedOption(command))).action(
    (path: string, host: string, more: string[], given: Options) =>
      act(async (cli) => {
        const options = withSerials(given, more);
        const wanted = numbers(options);
        const file = resolve(options.report ?? "out/report.json");
        // A place that cannot be written is told now, not when the server is another one.
        await during("the report", () => placeForReport(file, options.report !== undefined));
        const inputs = await deployInputs(path, host, { ...options, ...wanted }, cli);
        const world = deployWorld(host, options, cli, (view) => confirm(view, options, cli));
        const report = await deploy(inputs, world);
        if (report.outcome === "done") await noteTried(cli.env, inputs.definition);
        await writeFile(file, `${JSON.stringify(report, null, 2)}\n`).catch((error: unknown) =>
          cli.log.warn(`the report could not be written: ${messageOf(error)}`),
        );
        // Not even looked at: it may be in the middle of another deploy.
        if (
          report.outcome === "failed" &&
          report.os.old === "" &&
          (await earlierBase(cli.env, host, world))
        ) {
          cli.emit({ event: "report", file, report });
          throw new Fail(`${host} runs the base of an earlier deploy, which waits there\nreport: ${file}`, {
            hint: `\`imgbuild follow ${host}\` shows why; \`imgbuild resume ${host} --with ${path}\` brings it this definition`,
          });
        }
        showOutcome(report, file, cli);
      }),
  );
};

export function confirmOptions(command: Command): Command {
  return command
    .argument("[SERIAL...]", "with --yes-wipe: the serials of further disks")
    .option(
      "--yes-wipe <SERIAL>",
      "confirm beforehand: the serial of every disk that is written; repeated, or more of them at the end",
      each((serial) => serial),
    )
    .option("--unattended", "ask nothing; needs --yes-wipe")
    .option("--approve <DIGEST>", "go on only with the plan of that digest, as `imgbuild plan` prints it");
}

export function degradedOption(command: Command): Command {
  return command.option(
    "--accept-degraded",
    "report failed checks of the new system, and exit 0 all the same",
  );
}

/** `--yes-wipe A B`: the option takes one word, and those after the operands are of the same list. */
export function withSerials<T extends ConfirmOptions>(options: T, more: readonly string[]): T {
  if (more.length === 0) return options;
  if (options.yesWipe === undefined)
    throw new Fail(`${more[0]}: serials of disks are named with --yes-wipe only`, {
      exitCode: exitCodes.usage,
    });
  return { ...options, yesWipe: [...options.yesWipe, ...more] };
}

/** The directory of the usual place is made; one that was named has to be there. */
async function placeForReport(file: string, named: boolean): Promise<void> {
  if (!named) await mkdir(dirname(file), { recursive: true });
  await requireParent(file);
  if ((await stat(file).catch(() => undefined))?.isDirectory()) throw new Fail(`${file} is a directory`);
}

function numbers(options: Options): { deadManSeconds: number; slow: number } {
  const deadManSeconds = Number(options.deadMan);
  const slow = Number(options.slow);
  if (!Number.isInteger(deadManSeconds) || deadManSeconds < minDeadManSeconds || deadManSeconds > 7200)
    throw new Fail(
      `--dead-man ${options.deadMan}: whole seconds from ${minDeadManSeconds} to 7200 are accepted`,
      {
        exitCode: exitCodes.usage,
      },
    );
  if (!(slow >= 1 && slow <= 100))
    throw new Fail(`--slow ${options.slow}: a factor from 1 to 100 is accepted`, {
      exitCode: exitCodes.usage,
    });
  return { deadManSeconds, slow };
}

/** Every written disk has to be named by its serial, typed or given; a plan approved by digest must be this one. */
export async function confirm(view: PlanView, options: ConfirmOptions, cli: Cli): Promise<void> {
  for (const line of planLines(view)) cli.print(line);
  const { planDigest, bound, disks, apt, fates } = view;
  cli.emit({ event: "plan", planDigest, bound, disks, apt, fates });
  if (options.approve !== undefined && options.approve !== view.planDigest)
    throw new Fail(`the plan is ${view.planDigest}, not the approved ${options.approve}`, {
      hint: "look at `imgbuild plan` again: the host or the definition has changed",
      exitCode: exitCodes.refused,
    });
  const written = view.disks.filter((disk) => disk.action === "written").map(wipeName);
  const given = options.yesWipe;
  // Nobody looks, so the definition itself has to mean this host: a port or a size is found on many.
  if ((options.unattended || given !== undefined) && bound.by === undefined)
    throw new Fail(
      "a deploy without questions needs a definition that means this host alone, and nothing in it does: its disks are matched by what other machines have too",
      { exitCode: exitCodes.refused, hint: `say \`${bound.line}\` in the definition` },
    );
  if (given !== undefined) {
    const missing = written.filter((serial) => !given.includes(serial));
    const extra = given.filter((serial) => !written.includes(serial));
    if (missing.length > 0 || extra.length > 0)
      throw new Fail(
        missing.length > 0
          ? `--yes-wipe does not name ${missing.join(", ")}, which would be written`
          : `--yes-wipe names ${extra.join(", ")}, which this plan does not write`,
        { exitCode: exitCodes.refused, hint: `the plan writes ${written.join(", ")}` },
      );
    return;
  }
  if (options.unattended)
    throw new Fail("--unattended needs --yes-wipe", {
      exitCode: exitCodes.refused,
      hint: `--yes-wipe ${written.join(" ")}`,
    });
  for (const disk of view.disks.filter((one) => one.action === "written")) {
    const answer = await cli.ask(
      `Type the ${wipeWord(disk)} of the disk to be wiped (${disk.model ?? "no model"}, ${wipeName(disk)}): `,
    );
    if (answer.trim() !== wipeName(disk) || answer.trim() === "")
      throw new Fail("not confirmed; nothing was changed", { exitCode: exitCodes.refused });
  }
}

function wipeWord({ serial, wwn }: PlanView["disks"][number]): string {
  return serial !== null ? "serial" : wwn == null ? "port" : "WWN";
}

/** What confirms a disk: its serial, or its wwn where it has none, or where it is plugged in. */
function wipeName({ serial, wwn, path }: PlanView["disks"][number]): string {
  return serial ?? wwn ?? path ?? "";
}

/** Shows what came of a deploy; a Fail with the exit code of the outcome, unless it is done. */
export function showOutcome(report: Report, file: string, cli: Pick<Cli, "emit" | "print">): void {
  cli.emit({ event: "report", file, report });
  const downtime =
    report.seconds.downtime === null ? "" : `, ${seconds(report.seconds.downtime * 1000)} of it down`;
  if (report.outcome === "done") {
    cli.print(
      `${report.host} is now ${report.hostname} (${report.os.new}); ${seconds(report.seconds.total * 1000)}${downtime}`,
    );
    if (report.message !== undefined) cli.print(`degraded, as accepted: ${report.message}`);
    cli.print(`report: ${file}`);
    return;
  }
  const [what, exitCode] = (
    {
      refused: ["refused, nothing was changed", exitCodes.refused],
      "old-system": ["failed before any disk was written; the old system is in place", exitCodes.takenBack],
      failed: ["failed", exitCodes.failed],
    } as const
  )[report.outcome];
  throw new Fail(`${what}: ${report.message ?? ""}\nreport: ${file}`, {
    exitCode,
    ...(report.hint === undefined ? {} : { hint: report.hint }),
  });
}
