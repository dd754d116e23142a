import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { neededLibraries } from "../../../../src/operator/base/elf.ts";
import { elf } from "../../../helpers/builders/elf.ts";

describe("neededLibraries", () => {
  it("gives what the dynamic section asks for, in its order", () => {
    expect(neededLibraries(elf(["libm.so.6", "libc.so.6"]))).toEqual(["libm.so.6", "libc.so.6"]);
    expect(neededLibraries(elf([]))).toEqual([]);
  });

  it("gives nothing for what is no ELF file of 64 bits", () => {
    const bits32 = elf(["libc.so.6"]);
    bits32[4] = 1;
    for (const file of [Buffer.from("#!/bin/sh\n".repeat(20)), Buffer.alloc(10), Buffer.alloc(0), bits32])
      expect(neededLibraries(file)).toBeUndefined();
  });

  it("gives no library for a static program", () => {
    const file = elf(["libc.so.6"]);
    file.writeUInt32LE(0, 64 + 56);
    expect(neededLibraries(file)).toEqual([]);
  });

  it("agrees with the dynamic linker about this machine's node", () => {
    const needed = neededLibraries(readFileSync(process.execPath))!;
    const linked = execFileSync("ldd", [process.execPath], { encoding: "utf8" });
    expect(needed).toContain("libc.so.6");
    for (const name of needed) expect(linked).toContain(name);
  });
});
