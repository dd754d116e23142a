import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { checkEsp, type EspToCheck } from "../../../../src/boot/check/check-esp.ts";
import { enrolmentFiles } from "../../../../src/boot/efi/efi-keys.ts";
import { throwawaySigner } from "../../../../src/boot/efi/self-signed.ts";
import { signEfi } from "../../../../src/boot/efi/sign-efi.ts";
import { grubCopies, shimCopies } from "../../../../src/boot/efi-files.ts";
import { loaderEntry, ukiPath } from "../../../../src/boot/loader.ts";
import { rescueEntry, rescueEntryPath } from "../../../../src/boot/rescue-entry.ts";
import { efiProgram } from "../../../helpers/builders/pe.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const version = "6.1-x";
const rootWord = "root=UUID=u";
const mine = throwawaySigner("mine");
const debian = throwawaySigner("debian");
const kernel = efiProgram({ ".text": Buffer.alloc(5000, 2) });
const initrd = Buffer.alloc(2 ** 20 + 5, 3);
const [uki, entry] = [ukiPath(version), `loader/entries/debian-${version}.conf`];
const linux = `debian/${version}/linux`;

function put(root: string, path: string, content: Uint8Array | string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), content);
}

const image = (change: Readonly<Record<string, Uint8Array>> = {}) =>
  efiProgram({
    ".text": Buffer.alloc(600),
    ".cmdline": Buffer.from(`${rootWord} ro`),
    ".uname": Buffer.from(version),
    ".initrd": initrd,
    ".linux": kernel,
    ...change,
  });

type Kind =
  | "bls"
  | "uki"
  | "apart-bls"
  | "apart-uki"
  | "own-bls"
  | "own-uki"
  | "grub"
  | "shim-grub"
  | "shim-systemd-boot";

/** A tree and an ESP that are right; each test breaks one thing. */
function whole(kind: Kind): EspToCheck {
  const [root, esp] = [join(tempDir(), "tree"), join(tempDir(), "esp")];
  const own = kind.startsWith("own");
  const loader = kind.endsWith("grub") ? "grub" : kind.endsWith("uki") ? "uki" : "systemd-boot";
  const secureBoot = own ? { certificate: mine.certificate } : kind.startsWith("shim") ? "debian" : undefined;
  const signed = (program: Buffer) =>
    secureBoot === undefined ? program : signEfi(program, own ? mine : debian, "program");
  put(root, `boot/vmlinuz-${version}`, secureBoot === "debian" ? signed(kernel) : kernel);
  put(root, `boot/initrd.img-${version}`, initrd);
  const copies =
    loader === "grub" ? grubCopies(secureBoot === "debian") : secureBoot === "debian" ? shimCopies : [];
  for (const [from, to] of copies) {
    put(root, from, signed(efiProgram({ ".text": Buffer.from(from) })));
    put(esp, to, readFileSync(join(root, from)));
  }
  if (loader === "grub") put(esp, "EFI/debian/grub.cfg", "search.fs_uuid m-m root\n");
  else put(esp, "EFI/systemd/systemd-bootx64.efi", signed(efiProgram()));
  if (copies.length === 0) put(esp, "EFI/BOOT/BOOTX64.EFI", signed(efiProgram()));
  const kernels = kind.startsWith("apart") ? join(tempDir(), "xbootldr") : undefined;
  const on = kernels ?? esp;
  if (loader === "uki") put(on, uki, signed(image()));
  if (loader === "systemd-boot") {
    put(on, linux, signed(kernel));
    put(on, `debian/${version}/initrd.img-${version}`, initrd);
    put(on, entry, loaderEntry(version, "t", [rootWord, "ro"]));
  }
  if (own) for (const { path, content } of enrolmentFiles(mine, [], 1)) put(esp, path, content);
  const apart = kernels === undefined ? {} : { kernels };
  return { esp, ...apart, root, loader, secureBoot, versions: [version], rootWord, menuUuid: "m-m" };
}

const kinds: Kind[] = [
  ...(["bls", "uki", "apart-bls", "apart-uki", "own-bls", "own-uki"] as const),
  ...(["grub", "shim-grub", "shim-systemd-boot"] as const),
];

describe("checkEsp", () => {
  it.each(kinds)("is content with an ESP of %s", async (kind) => {
    await checkEsp(whole(kind));
  });

  it("asks nothing of the entry of the base, which goes before the system starts", async () => {
    const check = whole("bls");
    put(check.esp, rescueEntryPath, rescueEntry("/imgbuild/rescue", ["console=ttyS0"]));
    await checkEsp(check);
  });

  const cut = (path: string) => (esp: string) =>
    put(esp, path, readFileSync(join(esp, path)).subarray(0, 0x640));
  const remove = (path: string) => (esp: string) => rmSync(join(esp, path));
  const flip = (path: string) => (esp: string) => {
    const bytes = readFileSync(join(esp, path));
    bytes.writeUInt8(bytes[0x600]! ^ 1, 0x600);
    put(esp, path, bytes);
  };
  const text = (path: string, from: string | RegExp, to: string) => (esp: string) =>
    put(esp, path, readFileSync(join(esp, path), "utf8").replace(from, to));
  const removable = "EFI/BOOT/BOOTX64.EFI";

  it.each<[Kind, string, (esp: string) => void, string]>([
    ["bls", "no removable path", remove(removable), `${removable} is missing on the ESP`],
    ["bls", "a loader cut off", cut(removable), `${removable} is cut off`],
    [
      "bls",
      "no loader by its name",
      remove("EFI/systemd/systemd-bootx64.efi"),
      "systemd-bootx64.efi is missing",
    ],
    ["bls", "no entry", remove(entry), `no boot entry is of the kernel ${version}`],
    ["bls", "an entry for another root", text(entry, rootWord, "root=UUID=uu"), `does not say ${rootWord}`],
    ["bls", "an entry without a kernel", text(entry, /^linux.*$/m, ""), "names no kernel or no initramfs"],
    [
      "bls",
      "an entry without an initramfs",
      text(entry, /^initrd.*$/m, ""),
      "names no kernel or no initramfs",
    ],
    ["bls", "an entry that leads nowhere", text(entry, `/${linux}`, "/gone"), "/gone is missing"],
    ["bls", "a kernel cut off", cut(linux), `/${linux} is cut off`],
    ["bls", "an initramfs cut off", cut(`debian/${version}/initrd.img-${version}`), "has only 1600 bytes"],
    ["uki", "no unified image", remove(uki), `${uki} is missing on the ESP`],
    ["uki", "a unified image cut off", cut(uki), `${uki} is cut off`],
    [
      "uki",
      "an image for another root",
      (esp) => put(esp, uki, image({ ".cmdline": Buffer.from("root=UUID=x") })),
      `does not say ${rootWord}`,
    ],
    [
      "uki",
      "an image with another initramfs",
      (esp) => put(esp, uki, image({ ".initrd": Buffer.alloc(2 ** 20) })),
      "the part .initrd of",
    ],
    [
      "uki",
      "an image with another kernel",
      (esp) => put(esp, uki, image({ ".linux": efiProgram() })),
      "the part .linux of",
    ],
    [
      "uki",
      "an image that says another kernel",
      (esp) => put(esp, uki, image({ ".uname": Buffer.from("5.10") })),
      "is of another kernel",
    ],
    ["uki", "the stub alone", (esp) => put(esp, uki, efiProgram()), "has no part .linux"],
    ["own-uki", "an unsigned image", (esp) => put(esp, uki, image()), `${uki} is not signed`],
    [
      "own-uki",
      "an image signed by another",
      (esp) => put(esp, uki, signEfi(image(), debian, "x")),
      `${uki} is signed by another key`,
    ],
    ["own-uki", "an image changed since", flip(uki), `${uki} has changed since it was signed`],
    [
      "own-uki",
      "an unsigned loader",
      (esp) => put(esp, removable, efiProgram()),
      `${removable} is not signed`,
    ],
    [
      "own-uki",
      "no keys to enrol",
      remove("loader/keys/auto/KEK.auth"),
      "loader/keys/auto/KEK.auth is missing",
    ],
    ["own-uki", "keys cut off", (esp) => put(esp, "loader/keys/auto/db.auth", ""), "db.auth is cut off"],
    ["own-bls", "an unsigned kernel", (esp) => put(esp, linux, kernel), `/${linux} is not signed`],
    ["grub", "GRUB cut off", cut("EFI/debian/grubx64.efi"), "EFI/debian/grubx64.efi is not the tree's"],
    ["grub", "no way to the menu", remove("EFI/debian/grub.cfg"), "EFI/debian/grub.cfg is missing"],
    [
      "grub",
      "a way to another menu",
      text("EFI/debian/grub.cfg", "m-m", "x-x"),
      "does not lead to the filesystem of /boot",
    ],
    [
      "shim-grub",
      "GRUB where shim belongs",
      (esp) => cpSync(join(esp, "EFI/BOOT/grubx64.efi"), join(esp, removable)),
      `${removable} is not the tree's`,
    ],
    ["shim-grub", "no GRUB beside shim", remove("EFI/BOOT/grubx64.efi"), "EFI/BOOT/grubx64.efi is missing"],
    ["shim-systemd-boot", "an unsigned kernel", (esp) => put(esp, linux, kernel), `/${linux} is not signed`],
    ["shim-systemd-boot", "a kernel changed since", flip(linux), `/${linux} has changed since it was signed`],
  ])("of %s refuses %s", async (kind, _what, damage, message) => {
    const check = whole(kind);
    damage(check.esp);
    await expect(checkEsp(check)).rejects.toThrow(message);
  });

  it.each<[Kind, string, (kernels: string) => void, string]>([
    ["apart-bls", "no entry", remove(entry), `no boot entry is of the kernel ${version}`],
    ["apart-bls", "a kernel cut off", cut(linux), `/${linux} is cut off`],
    [
      "apart-bls",
      "no initramfs",
      remove(`debian/${version}/initrd.img-${version}`),
      `initrd.img-${version} is missing on the extended boot loader partition`,
    ],
    ["apart-uki", "no image", remove(uki), `${uki} is missing on the extended boot loader partition`],
  ])("of %s refuses %s", async (kind, _what, damage, message) => {
    const check = whole(kind);
    damage(check.kernels!);
    await expect(checkEsp(check)).rejects.toThrow(message);
  });

  it("does not take kernels on the ESP for those of the extended boot loader partition", async () => {
    const check = whole("bls");
    await expect(checkEsp({ ...check, kernels: join(tempDir(), "empty") })).rejects.toThrow(
      `no boot entry is of the kernel ${version}`,
    );
  });

  it.each(["bls", "uki"] as const)("wants the root hash of a root with verity in %s", async (kind) => {
    await expect(checkEsp({ ...whole(kind), moreWords: ["roothash=abc"] })).rejects.toThrow(
      "does not say roothash=abc",
    );
  });

  it("refuses Debian's way with a kernel that Debian did not sign", async () => {
    const check = whole("shim-grub");
    put(check.root, `boot/vmlinuz-${version}`, kernel);
    await expect(checkEsp(check)).rejects.toThrow(`/boot/vmlinuz-${version} is not signed`);
  });
});
