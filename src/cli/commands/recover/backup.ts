import { Argument } from "commander";
import type { LoginOptions } from "../../../operator/deploy/inputs.ts";
import type { BackupVerb } from "../../../operator/host/backup.ts";
import type { AddCommand } from "../../terminal/context.ts";
import { hostOptions } from "../../terminal/options.ts";

const verbs: readonly BackupVerb[] = ["now", "list", "check"];

export const backupCommand: AddCommand = (program, act) => {
  const command = program
    .command("backup")
    .description("back up the data of a host now, or show or check what is backed up")
    .argument("<HOST>", "[user@]name[:port], an alias of your ssh_config, or a name in hosts.yaml")
    .addArgument(new Argument("<DO>", "what is done there").choices([...verbs]));
  hostOptions(command).action((word: string, verb: BackupVerb, given: LoginOptions) =>
    act(async (cli) => {
      const { hostFor } = await import("../../../operator/host/target.ts");
      const { deployWorld } = await import("../../../operator/deploy/inputs.ts");
      const { backupOn } = await import("../../../operator/host/backup.ts");
      const { host, record } = await hostFor(word, cli.log);
      const world = deployWorld(host, { ...given, record }, cli, async () => {});
      await backupOn(verb, host, world, (line) => {
        cli.print(line);
        cli.emit({ event: "line", line });
      });
      cli.emit({ event: "done" });
    }),
  );
};
