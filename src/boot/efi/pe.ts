import { createHash } from "node:crypto";
import { onlyArchitecture } from "../../tables/architecture.ts";
import { Fail } from "../../util/fail.ts";

/** Of the PE format: offsets from the signature "PE\0\0" and from the optional header of 64-bit images. */
const at = { machine: 4, sections: 6, optionalSize: 20, optional: 24 } as const;
const optional = { magic: 0, headers: 60, checksum: 64, certificates: 144, least: 152 } as const;
const sectionBytes = 40;

interface PeSection {
  readonly name: string;
  readonly content: Buffer;
}

/** A program for UEFI firmware whole. */
export interface Pe {
  readonly bytes: Buffer;
  readonly sections: readonly PeSection[];
  /** Offset of the field that says where signatures are. */
  readonly certificatesAt: number;
  readonly checksumAt: number;
  /** Signatures, each a DER blob; none in an unsigned program. */
  readonly signatures: readonly Buffer[];
  /** First byte of the table of signatures, or the file's end. */
  readonly signaturesStart: number;
}

/** Reads a program and refuses one that is another kind of file or cut off. `what` names it. */
export function readPe(given: Uint8Array, what: string): Pe {
  const bytes = Buffer.from(given.buffer, given.byteOffset, given.byteLength);
  const refuse = (why: string) => new Fail(`${what} ${why}`, { hint: "the firmware would not start it" });
  const start = bytes.length > 64 && bytes.toString("latin1", 0, 2) === "MZ" ? bytes.readUInt32LE(60) : 0;
  if (
    start === 0 ||
    start + at.optional + optional.least > bytes.length ||
    bytes.readUInt32BE(start) !== 0x50450000
  )
    throw refuse("is no EFI program");
  if (bytes.readUInt16LE(start + at.machine) !== onlyArchitecture.efi.machine)
    throw refuse("is an EFI program for another processor");
  const header = start + at.optional;
  if (bytes.readUInt16LE(header + optional.magic) !== 0x20b) throw refuse("is no 64-bit EFI program");
  const table = header + bytes.readUInt16LE(start + at.optionalSize);
  const count = bytes.readUInt16LE(start + at.sections);
  if (table + count * sectionBytes > bytes.length) throw refuse("is cut off in its headers");
  const sections = Array.from({ length: count }, (_, index): PeSection => {
    const place = table + index * sectionBytes;
    const name = bytes.toString("latin1", place, place + 8).replace(/\0+$/, "");
    const [size, rawSize, raw] = [8, 16, 20].map((offset) => bytes.readUInt32LE(place + offset)) as [
      number,
      number,
      number,
    ];
    if (raw + rawSize > bytes.length)
      throw refuse(`is cut off: its part ${name} ends at ${raw + rawSize}, the file at ${bytes.length}`);
    return { name, content: bytes.subarray(raw, raw + Math.min(size, rawSize)) };
  });
  const certificatesAt = header + optional.certificates;
  const [from, length] = [bytes.readUInt32LE(certificatesAt), bytes.readUInt32LE(certificatesAt + 4)];
  if (from + length > bytes.length) throw refuse("is cut off in its signature");
  return {
    bytes,
    sections,
    certificatesAt,
    checksumAt: header + optional.checksum,
    signatures: length === 0 ? [] : signaturesIn(bytes.subarray(from, from + length)),
    signaturesStart: length === 0 ? bytes.length : from,
  };
}

/**
 * The digest that a signature vouches for: all but the checksum, the place of the signatures and the signatures (Microsoft's
 * "Windows Authenticode Portable Executable Signature Format").
 */
export function peDigest({ bytes, checksumAt, certificatesAt, signaturesStart }: Pe): Buffer {
  const padding = Buffer.alloc((8 - (signaturesStart % 8)) % 8);
  return createHash("sha256")
    .update(bytes.subarray(0, checksumAt))
    .update(bytes.subarray(checksumAt + 4, certificatesAt))
    .update(bytes.subarray(certificatesAt + 8, signaturesStart))
    .update(padding)
    .digest();
}

/** WIN_CERTIFICATE entries: length, revision, type, then the blob, each at a multiple of 8. */
function signaturesIn(table: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let place = 0; place + 8 <= table.length; ) {
    const length = table.readUInt32LE(place);
    if (length < 8 || place + length > table.length) break;
    found.push(table.subarray(place + 8, place + length));
    place += Math.ceil(length / 8) * 8;
  }
  return found;
}
