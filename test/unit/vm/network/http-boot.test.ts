import { describe, expect, it } from "vitest";
import { httpBoot } from "../../../../src/vm/network/http-boot.ts";

const udpAt = 14 + 20;
const messageAt = udpAt + 8;

/** A DHCP message as it goes over the wire, with room after its last option as QEMU leaves it. */
function dhcp(from: number, to: number, transaction: string, options: Buffer, room = 32): Buffer {
  const fixed = Buffer.alloc(240);
  fixed.write(transaction, 4, "hex");
  fixed.write("63825363", 236, "hex");
  const message = Buffer.concat([fixed, options, Buffer.from([255]), Buffer.alloc(room)]);
  const header = Buffer.alloc(messageAt);
  header.write("080045", 12, "hex");
  header.writeUInt16BE(message.length + 28, 16);
  header[14 + 9] = 17;
  header.writeUInt16BE(from, udpAt);
  header.writeUInt16BE(to, udpAt + 2);
  header.writeUInt16BE(message.length + 8, udpAt + 4);
  header.writeUInt16BE(0xabcd, udpAt + 6);
  return Buffer.concat([header, message]);
}

const option = (code: number, text: string) =>
  Buffer.concat([Buffer.from([code, text.length]), Buffer.from(text)]);
const asks = (transaction: string, vendorClass: string) =>
  dhcp(68, 67, transaction, Buffer.concat([Buffer.from([53, 1, 1]), option(60, vendorClass)]));
const offer = Buffer.from([53, 1, 2, 0, 0]);
const answer = (transaction: string, room?: number) => dhcp(67, 68, transaction, offer, room);
const http = "HTTPClient:Arch:00016:UNDI:003001";

describe("DHCP for UEFI's HTTP boot", () => {
  it("gives clients of its class the class back, in a frame of the same length without a UDP checksum", () => {
    const between = httpBoot();
    const asked = asks("00000001", http);
    expect(between.out(asked)).toEqual({ on: asked });
    const { on } = between.in(answer("00000001"));
    const expected = dhcp(67, 68, "00000001", Buffer.concat([offer, option(60, "HTTPClient")]), 20);
    expected.writeUInt16BE(0, udpAt + 6);
    expect(on).toEqual(expected);
  });

  it("leaves answers to others, and all else, as they are", () => {
    const between = httpBoot();
    between.out(asks("00000001", http));
    between.out(asks("00000002", "PXEClient:Arch:00007:UNDI:003001"));
    const web = dhcp(80, 50_000, "00000001", offer);
    for (const frame of [answer("00000002"), answer("00000003"), web, Buffer.alloc(60)])
      expect(between.in(frame)).toEqual({ on: frame });
  });

  it("fails where there is no room for the class", () => {
    const between = httpBoot();
    between.out(asks("00000001", http));
    expect(() => between.in(answer("00000001", 11))).toThrow("no room");
    expect(between.in(answer("00000001", 12)).on).toHaveLength(messageAt + 240 + 5 + 12 + 1);
  });
});
