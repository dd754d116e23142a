import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { type Definition, loadDefinition } from "../../operator/definition/load.ts";
import { identityFiles, type RevealOptions } from "../../operator/deploy/inputs.ts";
import { requireTools } from "../../operator/native/doctor.ts";
import { revealSecrets } from "../../operator/secrets/secrets.ts";
import { type TestImage, testImage } from "../../operator/test/test-image.ts";
import { requireParent } from "../../system/files/parent.ts";
import { guardDirectory } from "../../system/files/work-directory.ts";
import { casesOf } from "../../testing/cases.ts";
import { type DefinedMachine, machineOf, openTestLab } from "../../testing/lab.ts";
import { rehearse } from "../../testing/rehearse.ts";
import { judge, junit, type Verdict } from "../../testing/verdict.ts";
import { exitCodes, Fail } from "../../util/fail.ts";
import type { AddCommand, Cli } from "../terminal/context.ts";
import { consoleOf, shellIn } from "../terminal/guest-terminal.ts";
import { seconds } from "../terminal/log.ts";
import { positive, present, secretOptions } from "../terminal/options.ts";

interface Options extends RevealOptions {
  keep?: boolean;
  firmware: string;
  memory?: number;
  withSecrets?: boolean;
  junit?: string;
  deploy?: boolean;
  from: string;
  fromUser?: string;
  fromKey?: string;
  evidence?: string;
}

type Firmware = "bios" | "uefi";

/** Looked for before the image is built, which takes longer than to find that nothing can boot it. */
const machineTools = ["qemu-system-x86_64", "qemu-img"];

/** `test`, `run` and `shell`: the definition's image in a VM of its own. */
export const testCommands: AddCommand = (program, act) => {
  const add = (name: string, description: string, firmware: string) =>
    secretOptions(
      program
        .command(name)
        .description(description)
        .argument("<DEF>", "the definition: a directory with an IMGBUILD.ts, or the file")
        .option("--firmware <FIRMWARE>", "bios, uefi or both", firmware)
        .option("--memory <MIB>", "the machine's memory (default: 1024)", positive)
        .option("--keep", "leave the machine's files where they are")
        .option("--with-secrets", "use the real secrets instead of made-up ones"),
    );
  add("test", "build, boot in QEMU, run the default checks and the definition's own tests", "declared")
    .option("--junit <FILE>", "write the results as JUnit's XML")
    .option("--evidence <DIR>", "where journal, console and screen of a failure go")
    .option("--deploy", "rehearse the deploy onto a VM that stands in for the host")
    .option(
      "--from <HOST>",
      "what it stands in with: stock:bookworm, a definition, or a disk image",
      "stock:bookworm",
    )
    .option("--from-user <USER>", "who logs in there, when it is a disk image")
    .option("--from-key <FILE>", "the private key for that", present)
    .action((path: string, options: Options) =>
      act((cli) => (options.deploy ? rehearseDeploy : testDefinition)(path, options, cli)),
    );
  add("run", "boot the image with its console attached", "one").action((path: string, options: Options) =>
    act((cli) => withMachine(path, options, cli, (machine) => consoleOf(machine, cli))),
  );
  add("shell", "boot the image, then a shell in it by SSH", "one").action((path: string, options: Options) =>
    act((cli) => withMachine(path, options, cli, (machine) => shellIn(machine, cli))),
  );
};

async function testDefinition(path: string, options: Options, cli: Cli): Promise<void> {
  for (const place of [options.junit, options.evidence]) if (place !== undefined) await requireParent(place);
  await withImage(path, options, cli, async (image, definition, directory) => {
    const firmwares = chosen(options.firmware, image.spec.boot?.firmware ?? []);
    const tests = await casesOf(definition.file);
    const evidence = resolve(options.evidence ?? join(directory, "evidence"));
    const verdicts: Verdict[] = [];
    for (const firmware of firmwares) {
      const memory = options.memory === undefined ? {} : { memoryMib: options.memory };
      const plan = { image, firmware, tests, ...memory, evidence: join(evidence, firmware) };
      const from = dirname(definition.file);
      const verdict = await judge(plan, { ...cli, from, ...labDirectory(options, directory, firmware) });
      verdicts.push(verdict);
      for (const result of verdict.results) cli.emit({ event: "check", firmware, ...result });
      const passed = verdict.results.filter(({ ok }) => ok).length;
      cli.print(
        `${firmware}: ${passed} of ${verdict.results.length} checks passed in ${verdict.seconds.toFixed(1)} s`,
      );
    }
    if (options.junit !== undefined) await writeFile(options.junit, junit(image.spec.hostname, verdicts));
    const ok = verdicts.every((one) => one.ok);
    cli.emit({ event: "verdict", ok, seconds: verdicts.reduce((sum, one) => sum + one.seconds, 0) });
    if (!ok) throw failure(verdicts);
  });
}

async function rehearseDeploy(path: string, options: Options, cli: Cli): Promise<void> {
  const { spec } = await loadDefinition(path);
  const [firmware] = chosen(
    options.firmware === "declared" ? "one" : options.firmware,
    spec.boot?.firmware ?? [],
  );
  await requireTools("build", machineTools);
  const { fromUser: user, fromKey: key } = options;
  const origin = { from: options.from, ...(user && key ? { login: { user, key } } : {}) };
  const { report, checks, accelerator } = await rehearse(path, origin, firmware!, { ...cli, from: "." });
  cli.emit({ event: "rehearsal", accelerator, report, checks });
  const { total, downtime, phases } = report.seconds;
  for (const { phase, seconds: took } of phases) cli.print(`  ${phase.padEnd(10)} ${seconds(took * 1000)}`);
  const failed = checks.filter(({ ok }) => !ok);
  cli.print(
    `${options.from} becomes ${spec.hostname}: ${seconds(total * 1000)}, ${seconds((downtime ?? 0) * 1000)} of it down${
      accelerator === "tcg" ? " (emulated: a real machine takes a fraction of it)" : ""
    }; ${checks.length - failed.length} of ${checks.length} checks passed`,
  );
  if (failed.length > 0)
    throw new Fail(failed.map(({ check, detail }) => `${check}: ${detail}`).join("\n"), {
      hint: "look at the image alone: `imgbuild shell`",
    });
}

function failure(verdicts: readonly Verdict[]): Fail {
  const lines = verdicts.flatMap(({ firmware, results }) =>
    results
      .filter(({ ok }) => !ok)
      .map(({ check, detail }) => `  ${firmware}: ${check}: ${detail.replaceAll("\n", "\n    ")}`),
  );
  const places = verdicts.flatMap(({ evidence }) => evidence ?? []);
  const count = verdicts.reduce((sum, one) => sum + one.results.length, 0);
  return new Fail(`${lines.length} of ${count} checks failed:\n${lines.join("\n")}`, {
    hint: `journal, console and screen are in ${places.join(" and ")}; look inside with \`imgbuild shell\``,
  });
}

async function withMachine(
  path: string,
  options: Options,
  cli: Cli,
  work: (machine: DefinedMachine) => Promise<void>,
): Promise<void> {
  await withImage(path, options, cli, async (image, _definition, directory) => {
    const [firmware] = chosen(options.firmware, image.spec.boot?.firmware ?? []);
    const lab = await openTestLab({ ...cli, ...labDirectory(options, directory, firmware!) });
    try {
      const memory = options.memory === undefined ? {} : { memoryMib: options.memory };
      const machine = await machineOf(lab, image, { firmware: firmware!, ...memory });
      await work(machine);
    } finally {
      await lab.close();
    }
  });
}

async function withImage(
  path: string,
  options: Options,
  cli: Cli,
  work: (image: TestImage, definition: Definition, directory: string) => Promise<void>,
): Promise<void> {
  const definition = await loadDefinition(path);
  for (const line of definition.unfinished) cli.log.warn(line);
  chosen(options.firmware, definition.spec.boot?.firmware ?? []);
  await requireTools("build", machineTools);
  const directory = await mkdtemp(join(tmpdir(), "imgbuild-test-"));
  const guard = options.withSecrets && !options.keep ? guardDirectory(directory) : undefined;
  let done = false;
  try {
    const secrets = options.withSecrets
      ? await revealSecrets(definition, {
          identityFiles: identityFiles(options, cli.env),
          passphrase: () => cli.askSecret("Passphrase of the secrets: "),
        })
      : undefined;
    const image = await testImage(definition, cli, secrets && { secrets, directory });
    await work(image, definition, directory);
    done = true;
  } finally {
    const failed = !done && !cli.signal.aborted;
    // An image with real secrets is not left about unless asked.
    if (options.keep || (failed && !options.withSecrets)) cli.log.info(`kept: ${directory}`);
    else if (guard === undefined) await rm(directory, { recursive: true, force: true });
    else await guard.clear();
  }
}

/** The machine's files stay with the test's own where they are kept. */
function labDirectory(options: Options, directory: string, firmware: Firmware) {
  return options.keep ? { directory: join(directory, firmware), keep: true } : {};
}

function chosen(wanted: string, declared: readonly Firmware[]): Firmware[] {
  if (declared.length === 0) throw new Fail("the definition has no `boot`, so there is nothing to start");
  if (wanted === "declared") return [...declared];
  if (wanted === "one") return [declared.includes("bios") ? "bios" : "uefi"];
  const asked = wanted === "both" ? (["bios", "uefi"] as const) : [wanted];
  for (const each of asked)
    if (!declared.some((one) => one === each))
      throw new Fail(`--firmware ${wanted}: the definition serves ${declared.join(" and ")}`, {
        exitCode: exitCodes.usage,
      });
  return asked as Firmware[];
}
