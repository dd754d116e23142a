import { abortDeploy, waitForReturn } from "../../operator/deploy/abort.ts";
import { BaseGone, baseGone } from "../../operator/deploy/base-gone.ts";
import { deployInputs, deployWorld } from "../../operator/deploy/inputs.ts";
import { proveNewSystem, unhealthy } from "../../operator/deploy/prove.ts";
import { replan } from "../../operator/deploy/replan.ts";
import type { DeployInputs, DeployWorld } from "../../operator/deploy/state.ts";
import { type KnownDeploy, knownDeploy } from "../../operator/records/known-deploys.ts";
import { replayJournal } from "../../operator/runner-link/journal-log.ts";
import {
  greet,
  LinkLost,
  type Quiet,
  type RunnerLink,
  runnerSocket,
} from "../../operator/runner-link/runner-link.ts";
import { requireSecrets, secretsLeft } from "../../operator/runner-link/secrets-left.ts";
import type { BaseReport, JournalEntry } from "../../schema/journal.ts";
import { exitCodes, Fail } from "../../util/fail.ts";
import type { AddCommand, Cli } from "../terminal/context.ts";
import { type HostOptions, hostOptions, type SecretOptions, secretOptions } from "../terminal/options.ts";
import {
  type ConfirmOptions,
  confirm,
  confirmOptions,
  type DegradedOptions,
  degradedOption,
  withSerials,
} from "./deploy.ts";

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
      const { known, world } = await deployOf(name, options, cli);
      try {
        const { link, close, quiet } = await attach(known, world, cli, "follow");
        try {
          cli.log.info(`the runner is ${link.hello.state}`);
          await followToEnd(link, cli, known, world, 0, quiet);
        } finally {
          close();
        }
      } catch (error) {
        if (!(error instanceof BaseGone) || error.which !== "new") throw error;
        cli.log.info(error.message);
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
        const { known, world } = await deployOf(name, options, cli);
        const { link, host, close, quiet } = await attach(known, world, cli, "resume");
        let wanted = known;
        try {
          if (inputs !== undefined) wanted = await replan(inputs, known, { host, link }, world);
          else {
            requireSecrets(link.hello, name);
            if (link.hello.state === "failed") link.send({ type: "resume" });
          }
          await followToEnd(link, cli, wanted, world, link.hello.seq, quiet);
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
      const { known, world } = await deployOf(name, options, cli);
      try {
        const { link, close } = await attach(known, world, cli, "abort");
        try {
          await cli.log.task("returning to the old system", (log) =>
            abortDeploy(link, known, { ...world, log }),
          );
        } finally {
          close();
        }
      } catch (error) {
        if (!(error instanceof BaseGone) || error.which !== "old") throw error;
        cli.log.info("the base had returned already");
      }
      cli.print(`${name} runs its old system again`);
      cli.emit({ event: "done" });
    }),
  );
};

/** Shows the journal after `seq` until the report comes; a failure is thrown as one. */
async function followToEnd(
  link: RunnerLink,
  cli: Cli,
  known: KnownDeploy,
  world: DeployWorld,
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
    if (report.outcome === "failed") throw await failed(report, cli, known, world);
    cli.log.info("the runner is done; the new system starts");
  } finally {
    show.end();
  }
}

/** A build that failed; before the first write the base returns to the old system by itself, which is waited for. */
async function failed(report: BaseReport, cli: Cli, known: KnownDeploy, world: DeployWorld): Promise<Fail> {
  const message = `the runner failed: ${report.message ?? "no reason given"}`;
  const { host } = known;
  if (report.ponr)
    return new Fail(message, {
      hint: [`mend the cause, then: imgbuild resume ${host}`, secretsLeft(report, host, Date.now())]
        .filter((part) => part !== undefined)
        .join("; "),
    });
  try {
    await cli.log.task("waiting for the old system", (log) => waitForReturn(known, { ...world, log }));
    return new Fail(message, {
      exitCode: exitCodes.takenBack,
      hint: `no disk was written, and ${host} runs its old system again; when the cause is mended: imgbuild deploy DEF ${host}`,
    });
  } catch (error) {
    if (!(error instanceof Fail) || error.exitCode === exitCodes.interrupted) throw error;
    return new Fail(message, {
      hint: `no disk was written, but ${error.message}; look at the machine's console, and type: imgbuild follow ${host}`,
    });
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

async function deployOf(name: string, options: HostOptions & ConfirmOptions, cli: Cli) {
  const known = await knownDeploy(cli.env, name);
  return { known, world: deployWorld(name, options, cli, (view) => confirm(view, options, cli)) };
}

async function attach(
  known: KnownDeploy,
  world: DeployWorld,
  cli: Cli,
  command: "follow" | "resume" | "abort",
) {
  const host = await world
    .connect({ user: "root", pins: [known.baseHostKey], timeoutMs: connectMs })
    .catch(async (error: unknown) => {
      cli.signal.throwIfAborted();
      throw error instanceof Fail ? await baseGone(known, command, error, world) : error;
    });
  try {
    const open = () => host.openStreamLocal(runnerSocket);
    const link = await greet(await open(), greetMs);
    if (link.hello.nonce !== known.nonce) throw new Fail("the base that answers is of another deploy");
    cli.signal.addEventListener("abort", () => link.close(), { once: true });
    return {
      link,
      host,
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
