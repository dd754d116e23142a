import { readFile } from "node:fs/promises";
import { Option } from "commander";
import { type RescueOptions, rescueFormats } from "../../../operator/rescue/rescue-options.ts";
import { Fail } from "../../../util/fail.ts";
import { Secret } from "../../../util/secret.ts";
import type { AddCommand, Cli } from "../../terminal/context.ts";
import { defHelp, each, present } from "../../terminal/options.ts";
import { newPassphrase } from "../../terminal/passphrase.ts";

type Options = RescueOptions & { readonly passphraseFile?: string };

export const rescueCommand: AddCommand = (program, act) => {
  program
    .command("rescue")
    .description("a medium that rebuilds machines from bare disks: for a disc, a USB disk or the network")
    .argument("<DEF...>", defHelp)
    .requiredOption("-o, --output <FILE>", "where the image goes; with --format pxe, the directory")
    .addOption(
      new Option("--format <FORMAT>", "iso: for disc and USB; pxe: a directory for a web server")
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
    .action((paths: string[], options: Options) =>
      act(async (cli) => {
        const { makeRescue } = await import("../../../operator/rescue/rescue.ts");
        const { howToServe } = await import("../../../operator/rescue/network-files.ts");
        const { secureBootLines } = await import("../../../operator/rescue/secure-boot.ts");
        const made = await makeRescue(paths, options, {
          ...cli,
          ...passphrases(options.passphraseFile, cli),
        });
        const { output, format } = options;
        for (const line of secureBootLines(made.secureBoot)) cli.log.info(line);
        cli.print(output);
        if (format === "pxe") cli.log.info(howToServe(output));
        cli.emit({ event: "done", file: output, format, ...made });
      }),
    );
};

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
