import { addressBytes, parseAddress } from "../../util/addresses.ts";
import type { Segment } from "./segment.ts";
import type { Between } from "./switch.ts";

const ethernetBytes = 14;
const types = { ipv4: 0x0800, arp: 0x0806, ipv6: 0x86dd } as const;
const ipv4Bytes = 20;
const ipv6Bytes = 40;
const tcp = 6;
const arpBytes = 28;
const arpRequest = 1;
const arpReply = 2;
/** Connections that are remembered; more than a test has at once. */
const maxFlows = 4096;

/**
 * For a guest with IPv6 alone: QEMU forwards ports to an IPv4 address that no one has. What goes there becomes TCP over IPv6 to the
 * guest's own address, coming from its gateway, and the answers become IPv4 again (RFC 7915, as far as TCP needs it).
 */
export function ipv6Only(segment: Segment, mac: string): Between {
  const { ipv4, ipv6, guest, guest6 } = segment;
  if (ipv4 === undefined || ipv6 === undefined || guest === undefined || guest6 === undefined)
    throw new Error("a translated segment has a subnet and a guest of both families");
  const bytes = (text: string) => addressBytes(parseAddress(text));
  const [host4, guest4, host, own] = [ipv4.host, guest, ipv6.host, guest6].map(bytes) as [
    ...[Buffer, Buffer, Buffer, Buffer],
  ];
  const card = Buffer.from(mac.replaceAll(":", ""), "hex");
  const flows = new Set<string>();
  return {
    in: (frame) => {
      const type = frame.readUInt16BE(12);
      if (type === types.arp) {
        const back = arpAnswer(frame, guest4, card);
        return back === undefined ? {} : { back };
      }
      if (type !== types.ipv4) return { on: frame };
      const found = tcpIn4(frame);
      if (found === undefined || !found.to.equals(guest4)) return {};
      flows.add(flowOf(found.segment, 0, 2));
      for (const oldest of flows) {
        if (flows.size <= maxFlows) break;
        flows.delete(oldest);
      }
      return { on: frame6(card, frame.subarray(6, 12), host, own, found.segment) };
    },
    out: (frame) => {
      const type = frame.readUInt16BE(12);
      // It has no IPv4, and finds none.
      if (type === types.arp || type === types.ipv4) return {};
      const found = type === types.ipv6 ? tcpIn6(frame) : undefined;
      const isAnswer =
        found?.from.equals(own) && found.to.equals(host) && flows.has(flowOf(found.segment, 2, 0));
      if (!found || !isAnswer) return { on: frame };
      return { on: frame4(frame.subarray(0, 6), frame.subarray(6, 12), guest4, host4, found.segment) };
    },
  };
}

/** The ports of both ends, that of QEMU's first. */
function flowOf(segment: Buffer, host: number, guest: number): string {
  return `${segment.readUInt16BE(host)} ${segment.readUInt16BE(guest)}`;
}

function arpAnswer(frame: Buffer, address: Buffer, card: Buffer): Buffer | undefined {
  const asked = frame.subarray(ethernetBytes, ethernetBytes + arpBytes);
  if (asked.length < arpBytes || asked.readUInt16BE(6) !== arpRequest) return undefined;
  if (!asked.subarray(24, 28).equals(address)) return undefined;
  const answer = Buffer.from(asked);
  answer.writeUInt16BE(arpReply, 6);
  card.copy(answer, 8);
  address.copy(answer, 14);
  asked.copy(answer, 18, 8, 18);
  return Buffer.concat([frame.subarray(6, 12), card, typeBytes(types.arp), answer]);
}

/** The TCP segment of an IPv4 packet; undefined for all else, and for parts of packets. */
function tcpIn4(frame: Buffer): { readonly to: Buffer; readonly segment: Buffer } | undefined {
  const packet = frame.subarray(ethernetBytes);
  if (packet.length < ipv4Bytes || packet[9] !== tcp || (packet.readUInt16BE(6) & 0x3fff) !== 0)
    return undefined;
  const header = (packet[0]! & 0xf) * 4;
  const segment = packet.subarray(header, packet.readUInt16BE(2));
  return segment.length < 20 ? undefined : { to: packet.subarray(16, 20), segment };
}

/** The TCP segment of an IPv6 packet without extension headers. */
function tcpIn6(
  frame: Buffer,
): { readonly from: Buffer; readonly to: Buffer; readonly segment: Buffer } | undefined {
  const packet = frame.subarray(ethernetBytes);
  if (packet.length < ipv6Bytes || packet[6] !== tcp) return undefined;
  const segment = packet.subarray(ipv6Bytes, ipv6Bytes + packet.readUInt16BE(4));
  if (segment.length < 20) return undefined;
  return { from: packet.subarray(8, 24), to: packet.subarray(24, 40), segment };
}

function frame6(to: Buffer, from: Buffer, source: Buffer, target: Buffer, segment: Buffer): Buffer {
  const header = Buffer.alloc(8);
  header[0] = 0x60;
  header.writeUInt16BE(segment.length, 4);
  header[6] = tcp;
  header[7] = 64;
  const ethernet = Buffer.concat([to, from, typeBytes(types.ipv6)]);
  return Buffer.concat([ethernet, header, source, target, withSum(segment, source, target)]);
}

function frame4(to: Buffer, from: Buffer, source: Buffer, target: Buffer, segment: Buffer): Buffer {
  const header = Buffer.alloc(12);
  header[0] = 0x45;
  header.writeUInt16BE(ipv4Bytes + segment.length, 2);
  // Not to be taken apart, as no IPv6 packet is.
  header.writeUInt16BE(0x4000, 6);
  header[8] = 64;
  header[9] = tcp;
  header.writeUInt16BE(sumOf([header, source, target]), 10);
  const ethernet = Buffer.concat([to, from, typeBytes(types.ipv4)]);
  return Buffer.concat([ethernet, header, source, target, withSum(segment, source, target)]);
}

function withSum(segment: Buffer, source: Buffer, target: Buffer): Buffer {
  const summed = Buffer.from(segment);
  summed.writeUInt16BE(0, 16);
  const pseudo = Buffer.alloc(4);
  pseudo.writeUInt16BE(tcp, 0);
  pseudo.writeUInt16BE(segment.length, 2);
  summed.writeUInt16BE(sumOf([source, target, pseudo, summed]), 16);
  return summed;
}

/** The Internet checksum (RFC 1071); every part but the last is of an even length. */
export function sumOf(parts: readonly Buffer[]): number {
  let sum = 0;
  for (const part of parts)
    for (let at = 0; at < part.length; at += 2) sum += (part[at]! << 8) | (part[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function typeBytes(type: number): Buffer {
  return Buffer.from([type >> 8, type & 0xff]);
}
