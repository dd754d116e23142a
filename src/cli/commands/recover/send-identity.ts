import type { LoginOptions } from "../../../operator/deploy/inputs.ts";
import type { AddCommand } from "../../terminal/context.ts";
import { each, hostOptions, present } from "../../terminal/options.ts";

interface Options extends LoginOptions {
  readonly identity?: readonly string[];
  readonly baseKey?: string;
}

/** `imgbuild secrets send`: a machine that runs a rescue medium gets what opens its secrets. */
export const addSendIdentity: AddCommand = (secrets, act) => {
  const command = secrets
    .command("send")
    .description("give a machine that runs a rescue medium your age identity, which opens its secrets")
    .argument("<HOST>", "[user@]name[:port] or alias of the machine, as its console shows it")
    .option(
      "-i, --identity <FILE>",
      "age identity to send (or IMGBUILD_IDENTITY; default: ~/.config/imgbuild/identity.txt); may be repeated",
      each(present),
    )
    .option(
      "--base-key <FINGERPRINT>",
      "the machine's host key, as its console shows it: SHA256:...; default: what known_hosts says",
    );
  hostOptions(command).action((word: string, given: Options) =>
    act(async (cli) => {
      const { hostFor } = await import("../../../operator/host/target.ts");
      const { deployWorld } = await import("../../../operator/deploy/inputs.ts");
      const { sendIdentity } = await import("../../../operator/rescue/send-identity.ts");
      const { identityFiles } = await import("../../../operator/secrets/secrets.ts");
      const { host, record } = await hostFor(word, cli.log);
      const world = deployWorld(host, { ...given, record }, cli, async () => {});
      const passphrase = (of: string) => cli.askSecret(`Passphrase of ${of}: `);
      const sending = { files: identityFiles(given, cli.env), baseKey: given.baseKey, passphrase };
      cli.print(await sendIdentity(sending, world));
      cli.emit({ event: "done" });
    }),
  );
};
