import { describe, expect, it } from "vitest";
import { readPe } from "../../../../src/boot/efi/pe.ts";
import { throwawaySigner } from "../../../../src/boot/efi/self-signed.ts";
import { signEfi } from "../../../../src/boot/efi/sign-efi.ts";
import { signedBy } from "../../../../src/boot/efi/signed-by.ts";
import { efiProgram } from "../../../helpers/builders/pe.ts";

describe("who signed an EFI program", () => {
  const signed = (name: string) => readPe(signEfi(efiProgram(), throwawaySigner(name), "x.efi"), "x.efi");

  it("is the name of the certificate's issuer", () => {
    expect(signedBy(signed("An Authority 2023"))).toEqual(["An Authority 2023"]);
  });

  it("is each of several, once", () => {
    const [a, b] = [signed("A"), signed("B")];
    const signatures = [...b.signatures, ...a.signatures, ...b.signatures];
    expect(signedBy({ ...a, signatures })).toEqual(["A", "B"]);
  });

  it("is none for a program without a signature, or with one that cannot be read", () => {
    expect(signedBy(readPe(efiProgram(), "x.efi"))).toEqual([]);
    expect(signedBy({ ...signed("A"), signatures: [Buffer.from("damaged")] })).toEqual([]);
  });
});
