import { type Command, Option } from "commander";
import { stockRelease } from "../../tables/release.ts";
import type { RehearsalOptions, TestOptions } from "../../testing/test-definition.ts";
import { seconds } from "../../util/count.ts";
import { Fail } from "../../util/fail.ts";
import type { AddCommand, Cli } from "../terminal/context.ts";
import { defHelp, positive, present, secretOptions } from "../terminal/options.ts";

interface RunOptions extends TestOptions {
  readonly dir: string;
}

interface Options extends RehearsalOptions {
  readonly deploy?: boolean;
}

/** `test`, `run` and `shell`: the definition's image in a VM of its own. */
export const testCommands: AddCommand = (program, act) => {
  machineCommand(program, "test", "declared")
    .description("build, boot in QEMU, run the default checks and the definition's own tests")
    .option("--junit <FILE>", "write the results as JUnit's XML")
    .option("--report <FILE>", "write the results as JSON, and beside it a page to look at")
    .option("--evidence <DIR>", "where journal, console and screen of a failure go")
    .option("--deploy", "rehearse the deploy onto a VM that stands in for the host")
    .option(
      "--from <HOST>",
      `what it stands in with: stock:${stockRelease}, a definition, or a disk image`,
      `stock:${stockRelease}`,
    )
    .option("--from-user <USER>", "who logs in there, when it is a disk image")
    .option("--from-key <FILE>", "the private key for that", present)
    .action((path: string, options: Options) =>
      act((cli) => (options.deploy ? rehearse : test)(path, options, cli)),
    );
  machineCommand(program, "run", "one")
    .description("boot the image with its console attached")
    .option("--dir <DIR>", `with stock:${stockRelease}: where its disk and its ssh_config stay`, "stock-host")
    .action((path: string, options: RunOptions) =>
      act(async (cli) => {
        const { consoleOf } = await import("../terminal/guest-terminal.ts");
        if (path.startsWith("stock:")) return await runStandIn(path, options, cli);
        const { withMachine } = await import("../../testing/test-definition.ts");
        await withMachine(path, options, cli, (machine) => consoleOf(machine, cli));
      }),
    );
  machineCommand(program, "shell", "one")
    .description("boot the image, then a shell in it by SSH")
    .action((path: string, options: TestOptions) =>
      act(async (cli) => {
        const { withMachine } = await import("../../testing/test-definition.ts");
        const { shellIn } = await import("../terminal/guest-terminal.ts");
        await withMachine(path, options, cli, (machine) => shellIn(machine, cli));
      }),
    );
};

function machineCommand(program: Command, name: string, firmware: string): Command {
  return secretOptions(
    program
      .command(name)
      .argument("<DEF>", defHelp)
      .addOption(
        new Option("--firmware <FIRMWARE>", "what starts the machine")
          .choices(["bios", "uefi", "both"])
          .default(firmware, firmware === "one" ? "the first that is declared" : "those declared"),
      )
      .option("--memory <MIB>", "the machine's memory (default: 1024)", positive)
      .option("--keep", "leave the machine's files where they are")
      .option("--with-secrets", "use the real secrets instead of made-up ones"),
  );
}

/** A server to try a deploy on. */
async function runStandIn(from: string, { dir, ...options }: RunOptions, cli: Cli): Promise<void> {
  const { withStandIn } = await import("../../testing/stand-in.ts");
  const { consoleOf } = await import("../terminal/guest-terminal.ts");
  await withStandIn(from, { directory: dir, ...options }, cli, async (machine, sshConfig) => {
    const { scale } = machine;
    cli.print(`reached as \`stock\`, with --ssh-config ${sshConfig}`);
    if (scale > 1) cli.print(`it is emulated, so deploy with --slow ${scale}`);
    cli.emit({ event: "started", host: "stock", sshConfig, slow: scale });
    await consoleOf(machine, cli);
  });
}

async function test(path: string, options: TestOptions, cli: Cli): Promise<void> {
  const { testDefinition } = await import("../../testing/test-definition.ts");
  await testDefinition(path, options, cli, {
    verdict: ({ firmware, results, seconds: took }) => {
      for (const result of results) cli.emit({ event: "check", firmware, ...result });
      const passed = results.filter(({ ok }) => ok).length;
      cli.print(`${firmware}: ${passed} of ${results.length} checks passed in ${took.toFixed(1)} s`);
    },
    all: (ok, took) => cli.emit({ event: "verdict", ok, seconds: took }),
  });
}

async function rehearse(path: string, options: RehearsalOptions, cli: Cli): Promise<void> {
  const { rehearseDefinition } = await import("../../testing/test-definition.ts");
  const { report, checks, accelerator } = await rehearseDefinition(path, options, cli);
  cli.emit({ event: "rehearsal", accelerator, report, checks });
  const { total, downtime, phases } = report.seconds;
  for (const { phase, seconds: took } of phases) cli.print(`  ${phase.padEnd(10)} ${seconds(took * 1000)}`);
  const failed = checks.filter(({ ok }) => !ok);
  cli.print(
    `${options.from} becomes ${report.hostname}: ${seconds(total * 1000)}, ${seconds((downtime ?? 0) * 1000)} of it down${
      accelerator === "tcg" ? " (emulated: a real machine takes a fraction of it)" : ""
    }; ${checks.length - failed.length} of ${checks.length} checks passed`,
  );
  if (failed.length > 0)
    throw new Fail(failed.map(({ check, detail }) => `${check}: ${detail}`).join("\n"), {
      hint: "look at the image alone: `imgbuild shell`",
    });
}
