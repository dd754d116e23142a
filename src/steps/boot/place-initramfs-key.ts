import { z } from "zod";
import { cpioBytes } from "../../archive/cpio.ts";
import { Tree } from "../../tree/tree.ts";
import { Fail } from "../../util/fail.ts";
import { defineStep } from "../step/step.ts";
import { initramfsKeyName } from "../tree/write-secrets.ts";
import { kernelVersions } from "./make-initramfs.ts";

/** Where dropbear-initramfs takes it from when it makes an initramfs, in dropbear's own format. */
export const initramfsKeyFile = "/etc/dropbear/initramfs/dropbear_ed25519_host_key";

const convertMs = 60_000;

/**
 * The host key of the SSH server in the initramfs: for those that apt will make, and for those that are there. These may have been made
 * elsewhere, without it; so it gets an archive of its own before the other, as the kernel unpacks one after the other.
 */
export const placeInitramfsKey = defineStep({
  kind: "place-initramfs-key",
  summary: "give the initramfs its SSH host key",
  schema: z.strictObject({
    /** False for a tree without secrets: where no key came, there is none yet. */
    expected: z.boolean(),
  }),
  run: async ({ expected }, context) => {
    const key = context.secrets.get(initramfsKeyName);
    if (key === undefined && !expected) return;
    if (key === undefined) throw new Fail("no SSH host key for the initramfs came along");
    const tree = new Tree(context.root);
    // Dropbear's own program keeps the mode of the file that is there.
    tree.write(initramfsKeyFile, "", { mode: 0o600 });
    await context.chroot(["dropbearconvert", "openssh", "dropbear", "-", initramfsKeyFile], {
      stdin: key.expose(),
      timeoutMs: convertMs,
    });
    const content = tree.read(initramfsKeyFile);
    if (content === undefined || content.length === 0)
      throw new Fail("dropbear made nothing of the SSH host key for the initramfs");
    const archive = await cpioBytes([
      { type: "file", name: "etc/dropbear/dropbear_ed25519_host_key", mode: 0o600, content },
    ]);
    for (const version of kernelVersions(context.root)) {
      const path = `/boot/initrd.img-${version}`;
      const initramfs = tree.read(path);
      if (initramfs === undefined) throw new Fail(`the tree has no ${path}`);
      tree.rewrite(path, Buffer.concat([archive, initramfs]));
      tree.chmod(path, 0o600);
    }
  },
});
