import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { checksumLine, compressArgv, putInPlace } from "../../../../src/operator/build/finish-output.ts";
import { run } from "../../../../src/system/run/run.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

function madeIn(dir: string, content: string): { made: string; work: string } {
  const work = join(dir, "work");
  mkdirSync(work, { recursive: true });
  const made = join(work, "made");
  writeFileSync(made, content);
  return { made, work };
}

describe("an output", () => {
  it("comes to its place with a checksum that sha256sum accepts, whatever its name", async () => {
    for (const name of ["web.raw", "with space", "back\\slash"]) {
      const dir = tempDir();
      const { made, work } = madeIn(dir, name);
      await putInPlace(made, join(dir, name), { checksum: true, work });
      expect(readFileSync(join(dir, name), "utf8")).toBe(name);
      await run(["sha256sum", "--check", "--strict", `${name}.sha256`], { cwd: dir });
      expect(readdirSync(work)).toEqual([]);
    }
  });

  it("leaves no checksum of what was there before, but what is not a checksum of ours", async () => {
    const dir = tempDir();
    const to = join(dir, "web.raw");
    const first = madeIn(dir, "one");
    await putInPlace(first.made, to, { checksum: true, work: first.work });
    const second = madeIn(dir, "two");
    await putInPlace(second.made, to, { checksum: false, work: second.work });
    expect(existsSync(`${to}.sha256`)).toBe(false);
    writeFileSync(`${to}.sha256`, "mine\n");
    const third = madeIn(dir, "three");
    await putInPlace(third.made, to, { checksum: false, work: third.work });
    expect(readFileSync(`${to}.sha256`, "utf8")).toBe("mine\n");
  });

  it("is compressed alike by any number of processors", () => {
    expect(compressArgv("/w/x", "zstd", 1)).toEqual(compressArgv("/w/x", "zstd", 2));
    expect(compressArgv("/w/x", "xz", 1).join(" ")).toBe(
      "xz --quiet -6 --threads=2 --no-adjust --suffix=.packed /w/x",
    );
    expect(compressArgv("/w/x", "gzip", 8)).toEqual(compressArgv("/w/x", "gzip", 1));
  });

  it("has the line that sha256sum writes", () => {
    expect(checksumLine("a".repeat(64), "/out/web.raw")).toBe(`${"a".repeat(64)}  web.raw\n`);
  });
});
