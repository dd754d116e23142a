import type { DeployOptions, LoginOptions } from "../../operator/deploy/inputs.ts";
import type { Proof } from "../../operator/deploy/prove.ts";
import type { Watch } from "../../operator/host/follow.ts";
import type { RevealOptions } from "../../operator/secrets/secrets.ts";
import { type ConfirmOptions, confirm, confirmOptions, withSerials } from "../terminal/confirm.ts";
import type { AddCommand, Cli } from "../terminal/context.ts";
import { degradedOption, hardwareOptions, hostOptions, secretOptions } from "../terminal/options.ts";

interface FollowOptions extends LoginOptions {
  readonly acceptDegraded?: boolean;
}

interface ResumeOptions
  extends FollowOptions,
    RevealOptions,
    ConfirmOptions,
    Pick<DeployOptions, "disk" | "card"> {
  readonly with?: string;
  readonly login?: string;
  readonly restore?: boolean;
}

const hostHelp = "[user@]name[:port] or alias, as the deploy named it, or a name in hosts.yaml";

/** `follow`, `resume` and `abort`: a runner is found again by the base's host key, which this machine wrote down at the takeover. */
export const followCommands: AddCommand = (...to) => {
  addFollow(...to);
  addResume(...to);
  addAbort(...to);
};

const addFollow: AddCommand = (program, act) => {
  const command = program
    .command("follow")
    .description("attach to the runner on a host")
    .argument("<HOST>", hostHelp);
  hostOptions(degradedOption(command)).action((word: string, given: FollowOptions) =>
    act(async (cli) => {
      const { followDeploy } = await import("../../operator/host/follow.ts");
      const { hostFor } = await import("../../operator/host/target.ts");
      const { host, record } = await hostFor(word, cli.log);
      const options = { ...given, record };
      const watch = await watching(host, options, cli);
      showProof(host, await followDeploy(await knownHost(host, cli), watch), cli);
    }),
  );
};

const addResume: AddCommand = (program, act) => {
  const command = program
    .command("resume")
    .description(
      "after a failed build: let the runner on a host work through the same plan again, or another",
    )
    .argument("<HOST>", hostHelp);
  confirmOptions(
    command.option(
      "--with <DEF>",
      "work through this definition instead; its disks are to be confirmed anew",
    ),
  )
    .option("--login <USER>", "with --with: user of the new system to verify it with")
    .option("--restore", "with --with: bring back the data of its backup too");
  secretOptions(hostOptions(hardwareOptions(degradedOption(command)))).action(
    (word: string, more: string[], given: ResumeOptions) =>
      act(async (cli) => {
        const { hostFor, requireNoSpare, targetOf } = await import("../../operator/host/target.ts");
        const target = given.with === undefined ? undefined : await targetOf(given.with, word, cli.log);
        if (target !== undefined) requireNoSpare(target);
        const { host, record } = target ?? (await hostFor(word, cli.log));
        const options = { ...withSerials(given, more), record };
        const { deployInputs } = await import("../../operator/deploy/inputs.ts");
        const { resumeDeploy } = await import("../../operator/host/follow.ts");
        const known = await knownHost(host, cli);
        // The base is there, and its dead man has stood down.
        const settings = { ...options, deadManSeconds: 600, slow: known.newSystem.slow };
        const other = target && (await deployInputs(target.definition, host, settings, cli));
        const watch = await watching(host, options, cli);
        showProof(host, await resumeDeploy(known, other, watch), cli);
      }),
  );
};

const addAbort: AddCommand = (program, act) => {
  const command = program
    .command("abort")
    .description("until the disks are written: return a host to its old system, and wait until that answers")
    .argument("<HOST>", hostHelp);
  hostOptions(command).action((word: string, given: LoginOptions) =>
    act(async (cli) => {
      const { abortDeploy } = await import("../../operator/host/abort.ts");
      const { hostFor } = await import("../../operator/host/target.ts");
      const { host, record } = await hostFor(word, cli.log);
      const options = { ...given, record };
      const known = await knownHost(host, cli);
      await abortDeploy(known, (await watching(host, options, cli)).world);
      cli.print(`${host} runs its old system again`);
      cli.emit({ event: "done" });
    }),
  );
};

async function knownHost(host: string, cli: Cli) {
  const { knownDeploy } = await import("../../operator/records/known-deploys.ts");
  return await knownDeploy(cli.env, host);
}

async function watching(host: string, options: FollowOptions & ConfirmOptions, cli: Cli): Promise<Watch> {
  const { deployWorld } = await import("../../operator/deploy/inputs.ts");
  return {
    world: deployWorld(host, options, cli, (view) => confirm(view, options, cli)),
    emit: cli.emit,
    acceptDegraded: options.acceptDegraded === true,
  };
}

function showProof(host: string, { os }: Proof, cli: Cli): void {
  cli.print(`${host} runs ${os}, as it was built`);
}
