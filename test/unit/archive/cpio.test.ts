import { execFileSync } from "node:child_process";
import { lstatSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { type CpioEntry, cpio, cpioBytes } from "../../../src/archive/cpio.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const content = Buffer.from("content\n");
const entries: CpioEntry[] = [
  { type: "file", name: "etc/app/config", mode: 0o600, content },
  { type: "symlink", name: "bin/sh", target: "busybox" },
  { type: "directory", name: "proc", mode: 0o555 },
  { type: "file", name: "bin/busybox", mode: 0o755, content: Buffer.alloc(1001, 1) },
  { type: "file", name: "empty", content: new Uint8Array() },
];

describe("an archive for the kernel", () => {
  it("is what cpio(1) reads", async () => {
    const dir = tempDir();
    const options = { cwd: dir, input: await cpioBytes(entries), encoding: "utf8" as const };
    const names = execFileSync("cpio", ["--list", "--quiet"], options).trim().split("\n");
    expect(names).toEqual([
      "bin",
      "bin/busybox",
      "bin/sh",
      "empty",
      "etc",
      "etc/app",
      "etc/app/config",
      "proc",
    ]);
    execFileSync("cpio", ["--extract", "--quiet", "--no-preserve-owner"], options);
    expect(readFileSync(join(dir, "etc/app/config"), "utf8")).toBe("content\n");
    expect(lstatSync(join(dir, "etc/app/config")).mode & 0o7777).toBe(0o600);
    expect(lstatSync(join(dir, "bin/busybox"))).toMatchObject({ size: 1001 });
    expect(lstatSync(join(dir, "bin/busybox")).mode & 0o7777).toBe(0o755);
    expect(lstatSync(join(dir, "proc")).mode & 0o7777).toBe(0o555);
    expect(readlinkSync(join(dir, "bin/sh"))).toBe("busybox");
    expect(lstatSync(join(dir, "empty")).size).toBe(0);
  });

  it("has equal bytes whatever the order, and ends at a block", async () => {
    const bytes = await cpioBytes(entries);
    expect(Buffer.compare(await cpioBytes([...entries].reverse()), bytes)).toBe(0);
    expect(bytes.length % 512).toBe(0);
    // newc, and times that are never now.
    expect(Buffer.from(bytes.subarray(0, 6)).toString()).toBe("070701");
    expect(Buffer.from(bytes.subarray(46, 54)).toString()).toBe("00000001");
  });

  it("gives each member an inode and a link of its own, root as owner, and the mode of its kind", async () => {
    const bytes = Buffer.from(await cpioBytes([...entries, { type: "directory", name: "var" }]));
    expect(headers(bytes)).toEqual([
      { name: "bin", ino: 1, mode: 0o040755, nlink: 1, owner: 0, size: 0 },
      { name: "bin/busybox", ino: 2, mode: 0o100755, nlink: 1, owner: 0, size: 1001 },
      { name: "bin/sh", ino: 3, mode: 0o120777, nlink: 1, owner: 0, size: 7 },
      { name: "empty", ino: 4, mode: 0o100644, nlink: 1, owner: 0, size: 0 },
      { name: "etc", ino: 5, mode: 0o040755, nlink: 1, owner: 0, size: 0 },
      { name: "etc/app", ino: 6, mode: 0o040755, nlink: 1, owner: 0, size: 0 },
      { name: "etc/app/config", ino: 7, mode: 0o100600, nlink: 1, owner: 0, size: 8 },
      { name: "proc", ino: 8, mode: 0o040555, nlink: 1, owner: 0, size: 0 },
      { name: "var", ino: 9, mode: 0o040755, nlink: 1, owner: 0, size: 0 },
    ]);
  });

  it("ends at a block whatever its length, and adds none where it does already", async () => {
    for (let size = 0; size <= 1024; size += 4) {
      const bytes = await cpioBytes([{ type: "file", name: "a", content: Buffer.alloc(size, "x") }]);
      expect(bytes.length % 512, String(size)).toBe(0);
      expect(bytes.length).toBeLessThan(size + 3 * 512);
    }
    expect((await cpioBytes([])).length).toBe(512);
  });

  it("adds the parents that are missing, and keeps those that are named", async () => {
    const list: CpioEntry[] = [
      { type: "file", name: "a/b/c/d", content },
      { type: "directory", name: "a/b", mode: 0o700 },
      { type: "file", name: "a.b", content },
    ];
    expect(
      headers(Buffer.from(await cpioBytes(list))).map((header) => {
        const { name, mode } = header as { name: string; mode: number };
        return `${name} ${mode.toString(8)}`;
      }),
    ).toEqual(["a 40755", "a.b 100644", "a/b 40700", "a/b/c 40755", "a/b/c/d 100644"]);
  });

  it("holds the longest name and target, every permission, and up to 4 GiB less one byte", async () => {
    const name = `${"a".repeat(4000)}${"b".repeat(95)}`;
    const [found] = headers(Buffer.from(await cpioBytes([{ type: "file", name, content, mode: 0o7777 }])));
    expect(found).toMatchObject({ name, mode: 0o107777 });
    const link: CpioEntry = { type: "symlink", name: "l", target: "t".repeat(4095) };
    expect(headers(Buffer.from(await cpioBytes([link])))).toMatchObject([{ size: 4095 }]);
    // Such a file is not there; the size itself was not refused.
    const largest: CpioEntry = { type: "file", name: "a", path: "/dev/null", size: 2 ** 32 - 1 };
    await expect(cpioBytes([largest])).rejects.toThrow(/does not have 4294967295 bytes any more/);
    expect((await cpioBytes([{ type: "file", name: "a", path: "/dev/null", size: 0 }])).length).toBe(512);
  });

  it("reads a file's content from disk, and refuses one that has changed", async () => {
    const path = join(tempDir(), "large");
    writeFileSync(path, Buffer.alloc(300_000, 5));
    const fromDisk = await cpioBytes([{ type: "file", name: "large", path, size: 300_000 }]);
    const fromMemory = await cpioBytes([{ type: "file", name: "large", content: Buffer.alloc(300_000, 5) }]);
    expect(Buffer.compare(fromDisk, fromMemory)).toBe(0);
    await expect(cpioBytes([{ type: "file", name: "large", path, size: 300_001 }])).rejects.toThrow(
      /does not have 300001 bytes any more/,
    );
    await expect(cpioBytes([{ type: "file", name: "large", path: `${path}x`, size: 1 }])).rejects.toThrow(
      /ENOENT/,
    );
    // What a device gives is known only when it has been read.
    for (const device of ["/dev/zero", "/dev/null"])
      await expect(cpioBytes([{ type: "file", name: "d", path: device, size: 100 }])).rejects.toThrow(
        /does not have 100 bytes any more/,
      );
    // A directory has no content to read; the failure is that of the read.
    await expect(cpioBytes([{ type: "file", name: "d", path: dirname(path), size: 1 }])).rejects.toThrow(
      /EISDIR/,
    );
  });

  it("refuses what the format or the kernel cannot hold", async () => {
    const file = (name: string, extra: Partial<CpioEntry> = {}) =>
      ({ type: "file", name, content, ...extra }) as CpioEntry;
    const refused: [CpioEntry[], RegExp][] = [
      [[file("/etc/passwd")], /relative path/],
      [[file("a/../b")], /relative path/],
      [[file("a//b")], /relative path/],
      [[file("a/")], /relative path/],
      [[file("./a")], /relative path/],
      [[file("..")], /relative path/],
      [[file("")], /visible ASCII/],
      [[file("a\n")], /visible ASCII/],
      [[file("\x7fa")], /visible ASCII/],
      [[file("TRAILER!!!")], /relative path/],
      [[file("näme")], /visible ASCII/],
      [[file("a b")], /visible ASCII/],
      [[file("a".repeat(4096))], /too long/],
      [[file("a"), file("a")], /twice/],
      [[file("a"), file("a/b")], /not a directory/],
      [[file("a", { mode: 0o100644 })], /more than permissions/],
      [[file("a/b"), { type: "symlink", name: "a", target: "b" }], /not a directory/],
      [[{ type: "directory", name: "a", mode: 0o40755 }], /more than permissions/],
      ...["", "a b", " a", "a ", "ä", "a".repeat(4096)].map((target): [CpioEntry[], RegExp] => [
        [{ type: "symlink", name: "l", target }],
        /target/,
      ]),
      ...[2 ** 32, -1, 0.5, Number.NaN].map((size): [CpioEntry[], RegExp] => [
        [{ type: "file", name: "a", path: "/dev/null", size }],
        /4 GiB/,
      ]),
    ];
    for (const [list, message] of refused)
      await expect(collect(list), JSON.stringify(list[0]).slice(0, 99)).rejects.toThrow(message);
  });
});

/** Fields of each newc header (linux/Documentation/driver-api/early-userspace/buffer-format.rst), up to the trailer. */
function headers(bytes: Buffer): object[] {
  const found: object[] = [];
  for (let at = 0; ; ) {
    const field = (index: number) =>
      Number.parseInt(bytes.toString("latin1", at + 6 + 8 * index, at + 14 + 8 * index), 16);
    const [size, nameLength] = [field(6), field(11)];
    const name = bytes.toString("latin1", at + 110, at + 110 + nameLength - 1);
    if (name === "TRAILER!!!") return found;
    const owner = field(2) + field(3);
    found.push({ name, ino: field(0), mode: field(1), nlink: field(4), owner, size });
    const even = (length: number) => Math.ceil(length / 4) * 4;
    at += even(110 + nameLength) + even(size);
  }
}

async function collect(list: CpioEntry[]): Promise<void> {
  for await (const _chunk of cpio(list));
}
