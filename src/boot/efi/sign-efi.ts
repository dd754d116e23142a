import { createHash, createPublicKey, type KeyObject, sign, verify, type X509Certificate } from "node:crypto";
import { Fail } from "../../util/fail.ts";
import {
  type DerNode,
  firstDer,
  integer,
  nothing,
  octets,
  oid,
  readDer,
  sequence,
  setOf,
  tagged,
} from "./der.ts";
import { type Pe, peDigest, readPe } from "./pe.ts";

/** A key that firmware is to trust: RSA, the only kind that all firmware knows. */
export interface Signer {
  readonly key: KeyObject;
  readonly certificate: X509Certificate;
}

const oids = {
  data: "1.2.840.113549.1.7.1",
  signedData: "1.2.840.113549.1.7.2",
  contentType: "1.2.840.113549.1.9.3",
  messageDigest: "1.2.840.113549.1.9.4",
  sha256: "2.16.840.1.101.3.4.2.1",
  rsa: "1.2.840.113549.1.1.1",
  spcIndirectData: "1.3.6.1.4.1.311.2.1.4",
  spcPeImage: "1.3.6.1.4.1.311.2.1.15",
};
const sha256Algorithm = () => sequence(oid(oids.sha256), nothing());
/** PKCS #7 in an EFI program: revision 2.0, type 2. */
const winCertificate = { revision: 0x0200, type: 0x0002 };

/**
 * The program with a signature by `signer` as its only one. No time is in it and RSA takes no random numbers, so the same program
 * and key give the same bytes; and the key stays in memory, where a tool would want a file.
 */
export function signEfi(program: Uint8Array, signer: Signer, what: string): Buffer {
  const unsigned = withoutSignatures(readPe(program, what));
  const padding = Buffer.alloc((8 - (unsigned.length % 8)) % 8);
  const whole = Buffer.concat([unsigned, padding]);
  const pe = readPe(whole, what);
  const content = indirectData(peDigest(pe));
  const attributes = [
    sequence(oid(oids.contentType), setOf(oid(oids.spcIndirectData))),
    // What is signed is the content of the sequence, without its tag and length.
    sequence(oid(oids.messageDigest), setOf(octets(sha256(readDer(content)![0]!.content)))),
  ].sort(Buffer.compare);
  const blob = sequence(
    oid(oids.signedData),
    tagged(
      0,
      signedData(signer, sequence(oid(oids.spcIndirectData), tagged(0, content)), setOf(...attributes)),
    ),
  );
  const length = Math.ceil((8 + blob.length) / 8) * 8;
  const entry = Buffer.alloc(length);
  entry.writeUInt32LE(length, 0);
  entry.writeUInt16LE(winCertificate.revision, 4);
  entry.writeUInt16LE(winCertificate.type, 6);
  blob.copy(entry, 8);
  whole.writeUInt32LE(whole.length, pe.certificatesAt);
  whole.writeUInt32LE(length, pe.certificatesAt + 4);
  return Buffer.concat([whole, entry]);
}

/** A signature over `content`, which is not in it: SignedData alone, as variables of the firmware have it. */
export function signDetached(content: Uint8Array, signer: Signer): Buffer {
  return signedData(signer, sequence(oid(oids.data)), undefined, content);
}

/** Why firmware that trusts that certificate alone would not start the program; undefined where it would. */
export function signatureProblem(pe: Pe, certificate: X509Certificate): string | undefined {
  if (pe.signatures.length === 0) return "is not signed";
  const digest = peDigest(pe);
  const matching = pe.signatures.filter((blob) => blob.includes(digest));
  if (matching.length === 0) return "has changed since it was signed";
  return matching.some((blob) => isSignedBy(blob, certificate)) ? undefined : "is signed by another key";
}

/** Refuses a key and a certificate that do not belong together, or that firmware does not know what to do with. */
export function signerOf(key: KeyObject, certificate: X509Certificate, name: string): Signer {
  if (key.asymmetricKeyType !== "rsa" || certificate.publicKey.asymmetricKeyType !== "rsa")
    throw new Fail(`the Secure Boot key ${name} is not an RSA key, the only kind that all firmware takes`, {
      hint: "make one with `openssl req -new -x509 -newkey rsa:2048 -nodes`",
    });
  const same = createPublicKey(key).equals(certificate.publicKey);
  if (!same) throw new Fail(`the certificate of boot.secureBoot is not that of the key ${name}`);
  return { key, certificate };
}

/** The program as it was before it was signed. */
function withoutSignatures(pe: Pe): Buffer {
  const bytes = Buffer.from(pe.bytes.subarray(0, pe.signaturesStart));
  bytes.writeUInt32LE(0, pe.checksumAt);
  bytes.fill(0, pe.certificatesAt, pe.certificatesAt + 8);
  return bytes;
}

/** SpcIndirectDataContent: "this is the digest of a PE image", with the obsolete fields that all readers expect. */
function indirectData(digest: Buffer): Buffer {
  const link = Buffer.from("<<<Obsolete>>>", "utf16le").swap16();
  const file = tagged(0, tagged(2, Buffer.concat([Buffer.from([0x80, link.length]), link])));
  return sequence(
    sequence(oid(oids.spcPeImage), sequence(Buffer.from([0x03, 0x01, 0x00]), file)),
    sequence(sha256Algorithm(), octets(digest)),
  );
}

/** PKCS #7 SignedData. With `attributes` these are signed, and they name the content's digest; else `content` is. */
function signedData(signer: Signer, info: Buffer, attributes?: Buffer, content?: Uint8Array): Buffer {
  const { issuer, serial } = namesOf(signer.certificate);
  const signature = sign("sha256", attributes ?? content!, signer.key);
  const signerInfo = sequence(
    integer(1),
    sequence(issuer, serial),
    sha256Algorithm(),
    // The set's tag gives way to that of the field.
    ...(attributes === undefined ? [] : [Buffer.concat([Buffer.from([0xa0]), attributes.subarray(1)])]),
    sequence(oid(oids.rsa), nothing()),
    octets(signature),
  );
  return sequence(
    integer(1),
    setOf(sha256Algorithm()),
    info,
    tagged(0, signer.certificate.raw),
    setOf(signerInfo),
  );
}

/** Issuer and serial number as they stand in the certificate. */
function namesOf(certificate: X509Certificate): { issuer: Buffer; serial: Buffer } {
  const body = readDer(readDer(certificate.raw)![0]!.content)![0]!;
  // The version comes first, where there is one.
  const fields = readDer(body.content)!.filter(({ tag }) => tag !== 0xa0);
  return { serial: fields[0]!.whole, issuer: fields[2]!.whole };
}

/** Whether the signature in a program's blob was made by the certificate's key. */
function isSignedBy(blob: Buffer, certificate: X509Certificate): boolean {
  const inner = (node: DerNode | undefined) => (node === undefined ? [] : (readDer(node.content) ?? []));
  // After it the table is filled up with zeros.
  const data = inner(inner(inner(firstDer(blob))[1])[0]);
  const signers = inner(data.at(-1));
  return signers.some((one) => {
    const fields = inner(one);
    const attributes = fields.find(({ tag }) => tag === 0xa0);
    const signature = fields.find(({ tag }) => tag === 0x04);
    if (attributes === undefined || signature === undefined) return false;
    const signed = Buffer.concat([Buffer.from([0x31]), attributes.whole.subarray(1)]);
    return verify("sha256", signed, certificate.publicKey, signature.content);
  });
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash("sha256").update(bytes).digest();
}
