import type { X509Certificate } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { sha256 } from "../util/digest.ts";
import { Fail } from "../util/fail.ts";
import { ukiPath } from "./loader.ts";
import { grubCopies, shimCopies } from "./packages.ts";
import { type Pe, peDigest, readPe } from "./pe.ts";
import { signatureProblem } from "./sign-efi.ts";

const hint = "the firmware would not start the system";

export interface EspToCheck {
  /** The ESP's directory, and the tree's. */
  readonly esp: string;
  /** Of an extended boot loader partition, where kernels and entries lie on one. */
  readonly kernels?: string;
  readonly root: string;
  readonly loader: "systemd-boot" | "uki" | "grub";
  readonly secureBoot: "debian" | { readonly certificate: X509Certificate } | undefined;
  readonly versions: readonly string[];
  /** The word of the kernel's command line that names the root filesystem: "root=UUID=…". */
  readonly rootWord: string;
  /** Other words that have to be on it: the root hash of a root with verity. */
  readonly moreWords?: readonly string[];
  /** UUID of the filesystem that holds GRUB's menu. */
  readonly menuUuid: string;
}

/** Follows the way from the firmware to kernel and initramfs, and refuses the first thing on it that is missing or broken. */
export async function checkEsp(check: EspToCheck): Promise<void> {
  await checkLoaders(check);
  if (check.loader === "grub") {
    const config = await text(check, "EFI/debian/grub.cfg");
    if (!config.includes(check.menuUuid))
      throw refuse("EFI/debian/grub.cfg does not lead to the filesystem of /boot");
    for (const version of check.versions)
      await checkKernel(check, join(check.root, `boot/vmlinuz-${version}`));
  } else if (check.loader === "uki") for (const version of check.versions) await checkUnified(check, version);
  else await checkEntries(check);
  if (typeof check.secureBoot === "object")
    for (const name of ["PK", "KEK", "db"])
      if ((await bytes(check, `loader/keys/auto/${name}.auth`)).length < 64)
        throw refuse(`loader/keys/auto/${name}.auth is cut off, so the firmware could not be given the keys`);
}

/** Bootloaders by name, and at the path that firmware tries unasked. */
async function checkLoaders(check: EspToCheck): Promise<void> {
  const { loader, secureBoot } = check;
  const copies =
    loader === "grub" ? grubCopies(secureBoot === "debian") : secureBoot === "debian" ? shimCopies : [];
  for (const [from, to] of copies) {
    const [packaged, copied] = [await readFile(join(check.root, from)), await bytes(check, to)];
    if (!packaged.equals(copied)) throw refuse(`${to} is not the tree's ${from}`);
  }
  const paths = copies.length > 0 ? copies.map(([, to]) => to) : ["EFI/BOOT/BOOTX64.EFI"];
  if (loader !== "grub") paths.push("EFI/systemd/systemd-bootx64.efi");
  for (const path of paths) checkSigned(check, readPe(await bytes(check, path), path), path);
}

async function checkEntries(check: EspToCheck): Promise<void> {
  const on = kernelsOf(check);
  const names = (await readdir(join(on, "loader/entries")).catch(() => [])).filter((name) =>
    name.endsWith(".conf"),
  );
  for (const version of check.versions)
    if (!names.some((name) => name.includes(version)))
      throw refuse(`no boot entry is of the kernel ${version}`);
  for (const name of names) {
    const entry = (await bytes(check, `loader/entries/${name}`, on)).toString("utf8");
    checkWord(entry.match(/^options\s+(.*)$/m)?.[1] ?? "", check, `boot entry ${name}`);
    const paths = (key: string) =>
      [...entry.matchAll(new RegExp(`^${key}\\s+(\\S+)$`, "gm"))].map((match) => match[1]!);
    const [linux] = paths("linux");
    const initrds = paths("initrd");
    if (linux === undefined || initrds.length === 0)
      throw refuse(`boot entry ${name} names no kernel or no initramfs`);
    await checkKernel(check, join(on, linux));
    for (const path of initrds) checkInitrd(await bytes(check, path, on), path);
  }
}

async function checkKernel(check: EspToCheck, path: string): Promise<void> {
  const on = kernelsOf(check);
  const name = path.startsWith(`${on}/`) ? path.slice(on.length) : path.slice(check.root.length);
  const program = await readFile(path).catch(() => {
    throw refuse(`${name} is missing`);
  });
  checkSigned(check, readPe(program, name), name);
}

/** The parts of a unified image are those that the tree has. */
async function checkUnified(check: EspToCheck, version: string): Promise<void> {
  const path = ukiPath(version);
  const image = readPe(await bytes(check, path, kernelsOf(check)), path);
  const part = (name: string) => {
    const found = image.sections.find((section) => section.name === name);
    if (found === undefined) throw refuse(`${path} has no part ${name}`);
    return found.content;
  };
  for (const [name, file] of [
    [".linux", `boot/vmlinuz-${version}`],
    [".initrd", `boot/initrd.img-${version}`],
  ] as const)
    if (sha256(part(name)) !== sha256(await readFile(join(check.root, file))))
      throw refuse(`the part ${name} of ${path} is not the tree's /${file}`);
  checkInitrd(part(".initrd"), path);
  checkWord(part(".cmdline").toString(), check, path);
  if (part(".uname").toString() !== version) throw refuse(`${path} says that it is of another kernel`);
  checkSigned(check, image, path);
}

/** Of Debian's it is seen that they are signed and whole; by whom, the firmware and shim know. */
function checkSigned({ secureBoot }: EspToCheck, pe: Pe, path: string): void {
  if (secureBoot === undefined) return;
  if (typeof secureBoot === "object") {
    const problem = signatureProblem(pe, secureBoot.certificate);
    if (problem !== undefined) throw refuse(`${path} ${problem}, so Secure Boot would refuse it`);
    return;
  }
  const digest = peDigest(pe);
  if (!pe.signatures.some((blob) => blob.includes(digest)))
    throw refuse(
      `${path} ${pe.signatures.length === 0 ? "is not signed" : "has changed since it was signed"}, so Secure Boot would refuse it`,
    );
}

function checkWord(cmdline: string, { rootWord, moreWords = [] }: EspToCheck, what: string): void {
  for (const word of [rootWord, ...moreWords])
    if (!cmdline.split(/\s+/).includes(word)) throw refuse(`${what} does not say ${word}`);
}

/** Smaller than this is no initramfs. */
const leastInitrdBytes = 1024 * 1024;

export function checkInitrd(content: Uint8Array, path: string): void {
  if (content.length < leastInitrdBytes)
    throw refuse(`the initramfs ${path} has only ${content.length} bytes`);
}

function kernelsOf({ esp, kernels = esp }: EspToCheck): string {
  return kernels;
}

async function bytes({ esp }: EspToCheck, path: string, on = esp): Promise<Buffer> {
  return await readFile(join(on, path)).catch(() => {
    throw refuse(`${path} is missing on the ${on === esp ? "ESP" : "extended boot loader partition"}`);
  });
}

async function text(check: EspToCheck, path: string): Promise<string> {
  return (await bytes(check, path)).toString("utf8");
}

function refuse(what: string): Fail {
  return new Fail(what, { hint });
}
