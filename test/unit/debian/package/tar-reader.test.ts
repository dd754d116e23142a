import { describe, expect, it } from "vitest";
import { type TarMember, tarReader } from "../../../../src/debian/package/tar-reader.ts";
import { tarOf } from "../../../helpers/builders/deb.ts";

/** All archives of a stream, cut into pieces of that many bytes. */
function read(bytes: Buffer, pieceBytes: number): { members: Partial<TarMember>[]; contents: string[] }[] {
  const archives: { members: Partial<TarMember>[]; contents: string[]; ended: boolean }[] = [];
  const reader = tarReader(() => {
    const archive = { members: [] as Partial<TarMember>[], contents: [] as string[], ended: false };
    archives.push(archive);
    return {
      member(member) {
        archive.members.push(member);
        if (member.type !== "file") return undefined;
        const pieces: Buffer[] = [];
        return {
          write: (piece) => pieces.push(Buffer.from(piece)),
          close: () => archive.contents.push(Buffer.concat(pieces).toString()),
        };
      },
      end() {
        archive.ended = true;
      },
    };
  });
  for (let at = 0; at < bytes.length; at += pieceBytes) reader.push(bytes.subarray(at, at + pieceBytes));
  reader.finish();
  expect(archives.every(({ ended }) => ended)).toBe(true);
  return archives.map(({ members, contents }) => ({ members, contents }));
}

const long = `./usr/share/${"a-long-name/".repeat(12)}file`;

describe("tarReader", () => {
  it("reads archives that follow each other, whatever the pieces in which they come", () => {
    const first = tarOf([
      { name: "./" },
      { name: "./big", content: "b".repeat(5_000), mode: 0o4755, userName: "root", groupName: "mail" },
      { name: "./empty" },
      { name: long, content: "far" },
      { name: "./link", link: `../${"t".repeat(120)}` },
      { name: "./hard", link: "./big", flag: "1" },
      { name: "./full", content: "f".repeat(1024) },
    ]);
    // dpkg-deb pads to 10 KiB.
    const stream = Buffer.concat([first, Buffer.alloc(9 * 512), tarOf([{ name: "./second", content: "2" }])]);
    const whole = read(stream, stream.length);
    expect(whole.map(({ members }) => members.map(({ name, type }) => `${type} ${name}`))).toEqual([
      [
        "directory ./",
        "file ./big",
        "file ./empty",
        `file ${long}`,
        "symlink ./link",
        "hardlink ./hard",
        "file ./full",
      ],
      ["file ./second"],
    ]);
    expect(whole[0]!.members[1]).toMatchObject({ mode: 0o4755, groupName: "mail", mtime: 1_000_000_000 });
    expect(whole[0]!.members[4]).toMatchObject({ link: `../${"t".repeat(120)}` });
    expect(whole[0]!.contents).toEqual(["b".repeat(5_000), "", "far", "f".repeat(1024)]);
    for (const pieceBytes of [1, 7, 511, 512, 513, 4096]) expect(read(stream, pieceBytes)).toEqual(whole);
  });

  it.each([
    ["an archive cut inside of a file", tarOf([{ name: "./x", content: "x".repeat(600) }]).subarray(0, 900)],
    ["an archive cut inside of a header", tarOf([{ name: "./x" }]).subarray(0, 300)],
    ["an archive without its end", tarOf([{ name: "./x" }], 0)],
  ])("refuses %s", (_what, bytes) => {
    expect(() => read(bytes, bytes.length)).toThrow("ends early");
  });

  it("refuses what dpkg refuses: other types, a wrong sum, a size that is no number", () => {
    for (const flag of ["x", "g", "S", "V"])
      expect(() => read(tarOf([{ name: "./x", flag }]), 512)).toThrow(`a member of type "${flag}"`);
    const bent = tarOf([{ name: "./x" }]);
    bent[3] = 0x7a;
    expect(() => read(bent, 512)).toThrow("is damaged");
    const text = tarOf([{ name: "././@LongLink", content: "n".repeat(5_000), flag: "L" }]);
    expect(() => read(text, 512)).toThrow("a name of 5000 bytes");
  });
});
