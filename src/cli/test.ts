import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loginTo, makeTestImage, startTestImage, type TestImage } from "../operator/boot-image.ts";
import { identityFiles, type RevealOptions } from "../operator/deploy-inputs.ts";
import { requireTools } from "../operator/doctor.ts";
import { loadDefinition } from "../operator/load.ts";
import { revealSecrets } from "../operator/secrets.ts";
import { defaultChecks } from "../operator/test-checks.ts";
import { exitCodes, Fail } from "../util/fail.ts";
import type { Machine } from "../vm/machine.ts";
import type { AddCommand } from "./commands.ts";
import type { Cli } from "./context.ts";
import { seconds } from "./log.ts";
import { secretOptions } from "./options.ts";
import { consoleOf, shellIn } from "./terminal.ts";

interface Options extends RevealOptions {
  keep?: boolean;
  firmware: string;
  withSecrets?: boolean;
}

/** Looked for before the image is built, which takes longer than to find that nothing can boot it. */
const machineTools = ["qemu-system-x86_64", "qemu-img"];

type Work = (image: TestImage, firmware: "bios" | "uefi", cli: Cli) => Promise<void>;

/** `test`, `run` and `shell`: the definition's image in a VM of its own. */
export const testCommands: AddCommand = (program, act) => {
  const add = (name: string, description: string, firmware: string, work: Work) => {
    const command = program
      .command(name)
      .description(description)
      .argument("<DEF>", "the definition: a directory with an IMGBUILD.ts, or the file")
      .option("--firmware <FIRMWARE>", "bios, uefi or both", firmware)
      .option("--keep", "leave image and console log where they are")
      .option("--with-secrets", "use the real secrets instead of made-up ones");
    secretOptions(command).action((path: string, options: Options) =>
      act((cli) => inVm(path, options, cli, work)),
    );
  };
  add("test", "build, boot in QEMU, run the definition's own checks", "declared", checkImage);
  add("run", "boot the image with its console attached", "one", async (image, firmware, cli) => {
    await withMachine(image, firmware, cli, (machine) => consoleOf(machine, cli));
  });
  add("shell", "boot the image, then a shell in it by SSH", "one", async (image, firmware, cli) => {
    await withMachine(image, firmware, cli, (machine) => shellIn(image, machine, cli));
  });
};

async function inVm(path: string, options: Options, cli: Cli, work: Work): Promise<void> {
  const definition = await loadDefinition(path);
  const firmwares = chosen(options.firmware, definition.spec.boot?.firmware ?? []);
  await requireTools("build", machineTools);
  const secrets = options.withSecrets
    ? await revealSecrets(definition, {
        identityFiles: identityFiles(options, cli.env),
        passphrase: () => cli.askSecret("Passphrase of the secrets: "),
      })
    : undefined;
  const directory = await mkdtemp(join(tmpdir(), "imgbuild-test-"));
  let done = false;
  try {
    const image = await cli.log.task(`building ${definition.spec.hostname}`, (log) =>
      makeTestImage(definition, directory, secrets, { ...cli, log }),
    );
    for (const firmware of firmwares) await work(image, firmware, cli);
    done = true;
  } finally {
    if (options.keep || (!done && !cli.signal.aborted)) cli.log.info(`kept: ${directory}`);
    else await rm(directory, { recursive: true, force: true });
  }
}

function chosen(wanted: string, declared: readonly ("uefi" | "bios")[]): ("uefi" | "bios")[] {
  if (declared.length === 0) throw new Fail("the definition has no `boot`, so there is nothing to start");
  if (wanted === "declared") return [...declared];
  if (wanted === "one") return [declared.includes("bios") ? "bios" : "uefi"];
  const asked = wanted === "both" ? (["bios", "uefi"] as const) : [wanted];
  for (const each of asked)
    if (!declared.some((one) => one === each))
      throw new Fail(`--firmware ${wanted}: the definition serves ${declared.join(" and ")}`, {
        exitCode: exitCodes.usage,
      });
  return asked as ("uefi" | "bios")[];
}

async function checkImage(image: TestImage, firmware: "bios" | "uefi", cli: Cli): Promise<void> {
  const began = Date.now();
  const results = await cli.log.task(`testing ${image.spec.hostname} under ${firmware}`, (log) =>
    withMachine(image, firmware, { ...cli, log }, async (machine) => {
      const host = await log.task("waiting for the login", () => loginTo(image, machine, { ...cli, log }));
      try {
        return await defaultChecks(image.spec, host, { log, signal: cli.signal, slow: machine.scale });
      } finally {
        host.close();
      }
    }),
  );
  const failed = results.filter(({ ok }) => !ok);
  for (const result of results) cli.emit({ event: "check", firmware, ...result });
  if (failed.length > 0)
    throw new Fail(
      `${failed.length} of ${results.length} checks failed under ${firmware}:\n${failed.map(({ check, detail }) => `  ${check}: ${detail}`).join("\n")}`,
      { hint: "look inside with `imgbuild shell`" },
    );
  cli.print(`${firmware}: ${results.length} checks passed in ${seconds(Date.now() - began)}`);
}

async function withMachine<T>(
  image: TestImage,
  firmware: "bios" | "uefi",
  cli: Cli,
  work: (machine: Machine) => Promise<T>,
): Promise<T> {
  const lock = cli.env.IMGBUILD_VM_LOCK;
  const machine = await startTestImage(image, firmware, { ...cli, ...(lock === undefined ? {} : { lock }) });
  try {
    return await work(machine);
  } finally {
    await machine.stop();
  }
}
