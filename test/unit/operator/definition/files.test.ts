import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readFiles } from "../../../../src/operator/definition/files.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

describe("readFiles", () => {
  it("gives files with the paths of the new system, sorted, with one of two modes, and links as links", () => {
    const dir = tempDir();
    mkdirSync(join(dir, "usr/local/bin"), { recursive: true });
    mkdirSync(join(dir, "etc/empty"), { recursive: true });
    writeFileSync(join(dir, "usr/local/bin/tool"), "#!/bin/sh\n");
    chmodSync(join(dir, "usr/local/bin/tool"), 0o700);
    writeFileSync(join(dir, "etc/motd"), "hi\n");
    chmodSync(join(dir, "etc/motd"), 0o666);
    symlinkSync("/nowhere/at all", join(dir, "etc/link"));
    const { files, links } = readFiles(dir);
    expect([...files].map(([path, { bytes, mode }]) => [path, bytes.toString(), mode])).toEqual([
      ["/etc/motd", "hi\n", 0o644],
      ["/usr/local/bin/tool", "#!/bin/sh\n", 0o755],
    ]);
    expect(links).toEqual([{ path: "/etc/link", link: "/nowhere/at all" }]);
  });

  it("is empty for a definition without them", () => {
    const { files, links } = readFiles(undefined);
    expect([files.size, links]).toEqual([0, []]);
  });

  it("refuses what no tree can take from it", () => {
    const fifo = tempDir();
    execFileSync("mkfifo", [join(fifo, "pipe")]);
    expect(() => readFiles(fifo)).toThrow(/pipe is neither a file, a directory nor a symbolic link$/);
    const newline = tempDir();
    writeFileSync(join(newline, "a\nb"), "");
    expect(() => readFiles(newline)).toThrow(/a name with control characters$/);
    const large = tempDir();
    writeFileSync(join(large, "a"), "");
    truncateSync(join(large, "a"), 16 * 2 ** 20);
    expect(readFiles(large).files.size).toBe(1);
    writeFileSync(join(large, "b"), "x");
    expect(() => readFiles(large)).toThrow("files/ holds more than 16 MiB");
  });
});
