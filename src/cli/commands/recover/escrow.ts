import { resolve } from "node:path";
import type { EscrowOptions } from "../../../operator/escrow/make-escrow.ts";
import type { RevealOptions } from "../../../operator/secrets/secrets.ts";
import { Fail } from "../../../util/fail.ts";
import type { AddCommand, Cli } from "../../terminal/context.ts";
import { defHelp, each, hostHelp, hostOptions, present, secretOptions } from "../../terminal/options.ts";
import { newPassphrase } from "../../terminal/passphrase.ts";

interface MakeOptions extends EscrowOptions {
  readonly host?: string;
  readonly to?: readonly string[];
}

export const escrowCommand: AddCommand = (program, act) => {
  const command = program
    .command("escrow")
    .description(
      "what a rebuild needs, encrypted, to be kept in another place: one file, and a page for paper",
    );
  for (const add of [addMake, addCheck, addOpen]) add(command, act);
};

const addMake: AddCommand = (escrow, act) => {
  const command = escrow
    .command("make", { isDefault: true })
    .description("make one; the word may be left out")
    .argument("<DEF>", defHelp)
    .requiredOption("-o, --output <FILE>", "the file to write")
    .option(
      "--to <RECIPIENT>",
      "who can open it, age1... or ssh-ed25519 ...; may be repeated; without any, a passphrase is asked for",
      each((word) => word),
    )
    .option("--host <HOST>", `read its keys, partition tables and LUKS headers; ${hostHelp}`)
    .option("--page <FILE>", "identity and keys of disks as a page of HTML to print, encrypted as well")
    .option("--add <FILE>", "one more file to keep; may be repeated", each(present));
  secretOptions(hostOptions(command)).action((path: string, options: MakeOptions) =>
    act(async (cli) => {
      const { makeEscrow } = await import("../../../operator/escrow/make-escrow.ts");
      const { hostFor } = await import("../../../operator/host/target.ts");
      const host = options.host === undefined ? undefined : await hostFor(options.host, cli.log);
      const { missing, files } = await makeEscrow(path, host, options, {
        ...cli,
        lock: () => lockBy(options, cli),
      });
      for (const line of missing) cli.print(`missing: ${line}`);
      cli.print(`${options.output} is written, with ${files.length} files`);
      cli.log.info(`keep it in another place, and try it: imgbuild escrow check ${options.output}`);
      cli.emit({ event: "done", file: options.output, page: options.page, files, missing });
    }),
  );
};

async function lockBy({ to }: MakeOptions, cli: Cli) {
  if (to !== undefined) return { to };
  if (!cli.interactive)
    throw new Fail("nothing says who can open the escrow", {
      hint: "give recipients by --to, or type a passphrase in a terminal",
    });
  return { passphrase: await newPassphrase(cli, "New passphrase, which opens the escrow: ") };
}

const addCheck: AddCommand = (escrow, act) => {
  const command = escrow
    .command("check")
    .description("open an escrow, show what it has and lacks, and note that it was tried")
    .argument("<FILE>", "made by `imgbuild escrow`")
    .argument("[DEF]", `compare it with this definition as it is now: ${defHelp}`);
  secretOptions(command).action((file: string, definition: string | undefined, options: RevealOptions) =>
    act(async (cli) => {
      const { checkEscrow } = await import("../../../operator/escrow/check-escrow.ts");
      const keys = await keysFor(options, cli);
      const { manifest, files, problems, before } = await checkEscrow(
        resolve(file),
        definition,
        keys,
        cli.env,
      );
      cli.print(`escrow of ${manifest.hostname}, made ${manifest.made}`);
      const inRepository = files.filter((name) => name.startsWith("repository/"));
      cli.print(`has ${inRepository.length} files of the repository`);
      for (const name of files) if (!inRepository.includes(name)) cli.print(`has ${name}`);
      for (const line of problems) cli.print(`missing: ${line}`);
      cli.log.info(before === undefined ? "it was not tried here before" : `it was tried before: ${before}`);
      cli.emit({ event: "done", file, manifest, problems, before });
      if (problems.length > 0)
        throw new Fail(
          `the escrow lacks ${problems[0]}${problems.length > 1 ? `, and ${problems.length - 1} more` : ""}`,
          {
            hint: "make it anew: imgbuild escrow make DEF -o FILE",
          },
        );
    }),
  );
};

const addOpen: AddCommand = (escrow, act) => {
  const command = escrow
    .command("open")
    .description("unpack an escrow into a new directory that only you can read")
    .argument("<FILE>", "made by `imgbuild escrow`")
    .requiredOption("-o, --output <DIR>", "the directory to make");
  secretOptions(command).action((file: string, options: RevealOptions & { readonly output: string }) =>
    act(async (cli) => {
      const { openEscrow } = await import("../../../operator/escrow/check-escrow.ts");
      const { place } = await openEscrow(resolve(file), options.output, await keysFor(options, cli));
      cli.print(`${options.output} has it all; the definition is in ${["repository", place].join("/")}`);
      cli.log.info("it holds secrets in plain text: remove it when you are done");
      cli.emit({ event: "done", directory: options.output });
    }),
  );
};

async function keysFor(options: RevealOptions, cli: Cli) {
  const { secretKeys } = await import("../../../operator/secrets/secrets.ts");
  return secretKeys(options, cli);
}
