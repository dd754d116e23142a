import { abortDeploy } from "../operator/abort.ts";
import { deployInputs, deployWorld } from "../operator/deploy-inputs.ts";
import type { DeployInputs, DeployWorld } from "../operator/deploy-run.ts";
import { replayJournal } from "../operator/journal-log.ts";
import { type KnownDeploy, knownDeploy } from "../operator/known-bases.ts";
import { proveNewSystem, unhealthy } from "../operator/prove.ts";
import { replan } from "../operator/replan.ts";
import { greet, LinkLost, type Quiet, type RunnerLink, runnerSocket } from "../operator/runner-link.ts";
import { secretsLeft } from "../operator/secrets-left.ts";
import type { JournalEntry } from "../schema/journal.ts";
import { Fail } from "../util/fail.ts";
import type { AddCommand } from "./commands.ts";
import type { Cli } from "./context.ts";
import {
  type ConfirmOptions,
  confirm,
  confirmOptions,
  type DegradedOptions,
  degradedOption,
  withSerials,
} from "./deploy.ts";
import { type HostOptions, hostOptions, type SecretOptions, secretOptions } from "./options.ts";

const connectMs = 30_000;
const greetMs = 60_000;

interface ResumeOptions extends HostOptions, SecretOptions, ConfirmOptions, DegradedOptions {
  with?: string;
  login?: string;
}

/** `follow`, `resume` and `abort`: a runner is found again by the base's host key, which this machine wrote down at the takeover. */
export const followCommands: AddCommand = (program, act) => {
  const host = "[user@]name[:port] or alias, as the deploy named it";
  const follow = program
    .command("follow")
    .description("attach to the runner on a host")
    .argument("<HOST>", host);
  hostOptions(degradedOption(follow)).action((name: string, options: HostOptions & DegradedOptions) =>
    act(async (cli) => {
      const { link, close, known, world, quiet } = await attach(name, options, cli);
      try {
        cli.log.info(`the runner is ${link.hello.state}`);
        await followToEnd(link, cli, name, 0, quiet);
      } finally {
        close();
      }
      await prove(known, world, cli, options);
    }),
  );
  const resume = program
    .command("resume")
    .description(
      "after a failed build: let the runner on a host work through the same plan again, or another",
    )
    .argument("<HOST>", host);
  confirmOptions(
    resume.option("--with <DEF>", "work through this definition instead; its disks are to be confirmed anew"),
  ).option("--login <USER>", "with --with: user of the new system to verify it with");
  secretOptions(hostOptions(degradedOption(resume))).action(
    (name: string, more: string[], given: ResumeOptions) =>
      act(async (cli) => {
        const options = withSerials(given, more);
        const inputs = await otherDefinition(name, options, cli);
        const { link, host, close, known, world, quiet } = await attach(name, options, cli);
        let wanted = known;
        try {
          if (inputs !== undefined) wanted = await replan(inputs, known, { host, link }, world);
          else if (link.hello.state === "failed") link.send({ type: "resume" });
          await followToEnd(link, cli, name, link.hello.seq, quiet);
          link.send({ type: "restart" });
          await new Promise((resolve) => setTimeout(resolve, 500));
        } finally {
          close();
        }
        await prove(wanted, world, cli, options);
      }),
  );
  const abort = program
    .command("abort")
    .description("until the disks are written: return a host to its old system, and wait until that answers")
    .argument("<HOST>", host);
  hostOptions(abort).action((name: string, options: HostOptions) =>
    act(async (cli) => {
      const { link, close, known, world } = await attach(name, options, cli);
      try {
        await cli.log.task("returning to the old system", (log) =>
          abortDeploy(link, known, { ...world, log }),
        );
        cli.print(`${name} runs its old system again`);
        cli.emit({ event: "done" });
      } finally {
        close();
      }
    }),
  );
};

/** Shows the journal after `seq` until the report comes; a failure is thrown as one. */
async function followToEnd(
  link: RunnerLink,
  cli: Cli,
  host: string,
  seq: number,
  quiet: Quiet,
): Promise<void> {
  const show = replayJournal(cli.log);
  try {
    const onEntry = (entry: JournalEntry) => {
      show.entry(entry);
      cli.emit({ event: "journal", entry });
    };
    const report = await link.follow(seq, onEntry, quiet).catch((error: unknown) => {
      if (!(error instanceof LinkLost)) throw error;
      throw new Fail(error.message, {
        cause: error,
        hint: "`imgbuild follow` attaches again; before the first write the machine returns to its old system by itself",
      });
    });
    cli.emit({ event: "report", report });
    if (report.outcome === "failed")
      throw new Fail(`the runner failed: ${report.message ?? "no reason given"}`, {
        hint: report.ponr
          ? [`mend the cause, then: imgbuild resume ${host}`, secretsLeft(report, host, Date.now())]
              .filter((part) => part !== undefined)
              .join("; ")
          : "no disk was written",
      });
    cli.log.info("the runner is done; the new system starts");
  } finally {
    show.end();
  }
}

/** A build that is done is so when its system runs: exit code 0 says the same here as after a deploy. */
async function prove(
  { host: name, newSystem }: KnownDeploy,
  world: DeployWorld,
  cli: Cli,
  { acceptDegraded = false }: DegradedOptions,
): Promise<void> {
  const { host, os, health } = await cli.log.task("waiting for the new system", (log) =>
    proveNewSystem(newSystem, { ...world, log }),
  );
  host.close();
  const problem = unhealthy(health);
  if (problem !== undefined && !acceptDegraded) {
    cli.emit({ event: "degraded", os, health });
    throw problem;
  }
  cli.emit({ event: "done", os, health });
  if (problem !== undefined) cli.log.warn(`accepted as it is: ${problem.message}`);
  cli.print(`${name} runs ${os}, as it was built`);
}

/** All that a deploy of it would start from; read before the base is asked anything. */
async function otherDefinition(
  name: string,
  options: ResumeOptions,
  cli: Cli,
): Promise<DeployInputs | undefined> {
  if (options.with === undefined) return undefined;
  const { newSystem } = await knownDeploy(cli.env, name);
  // The base is there, and its dead man has stood down.
  const settings = { ...options, deadManSeconds: 600, slow: newSystem.slow };
  return await deployInputs(options.with, name, settings, cli);
}

async function attach(name: string, options: HostOptions & ConfirmOptions, cli: Cli) {
  const known = await knownDeploy(cli.env, name);
  const world = deployWorld(name, options, cli, (view) => confirm(view, options, cli));
  const host = await world.connect({ user: "root", pins: [known.baseHostKey], timeoutMs: connectMs });
  try {
    const open = () => host.openStreamLocal(runnerSocket);
    const link = await greet(await open(), greetMs);
    if (link.hello.nonce !== known.nonce) throw new Fail("the base that answers is of another deploy");
    cli.signal.addEventListener("abort", () => link.close(), { once: true });
    return {
      link,
      host,
      known,
      world,
      quiet: { open, slow: known.newSystem.slow },
      close: () => {
        link.close();
        host.close();
      },
    };
  } catch (error) {
    host.close();
    throw error;
  }
}
