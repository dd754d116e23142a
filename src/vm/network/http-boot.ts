import type { Between } from "./switch.ts";

const ethernetBytes = 14;
const ipv4 = 0x0800;
const udp = 17;
const udpBytes = 8;
const ports = { server: 67, client: 68 } as const;
/** Of a DHCP message: its transaction, and its options, which follow the fixed fields and a magic number (RFC 2131). */
const transactionAt = 4;
const optionsAt = 240;
const options = { pad: 0, vendorClass: 60, end: 255 } as const;
/** UEFI starts from a URL that an answer with this class names (UEFI Specification, HTTP Boot). */
const httpClient = "HTTPClient";
/** Transactions that are remembered; more than firmware has at once. */
const maxTransactions = 64;

/** DHCP of QEMU's own network as a server for HTTP boot gives it: clients of that class get it back with the URL. */
export function httpBoot(): Between {
  const asked = new Set<string>();
  return {
    out: (frame) => {
      const message = dhcpIn(frame, ports.server);
      if (message !== undefined && classOf(message)?.startsWith(httpClient)) {
        asked.add(transactionOf(message));
        for (const oldest of asked) {
          if (asked.size <= maxTransactions) break;
          asked.delete(oldest);
        }
      }
      return { on: frame };
    },
    in: (frame) => {
      const message = dhcpIn(frame, ports.client);
      return {
        on: message !== undefined && asked.has(transactionOf(message)) ? withClass(frame, message) : frame,
      };
    },
  };
}

/** The DHCP message of a frame to a port; it is a part of the frame. */
function dhcpIn(frame: Buffer, port: number): Buffer | undefined {
  if (frame.length < ethernetBytes + 20 || frame.readUInt16BE(12) !== ipv4) return undefined;
  const packet = frame.subarray(ethernetBytes);
  const header = (packet[0]! & 0xf) * 4;
  if (packet[9] !== udp || packet.length < header + udpBytes + optionsAt) return undefined;
  if (packet.readUInt16BE(header + 2) !== port) return undefined;
  return packet.subarray(header + udpBytes, header + packet.readUInt16BE(header + 4));
}

function transactionOf(message: Buffer): string {
  return message.toString("hex", transactionAt, transactionAt + 4);
}

function classOf(message: Buffer): string | undefined {
  for (const { code, from, to } of optionsOf(message))
    if (code === options.vendorClass) return message.toString("latin1", from, to);
  return undefined;
}

function* optionsOf(
  message: Buffer,
): Generator<{ readonly code: number; readonly from: number; readonly to: number }> {
  for (let at = optionsAt; at < message.length; ) {
    const code = message[at]!;
    const from = code === options.pad || code === options.end ? at + 1 : at + 2;
    const to = from === at + 1 ? from : from + (message[at + 1] ?? 0);
    yield { code, from, to };
    if (code === options.end) return;
    at = to;
  }
}

/** The frame with one option more, in the room that QEMU leaves after the last. Its UDP goes without a checksum, as it may. */
function withClass(frame: Buffer, message: Buffer): Buffer {
  const end = [...optionsOf(message)].find(({ code }) => code === options.end);
  const option = Buffer.from([
    options.vendorClass,
    httpClient.length,
    ...Buffer.from(httpClient),
    options.end,
  ]);
  if (end === undefined || end.from - 1 + option.length > message.length)
    throw new Error("an answer of QEMU's DHCP has no room for a vendor class");
  const answer = Buffer.from(frame);
  const start = message.byteOffset - frame.byteOffset;
  option.copy(answer, start + end.from - 1);
  answer.writeUInt16BE(0, start - 2);
  return answer;
}
