import { execFileSync } from "node:child_process";
import { gunzipSync, gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { gunzipTar, type TarCaps, type TarEntry, tar, tarGz, tarMembers } from "../../../src/archive/tar.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const content = Buffer.from("content\n");
const wide: TarCaps = { bytes: 1024 * 1024, members: 10 };

async function membersOf(bytes: Uint8Array): Promise<TarEntry[]> {
  const found: TarEntry[] = [];
  for await (const member of tarMembers(bytes)) found.push(member);
  return found;
}

/** An archive of one member, whose header or content `change` bends; its sum is right again. */
async function bent(name: string, body: Uint8Array, change: (archive: Buffer) => void): Promise<Uint8Array> {
  const archive = Buffer.from(await tar([{ name, content: body }]));
  change(archive);
  archive.fill(" ", 148, 156);
  const sum = archive.subarray(0, 512).reduce((all, byte) => all + byte, 0);
  archive.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return archive;
}

describe("an archive of files", () => {
  it("is what tar(1) reads, with root as owner and no time", async () => {
    const archive = await tar([
      { name: "bin/run", content, mode: 0o755 },
      { name: "empty", content: new Uint8Array() },
      { name: "a", content: new Uint8Array(Buffer.from("-content-")).subarray(1, -1) },
    ]);
    const options = {
      cwd: tempDir(),
      input: archive,
      encoding: "utf8" as const,
      env: { PATH: "/usr/bin:/bin", TZ: "UTC" },
    };
    const lines = execFileSync("tar", ["--list", "--verbose", "--numeric-owner"], options).trim().split("\n");
    expect(lines.map((line) => line.replace(/ +/g, " "))).toEqual([
      "-rwxr-xr-x 0/0 8 1970-01-01 00:00 bin/run",
      "-rw-r--r-- 0/0 0 1970-01-01 00:00 empty",
      "-rw-r--r-- 0/0 7 1970-01-01 00:00 a",
    ]);
    expect(execFileSync("tar", ["--extract", "--to-stdout", "a"], options)).toBe("content");
  });

  it("says compressed neither when nor on what it was made, and comes back", async () => {
    const entries = [{ name: "a", content: Buffer.alloc(5_000, "abc") }];
    const packed = Buffer.from(await tarGz(entries));
    // RFC 1952: time and system.
    expect([...packed.subarray(4, 8), packed[9]]).toEqual([0, 0, 0, 0, 255]);
    expect(packed.equals(gzipSync(await tar(entries), { level: 1 }))).toBe(false);
    expect(packed.length).toBeLessThan(500);
    expect(await membersOf(gunzipTar(packed, wide))).toEqual(entries);
  });

  it("is a file of zeros where nothing is in it", async () => {
    expect(await membersOf(gunzipTar(await tarGz([]), wide))).toEqual([]);
  });

  it.each(["", "/a", "a/", "a//b", ".", "./a", "..", "a/../b", "a\nb", "a\0b", "a\x7fb", "x".repeat(4001)])(
    "holds no %j, written or read",
    async (name) => {
      const refused = /^archive member .* a relative path without control characters/;
      await expect(tar([{ name, content }])).rejects.toThrow(refused);
      if (name === "" || name.includes("\0") || name.length > 99 || name.endsWith("/")) return;
      const archive = await bent("a", content, (bytes) => bytes.fill(0, 0, 100).write(name, 0, "latin1"));
      await expect(membersOf(gunzipTar(gzipSync(archive), wide))).rejects.toThrow(refused);
    },
  );

  it.each(["a", "a/b", ".a", "a..b", "...", "ä b", `${"d/".repeat(1999)}ab`])("holds %j", async (name) => {
    const packed = await tarGz([{ name, content }]);
    expect(await membersOf(gunzipTar(packed, wide))).toEqual([{ name, content }]);
  });

  it("shows no more than the beginning of a long name", async () => {
    const error = await tar([{ name: "y".repeat(5_000), content }]).catch((thrown: Error) => thrown);
    expect((error as Error).message.match(/y+/)![0]).toBe("y".repeat(200));
  });
});

describe("an archive from somebody else", () => {
  it("may unpack to as much as is allowed, and to no byte more", async () => {
    const packed = await tarGz([{ name: "a", content }]);
    const size = gunzipSync(packed).length;
    expect(gunzipTar(packed, { ...wide, bytes: size }).length).toBe(size);
    expect(() => gunzipTar(packed, { ...wide, bytes: size - 1 })).toThrow(
      `the archive unpacks to more than ${size - 1} bytes`,
    );
  });

  it("may have as many members as are allowed, and not one more", async () => {
    const many = (count: number) =>
      tarGz(Array.from({ length: count }, (_, index) => ({ name: `f${index}`, content })));
    expect((await membersOf(gunzipTar(await many(10), wide))).length).toBe(10);
    const eleven = await many(11);
    expect(() => gunzipTar(eleven, wide)).toThrow("the archive has more than 10 members");
  });

  it("may have an extended header as long as a long name needs, and no longer", async () => {
    const extended = (size: number) => bent("a", Buffer.alloc(size, "0"), (bytes) => bytes.write("x", 156));
    const most = 4096 + 512;
    const fits = gzipSync(await extended(most));
    expect(() => gunzipTar(fits, wide)).not.toThrow();
    const more = gzipSync(await extended(most + 1));
    expect(() => gunzipTar(more, wide)).toThrow(`the archive has an extended header of ${most + 1} bytes`);
  });

  it("is refused when it is no archive, or is damaged or cut off anywhere", async () => {
    expect(() => gunzipTar(Buffer.from("no gzip"), wide)).toThrow(/^the archive is damaged: /);
    const archive = Buffer.from(await tar([{ name: "a", content: Buffer.alloc(513) }]));
    for (const length of [0, 1, 511, 512, 1024, 1536, archive.length - 1024, archive.length - 1])
      expect(() => gunzipTar(gzipSync(archive.subarray(0, length)), wide), String(length)).toThrow(
        /cut off|does not end where it should/,
      );
    const wrongSum = Buffer.from(archive);
    wrongSum.write("0000000", 148, "latin1");
    await expect(membersOf(gunzipTar(gzipSync(wrongSum), wide))).rejects.toThrow(/^the archive is damaged: /);
  });

  it("is refused when anything follows it, within or behind", async () => {
    const packed = await tarGz([{ name: "a", content }]);
    const plain = gunzipSync(packed);
    expect(() => gunzipTar(Buffer.concat([packed, Buffer.from([0])]), wide)).toThrow(
      "the archive is followed by other data",
    );
    const ends = "the archive does not end where it should";
    for (const after of [Buffer.alloc(512), Buffer.from("x"), Buffer.alloc(1)])
      expect(() => gunzipTar(gzipSync(Buffer.concat([plain, after])), wide)).toThrow(ends);
    for (const at of [plain.length - 1, plain.length - 512]) {
      const bad = Buffer.from(plain);
      bad[at] = 1;
      expect(() => gunzipTar(gzipSync(bad), wide), String(at)).toThrow(ends);
    }
  });

  it("says how large a member is in eleven octal digits, ended by a space or NUL", async () => {
    const sized = (field: string) =>
      bent("a", content, (bytes) => bytes.fill(0, 124, 136).write(field, 124, "latin1"));
    for (const field of ["00000000010 ", "00000000010\0"])
      expect(await membersOf(gunzipTar(gzipSync(await sized(field)), wide))).toEqual([
        { name: "a", content },
      ]);
    for (const field of [
      "00000000010x",
      "0000000010 \0",
      "0000000008 \0",
      " 0000000010 ",
      "",
      "\x80\0\0\0\0\0\0\0\0\0\0\x08",
    ]) {
      const packed = gzipSync(await sized(field));
      expect(() => gunzipTar(packed, wide), JSON.stringify(field)).toThrow(
        "the archive has a member without a plain size",
      );
    }
  });

  it("holds files alone, also where tar-stream reads another type than its header says", async () => {
    for (const flag of ["1", "2", "5", "g", "\0", "X"]) {
      const packed = gzipSync(await bent("a", new Uint8Array(), (bytes) => bytes.write(flag, 156, "latin1")));
      expect(() => gunzipTar(packed, wide), JSON.stringify(flag)).toThrow(/member of type .*; only files/);
    }
    const directory = await bent("a", new Uint8Array(), (bytes) => bytes.write("5", 156, "latin1"));
    await expect(membersOf(directory)).rejects.toThrow(
      `archive member "a" is a directory, only files are accepted`,
    );
  });
});
