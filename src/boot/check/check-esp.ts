import type { X509Certificate } from "node:crypto";
import { basename } from "node:path";
import { Tree } from "../../tree/tree.ts";
import { sha256 } from "../../util/digest.ts";
import { Fail } from "../../util/fail.ts";
import { type Pe, peDigest, readPe } from "../efi/pe.ts";
import { signatureProblem } from "../efi/sign-efi.ts";
import { grubCopies, onEsp, shimCopies } from "../efi-files.ts";
import { ukiPath } from "../loader.ts";
import { lastingEntryName, rescueEntryPath } from "../rescue-entry.ts";

const hint = "the firmware would not start the system";

/** Entries that start the base, which has another root. */
const ofTheBase = [basename(rescueEntryPath), lastingEntryName];

export interface EspToCheck {
  /** The ESP's directory, and the tree's. */
  readonly esp: string;
  /** Of an extended boot loader partition, where kernels and entries are on one. */
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
  checkLoaders(check);
  if (check.loader === "grub") {
    const config = bytes(check, "EFI/debian/grub.cfg").toString("utf8");
    if (!config.includes(check.menuUuid))
      throw refuse("EFI/debian/grub.cfg does not lead to the filesystem of /boot");
    for (const version of check.versions)
      checkKernel(check, new Tree(check.root), `/boot/vmlinuz-${version}`);
  } else if (check.loader === "uki") for (const version of check.versions) checkUnified(check, version);
  else checkEntries(check);
  if (typeof check.secureBoot === "object")
    for (const name of ["PK", "KEK", "db"])
      if (bytes(check, `loader/keys/auto/${name}.auth`).length < 64)
        throw refuse(`loader/keys/auto/${name}.auth is cut off, so the firmware could not be given the keys`);
}

/** Bootloaders by name, and at the path that firmware tries unasked. */
function checkLoaders(check: EspToCheck): void {
  const { loader, secureBoot } = check;
  const copies =
    loader === "grub" ? grubCopies(secureBoot === "debian") : secureBoot === "debian" ? shimCopies : [];
  for (const [from, to] of copies) {
    const packaged = new Tree(check.root).read(from);
    if (!packaged?.equals(bytes(check, to))) throw refuse(`${to} is not the tree's ${from}`);
  }
  const paths = copies.length > 0 ? copies.map(([, to]) => to) : [onEsp.removable];
  if (loader !== "grub") paths.push(onEsp.systemdBoot);
  for (const path of paths) checkSigned(check, readPe(bytes(check, path), path), path);
}

function checkEntries(check: EspToCheck): void {
  const on = kernelsOf(check);
  const names = treeOn(check, on)
    .list("loader/entries")
    .filter((name) => name.endsWith(".conf") && !ofTheBase.includes(name));
  for (const version of check.versions)
    if (!names.some((name) => name.includes(version)))
      throw refuse(`no boot entry is of the kernel ${version}`);
  for (const name of names) {
    const entry = bytes(check, `loader/entries/${name}`, on).toString("utf8");
    checkWord(entry.match(/^options\s+(.*)$/m)?.[1] ?? "", check, `boot entry ${name}`);
    const paths = (key: string) =>
      [...entry.matchAll(new RegExp(`^${key}\\s+(\\S+)$`, "gm"))].map((match) => match[1]!);
    const [linux] = paths("linux");
    const initrds = paths("initrd");
    if (linux === undefined || initrds.length === 0)
      throw refuse(`boot entry ${name} names no kernel or no initramfs`);
    checkKernel(check, treeOn(check, on), linux);
    for (const path of initrds) checkInitrd(bytes(check, path, on), path);
  }
}

function checkKernel(check: EspToCheck, on: Tree, path: string): void {
  const program = on.read(path);
  if (program === undefined) throw refuse(`${path} is missing`);
  checkSigned(check, readPe(program, path), path);
}

/** The parts of a unified image are those that the tree has. */
function checkUnified(check: EspToCheck, version: string): void {
  const path = ukiPath(version);
  const image = readPe(bytes(check, path, kernelsOf(check)), path);
  const part = (name: string) => {
    const found = image.sections.find((section) => section.name === name);
    if (found === undefined) throw refuse(`${path} has no part ${name}`);
    return found.content;
  };
  for (const [name, file] of [
    [".linux", `/boot/vmlinuz-${version}`],
    [".initrd", `/boot/initrd.img-${version}`],
  ] as const)
    if (sha256(part(name)) !== sha256(new Tree(check.root).read(file) ?? ""))
      throw refuse(`the part ${name} of ${path} is not the tree's ${file}`);
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

function checkInitrd(content: Uint8Array, path: string): void {
  if (content.length < leastInitrdBytes)
    throw refuse(`the initramfs ${path} has only ${content.length} bytes`);
}

function kernelsOf({ esp, kernels = esp }: EspToCheck): string {
  return kernels;
}

function bytes(check: EspToCheck, path: string, on = check.esp): Buffer {
  const found = treeOn(check, on).read(path);
  if (found !== undefined) return found;
  throw refuse(`${path} is missing on the ${on === check.esp ? "ESP" : "extended boot loader partition"}`);
}

function treeOn({ root }: EspToCheck, on: string): Tree {
  return Tree.within(root, on);
}

function refuse(what: string): Fail {
  return new Fail(what, { hint });
}
