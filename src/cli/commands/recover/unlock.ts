import { InvalidArgumentError } from "commander";
import type { LoginOptions } from "../../../operator/deploy/inputs.ts";
import type { UnlockOptions } from "../../../operator/host/unlock-host.ts";
import type { AddCommand } from "../../terminal/context.ts";
import { hostOptions, secretOptions } from "../../terminal/options.ts";

const usualSeconds = "600";

export const unlockCommand: AddCommand = (program, act) => {
  const command = program
    .command("unlock")
    .description("open the root of a host that waits for its passphrase, over SSH, and wait until it runs")
    .argument("<HOST>", "[user@]name[:port] or alias, as the deploy named it, or a name in hosts.yaml")
    .option("--definition <DEF>", "its definition, whose secrets open it")
    .option("--ask", "ask for the passphrase, though the secrets have it")
    .option(
      "--host-key <FINGERPRINT>",
      "the initramfs is known by this host key, SHA256:..., and not by that of the last deploy from here",
    )
    .option(
      "--port <PORT>",
      "where the initramfs answers, where that is not what the deploy or the definition says",
      port,
    )
    .option(
      "--wait <SECONDS>",
      "bound of the wait for the initramfs, and of that for the system",
      seconds,
      Number(usualSeconds),
    );
  secretOptions(hostOptions(command)).action((word: string, given: UnlockOptions & LoginOptions) =>
    act(async (cli) => {
      const { deployWorld } = await import("../../../operator/deploy/inputs.ts");
      const { hostFor } = await import("../../../operator/host/target.ts");
      const { unlockHost } = await import("../../../operator/host/unlock-host.ts");
      const { host, record } = await hostFor(word, cli.log);
      const options = { ...given, record, definition: given.definition ?? record?.definition };
      const opened = await unlockHost(
        host,
        options,
        deployWorld(host, options, cli, async () => {}),
        cli,
      );
      cli.print(opened === undefined ? `${host} runs already` : `${host} runs`);
      cli.emit({ event: "done", opened: opened ?? [] });
    }),
  );
};

function port(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 65535)
    throw new InvalidArgumentError("a port is a number from 1 to 65535");
  return value;
}

function seconds(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError("seconds are a whole number from 1");
  return value;
}
