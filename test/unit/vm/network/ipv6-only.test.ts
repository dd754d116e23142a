import { describe, expect, it } from "vitest";
import { addressBytes, parseAddress } from "../../../../src/util/addresses.ts";
import { ipv6Only, sumOf } from "../../../../src/vm/network/ipv6-only.ts";

const card = "525400000001";
const qemu = "52550a000202";
const segment = {
  ipv4: { network: "10.0.2.0/24", host: "10.0.2.2", dns: "10.0.2.3", dhcpStart: "10.0.2.15" },
  ipv6: { prefix: "2001:db8::", length: 64, host: "2001:db8::1" },
  guest: "10.0.2.15",
  guest6: "2001:db8::10",
};
const bytes = (text: string) => addressBytes(parseAddress(text));
const hex = (...parts: (string | Buffer)[]) =>
  Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part, "hex") : part)));

/** A segment from port to port, with three bytes of data and no checksum. */
function tcp(from: number, to: number): Buffer {
  const header = Buffer.alloc(20);
  header.writeUInt16BE(from, 0);
  header.writeUInt16BE(to, 2);
  header[12] = 0x50;
  return Buffer.concat([header, Buffer.from("abc")]);
}

const ipv4 = (from: string, to: string, payload: Buffer) =>
  hex(
    card,
    qemu,
    "0800",
    "4500",
    Buffer.from([0, 20 + payload.length]),
    "0000400040060000",
    bytes(from),
    bytes(to),
    payload,
  );
const ipv6 = (from: string, to: string, payload: Buffer, next = "06") =>
  hex(
    qemu,
    card,
    "86dd",
    "60000000",
    Buffer.from([0, payload.length]),
    next,
    "40",
    bytes(from),
    bytes(to),
    payload,
  );

describe("a guest with IPv6 alone", () => {
  const way = () => ipv6Only(segment, "52:54:00:00:00:01");

  it("is found under the address that ports are forwarded to, and under no other", () => {
    const ask = (who: string) =>
      hex(
        "ffffffffffff",
        qemu,
        "0806",
        "0001080006040001",
        qemu,
        bytes("10.0.2.2"),
        "000000000000",
        bytes(who),
      );
    expect(way().in(ask("10.0.2.15"))).toEqual({
      back: hex(qemu, card, "0806", "0001080006040002", card, bytes("10.0.2.15"), qemu, bytes("10.0.2.2")),
    });
    expect(way().in(ask("10.0.2.16"))).toEqual({});
  });

  it("gets TCP over IPv6 from its gateway, and its answers go back as IPv4, both with right checksums", () => {
    const between = way();
    const { on } = between.in(ipv4("10.0.2.2", "10.0.2.15", tcp(40000, 22)));
    expect(on?.subarray(0, 14)).toEqual(hex(card, qemu, "86dd"));
    expect(on?.subarray(14 + 8, 14 + 40)).toEqual(hex(bytes("2001:db8::1"), bytes("2001:db8::10")));
    expect(on?.readUInt16BE(14 + 4)).toBe(23);
    const inner = on!.subarray(14 + 40);
    expect([inner.readUInt16BE(0), inner.readUInt16BE(2), inner.toString("latin1", 20)]).toEqual([
      40000,
      22,
      "abc",
    ]);
    const summed = (source: string, target: string, part: Buffer) =>
      sumOf([bytes(source), bytes(target), Buffer.from([0, 6, 0, part.length]), part]);
    expect(summed("2001:db8::1", "2001:db8::10", inner)).toBe(0);

    const back = between.out(ipv6("2001:db8::10", "2001:db8::1", tcp(22, 40000))).on!;
    expect(back.subarray(0, 14)).toEqual(hex(qemu, card, "0800"));
    expect(sumOf([back.subarray(14, 34)])).toBe(0);
    expect(back.subarray(26, 34)).toEqual(hex(bytes("10.0.2.15"), bytes("10.0.2.2")));
    expect(summed("10.0.2.15", "10.0.2.2", back.subarray(34))).toBe(0);
  });

  it("speaks with its gateway by itself as well, finds no IPv4, and hears no part of a packet", () => {
    const between = way();
    const own = ipv6("2001:db8::10", "2001:db8::1", tcp(50000, 53));
    expect(between.out(own)).toEqual({ on: own });
    const asks = ipv6("2001:db8::10", "ff02::1:ff00:1", Buffer.alloc(32), "3a");
    expect(between.out(asks)).toEqual({ on: asks });
    expect(between.in(asks)).toEqual({ on: asks });
    expect(between.out(ipv4("169.254.1.1", "10.0.2.2", tcp(1, 2)))).toEqual({});
    const part = ipv4("10.0.2.2", "10.0.2.15", tcp(40000, 22));
    part.writeUInt16BE(0x2000, 14 + 6);
    expect(between.in(part)).toEqual({});
  });

  it("tells its connections apart by both ports", () => {
    const between = way();
    between.in(ipv4("10.0.2.2", "10.0.2.15", tcp(40000, 22)));
    const other = ipv6("2001:db8::10", "2001:db8::1", tcp(80, 40000));
    expect(between.out(other)).toEqual({ on: other });
  });
});
