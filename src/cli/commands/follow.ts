import { deployInputs, deployWorld, type LoginOptions } from "../../operator/deploy/inputs.ts";
import type { Proof } from "../../operator/deploy/prove.ts";
import { abortDeploy } from "../../operator/host/abort.ts";
import { followDeploy, resumeDeploy, type Watch } from "../../operator/host/follow.ts";
import { knownDeploy } from "../../operator/records/known-deploys.ts";
import type { RevealOptions } from "../../operator/secrets/secrets.ts";
import { type ConfirmOptions, confirm, confirmOptions, withSerials } from "../terminal/confirm.ts";
import type { AddCommand, Cli } from "../terminal/context.ts";
import { degradedOption, hostOptions, secretOptions } from "../terminal/options.ts";

interface FollowOptions extends LoginOptions {
  readonly acceptDegraded?: boolean;
}

interface ResumeOptions extends FollowOptions, RevealOptions, ConfirmOptions {
  readonly with?: string;
  readonly login?: string;
}

const hostHelp = "[user@]name[:port] or alias, as the deploy named it";

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
  hostOptions(degradedOption(command)).action((host: string, options: FollowOptions) =>
    act(async (cli) => {
      const known = await knownDeploy(cli.env, host);
      showProof(host, await followDeploy(known, watching(host, options, cli)), cli);
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
  ).option("--login <USER>", "with --with: user of the new system to verify it with");
  secretOptions(hostOptions(degradedOption(command))).action(
    (host: string, more: string[], given: ResumeOptions) =>
      act(async (cli) => {
        const options = withSerials(given, more);
        const known = await knownDeploy(cli.env, host);
        // The base is there, and its dead man has stood down.
        const settings = { ...options, deadManSeconds: 600, slow: known.newSystem.slow };
        const other =
          options.with === undefined ? undefined : await deployInputs(options.with, host, settings, cli);
        showProof(host, await resumeDeploy(known, other, watching(host, options, cli)), cli);
      }),
  );
};

const addAbort: AddCommand = (program, act) => {
  const command = program
    .command("abort")
    .description("until the disks are written: return a host to its old system, and wait until that answers")
    .argument("<HOST>", hostHelp);
  hostOptions(command).action((host: string, options: LoginOptions) =>
    act(async (cli) => {
      const known = await knownDeploy(cli.env, host);
      await abortDeploy(known, watching(host, options, cli).world);
      cli.print(`${host} runs its old system again`);
      cli.emit({ event: "done" });
    }),
  );
};

function watching(host: string, options: FollowOptions & ConfirmOptions, cli: Cli): Watch {
  return {
    world: deployWorld(host, options, cli, (view) => confirm(view, options, cli)),
    emit: cli.emit,
    acceptDegraded: options.acceptDegraded === true,
  };
}

function showProof(host: string, { os }: Proof, cli: Cli): void {
  cli.print(`${host} runs ${os}, as it was built`);
}
