import { describe, expect, it } from "vitest";
import { throwawaySigner } from "../../../../src/boot/efi/self-signed.ts";
import { acceptedBy } from "../../../../src/boot/efi/signature-lists.ts";
import { hashList, x509List } from "../../../helpers/builders/signature-lists.ts";

describe("what firmware accepts by its db", () => {
  const certificate = (name: string) => throwawaySigner(name).certificate;
  const two = Buffer.concat([
    x509List(certificate("An Authority 2011")),
    hashList(["ab".repeat(32), "cd".repeat(32)]),
    x509List(certificate("An Authority 2023")),
  ]);

  it("is authorities by their names, and programs by their SHA-256", () => {
    expect(acceptedBy(two)).toEqual({
      authorities: ["An Authority 2011", "An Authority 2023"],
      programs: ["ab".repeat(32), "cd".repeat(32)],
    });
    expect(acceptedBy(Buffer.alloc(0))).toEqual({ authorities: [], programs: [] });
  });

  it("is what comes before a list that is cut off, damaged or of another kind", () => {
    const first = x509List(certificate("An Authority 2011"));
    const damaged = Buffer.from(first);
    damaged.fill(0x5a, 50);
    const other = Buffer.from(first);
    other.fill(0x11, 0, 16);
    expect(acceptedBy(two.subarray(0, two.length - 1)).authorities).toEqual(["An Authority 2011"]);
    expect(acceptedBy(Buffer.concat([damaged, other, first])).authorities).toEqual(["An Authority 2011"]);
    const empty = Buffer.from(first);
    empty.writeUInt32LE(0, 24);
    expect(acceptedBy(empty)).toEqual({ authorities: [], programs: [] });
    empty.writeUInt32LE(0, 16);
    expect(acceptedBy(empty)).toEqual({ authorities: [], programs: [] });
  });
});
