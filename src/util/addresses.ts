import { isIPv4 } from "node:net";

/** An address as a number, with the bits of its family. */
export interface Address {
  readonly bits: 32 | 128;
  readonly value: bigint;
}

export function parseAddress(text: string): Address {
  if (isIPv4(text)) return { bits: 32, value: number4(text) };
  // The last two groups may be written as an IPv4 address.
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  const plain =
    dotted === null
      ? text
      : `${dotted[1]}${(number4(dotted[2]!) >> 16n).toString(16)}:${(number4(dotted[2]!) & 0xffffn).toString(16)}`;
  const [head = "", tail] = plain.split("::");
  const groups = (part: string) => (part === "" ? [] : part.split(":"));
  const missing = tail === undefined ? 0 : 8 - groups(head).length - groups(tail).length;
  const all = [...groups(head), ...Array<string>(missing).fill("0"), ...groups(tail ?? "")];
  return { bits: 128, value: all.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n) };
}

function number4(text: string): bigint {
  return text.split(".").reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

export function showAddress({ bits, value }: Address): string {
  if (bits === 32) return [24n, 16n, 8n, 0n].map((at) => String((value >> at) & 0xffn)).join(".");
  const groups = Array.from({ length: 8 }, (_none, index) =>
    ((value >> BigInt(16 * (7 - index))) & 0xffffn).toString(16),
  );
  const text = groups.join(":");
  // The longest run of zeros once, the first of equal ones (RFC 5952).
  const runs = [...text.matchAll(/(?<=^|:)0(?::0)+(?=:|$)/g)].sort((a, b) => b[0].length - a[0].length);
  const [run] = runs;
  if (run === undefined) return text;
  const before = text.slice(0, run.index).replace(/:$/, "");
  const after = text.slice(run.index + run[0].length).replace(/^:/, "");
  return `${before}::${after}`;
}

/** The address with all but its first `length` bits zero. */
export function networkOf({ bits, value }: Address, length: number): Address {
  const rest = BigInt(bits - length);
  return { bits, value: (value >> rest) << rest };
}

export function isIn(address: Address, network: Address, length: number): boolean {
  return (
    address.bits === network.bits && networkOf(address, length).value === networkOf(network, length).value
  );
}

/** CIDR notation; a bare address is that of one host. */
export function parseCidr(text: string): { readonly address: Address; readonly length: number } {
  const [plain = "", length] = text.split("/");
  const address = parseAddress(plain);
  return { address, length: length === undefined ? address.bits : Number(length) };
}

/** fe80::/10. */
export function isLinkLocal({ bits, value }: Address): boolean {
  return bits === 128 && value >> 118n === 0x3fan;
}

/** In network order. */
export function addressBytes({ bits, value }: Address): Buffer {
  return Buffer.from(value.toString(16).padStart(bits / 4, "0"), "hex");
}
