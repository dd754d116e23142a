import type { DeployRequest } from "../../operator/host/deploy-definition.ts";
import { exitCodes, Fail } from "../../util/fail.ts";
import { type ConfirmOptions, confirm, confirmOptions, withSerials } from "../terminal/confirm.ts";
import type { AddCommand } from "../terminal/context.ts";
import {
  buildOnOption,
  defHelp,
  degradedOption,
  each,
  hardwareOptions,
  hostHelp,
  hostOptions,
  present,
  secretOptions,
  takeoverOption,
} from "../terminal/options.ts";
import { showOutcome } from "../terminal/outcome.ts";

/** Between GO and the first write the packages are asked for, among other things. */
const minDeadManSeconds = 60;

interface Options extends Omit<DeployRequest, "deadManSeconds" | "slow">, ConfirmOptions {
  readonly deadMan: string;
  readonly slow: string;
}

export const deployCommand: AddCommand = (program, act) => {
  const command = confirmOptions(
    program
      .command("deploy")
      .description("replace the system of a live host, disks and all, by the definition")
      .argument("<DEF>", defHelp)
      .argument("[HOST]", hostHelp),
  )
    .addOption(buildOnOption())
    .option("--login <USER>", "user of the new system to verify it with")
    .option("--restore", "bring back the data of its backup too (`data` of the definition)")
    .option(
      "--escrow <DIR>",
      "keep host keys and machine-id of the new system there, encrypted for the recipients that DIR names, for a recovery",
      present,
    )
    .option(
      "--report <FILE>",
      "where the report goes, with a page to look at beside it (default: out/report.json)",
    )
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
    .option(
      "--store <DIR>",
      "a store that has what mirrors have dropped, and is filled with what was used (or IMGBUILD_STORE)",
      present,
    )
    .option("--slow <FACTOR>", "multiply every wait, for an emulated or very slow machine", "1");
  secretOptions(hostOptions(takeoverOption(hardwareOptions(degradedOption(command))))).action(
    (path: string, word: string | undefined, more: string[], given: Options) =>
      act(async (cli) => {
        const { deployDefinition } = await import("../../operator/host/deploy-definition.ts");
        const { requireNoSpare, targetOf } = await import("../../operator/host/target.ts");
        const target = await targetOf(path, word, cli.log);
        // `deploy web --yes-wipe A B`: the host is known, so B is a serial.
        if (given.yesWipe === undefined) requireNoSpare(target);
        const { definition, host, record, spare } = target;
        const options = withSerials(given, [...spare, ...more]);
        const settings = { ...options, ...numbers(options), record };
        const outcome = await deployDefinition(definition, host, settings, cli, (view) =>
          confirm(view, options, cli),
        );
        showOutcome(outcome.report, outcome.file, cli, outcome.instead);
      }),
  );
};

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
