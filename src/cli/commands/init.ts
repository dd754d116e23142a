import { join, relative } from "node:path";
import type { InitOptions } from "../../operator/init/init.ts";
import type { AddCommand } from "../terminal/context.ts";
import { each, hostOptions, present } from "../terminal/options.ts";

export const initCommand: AddCommand = (program, act) => {
  const command = program
    .command("init")
    .description("the repository of a server, to start from")
    .argument(
      "<DIR>",
      "a directory that does not exist yet, or is empty; below a hosts.yaml it is one more host",
    )
    .option("--from <HOST>", "take what can be taken from this host; nothing is changed on it")
    .option("--hostname <NAME>", "its name (default: the host's, else DIR's)")
    .option("--disk <MATCH>", "the disk to be written: its serial, or words as path=pci-0000:00:05.0")
    .option("--firmware <FIRMWARE>", "uefi, bios or both (default: the host's, else both)")
    .option("--address <CIDR>", "a static address, as 192.0.2.10/24; may be repeated", each(asIs))
    .option("--gateway <ADDRESS>", "with --address; may be repeated", each(asIs))
    .option("--dns <ADDRESS>", "a DNS server, with --address; may be repeated", each(asIs))
    .option("--timezone <ZONE>", 'as "Europe/Berlin" (default: the host\'s, else Etc/UTC)')
    .option("--key <FILE>", "public keys of its administrator (default: ~/.ssh/id_ed25519.pub)", present);
  hostOptions(command).action((directory: string, options: InitOptions) =>
    act(async (cli) => {
      const { initRepository } = await import("../../operator/init/init.ts");
      const { files, notes, identity, host } = await initRepository(directory, options, {
        ...cli,
        // Events on stdout are for a program.
        interactive: cli.interactive && !cli.json,
      });
      for (const file of files) {
        cli.print(file);
        cli.emit({ event: "written", file });
      }
      for (const note of notes) cli.print(`left out: ${note}`);
      cli.print(`your identity, which opens the secrets: ${identity}`);
      const there = relative(".", directory);
      cli.print(
        host === undefined
          ? `next: ${there === "" ? "" : `cd ${there}, `}edit IMGBUILD.ts, then \`make test\`; \`make\` lists the rest`
          : `next: edit ${join(directory, "IMGBUILD.ts")}, then \`imgbuild lock ${host}\` and \`imgbuild test ${host}\``,
      );
      cli.emit({ event: "done", files, notes, identity });
    }),
  );
};

const asIs = (text: string) => text;
