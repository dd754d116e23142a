/** DER, as much of it as keys, certificates and signatures of EFI programs take. */

const classes = {
  sequence: 0x30,
  set: 0x31,
  integer: 0x02,
  bits: 0x03,
  bytes: 0x04,
  none: 0x05,
  oid: 0x06,
} as const;

export interface DerNode {
  readonly tag: number;
  /** With tag and length. */
  readonly whole: Buffer;
  readonly content: Buffer;
}

export function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([tag, ...lengthOf(content.length)]), content]);
}

export const sequence = (...parts: readonly Uint8Array[]): Buffer => der(classes.sequence, ...parts);
export const setOf = (...parts: readonly Uint8Array[]): Buffer => der(classes.set, ...parts);
export const octets = (content: Uint8Array): Buffer => der(classes.bytes, content);
export const bitString = (content: Uint8Array): Buffer => der(classes.bits, Buffer.from([0]), content);
export const nothing = (): Buffer => der(classes.none);
/** A context-specific tag around others: `[0] EXPLICIT`. */
export const tagged = (number: number, ...parts: readonly Uint8Array[]): Buffer =>
  der(0xa0 + number, ...parts);

/** Not negative. */
export function integer(value: number | Uint8Array): Buffer {
  const hex = typeof value === "number" ? value.toString(16) : "";
  const bytes =
    typeof value === "number" ? Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, "hex") : value;
  return der(classes.integer, ...(bytes[0]! >= 0x80 ? [Buffer.from([0])] : []), bytes);
}

/** "1.2.840.113549.1.1.1". */
export function oid(dotted: string): Buffer {
  const [first, second, ...rest] = dotted.split(".").map(Number);
  const bytes = [first! * 40 + second!];
  for (const arc of rest) {
    const groups = [arc & 0x7f];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128))
      groups.unshift((left & 0x7f) | 0x80);
    bytes.push(...groups);
  }
  return der(classes.oid, Buffer.from(bytes));
}

/** The elements one after another in `bytes`; undefined where they are not DER or are cut off. */
export function readDer(bytes: Uint8Array): DerNode[] | undefined {
  const nodes: DerNode[] = [];
  for (let at = 0; at < bytes.length; ) {
    const node = firstDer(bytes.subarray(at));
    if (node === undefined) return undefined;
    nodes.push(node);
    at += node.whole.length;
  }
  return nodes;
}

/** The element with which `bytes` begin; what follows is ignored; undefined where they are not DER or are cut off. */
export function firstDer(bytes: Uint8Array): DerNode | undefined {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [tag, first] = all;
  if (tag === undefined || first === undefined) return undefined;
  const long = first >= 0x80 ? first - 0x80 : 0;
  if (long > 4 || 2 + long > all.length) return undefined;
  const start = 2 + long;
  const end = start + (long === 0 ? first : all.readUIntBE(2, long));
  if (end > all.length) return undefined;
  return { tag, whole: all.subarray(0, end), content: all.subarray(start, end) };
}

function lengthOf(length: number): number[] {
  if (length < 0x80) return [length];
  const bytes: number[] = [];
  for (let left = length; left > 0; left = Math.floor(left / 256)) bytes.unshift(left & 0xff);
  return [0x80 + bytes.length, ...bytes];
}
