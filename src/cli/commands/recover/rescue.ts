import { readFile, writeFile } from "node:fs/promises";
import { Option } from "commander";
import type { LoginOptions } from "../../../operator/deploy/inputs.ts";
import { placeForReport, reportLine, writeReport } from "../../../operator/report/write-report.ts";
import { type RescueOptions, rescueFormats } from "../../../operator/rescue/rescue-options.ts";
import type { DrillOptions } from "../../../testing/drill.ts";
import { seconds } from "../../../util/count.ts";
import { exitCodes, Fail } from "../../../util/fail.ts";
import { Secret } from "../../../util/secret.ts";
import type { AddCommand, Cli } from "../../terminal/context.ts";
import { defHelp, each, hostOptions, positive, present } from "../../terminal/options.ts";
import { newPassphrase } from "../../terminal/passphrase.ts";

interface Options extends Omit<RescueOptions, "output">, LoginOptions {
  readonly output?: string;
  readonly passphraseFile?: string;
  readonly test?: boolean;
  readonly firmware: DrillOptions["firmware"];
  readonly memory?: number;
  readonly junit?: string;
  readonly report?: string;
  readonly keep?: boolean;
}

export const rescueCommand: AddCommand = (program, act) => {
  const command = program
    .command("rescue")
    .description("a medium that rebuilds machines from bare disks: for a disc, a USB disk or the network")
    .argument("<DEF...>", defHelp)
    .option("-o, --output <FILE>", "where the image goes; with --format pxe, the directory")
    .addOption(
      new Option(
        "--format <FORMAT>",
        "iso: for disc and USB; pxe: a directory for a web or TFTP server, for iPXE and UEFI",
      )
        .choices(rescueFormats)
        .default("iso"),
    )
    .option("--offline", "with the finished system on it: nothing is fetched when the machine is rebuilt")
    .option("--unattended", "it begins to write without a question, where the disks leave no doubt")
    .option(
      "-i, --identity <FILE>",
      "age identity that opens the secrets (or IMGBUILD_IDENTITY; default: ~/.config/imgbuild/identity.txt); may be repeated",
      each(present),
    )
    .option(
      "--passphrase-file <FILE>",
      "its first line encrypts the identity on the medium, instead of a passphrase that is asked for",
      present,
    )
    .option(
      "--without-identity",
      "nothing on it opens the secrets: you send an identity over SSH when the machine is rebuilt (`imgbuild secrets send`)",
    )
    .option(
      "--unlock <WAY>",
      "what opens its secrets with nothing typed, besides the passphrase: tang:URL,thumbprint=...[,adv=FILE] or tpm2:HOST[,pcrs=7], the TPM of a host that runs; may be repeated",
      each((word) => word),
    )
    .option("--test", "try it: a VM with blank disks is rebuilt from the medium, and its system is checked")
    .addOption(
      new Option("--firmware <FIRMWARE>", "with --test: what starts the machine")
        .choices(["bios", "uefi", "declared"])
        .default("declared", "the first that is declared"),
    )
    .option("--memory <MIB>", "with --test: the machine's memory (default: 1024)", positive)
    .option("--junit <FILE>", "with --test: write the results as JUnit's XML")
    .option("--report <FILE>", "with --test: write what came of it as JSON, and beside it a page to show")
    .option("--keep", "with --test: leave the machine's files where they are");
  hostOptions(command).action((paths: string[], options: Options) =>
    act((cli) => (options.test ? tryMedium(paths, options, cli) : makeMedium(paths, options, cli))),
  );
};

async function makeMedium(paths: string[], options: Options, cli: Cli): Promise<void> {
  const { output, format } = options;
  if (output === undefined)
    throw new Fail("rescue needs -o FILE, where the medium goes, or --test", { exitCode: exitCodes.usage });
  const { makeRescue } = await import("../../../operator/rescue/rescue.ts");
  const { tpmOverSsh } = await import("../../../operator/rescue/host-tpm.ts");
  const { howToServe } = await import("../../../operator/rescue/network-files.ts");
  const { secureBootLines } = await import("../../../operator/rescue/secure-boot.ts");
  const made = await makeRescue(
    paths,
    { ...options, output },
    { ...cli, ...passphrases(options.passphraseFile, cli), tpmOf: tpmOverSsh(options, cli) },
  );
  if (made.firmware.includes("uefi")) for (const line of secureBootLines(made.secureBoot)) cli.log.info(line);
  for (const host of made.newHostKeys)
    cli.log.info(`${host} gets new SSH host keys from it: those of now are kept nowhere (deploy --escrow)`);
  cli.print(output);
  if (format === "pxe") cli.log.info(howToServe(output));
  cli.emit({ event: "done", file: output, format, ...made });
}

/** The drill, for each definition: what somebody would do at the console after a disaster. */
async function tryMedium(paths: string[], options: Options, cli: Cli): Promise<void> {
  if (options.output !== undefined)
    throw new Fail("--test makes a medium of its own, and leaves none: leave -o out", {
      exitCode: exitCodes.usage,
    });
  if (options.withoutIdentity)
    throw new Fail("--test types a passphrase at the medium: leave --without-identity out", {
      exitCode: exitCodes.usage,
    });
  await checkFiles(paths, options);
  const { tpmOverSsh } = await import("../../../operator/rescue/host-tpm.ts");
  const { drill } = await import("../../../testing/drill.ts");
  const { recoveryPage } = await import("../../../operator/report/recovery-page.ts");
  const { junit } = await import("../../../testing/verdict.ts");
  const passphraseOf =
    options.passphraseFile === undefined
      ? (of: string) => cli.askSecret(`Passphrase of ${of}: `)
      : () => firstLine(options.passphraseFile!);
  const failed: string[] = [];
  for (const path of paths) {
    const { report, error } = await drill(path, options, {
      ...{ ...cli, passphraseOf, tpmOf: tpmOverSsh(options, cli) },
    });
    if (options.report !== undefined) {
      await writeReport(options.report, report, recoveryPage(report));
      cli.log.info(reportLine(options.report));
    }
    if (error !== undefined) throw error;
    const { hostname, firmware, accelerator } = report;
    const { recover, phases } = report.seconds;
    const checks = [...report.checks, ...report.tests];
    const total = recover ?? 0;
    const wrong = checks.filter(({ ok }) => !ok);
    const ok = wrong.length === 0;
    if (options.junit !== undefined)
      await writeFile(
        options.junit,
        junit(hostname, [{ firmware, results: checks, seconds: total, ok, evidence: [] }]),
      );
    for (const phase of phases) cli.print(`  ${phase.phase.padEnd(10)} ${seconds(phase.seconds * 1000)}`);
    cli.print(
      `${hostname} is back after ${seconds(total * 1000)}${accelerator === "tcg" ? " (emulated: a real machine takes a fraction of it)" : ""}; ` +
        `${checks.length - wrong.length} of ${checks.length} checks passed`,
    );
    cli.emit({ event: "drill", hostname, firmware, checks, phases, seconds: total, accelerator });
    failed.push(...wrong.map(({ check, detail }) => `${hostname}: ${check}: ${detail}`));
  }
  if (failed.length > 0) throw new Fail(failed.join("\n"));
}

/** A file has the results of one definition; a second would take its place. */
async function checkFiles(paths: readonly string[], { report, junit }: Options): Promise<void> {
  for (const [option, file] of Object.entries({ "--report": report, "--junit": junit })) {
    if (file === undefined) continue;
    if (paths.length > 1)
      throw new Fail(`${option} ${file}: one definition is accepted; ${paths.length} are given`, {
        exitCode: exitCodes.usage,
        hint: "try them one after another, each with a file of its own",
      });
    await placeForReport(file, true);
  }
}

function passphrases(file: string | undefined, cli: Cli) {
  if (file !== undefined) {
    const read = () => firstLine(file);
    return { newPassphrase: read, passphraseOf: read };
  }
  return {
    newPassphrase: () => newPassphrase(cli, "New passphrase, which opens the medium's secrets: "),
    passphraseOf: cli.interactive
      ? (of: string) => cli.askSecret(`Passphrase of ${of}, to see that it opens the secrets: `)
      : undefined,
  };
}

async function firstLine(file: string): Promise<Secret> {
  const [line = ""] = (await readFile(file, "utf8")).split(/\r?\n/);
  if (line === "") throw new Fail(`${file} begins with an empty line; a passphrase is accepted`);
  return new Secret("passphrase", Buffer.from(line));
}
