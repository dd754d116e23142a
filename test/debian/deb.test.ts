import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { dataOfDeb, tarFlag } from "../../src/debian/deb.ts";
import { tempDir } from "../helpers/temp-dir.ts";

/** A member of an ar archive as dpkg-deb writes it (deb(5)). */
function member(name: string, content: string, size: number | string = content.length): Buffer {
  const header = `${name.padEnd(16)}${"0".padEnd(12)}${"0".padEnd(6)}${"0".padEnd(6)}${"100644".padEnd(8)}${String(size).padEnd(10)}\`\n`;
  return Buffer.from(header + content + (content.length % 2 === 1 ? "\n" : ""), "latin1");
}

function deb(...parts: (Buffer | string)[]): string {
  const path = join(tempDir(), "a.deb");
  writeFileSync(path, Buffer.concat(["!<arch>\n", ...parts].map((part) => Buffer.from(part))));
  return path;
}

const version = member("debian-binary", "2.0\n");
const control = member("control.tar.xz", "odd");

describe("dataOfDeb", () => {
  it("finds the data behind members of odd and even length, with a slash after its name or not", async () => {
    for (const name of ["data.tar.xz", "data.tar.xz/"]) {
      const { name: found, bytes } = await dataOfDeb(deb(version, control, member(name, "the files")));
      expect([found, bytes.toString()]).toEqual(["data.tar.xz", "the files"]);
    }
  });

  it.each([
    ["no archive", () => deb().replace(/a\.deb$/, "b.deb"), /ENOENT/],
    ["another magic", () => wrongMagic(), /is not a Debian package$/],
    ["an empty file", () => empty(), /ends early: not a Debian package$/],
    ["no data", () => deb(version, control), /holds no data\.tar$/],
    [
      "data after the last allowed member",
      () => deb(...Array(16).fill(version), member("data.tar", "x")),
      /holds no data/,
    ],
    ["a cut end", () => deb(version, control, member("data.tar.xz", "the files", 100)), /ends early/],
    [
      "a size of gigabytes that are not there",
      () => deb(member("data.tar.xz", "x", 9_999_999_999)),
      /ends early/,
    ],
    ["a damaged header", () => deb(version.subarray(0, 59), "x", control), /is damaged at byte 8$/],
    ["a size that is no number", () => deb(member("debian-binary", "2.0\n", "4k")), /is damaged/],
    ["a negative size", () => deb(member("debian-binary", "2.0\n", "-4")), /is damaged/],
  ])("refuses %s", async (_what, make, message) => {
    await expect(dataOfDeb(make())).rejects.toThrow(message);
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

describe("tarFlag", () => {
  it("knows the compressions of Debian's packages and refuses others", () => {
    expect(["data.tar", "data.tar.gz", "data.tar.xz", "data.tar.zst"].map(tarFlag)).toEqual([
      [],
      ["--gzip"],
      ["--xz"],
      ["--zstd"],
    ]);
    for (const name of ["data.tar.lzma", "data.tar.bz2", "data.tar.xz.sh"])
      expect(() => tarFlag(name)).toThrow(`a package is compressed as ${name}`);
  });
});
