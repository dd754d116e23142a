import { describe, expect, it } from "vitest";
import { readPe } from "../../../../src/boot/efi/pe.ts";
import { parseSbat, revokedBy, sbatLevelOf, sbatOf } from "../../../../src/boot/efi/sbat.ts";
import { efiProgram } from "../../../helpers/builders/pe.ts";

const program = (sections: Readonly<Record<string, string>>) =>
  readPe(
    efiProgram(
      Object.fromEntries(Object.entries(sections).map(([name, text]) => [name, Buffer.from(text, "latin1")])),
    ),
    "x.efi",
  );
const grub =
  "sbat,1,SBAT Version,sbat,1,https://example.org\ngrub,4,Example,grub,2.12,https://example.org\ngrub.debian,5,Debian,grub2,2.12-1,https://example.org\n";

describe("the generations of an EFI program", () => {
  it("are read from its section, up to the first zero", () => {
    expect([...sbatOf(program({ ".sbat": `${grub}\0\0more,9\n` }))]).toEqual([
      ["sbat", 1],
      ["grub", 4],
      ["grub.debian", 5],
    ]);
  });

  it("are none where it has no such section, or other lines", () => {
    expect(sbatOf(program({ ".text": "x" })).size).toBe(0);
    expect([...parseSbat("grub\nshim,x,y\nshim,2\n,3\n")]).toEqual([["shim", 2]]);
  });
});

describe("what a shim asks for", () => {
  const header = "\0\0\0\0\x08\0\0\0\x20\0\0\0";
  const shim = program({
    ".sbat": "sbat,1,SBAT Version,sbat,1,https://example.org\nshim,4,UEFI shim,shim,1,https://example.org\n",
    "/26": `${header}sbat,1,2022052400\ngrub,2\n\0sbat,1,2024040900\nshim,4\ngrub,4\ngrub.debian,6\n\0`,
  });

  it("is the later of its two lists", () => {
    expect([...sbatLevelOf(shim)]).toEqual([
      ["sbat", 1],
      ["shim", 4],
      ["grub", 4],
      ["grub.debian", 6],
    ]);
  });

  it("is nothing where it has no list", () => {
    expect(sbatLevelOf(program({ ".sbat": grub })).size).toBe(0);
  });

  it("refuses a program of an older generation, and no other", () => {
    expect(revokedBy(sbatLevelOf(shim), parseSbat(grub))).toEqual(["grub.debian 5, where 6 is asked for"]);
    expect(revokedBy(sbatLevelOf(shim), parseSbat("grub,4\ngrub.debian,6\nother,1\n"))).toEqual([]);
  });
});
