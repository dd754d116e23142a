import { generateKeyPairSync, sign, verify, X509Certificate } from "node:crypto";
import { describe, expect, it } from "vitest";
import { readDer } from "../../src/boot/der.ts";
import { enrolmentFiles } from "../../src/boot/efi-keys.ts";
import { readPe } from "../../src/boot/pe.ts";
import { throwawaySigner } from "../../src/boot/self-signed.ts";
import { signatureProblem, signEfi, signerOf } from "../../src/boot/sign-efi.ts";
import { efiProgram } from "../helpers/pe.ts";

const mine = throwawaySigner("mine");
const other = throwawaySigner("other");
const problem = (bytes: Uint8Array, by = mine) => signatureProblem(readPe(bytes, "x.efi"), by.certificate);

describe("throwawaySigner", () => {
  it("has a certificate that its own key signed", () => {
    expect(mine.certificate.subject).toBe("CN=mine");
    expect(mine.certificate.verify(mine.certificate.publicKey)).toBe(true);
    expect(mine.certificate.verify(other.certificate.publicKey)).toBe(false);
    expect(new X509Certificate(mine.certificate.toString()).raw.equals(mine.certificate.raw)).toBe(true);
  });
});

describe("signEfi", () => {
  it("signs so that the one certificate vouches for the program, and no other", () => {
    const signed = signEfi(efiProgram(), mine, "x.efi");
    expect(problem(signed)).toBeUndefined();
    expect(problem(signed, other)).toBe("is signed by another key");
    expect(problem(efiProgram())).toBe("is not signed");
  });

  it("gives the same bytes each time, and takes the place of a signature that was there", () => {
    const signed = signEfi(efiProgram(), mine, "x.efi");
    expect(signEfi(efiProgram(), mine, "x.efi").equals(signed)).toBe(true);
    const again = signEfi(signEfi(efiProgram(), other, "x.efi"), mine, "x.efi");
    expect(again.equals(signed)).toBe(true);
    expect(readPe(again, "x.efi").signatures.length).toBe(1);
  });

  it("sees every change that is made later, in the program and in the signature", () => {
    const signed = signEfi(efiProgram(), mine, "x.efi");
    for (const at of [2, 0x600, 0x800]) {
      const changed = Buffer.from(signed);
      changed.writeUInt8(changed[at]! ^ 1, at);
      expect(problem(changed), String(at)).toBe("has changed since it was signed");
    }
    const blob = readPe(signed, "x.efi").signatures[0]!;
    const forged = Buffer.from(signed);
    // The last bytes of the blob are the RSA signature, and up to seven that fill it up.
    const last = forged.length - 20;
    expect(blob.length).toBeGreaterThan(900);
    forged.writeUInt8(forged[last]! ^ 1, last);
    expect(problem(forged)).toBe("is signed by another key");
  });

  it("refuses a certificate of another key, and keys that firmware does not know", () => {
    expect(() => signerOf(mine.key, other.certificate, "db")).toThrow(
      "the certificate of boot.secureBoot is not that of the key db",
    );
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    expect(() => signerOf(privateKey, mine.certificate, "db")).toThrow(
      "the Secure Boot key db is not an RSA key",
    );
    expect(signerOf(mine.key, mine.certificate, "db").certificate).toBe(mine.certificate);
  });
});

describe("enrolmentFiles", () => {
  const epoch = Date.UTC(2025, 8, 6, 8, 15, 30) / 1000;
  const files = enrolmentFiles(mine, [other.certificate], epoch);

  it("are the three variables where systemd-boot looks for them, the same each time", () => {
    expect(files.map(({ path }) => path)).toEqual(
      ["PK", "KEK", "db"].map((name) => `loader/keys/auto/${name}.auth`),
    );
    const again = enrolmentFiles(mine, [other.certificate], epoch);
    expect(again.every(({ content }, index) => content.equals(files[index]!.content))).toBe(true);
  });

  it("carry the time, the certificates, and a signature of name, vendor, attributes, time and content", () => {
    const vendors = [
      "61dfe48bca93d211aa0d00e098032b8c",
      "61dfe48bca93d211aa0d00e098032b8c",
      "cbb219d73a3d9645a3bcdad00e67656f",
    ];
    for (const [index, name] of ["PK", "KEK", "db"].entries()) {
      const { content } = files[index]!;
      const time = content.subarray(0, 16);
      expect(time.toString("hex")).toBe(`${"e907"}0906080f1e00${"00".repeat(8)}`);
      const length = content.readUInt32LE(16);
      expect([content.readUInt16LE(20), content.readUInt16LE(22)]).toEqual([0x200, 0x0ef1]);
      const payload = content.subarray(16 + length);
      const lists = name === "db" ? [mine, other] : [mine];
      let at = 0;
      for (const { certificate } of lists) {
        expect(payload.readUInt32LE(at + 16)).toBe(28 + 16 + certificate.raw.length);
        expect(payload.subarray(at + 44, at + 44 + certificate.raw.length).equals(certificate.raw)).toBe(
          true,
        );
        at += 44 + certificate.raw.length;
      }
      expect(at).toBe(payload.length);
      const attributes = Buffer.from("27000000", "hex");
      const signed = Buffer.concat([
        Buffer.from(name, "utf16le"),
        Buffer.from(vendors[index]!, "hex"),
        attributes,
        time,
        payload,
      ]);
      const pkcs7 = readDer(content.subarray(40, 16 + length))!;
      const signature = readDer(readDer(readDer(pkcs7[0]!.content)!.at(-1)!.content)![0]!.content)!.at(
        -1,
      )!.content;
      expect(verify("sha256", signed, mine.certificate.publicKey, signature)).toBe(true);
      expect(sign("sha256", signed, mine.key).equals(signature)).toBe(true);
    }
  });
});
