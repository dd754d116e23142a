import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readPe } from "../../../src/boot/efi/pe.ts";
import { throwawaySigner } from "../../../src/boot/efi/self-signed.ts";
import { signEfi } from "../../../src/boot/efi/sign-efi.ts";
import { makeUki } from "../../../src/boot/make-uki.ts";
import { run } from "../../../src/system/run/run.ts";
import { efiProgram } from "../../helpers/builders/pe.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const stub = efiProgram({ ".text": Buffer.alloc(600, 1), ".sdmagic": Buffer.from("#### LoaderInfo") });
const inputs = {
  stub,
  linux: efiProgram({ ".text": Buffer.alloc(5000, 2) }),
  initrd: Buffer.alloc(9000, 3),
  cmdline: Buffer.from("# words\nroot=UUID=u   ro\n\n console=ttyS0 \n"),
  "os-release": Buffer.from("ID=debian\n"),
};

async function make(change: Partial<Record<keyof typeof inputs, Buffer>> = {}, uname = "6.1-x") {
  const dir = tempDir();
  const output = join(dir, "out.efi");
  writeFileSync(join(dir, "make-uki"), makeUki);
  chmodSync(join(dir, "make-uki"), 0o755);
  const words = Object.entries({ ...inputs, ...change }).flatMap(([name, content]) => {
    writeFileSync(join(dir, name), content);
    return [`--${name}`, join(dir, name)];
  });
  await run(["perl", join(dir, "make-uki"), ...words, "--uname", uname, "--output", output]).catch(
    (error: unknown) => {
      expect(existsSync(output)).toBe(false);
      throw error;
    },
  );
  return readFileSync(output);
}

describe("make-uki", () => {
  it("adds what it is given to the stub, one word apart, the kernel last, and nothing overlaps", async () => {
    const image = await make();
    const { sections, bytes } = readPe(image, "out.efi");
    expect(sections.map(({ name }) => name)).toEqual([
      ...[".text", ".sdmagic", ".osrel", ".cmdline", ".uname", ".initrd", ".linux"],
    ]);
    const part = (name: string) => sections.find((one) => one.name === name)!.content;
    expect(part(".cmdline").toString()).toBe("root=UUID=u ro console=ttyS0");
    expect(part(".uname").toString()).toBe("6.1-x");
    expect(part(".osrel").equals(inputs["os-release"])).toBe(true);
    expect(part(".initrd").equals(inputs.initrd)).toBe(true);
    expect(part(".linux").equals(inputs.linux)).toBe(true);
    expect(part(".text").equals(Buffer.alloc(600, 1))).toBe(true);
    const table = 0x40 + 24 + 240;
    const places = sections.map((_, index) => {
      const [size, address] = [8, 12].map((offset) => bytes.readUInt32LE(table + index * 40 + offset)) as [
        number,
        number,
      ];
      return { address, end: address + size };
    });
    for (const [index, { address }] of places.entries()) {
      expect(address % 4096).toBe(0);
      if (index > 0) expect(address).toBeGreaterThanOrEqual(places[index - 1]!.end);
    }
    const sizeOfImage = bytes.readUInt32LE(0x40 + 24 + 56);
    expect(sizeOfImage % 4096).toBe(0);
    expect(sizeOfImage).toBeGreaterThanOrEqual(places.at(-1)!.end);
  });

  it("gives the same bytes each time", async () => {
    expect((await make()).equals(await make())).toBe(true);
  });

  it("allows writable code only where the kernel needs it", async () => {
    const flags = (image: Buffer) => image.readUInt16LE(0x40 + 24 + 70);
    expect(flags(await make())).toBe(0x100);
    expect(flags(await make({ linux: efiProgram(undefined, { nxCompat: false }) }))).toBe(0);
  });

  it.each([
    ["a kernel that is none", { linux: Buffer.alloc(9000) }, "is no PE file"],
    ["a stub that is cut off", { stub: stub.subarray(0, 0x700) }, "is cut off"],
    ["a signed stub", { stub: signEfi(stub, throwawaySigner("x"), "stub") }, "is signed already"],
    ["an empty initramfs", { initrd: Buffer.alloc(0) }, "initrd is empty"],
  ] as const)("refuses %s and leaves nothing", async (_what, change, message) => {
    await expect(make(change)).rejects.toThrow(message);
  });
});
