import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
  X509Certificate,
} from "node:crypto";
import { describe, expect, it } from "vitest";
import {
  bitString,
  der,
  integer,
  nothing,
  octets,
  oid,
  readDer,
  sequence,
  setOf,
  tagged,
} from "../../../../src/boot/efi/der.ts";
import { enrolmentFiles } from "../../../../src/boot/efi/efi-keys.ts";
import { peDigest, readPe } from "../../../../src/boot/efi/pe.ts";
import { throwawaySigner } from "../../../../src/boot/efi/self-signed.ts";
import { signatureProblem, signEfi, signerOf } from "../../../../src/boot/efi/sign-efi.ts";
import { efiProgram } from "../../../helpers/builders/pe.ts";

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
    expect(() => signerOf(mine.key, certificateOf(privateKey, "ec", 1), "db")).toThrow(
      "the Secure Boot key db is not an RSA key",
    );
    expect(() => signerOf(privateKey, mine.certificate, "db")).toThrow(
      "the Secure Boot key db is not an RSA key",
    );
    expect(signerOf(mine.key, mine.certificate, "db").certificate).toBe(mine.certificate);
  });
});

/** A certificate of that key, of version 3 as openssl makes them; what it says of its own signature is not looked at. */
function certificateOf(key: KeyObject, name: string, serial: number): X509Certificate {
  const algorithm = sequence(oid("1.2.840.113549.1.1.11"), nothing());
  const subject = sequence(setOf(sequence(oid("2.5.4.3"), der(0x0c, Buffer.from(name)))));
  const times = ["20000101000000Z", "20991231235959Z"].map((text) => der(0x18, Buffer.from(text)));
  const publicKey = createPublicKey(key).export({ type: "spki", format: "der" });
  const body = [
    tagged(0, integer(2)),
    integer(serial),
    algorithm,
    subject,
    sequence(...times),
    subject,
    publicKey,
  ];
  return new X509Certificate(sequence(sequence(...body), algorithm, bitString(Buffer.alloc(256, 1))));
}

/** A program with these blobs as its table of signatures. */
function withBlobs(...blobs: readonly Uint8Array[]): Buffer {
  const program = efiProgram();
  const entries = blobs.map((blob) => {
    const entry = Buffer.alloc(Math.ceil((8 + blob.length) / 8) * 8);
    entry.writeUInt32LE(entry.length, 0);
    entry.set(blob, 8);
    return entry;
  });
  const table = Buffer.concat(entries);
  const { certificatesAt } = readPe(program, "x.efi");
  program.writeUInt32LE(program.length, certificatesAt);
  program.writeUInt32LE(table.length, certificatesAt + 4);
  return Buffer.concat([program, table]);
}

describe("the table of signatures", () => {
  const blobOf = (by: typeof mine) => readPe(signEfi(efiProgram(), by, "x.efi"), "x.efi").signatures[0]!;

  it("is what firmware reads: at a multiple of 8, with the kind of its entry, and no checksum", () => {
    const odd = Buffer.concat([efiProgram(), Buffer.from("more")]);
    odd.writeUInt32LE(0x12345678, readPe(odd, "x.efi").checksumAt);
    const signed = signEfi(odd, mine, "x.efi");
    const { certificatesAt, checksumAt, signaturesStart } = readPe(signed, "x.efi");
    const [start, length] = [signed.readUInt32LE(certificatesAt), signed.readUInt32LE(certificatesAt + 4)];
    expect([start, start % 8, length % 8]).toEqual([odd.length + 4, 0, 0]);
    expect([signaturesStart, start + length]).toEqual([start, signed.length]);
    expect([
      signed.readUInt32LE(start),
      signed.readUInt16LE(start + 4),
      signed.readUInt16LE(start + 6),
    ]).toEqual([length, 0x0200, 0x0002]);
    expect(signed.readUInt32LE(checksumAt)).toBe(0);
    expect(signed.subarray(odd.length, start).every((byte) => byte === 0)).toBe(true);
    expect(problem(signed)).toBeUndefined();
  });

  it("names the signer by issuer and serial number as they stand in the certificate, of either version", () => {
    const three = { key: mine.key, certificate: certificateOf(mine.key, "three", 77) };
    for (const [one, serial] of [
      [three, 77],
      [mine, 1],
    ] as const) {
      const signed = signEfi(efiProgram(), one, "x.efi");
      expect(problem(signed, { ...mine, ...one })).toBeUndefined();
      const inner = (node: Buffer) => readDer(node)!;
      const blob = readPe(signed, "x.efi").signatures[0]!;
      const whole = blob.subarray(0, 4 + blob.readUInt16BE(2));
      const [, wrapped] = inner(inner(whole)[0]!.content);
      const fields = inner(inner(wrapped!.content)[0]!.content);
      const [version, named] = inner(inner(fields.at(-1)!.content)[0]!.content);
      const [issuer, number] = inner(named!.content);
      expect(version!.content).toEqual(Buffer.from([1]));
      expect(issuer!.content.includes(one === mine ? "mine" : "three")).toBe(true);
      expect(number!.content).toEqual(Buffer.from([serial]));
    }
  });

  it("vouches for a program when one of several signatures does", () => {
    expect(problem(withBlobs(blobOf(other), blobOf(mine)))).toBeUndefined();
    expect(problem(withBlobs(blobOf(other), blobOf(other)))).toBe("is signed by another key");
  });

  it.each<[string, (digest: Buffer) => Buffer]>([
    ["the digest alone", (digest) => digest],
    ["something that is cut off", (digest) => Buffer.concat([Buffer.from([0x30, 0x82, 0xff, 0xff]), digest])],
    ["a sequence of nothing else", (digest) => sequence(octets(digest))],
    [
      "no signer",
      (digest) => sequence(oid("1.2.3"), tagged(0, sequence(integer(1), octets(digest), setOf()))),
    ],
    [
      "a signer without a signature",
      (digest) =>
        sequence(oid("1.2.3"), tagged(0, sequence(integer(1), setOf(sequence(tagged(0, octets(digest))))))),
    ],
    [
      "a signer who has signed nothing",
      (digest) => sequence(oid("1.2.3"), tagged(0, sequence(integer(1), setOf(sequence(octets(digest)))))),
    ],
  ])("vouches for nothing where it holds %s", (_what, blob) => {
    const digest = peDigest(readPe(withBlobs(Buffer.alloc(8)), "x.efi"));
    expect(problem(withBlobs(blob(digest)))).toBe("is signed by another key");
  });

  it("holds the digest of the program's own content, signed with the attributes that say so", () => {
    const blob = blobOf(mine);
    const digest = peDigest(readPe(efiProgram(), "x.efi"));
    const whole = readDer(blob.subarray(0, 4 + blob.readUInt16BE(2)))![0]!;
    const data = readDer(readDer(readDer(whole.content)![1]!.content)![0]!.content)!;
    const [version, algorithms, info, certificates] = data;
    expect(version!.content).toEqual(Buffer.from([1]));
    expect(algorithms!.whole).toEqual(setOf(sequence(oid("2.16.840.1.101.3.4.2.1"), nothing())));
    expect(certificates!.whole).toEqual(tagged(0, mine.certificate.raw));
    const [kind, wrapped] = readDer(info!.content)!;
    expect(kind!.whole).toEqual(oid("1.3.6.1.4.1.311.2.1.4"));
    const content = readDer(wrapped!.content)![0]!;
    expect(content.content.subarray(-32)).toEqual(digest);
    const fields = readDer(readDer(data.at(-1)!.content)![0]!.content)!;
    const attributes = readDer(fields.find(({ tag }) => tag === 0xa0)!.content)!.map(({ whole: one }) => one);
    const hashed = createHash("sha256").update(content.content).digest();
    expect(attributes).toEqual(
      [
        sequence(oid("1.2.840.113549.1.9.3"), setOf(oid("1.3.6.1.4.1.311.2.1.4"))),
        sequence(oid("1.2.840.113549.1.9.4"), setOf(octets(hashed))),
      ].sort(Buffer.compare),
    );
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
