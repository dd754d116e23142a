import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { cpioBytes } from "../../../../src/archive/cpio.ts";
import { deployParts, frame } from "../../../../src/operator/takeover/base-cpio.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

/** What GNU cpio makes of the archives that follow one another: each is unpacked where the one before ended. */
function unpack(archives: Buffer, into: string): string[] {
  mkdirSync(into);
  const file = join(into, "../all.cpio");
  writeFileSync(file, archives);
  const names: string[] = [];
  const end = Buffer.from("TRAILER!!!\0");
  for (let at = 0; at < archives.length; ) {
    const rest = archives.subarray(at);
    const out = execFileSync("cpio", ["--extract", "--verbose", "--make-directories", "--quiet"], {
      cwd: into,
      input: rest,
      stdio: ["pipe", "pipe", "pipe"],
      encoding: "buffer",
    });
    names.push(...out.toString().split("\n"));
    const listed = execFileSync("cpio", ["--list", "--quiet"], { input: rest, encoding: "utf8" });
    names.push(...listed.split("\n").filter((line) => line !== ""));
    // Blocks of 512 bytes are filled with zeros behind the trailer, which the kernel passes over.
    at += Math.ceil((rest.indexOf(end) + end.length) / 512) * 512;
    while (at < archives.length && archives[at] === 0) at += 512;
  }
  return names.filter((name) => name !== "");
}

describe("a deploy's initramfs", () => {
  it("is laid together around the base's files into archives that cpio unpacks, byte for byte", async () => {
    for (const sizes of [
      { kernel: 1, outer: 1024, kit: 4095 },
      { kernel: 513, outer: 3, kit: 4 },
    ]) {
      const content = Object.fromEntries(
        Object.entries(sizes).map(([name, size]) => [name, Buffer.alloc(size, name)]),
      );
      const deploy = await cpioBytes([
        { type: "file", name: "imgbuild/deploy.json", mode: 0o600, content: Buffer.from("{}") },
      ]);
      const parts = await deployParts(sizes, deploy);
      expect(parts.length).toBe(4);
      const whole = Buffer.concat([
        parts[0]!,
        content.kernel!,
        parts[1]!,
        content.outer!,
        parts[2]!,
        content.kit!,
        parts[3]!,
      ]);
      const into = join(tempDir(), "root");
      expect(
        unpack(whole, into).filter((name) => !name.endsWith("imgbuild") && !name.endsWith("base")),
      ).toEqual(["imgbuild/base/kernel", "imgbuild/base/outer", "imgbuild/base/kit", "imgbuild/deploy.json"]);
      for (const [name, bytes] of Object.entries(content))
        expect(readFileSync(join(into, "imgbuild/base", name)).equals(bytes), name).toBe(true);
      expect(readFileSync(join(into, "imgbuild/deploy.json"), "utf8")).toBe("{}");
    }
  });

  it("begins each archive where the kernel accepts one", async () => {
    for (const size of [0, 1, 2, 3, 4, 511, 512, 513]) {
      const { before, after } = await frame("imgbuild/base/kernel", size);
      expect((before.length + size + after.length) % 512, `${size}`).toBe(0);
      expect(Buffer.from(before).includes(0xff)).toBe(false);
      expect(Buffer.from(after).includes(0xff)).toBe(false);
    }
  });
});
