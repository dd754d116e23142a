import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { cpioBytes } from "../../archive/cpio.ts";
import {
  customMenu,
  emptyEnvironment,
  grubEnvironment,
  lasting,
  lastingCmdline,
  lastingData,
  lastingEntryName,
  lastingMenu,
  rescueEntry,
} from "../../boot/rescue-entry.ts";
import { RescueData } from "../../schema/base/rescue.ts";
import { Tree } from "../../tree/tree.ts";
import { canonicalJson } from "../../util/digest.ts";
import { Fail } from "../../util/fail.ts";
import { defineStep, type StepContext } from "../step/step.ts";
import { rescueKeyName } from "../tree/write-secrets.ts";
import { BaseFile, copyBase } from "./keep-base.ts";

/**
 * Leaves the base on the machine as its rescue system: its files, unless a build that began with them has put them there, what it is to
 * know of the machine, and an entry in the boot menu. Nothing of it is a secret of the definition, but for its own SSH host key.
 */
export const keepRescue = defineStep({
  kind: "keep-rescue",
  summary: "leave the base as the machine's rescue system, with an entry in the boot menu",
  schema: z.strictObject({
    /** Of the base, on the filesystem at `on`; left out, `directory` is in the tree. */
    directory: z.string().startsWith("/"),
    /** Directory that is, or becomes, the filesystem of systemd-boot's entries. */
    on: z.string().startsWith("/").optional(),
    files: z.array(BaseFile),
    data: RescueData,
    /** Lines of authorized_keys. */
    keys: z.array(z.string()),
    port: z.int().min(1).max(65_535),
    entry: z.discriminatedUnion("loader", [
      z.strictObject({ loader: z.literal("grub"), uuid: z.string(), directory: z.string().startsWith("/") }),
      z.strictObject({ loader: z.literal("systemd-boot"), directory: z.string().startsWith("/") }),
    ]),
    /** The kernel's command line, of an image; left out, that of the base as it runs, with its words for this hardware. */
    cmdline: z.array(z.string()).optional(),
  }),
  run: async (input, context) => {
    const { directory, on, files, data, entry } = input;
    const tree = on === undefined ? new Tree(context.root) : Tree.within(context.root, on);
    tree.makeDirectories(directory);
    tree.chmod(directory, 0o700);
    const to = tree.directory(directory);
    const lacking = files.filter(({ name, size }) => tree.stat(`${directory}/${name}`)?.size !== size);
    for (const { name } of lacking) tree.remove(`${directory}/${name}`);
    await copyBase(lacking, to, context);
    const config = `${directory}/${lasting.parts.at(-1)}`;
    tree.write(config, await ownFiles(input, context), { mode: 0o600 });
    const words = input.cmdline?.join(" ") ?? (await readFile(join(context.machine.proc, "cmdline"), "utf8"));
    const cmdline = lastingCmdline(words, data.hostname);
    if (entry.loader === "systemd-boot") {
      tree.makeDirectories("/loader/entries");
      tree.write(`/loader/entries/${lastingEntryName}`, rescueEntry(entry.directory, cmdline, lasting));
      return;
    }
    tree.makeDirectories(dirname(customMenu));
    tree.write(customMenu, lastingMenu(tree.text(customMenu) ?? "", entry, cmdline));
    if (tree.stat(grubEnvironment.path)?.size !== grubEnvironment.bytes)
      tree.write(grubEnvironment.path, emptyEnvironment());
  },
});

type Wanted = z.output<typeof keepRescue.schema>;

/** The last part of its initramfs. */
async function ownFiles(
  { data, keys, port }: Wanted,
  { secrets }: Pick<StepContext, "secrets">,
): Promise<Uint8Array> {
  const key = secrets.get(rescueKeyName);
  if (key === undefined) throw new Fail("no SSH host key for the rescue system came along");
  const file = (name: string, content: string | Uint8Array) => ({
    ...{ type: "file" as const, name: `imgbuild/${name}`, mode: 0o600 },
    content: typeof content === "string" ? Buffer.from(content) : content,
  });
  return await cpioBytes([
    file(lastingData, canonicalJson(data)),
    file("ssh/host_key", key.expose()),
    file("ssh/host_key.pub", `${publicHalf(key.expose())}\n`),
    file("ssh/authorized_keys", keys.map((line) => `${line}\n`).join("")),
    file("ssh/port", `${port}\n`),
  ]);
}

/** An OpenSSH private key begins with its public half in the clear (PROTOCOL.key of OpenSSH). */
function publicHalf(key: Uint8Array): string {
  const text = Buffer.from(key).toString("latin1");
  const body = /-----BEGIN OPENSSH PRIVATE KEY-----([\s\S]+?)-----END/.exec(text)?.[1];
  const bytes = Buffer.from(body ?? "", "base64");
  let at = "openssh-key-v1\0".length;
  const next = () => {
    const length = at + 4 <= bytes.length ? bytes.readUInt32BE(at) : 0;
    at += 4 + length;
    return bytes.subarray(at - length, at);
  };
  // Cipher, key derivation and its options; then how many keys there are.
  for (let index = 0; index < 3; index += 1) next();
  at += 4;
  const blob = next();
  if (blob.subarray(4, 15).toString("latin1") !== "ssh-ed25519")
    throw new Fail("the host key of the rescue system is no OpenSSH key of type ed25519");
  return `ssh-ed25519 ${blob.toString("base64")}`;
}
