import { z } from "zod";
import { Tree } from "../../tree/tree.ts";
import { Fail } from "../../util/fail.ts";
import { defineStep } from "../step/step.ts";
import { hostKeyPrefix, isSshHostKey } from "./write-secrets.ts";

const directory = "/etc/ssh";

/** The SSH host keys that came with the secrets, and no others: those that the package made are removed. */
export const placeHostKeys = defineStep({
  kind: "place-host-keys",
  summary: "give the system its SSH host keys",
  schema: z.strictObject({
    /** False for an image: its host keys are made when it first starts. */
    expected: z.boolean(),
  }),
  run: async ({ expected }, context) => {
    const tree = new Tree(context.root);
    for (const name of tree.list(directory))
      if (/^ssh_host_.*_key(\.pub)?$/.test(name)) tree.remove(`${directory}/${name}`);
    const keys = [...context.secrets].filter(([name]) => isSshHostKey(name));
    if (expected && keys.length === 0) throw new Fail("no SSH host keys came along");
    for (const [name, secret] of keys) {
      const file = name.slice(hostKeyPrefix.length);
      if (!/^ssh_host_[a-z0-9_]{1,40}_key$/.test(file))
        throw new Fail(`${file} is not the name of a host key`);
      tree.write(`${directory}/${file}`, secret.expose(), { mode: 0o600 });
      // sshd offers a key without its public half too, but ssh-keyscan's users and tools look for the file.
      const { stdout } = await context.chroot(["ssh-keygen", "-y", "-f", `${directory}/${file}`]);
      tree.write(`${directory}/${file}.pub`, stdout);
    }
  },
});
