import type { Command } from "commander";
import type { PlanView } from "../../operator/plan/planned.ts";
import { exitCodes, Fail } from "../../util/fail.ts";
import type { Cli } from "./context.ts";
import { each } from "./options.ts";

/** How a plan is confirmed. */
export interface ConfirmOptions {
  yesWipe?: string[];
  unattended?: boolean;
  approve?: string;
}

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

/** `--yes-wipe A B`: the option takes one word, and those after the operands are of the same list. */
export function withSerials<T extends ConfirmOptions>(options: T, more: readonly string[]): T {
  if (more.length === 0) return options;
  if (options.yesWipe === undefined)
    throw new Fail(`${more[0]}: serials of disks are named with --yes-wipe only`, {
      exitCode: exitCodes.usage,
    });
  return { ...options, yesWipe: [...options.yesWipe, ...more] };
}

/** Every written disk has to be named by its serial, typed or given; a plan approved by digest must be this one. */
export async function confirm(view: PlanView, options: ConfirmOptions, cli: Cli): Promise<void> {
  const { planLines } = await import("../../operator/plan/plan-text.ts");
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
  // No one confirms it, so the definition itself has to mean this host: a port or a size is found on many.
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
