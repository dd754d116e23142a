import { copyFile, mkdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { enrolmentFiles } from "../boot/efi-keys.ts";
import { entryToken, loaderConfig, loaderEntry, ukiPath } from "../boot/loader.ts";
import { makeUkiPath, stubPath } from "../boot/make-uki.ts";
import { debianLoaders, shimCopies } from "../boot/packages.ts";
import { type Signer, signEfi } from "../boot/sign-efi.ts";
import { Fail } from "../util/fail.ts";
import { kernelVersions } from "./make-initramfs.ts";
import { certificateOf, SigningKeys, signerIn } from "./sign-loader.ts";
import { defineStep, type StepContext } from "./step.ts";

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
    /** The same of an extended boot loader partition, for kernels and entries. Left out, they lie on the ESP. */
    kernels: z.string().startsWith("/").optional(),
    /** "uki": each kernel in a unified image, whose command line is the tree's /etc/kernel/cmdline. */
    layout: z.enum(["bls", "uki"]).default("bls"),
    cmdline: z.array(z.string()),
    /** Where the root hash of a root with verity is, which becomes a word of it. */
    rootHash: z.string().startsWith("/").optional(),
    title: z.string(),
    timeoutSeconds: z.int(),
    /** Debian's shim first; or everything signed by this key. */
    secureBoot: z.union([z.literal("debian"), SigningKeys]).optional(),
  }),
  tools: [],
  run: async (input, context) => {
    const { esp, kernels, layout, title, timeoutSeconds, secureBoot } = input;
    const word = input.rootHash === undefined ? [] : [await rootHashWord(input.rootHash)];
    const cmdline = [...input.cmdline, ...word];
    const versions = await kernelVersions(context.root);
    if (versions.length === 0) throw new Fail("the tree has no kernel in /boot");
    const own = typeof secureBoot === "object" ? secureBoot : undefined;
    const signer = own === undefined ? undefined : signerIn(context, own);
    const put = putter(context.root, esp);
    const putKernel = putter(context.root, kernels ?? esp);
    for (const version of versions)
      if (layout === "uki")
        await putKernel.bytes(
          ukiPath(version),
          await unifiedImage(context, version, signer, word.length === 0 ? undefined : cmdline),
        );
      else {
        const kernel = `/boot/vmlinuz-${version}`;
        const to = `${entryToken}/${version}/linux`;
        if (signer === undefined) await putKernel.file(kernel, to);
        else await putKernel.bytes(to, signEfi(await put.read(kernel), signer, kernel));
        await putKernel.file(`/boot/initrd.img-${version}`, `${entryToken}/${version}/initrd.img-${version}`);
      }
    const loader = `${debianLoaders.systemdBoot}${secureBoot === undefined ? "" : ".signed"}`;
    await put.file(loader, "EFI/systemd/systemd-bootx64.efi");
    if (secureBoot === "debian") for (const [from, to] of shimCopies) await put.file(from, to);
    else await put.file(loader, "EFI/BOOT/BOOTX64.EFI");
    if (own !== undefined && signer !== undefined)
      for (const { path, content } of enrolmentFiles(signer, own.alsoTrusted.map(certificateOf), own.epoch))
        await put.bytes(path, content);
    await put.bytes("loader/loader.conf", Buffer.from(loaderConfig(timeoutSeconds, own?.enroll)));
    if (layout === "bls" || kernels !== undefined)
      await putKernel.bytes("loader/entries.srel", Buffer.from("type1\n"));
    if (layout === "uki") return;
    for (const version of versions)
      await putKernel.bytes(
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
  const directory = join(context.root, staging);
  const before = await stat(directory);
  const made = `${staging}/imgbuild-${version}.efi`;
  const words = `${staging}/imgbuild-cmdline`;
  try {
    if (cmdline !== undefined) await writeFile(join(context.root, words), `${cmdline.join(" ")}\n`);
    const inputs = {
      stub: stubPath,
      linux: `/boot/vmlinuz-${version}`,
      initrd: `/boot/initrd.img-${version}`,
      cmdline: cmdline === undefined ? "/etc/kernel/cmdline" : words,
      "os-release": "/usr/lib/os-release",
      uname: version,
      output: made,
    };
    const options = Object.entries(inputs).flatMap(([name, value]) => [`--${name}`, value]);
    await context.chroot([makeUkiPath, ...options], { timeoutMs: makeMs });
    const image = await readFile(join(context.root, made));
    return signer === undefined ? image : signEfi(image, signer, `the unified image of ${version}`);
  } finally {
    for (const name of [made, `${made}.new`, words]) await rm(join(context.root, name), { force: true });
    // As if nothing had been there: a build that finds the disk in the cache makes no image.
    await utimes(directory, before.atime, before.mtime);
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
  const missing = (path: string) => (error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
    throw new Fail(`the tree has no ${path}`, {
      hint: "lock the definition again: its packages are not complete",
    });
  };
  const place = async (to: string) => {
    await mkdir(dirname(join(esp, to)), { recursive: true });
    return join(esp, to);
  };
  return {
    read: async (path: string): Promise<Buffer> => await readFile(join(root, path)).catch(missing(path)),
    file: async (from: string, to: string): Promise<void> =>
      await copyFile(join(root, from), await place(to)).catch(missing(from)),
    bytes: async (to: string, content: Uint8Array): Promise<void> =>
      await writeFile(await place(to), content),
  };
}
