import { execFileSync } from "node:child_process";
import { lstatSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { stagePackages } from "../../../../src/debian/unpack/stage.ts";
import { filterRun } from "../../../../src/system/run/filter.ts";
import { Fail } from "../../../../src/util/fail.ts";
import { arMember, type DebMember, makeDeb, tarOf } from "../../../helpers/builders/deb.ts";
import { emptyTree, place, stage } from "../../../helpers/builders/placing.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

// F38: what a package's archive may hold. Nothing of it leads out of the tree; what no package holds is refused before anything is placed.

const filter: Parameters<typeof stagePackages>[1]["filter"] = (argv, io) =>
  filterRun(argv, { ...io, timeoutMs: 60_000 });

/** A package whose data archive is these bytes, packed or not, unpacked beside a tree. */
async function stageData(data: Buffer, suffix = ""): Promise<unknown> {
  const { file, locked } = makeDeb("a");
  const control = arMember("control.tar", tarOf([{ name: "./control", content: "Package: a\n" }]));
  const parts = [
    "!<arch>\n",
    arMember("debian-binary", "2.0\n"),
    control,
    arMember(`data.tar${suffix}`, data),
  ];
  writeFileSync(file, Buffer.concat(parts.map((part) => Buffer.from(part as string))));
  return await stagePackages([locked], { directory: tempDir(), lanes: 1, filter, pathOf: () => file });
}

/** Everything below a directory, links not followed. */
const listOf = (directory: string) => readdirSync(directory, { recursive: true, encoding: "utf8" }).sort();
const header = (change: (block: Buffer) => void, member: DebMember = { name: "./x" }) => {
  const block = tarOf([member]).subarray(0, 512);
  change(block);
  block.fill(" ", 148, 156);
  const sum = block.reduce((all, byte) => all + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0`, 148, "latin1");
  return block;
};
const sized = (field: string) =>
  Buffer.concat([header((block) => block.write(field, 124, "latin1")), Buffer.alloc(4096)]);

describe("a package that holds (F38)", () => {
  it.each<[string, Buffer, RegExp]>([
    ["a path upwards", tarOf([{ name: "./../../out", content: "x" }]), /holds a file named/],
    [
      "a path upwards in its middle",
      tarOf([{ name: "./a/../../../out", content: "x" }]),
      /holds a file named/,
    ],
    [
      "a path upwards in a long name",
      tarOf([{ name: `./${"a/".repeat(80)}${"../".repeat(90)}out` }]),
      /holds a file/,
    ],
    ["a name with a newline", tarOf([{ name: "./a\nb", content: "x" }]), /holds a file named/],
    ["a name with an escape sequence", tarOf([{ name: "./a\x1b[2J", content: "x" }]), /holds a file named/],
    [
      "a name that is no UTF-8",
      header((block) => block.write("\xff\xfe", 2, "latin1")),
      /holds a file named/,
    ],
    [
      "10,000 levels",
      tarOf([{ name: `./${"a/".repeat(10_000)}x`, content: "x" }]),
      /has a name of 20004 bytes/,
    ],
    [
      "a pax header of 600 MiB",
      header((block) => block.write("04540000000\0", 124, "latin1"), { name: "./x", flag: "x" }),
      /member of type "x"/,
    ],
    [
      "a global pax header",
      tarOf([{ name: "./x", flag: "g", content: "path=/etc/x" }]),
      /member of type "g"/,
    ],
    ["a sparse file", tarOf([{ name: "./x", flag: "S", content: "x" }]), /member of type "S"/],
    ["another volume", tarOf([{ name: "./x", flag: "M", content: "x" }]), /member of type "M"/],
    ["a negative size", sized("-0000000001\0"), /is damaged/],
    ["a size in base 256", sized("\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff"), /is damaged/],
    ["a negative size in base 256", sized("\xff".repeat(12)), /is damaged/],
    ["8 GiB that are not there", sized("77777777777\0"), /ends early/],
    [
      "two archives",
      Buffer.concat([tarOf([{ name: "./x" }]), tarOf([{ name: "./y" }])]),
      /more archives than it says/,
    ],
    [
      "other bytes after its end",
      Buffer.concat([tarOf([{ name: "./x" }]), Buffer.alloc(512, "x")]),
      /more archives|damaged/,
    ],
    ["no archive", Buffer.alloc(0), /an empty archive/],
    ["nothing but zeros", Buffer.alloc(10_240), /an empty archive/],
    ["random bytes", Buffer.alloc(10_240, "imgbuild"), /damaged/],
  ])("%s is refused", async (_what, data, message) => {
    const error = await stageData(data).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(Fail);
    expect((error as Fail).message).toMatch(message);
  });

  it.each<[string, (bytes: Buffer) => Buffer]>([
    [".gz", (bytes) => gzipSync(bytes)],
    [".xz", (bytes) => execFileSync("xz", ["--stdout", "-1"], { input: bytes })],
    [".zst", (bytes) => execFileSync("zstd", ["--stdout", "--quiet"], { input: bytes })],
  ])("a bomb in %s is refused in little memory and time", { timeout: 60_000 }, async (suffix, packed) => {
    // All three take streams one after the other for one stream.
    const begin = packed(sized("77777777777\0").subarray(0, 512));
    const more = packed(Buffer.alloc(2 ** 22));
    const bomb = Buffer.concat([begin, ...Array<Buffer>(160).fill(more)]);
    expect(bomb.length).toBeLessThan(2 ** 20);
    const before = process.memoryUsage().rss;
    const began = Date.now();
    await expect(stageData(bomb, suffix)).rejects.toThrow(
      /unpacks to more than 200 times its size: .*a\.deb$/,
    );
    expect(Date.now() - began).toBeLessThan(40_000);
    expect(process.memoryUsage().rss - before).toBeLessThan(400 * 2 ** 20);
  });

  it("packed bytes that end early, or are followed by others, is refused", async () => {
    const data = gzipSync(tarOf([{ name: "./x", content: "x".repeat(2_000) }]));
    await expect(stageData(data.subarray(0, -9), ".gz")).rejects.toThrow(Fail);
    await expect(stageData(Buffer.concat([data, Buffer.from("garbage")]), ".gz")).rejects.toThrow(Fail);
    await expect(stageData(Buffer.alloc(0), ".gz")).rejects.toThrow(Fail);
  });
});

describe("a package's member (F38)", () => {
  /** What comes of a package in a tree beside which something lies that it would like to reach. */
  async function placed(
    data: readonly DebMember[],
    before: (root: string, outside: string) => void = () => {},
  ) {
    const root = emptyTree();
    const outside = tempDir();
    writeFileSync(join(outside, "secret"), "secret", { mode: 0o640 });
    before(root, outside);
    const untouched = () => [
      listOf(outside),
      readFileSync(join(outside, "secret"), "utf8"),
      lstatSync(join(outside, "secret")),
    ];
    const was = untouched();
    const [reason] = place(root, [
      await stage("a", {
        data: data.map((one) => ({
          ...one,
          ...(one.link === undefined ? {} : { link: one.link.replace("OUT", outside) }),
        })),
      }),
    ]);
    expect(untouched()).toEqual(was);
    return { root, outside, reason };
  }

  it("with an absolute name is one of the tree", async () => {
    const { root } = await placed([{ name: "/etc/" }, { name: "//etc/imgbuild-absolute", content: "x" }]);
    expect(readdirSync(join(root, "etc"))).toContain("imgbuild-absolute");
  });

  it("below a link of the same package is not written through it", async () => {
    for (const link of ["OUT", "../../../../../../../../OUT", "/proc/self/cwd"]) {
      const { reason } = await placed([
        { name: "./d", link },
        { name: "./d/x", content: "x" },
        { name: "./d/secret", content: "y" },
      ]);
      expect(reason).toBe("/d is not in the tree");
    }
  });

  it("below a link that is in the tree already is not written out of it", async () => {
    const { root, reason } = await placed(
      [{ name: "./d/secret", content: "x" }, { name: "./d/" }],
      (tree, outside) => symlinkSync(outside, join(tree, "d")),
    );
    expect(reason).toMatch(/\/d is not in the tree|leads/);
    expect(lstatSync(join(root, "d")).isSymbolicLink()).toBe(true);
  });

  it("that is a hard link is one to a file of the tree, if any", async () => {
    for (const link of ["OUT/secret", "../../../../../../OUT/secret", "./../OUT/secret"]) {
      const { root, reason } = await placed([{ name: "./h", flag: "1", link }]);
      expect(reason).toBeDefined();
      expect(readdirSync(root)).not.toContain("h");
    }
    // A link in the tree is linked as a link, and not followed.
    const { root } = await placed([{ name: "./h", flag: "1", link: "./s" }], (tree, outside) =>
      symlinkSync(join(outside, "secret"), join(tree, "s")),
    );
    expect(lstatSync(join(root, "h")).isSymbolicLink()).toBe(true);
  });

  it("that is a device or a pipe is left to dpkg, and nothing is made", async () => {
    for (const flag of ["3", "4", "6"]) {
      const { root, reason } = await placed([
        { name: "./x", content: "x" },
        { name: "./dev", flag },
      ]);
      expect(reason).toBe("/dev is a device or a pipe");
      expect(readdirSync(root)).not.toContain("x");
      expect(readdirSync(root)).not.toContain("dev");
    }
  });

  it("may change its owner's rights in the tree alone, and may come twice", async () => {
    const { root, reason } = await placed([
      { name: "./su", content: "1", mode: 0o6755 },
      { name: "./twice", content: "1" },
      { name: "./twice", content: "2" },
      { name: "./Case", content: "1" },
      { name: "./case", content: "2" },
      { name: "./é", content: "composed" },
      { name: "./e\u0301", content: "decomposed" },
    ]);
    expect(reason).toBeUndefined();
    expect(lstatSync(join(root, "su")).mode & 0o7777).toBe(0o6755);
    const read = ["twice", "Case", "case", "é", "e\u0301"].map((name) =>
      readFileSync(join(root, name), "utf8"),
    );
    expect(read).toEqual(["2", "1", "2", "composed", "decomposed"]);
  });

  it("as deep as a path can be is placed within moments", { timeout: 60_000 }, async () => {
    const depth = 1_900;
    const data = Array.from({ length: depth }, (_, index) => ({ name: `./${"a/".repeat(index + 1)}` }));
    const { root, reason } = await placed([...data, { name: `./${"a/".repeat(depth)}x`, content: "x" }]);
    expect(reason).toBeUndefined();
    expect(readFileSync(join(root, `${"a/".repeat(depth)}x`), "utf8")).toBe("x");
    // What clears up after the test calls itself for each level.
    execFileSync("rm", ["-rf", join(root, "a")]);
  });
});
