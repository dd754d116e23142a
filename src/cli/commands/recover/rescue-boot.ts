import { InvalidArgumentError } from "commander";
import type { LoginOptions } from "../../../operator/deploy/inputs.ts";
import type { RescueBootOptions } from "../../../operator/host/rescue-boot.ts";
import { exitCodes, Fail } from "../../../util/fail.ts";
import type { AddCommand } from "../../terminal/context.ts";
import { hostOptions, positive, secretOptions } from "../../terminal/options.ts";

const usualSeconds = "900";

interface Options extends RescueBootOptions, LoginOptions {
  readonly yes?: string;
}

export const rescueBootCommand: AddCommand = (program, act) => {
  const command = program
    .command("rescue-boot")
    .description("restart a host into the rescue system that a deploy has left on it, once")
    .argument("<HOST>", "[user@]name[:port] or alias, as the deploy named it, or a name in hosts.yaml")
    .option("--yes <NAME>", "confirm beforehand: the name by which the host calls itself")
    .option("--definition <DEF>", "its definition, where `boot.rescue` names a secret with the host key")
    .option(
      "--host-key <FINGERPRINT>",
      "the rescue system is known by this host key, SHA256:..., and not by that of the last deploy from here",
    )
    .option("--port <PORT>", "where the rescue system answers, where that is not where the host does", port)
    .option("--wait <SECONDS>", "bound of the wait for the rescue system", positive, Number(usualSeconds));
  secretOptions(hostOptions(command)).action((word: string, given: Options) =>
    act(async (cli) => {
      const { deployWorld } = await import("../../../operator/deploy/inputs.ts");
      const { hostFor } = await import("../../../operator/host/target.ts");
      const { rescueBoot, shownKey } = await import("../../../operator/host/rescue-boot.ts");
      const { host, record } = await hostFor(word, cli.log);
      const options = { ...given, record, definition: given.definition ?? record?.definition };
      const world = deployWorld(host, options, cli, async () => {});
      const { pins, already } = await rescueBoot(
        host,
        options,
        world,
        cli,
        async ({ name, loader }, lines) => {
          for (const line of lines) cli.print(line);
          cli.emit({ event: "plan", host, name, loader });
          const typed = given.yes ?? (await cli.ask(`Type the name of the host to be restarted (${name}): `));
          if (typed.trim() !== name)
            throw new Fail(
              given.yes === undefined
                ? "not confirmed; nothing was changed"
                : `--yes ${given.yes}: the host calls itself ${name}; nothing was changed`,
              { exitCode: exitCodes.refused },
            );
        },
      );
      const login = loginTo(host, given.port);
      cli.print(`${already ? `${host} runs its rescue system already` : `${host} runs its rescue system`}`);
      cli.print(`log in:  ${login}`);
      cli.print(`its host key is ${pins.map(shownKey).join(" or ")}`);
      cli.print("leave:   `reboot` there starts the system again");
      cli.emit({ event: "done", host, already, login, hostKeys: pins.map(shownKey) });
    }),
  );
};

/** Its host key is another than the system's, so it is known by a name of its own. */
function loginTo(host: string, port: number | undefined): string {
  const [, name = host, own] = /^(?:[^@]*@)?(.*?)(?::(\d+))?$/.exec(host) ?? [];
  const at = port ?? own;
  return `ssh -o HostKeyAlias=${name}-rescue ${at === undefined ? "" : `-p ${at} `}root@${name}`;
}

function port(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 65535)
    throw new InvalidArgumentError("a port is a number from 1 to 65535");
  return value;
}
