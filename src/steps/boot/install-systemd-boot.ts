import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { z } from "zod";
import { enrolmentFiles } from "../../boot/efi/efi-keys.ts";
import { type Signer, signEfi } from "../../boot/efi/sign-efi.ts";
import { debianLoaders, onEsp, shimCopies, stubPath } from "../../boot/efi-files.ts";
import { entryToken, loaderConfig, loaderEntry, ukiPath } from "../../boot/loader.ts";
import { makeUkiPath } from "../../boot/make-uki.ts";
import { loaderSwitch } from "../../boot/rescue-entry.ts";
import { Tree } from "../../tree/tree.ts";
import { Fail } from "../../util/fail.ts";
import { defineStep, type StepContext } from "../step/step.ts";
import { kernelVersions } from "./make-initramfs.ts";
import { certificateOf, SigningKeys, signerIn } from "./sign-loader.ts";

/** Where an image waits between the tree's program that makes it and us; the tree keeps nothing of it. */
const staging = "/var/tmp";
const makeMs = 600_000;

/** The content of the ESP: systemd-boot, also at the path firmware tries unasked; kernels, initramfs, entries last. */
export const installSystemdBoot = defineStep({
  kind: "install-systemd-boot",
  summary: "fill the ESP with systemd-boot, kernels and entries",
  schema: z.strictObject({
    /** Directory that is, or becomes, the ESP's filesystem. */
    esp: z.string().startsWith("/"),
    /** The same of an extended boot loader partition, for kernels and entries. Left out, they are on the ESP. */
    kernels: z.string().startsWith("/").optional(),
    /** "uki": each kernel in a unified image, whose command line is the tree's /etc/kernel/cmdline. */
    layout: z.enum(["bls", "uki"]).default("bls"),
    cmdline: z.array(z.string()),
    /** Where the root hash of a root with verity is, which becomes a word of it. */
    rootHash: z.string().startsWith("/").optional(),
    title: z.string(),
    timeoutSeconds: z.int(),
    /** The base is started until the last step of a deploy says otherwise. */
    rescue: z.literal(true).optional(),
    /** Debian's shim first; or everything signed by this key. */
    secureBoot: z.union([z.literal("debian"), SigningKeys]).optional(),
  }),
  run: async (input, context) => {
    const { esp, kernels, layout, title, timeoutSeconds, secureBoot } = input;
    const first = input.rescue ? loaderSwitch.rescue : "";
    const word = input.rootHash === undefined ? [] : [await rootHashWord(input.rootHash)];
    const cmdline = [...input.cmdline, ...word];
    const versions = kernelVersions(context.root);
    if (versions.length === 0) throw new Fail("the tree has no kernel in /boot");
    const own =
      typeof secureBoot === "object" ? { ...secureBoot, signer: signerIn(context, secureBoot) } : undefined;
    const signer = own?.signer;
    const put = putter(context.root, esp);
    const putKernel = putter(context.root, kernels ?? esp);
    for (const version of versions)
      if (layout === "uki")
        putKernel.bytes(
          ukiPath(version),
          await unifiedImage(context, version, signer, word.length === 0 ? undefined : cmdline),
        );
      else {
        const kernel = `/boot/vmlinuz-${version}`;
        const to = `${entryToken}/${version}/linux`;
        if (signer === undefined) putKernel.file(kernel, to);
        else putKernel.bytes(to, signEfi(put.read(kernel), signer, kernel));
        putKernel.file(`/boot/initrd.img-${version}`, `${entryToken}/${version}/initrd.img-${version}`);
      }
    const loader = `${debianLoaders.systemdBoot}${secureBoot === undefined ? "" : ".signed"}`;
    put.file(loader, onEsp.systemdBoot);
    if (secureBoot === "debian") for (const [from, to] of shimCopies) put.file(from, to);
    else put.file(loader, onEsp.removable);
    if (own !== undefined)
      for (const { path, content } of enrolmentFiles(
        own.signer,
        own.alsoTrusted.map(certificateOf),
        own.epoch,
      ))
        put.bytes(path, content);
    put.bytes("loader/loader.conf", Buffer.from(loaderConfig(timeoutSeconds, own?.enroll, first)));
    if (layout === "bls" || kernels !== undefined)
      putKernel.bytes("loader/entries.srel", Buffer.from("type1\n"));
    if (layout === "uki") return;
    for (const version of versions)
      putKernel.bytes(
        `loader/entries/${entryToken}-${version}.conf`,
        Buffer.from(loaderEntry(version, title, cmdline)),
      );
  },
});

/** Made by the tree's own program, which will make those of later kernels too. */
async function unifiedImage(
  context: StepContext,
  version: string,
  signer: Signer | undefined,
  /** In place of the tree's, which a root that is verified cannot hold. */
  cmdline: readonly string[] | undefined,
): Promise<Uint8Array> {
  const tree = new Tree(context.root);
  const before = tree.stat(staging);
  if (!before?.isDirectory()) throw new Fail(`the tree's ${staging} is no directory`);
  const output = `${staging}/imgbuild-${version}.efi`;
  const words = `${staging}/imgbuild-cmdline`;
  try {
    if (cmdline !== undefined) tree.write(words, `${cmdline.join(" ")}\n`);
    const inputs = {
      stub: stubPath,
      linux: `/boot/vmlinuz-${version}`,
      initrd: `/boot/initrd.img-${version}`,
      cmdline: cmdline === undefined ? "/etc/kernel/cmdline" : words,
      "os-release": "/usr/lib/os-release",
      uname: version,
      output,
    };
    const options = Object.entries(inputs).flatMap(([name, value]) => [`--${name}`, value]);
    await context.chroot([makeUkiPath, ...options], { timeoutMs: makeMs });
    const image = tree.read(output);
    if (image === undefined) throw new Fail(`${makeUkiPath} made no image`);
    return signer === undefined ? image : signEfi(image, signer, `the unified image of ${version}`);
  } finally {
    for (const name of [output, `${output}.new`, words]) tree.remove(name);
    // As if nothing had been there: a build that finds the disk in the cache makes no image.
    tree.utimes(staging, before.atime, before.mtime);
  }
}

/** The word that the bootloader carries for a root with verity, from the file in which its making left the hash. */
export async function rootHashWord(file: string): Promise<string> {
  const hash = (await readFile(file, "utf8")).trim();
  if (!/^[0-9a-f]{64}$/.test(hash)) throw new Fail(`${file} holds no root hash`);
  return `roothash=${hash}`;
}

/** Writes to the ESP; what it reads of the tree must be there. */
export function putter(root: string, esp: string) {
  const tree = new Tree(root);
  const on = Tree.within(root, esp);
  const present = (path: string) => {
    if (tree.find(path) !== undefined) return;
    throw new Fail(`the tree has no ${path}`, {
      hint: "lock the definition again: its packages are not complete",
    });
  };
  // A link that a package left there is replaced.
  const isFile = (to: string) => on.stat(to)?.isFile() === true;
  // It was written when the disk had no system yet, and the machine may start by it at any time.
  const again = (to: string, content: Uint8Array) => {
    if (on.read(to)?.equals(content) !== true) on.renew(to, content);
  };
  return {
    read: (path: string): Buffer => {
      present(path);
      return tree.read(path)!;
    },
    file: (from: string, to: string): void => {
      present(from);
      if (!isFile(to)) tree.copy(from, on, to);
      else again(to, tree.read(from)!);
    },
    bytes: (to: string, content: Uint8Array): void => {
      on.makeDirectories(dirname(to));
      if (!isFile(to)) on.write(to, content);
      else again(to, content);
    },
  };
}
