import { existsSync } from "node:fs";
import { type Command, InvalidArgumentError, Option } from "commander";
import { wayNames } from "../../operator/takeover/ways/way.ts";
import type { BuildOn } from "../../operator/tree/build-on.ts";

/** What DEF and HOST are, in help texts. */
export const defHelp =
  "the definition: a directory with an IMGBUILD.ts, or the file, or the name of a host in hosts.yaml";
export const hostHelp =
  "[user@]name[:port], an alias of your ssh_config, or a name in hosts.yaml; not needed where DEF is such a name";

/** How to log in; what ssh_config says is used without being asked. */
export function hostOptions(command: Command): Command {
  return command
    .option("-F, --ssh-config <FILE>", "ssh_config to read instead of ~/.ssh/config", present)
    .option(
      "--ssh-key <FILE>",
      "private key to log in with, before those of ssh_config and the agent; may be repeated",
      each(present),
    )
    .option("--known-hosts <FILE>", "known_hosts to trust instead of ~/.ssh/known_hosts", present);
}

/** Where the tree of a deploy is made. */
export function buildOnOption(): Option {
  return new Option(
    "--build-on <PLACE>",
    "where the new system is made: local (here, and sent whole while the old system still runs), host (on the host, while the old system still runs) or target (on the host, of packages that it fetches)",
  ).choices(["local", "host", "target"] satisfies BuildOn[]);
}

/** What takes the place of what on a machine that is not the definition's usual one. */
export function hardwareOptions(command: Command): Command {
  return command
    .option(
      "--disk <NAME=HOW>",
      "which disk the definition's disk NAME is on this machine: serial:..., wwn:..., id:..., path:... or size:LEAST..MOST; may be repeated",
      each((word) => word),
    )
    .option(
      "--card <NAME=MAC>",
      "which network card the definition's link NAME is on this machine; may be repeated",
      each((word) => word),
    );
}

/** How the definition's age files are opened. */
export function secretOptions(command: Command): Command {
  return command
    .option(
      "-i, --identity <FILE>",
      "age identity that opens the secrets (or IMGBUILD_IDENTITY; default: ~/.config/imgbuild/identity.txt); may be repeated",
      each(present),
    )
    .option("--passphrase", "ask for the passphrase of secrets encrypted with one");
}

/** An option that is given once for each value: it takes one word, so that it never swallows what comes after it. */
export function each(parse: (text: string) => string): (text: string, before?: string[]) => string[] {
  return (text, before = []) => [...before, parse(text)];
}

/** A file or directory that is to be read. */
export function present(path: string): string {
  if (existsSync(path)) return path;
  throw new InvalidArgumentError("It does not exist.");
}

/** A whole number above zero. */
export function positive(text: string): number {
  if (/^[1-9][0-9]{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("a whole number above zero is accepted");
}

/** A size of memory or disk. */
export function bytes(text: string): number {
  const [, number, unit = ""] = /^(0|[1-9][0-9]{0,12})(KiB|MiB|GiB|TiB)?$/.exec(text) ?? [];
  const size = Number(number) * 2 ** (10 * ["", "KiB", "MiB", "GiB", "TiB"].indexOf(unit));
  if (number !== undefined && Number.isSafeInteger(size)) return size;
  throw new InvalidArgumentError('a size such as "20GiB" or "512MiB" is accepted');
}

export function degradedOption(command: Command): Command {
  return command.option(
    "--accept-degraded",
    "report failed checks of the new system, and exit 0 all the same",
  );
}

export function takeoverOption(command: Command): Command {
  return command.addOption(
    new Option(
      "--takeover <WAY>",
      "the only way to start the base: kexec; kexec-file, for a host that starts only signed kernels; boot-entry, one start by the host's own bootloader (default: the first that the host allows)",
    ).choices(wayNames),
  );
}
