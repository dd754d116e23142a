import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { bytesOfMember, membersOfDeb, unpacker } from "../../../../src/debian/package/deb.ts";
import { arMember } from "../../../helpers/builders/deb.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

function deb(...parts: (Buffer | string)[]): string {
  const path = join(tempDir(), "a.deb");
  writeFileSync(path, Buffer.concat(["!<arch>\n", ...parts].map((part) => Buffer.from(part as string))));
  return path;
}

const version = arMember("debian-binary", "2.0\n");
const control = arMember("control.tar.xz", "odd");

async function text(path: string, member: { name: string; offset: number; size: number }): Promise<string> {
  const pieces: Uint8Array[] = [];
  for await (const piece of bytesOfMember(path, member)) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

describe("membersOfDeb", () => {
  it("finds both archives behind members of odd and even length, with a slash after their names or not", async () => {
    for (const name of ["data.tar.xz", "data.tar.xz/"]) {
      const path = deb(version, control, arMember(name, "the files"));
      const found = await membersOfDeb(path);
      expect([found.control.name, await text(path, found.control)]).toEqual(["control.tar.xz", "odd"]);
      expect([found.data.name, await text(path, found.data)]).toEqual(["data.tar.xz", "the files"]);
    }
  });

  it.each([
    ["no archive", () => deb().replace(/a\.deb$/, "b.deb"), /ENOENT/],
    ["another magic", () => wrongMagic(), /is not a Debian package$/],
    ["an empty file", () => empty(), /ends early: not a Debian package$/],
    ["no data", () => deb(version, control), /holds no data\.tar$/],
    ["no control", () => deb(version, arMember("data.tar", "x")), /holds no control\.tar/],
    [
      "data after the last allowed member",
      () => deb(...Array(16).fill(version), arMember("data.tar", "x")),
      /holds no data/,
    ],
    ["a cut end", () => deb(version, control, arMember("data.tar.xz", "the files", 100)), /ends early/],
    [
      "a size of gigabytes that are not there",
      () => deb(arMember("data.tar.xz", "x", 9_999_999_999)),
      /ends early/,
    ],
    ["a damaged header", () => deb(version.subarray(0, 59), "x", control), /is damaged at byte 8$/],
    ["a size that is no number", () => deb(arMember("debian-binary", "2.0\n", "4k")), /is damaged/],
    [
      "a size as a program would write one",
      () => deb(arMember("debian-binary", "2.0\n", "0x4")),
      /is damaged/,
    ],
    ["a size with an exponent", () => deb(arMember("debian-binary", "2.0\n", "4e0")), /is damaged/],
    ["no size", () => deb(arMember("debian-binary", "2.0\n", "")), /is damaged/],
    ["a negative size", () => deb(arMember("debian-binary", "2.0\n", "-4")), /is damaged/],
  ])("refuses %s", async (_what, make, message) => {
    await expect(membersOfDeb(make())).rejects.toThrow(message);
  });
});

function wrongMagic(): string {
  const path = join(tempDir(), "a.deb");
  writeFileSync(path, "!<thin>\nmore bytes than a header has");
  return path;
}

function empty(): string {
  const path = join(tempDir(), "a.deb");
  writeFileSync(path, "");
  return path;
}

describe("unpacker", () => {
  it("knows the compressions of Debian's packages and refuses others", () => {
    expect(unpacker("data.tar")).toBeUndefined();
    expect(["control.tar.gz", "data.tar.xz", "data.tar.zst"].map((name) => unpacker(name)?.[0])).toEqual([
      "gzip",
      "xz",
      "zstd",
    ]);
    for (const name of ["data.tar.lzma", "data.tar.bz2", "data.tar.xz.sh"])
      expect(() => unpacker(name)).toThrow(`a package is compressed as ${name}`);
  });
});
