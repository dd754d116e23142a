import { describe, expect, it } from "vitest";
import { peDigest, readPe } from "../../../../src/boot/efi/pe.ts";
import { efiProgram } from "../../../helpers/builders/pe.ts";

describe("readPe", () => {
  it("gives the parts of a program, without what fills them up", () => {
    const parts = { ".text": Buffer.alloc(700, 1), ".osrel": Buffer.from("ID=debian\n") };
    const { sections, signatures } = readPe(efiProgram(parts), "x.efi");
    expect(sections.map(({ name, content }) => [name, content.length])).toEqual([
      [".text", 700],
      [".osrel", 10],
    ]);
    expect(sections[1]!.content.toString()).toBe("ID=debian\n");
    expect(signatures).toEqual([]);
  });

  it.each([
    ["nothing", Buffer.alloc(0), "x.efi is no EFI program"],
    ["a text", Buffer.from("#!/bin/sh\n".repeat(100)), "x.efi is no EFI program"],
    [
      "an MZ that leads nowhere",
      Buffer.concat([Buffer.from("MZ"), Buffer.alloc(600, 0xff)]),
      "x.efi is no EFI program",
    ],
    [
      "one for ARM",
      efiProgram(undefined, { machine: 0xaa64 }),
      "x.efi is an EFI program for another processor",
    ],
    [
      "one cut off in a part",
      efiProgram().subarray(0, 0x700),
      "x.efi is cut off: its part .text ends at 2560, the file at 1792",
    ],
    ["one cut off in its headers", efiProgram().subarray(0, 0x148), "x.efi is cut off in its headers"],
  ])("refuses %s", (_what, bytes, message) => {
    expect(() => readPe(bytes, "x.efi")).toThrow(message);
  });

  it("refuses one whose signature is cut off", () => {
    const program = efiProgram();
    const { certificatesAt } = readPe(program, "x.efi");
    program.writeUInt32LE(program.length, certificatesAt);
    program.writeUInt32LE(64, certificatesAt + 4);
    expect(() => readPe(program, "x.efi")).toThrow("x.efi is cut off in its signature");
  });
});

describe("peDigest", () => {
  const digest = (bytes: Buffer) => peDigest(readPe(bytes, "x.efi")).toString("hex");

  it("changes with every byte but the checksum's and those that tell of signatures", () => {
    const program = efiProgram();
    const { checksumAt, certificatesAt } = readPe(program, "x.efi");
    const changed = (at: number) => {
      const other = Buffer.from(program);
      other.writeUInt8(other[at]! ^ 1, at);
      return digest(other) !== digest(program);
    };
    for (const at of [
      2,
      checksumAt - 1,
      checksumAt + 4,
      certificatesAt - 1,
      certificatesAt + 8,
      0x600,
      program.length - 1,
    ])
      expect(changed(at), String(at)).toBe(true);
    for (const at of [checksumAt, checksumAt + 3, certificatesAt])
      expect(changed(at), String(at)).toBe(false);
  });
});
