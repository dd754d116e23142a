import { describe, expect, it } from "vitest";
import { firstDer, integer, octets, oid, readDer, sequence, tagged } from "../../../../src/boot/efi/der.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

describe("DER", () => {
  it("is written as the standards' own examples have it", () => {
    // SHA-256 of NIST and RFC 8017's rsaEncryption.
    expect(hex(oid("2.16.840.1.101.3.4.2.1"))).toBe("0609608648016503040201");
    expect(hex(oid("1.2.840.113549.1.1.1"))).toBe("06092a864886f70d010101");
    expect(hex(integer(0))).toBe("020100");
    expect(hex(integer(127))).toBe("02017f");
    expect(hex(integer(128))).toBe("02020080");
    expect(hex(integer(65537))).toBe("0203010001");
    expect(hex(tagged(1, integer(1)))).toBe("a103020101");
  });

  it.each([0, 1, 127, 128, 255, 256, 65_535, 65_536])("carries %i bytes and gives them back", (length) => {
    const content = Buffer.alloc(length, 0x5a);
    const nodes = readDer(sequence(octets(content), integer(7)));
    expect(nodes?.length).toBe(1);
    const inner = readDer(nodes![0]!.content)!;
    expect(inner.map(({ tag }) => tag)).toEqual([0x04, 0x02]);
    expect(inner[0]!.content.equals(content)).toBe(true);
  });

  it("is none when it ends too early, says too much, or has lengths beyond reason", () => {
    const whole = sequence(octets(Buffer.alloc(300)));
    for (const end of [1, 2, 3, 100, whole.length - 1])
      expect(readDer(whole.subarray(0, end))).toBeUndefined();
    expect(readDer(Buffer.from("3085ffffffffff", "hex"))).toBeUndefined();
    expect(readDer(Buffer.alloc(0))).toEqual([]);
  });

  it("is found at the beginning of more, whatever that is", () => {
    const whole = sequence(octets(Buffer.alloc(300)));
    for (const more of ["", "00", "0000000000", "ff", "30"])
      expect(firstDer(Buffer.concat([whole, Buffer.from(more, "hex")]))?.whole).toEqual(whole);
    for (const end of [0, 1, 2, 3, whole.length - 1])
      expect(firstDer(whole.subarray(0, end))).toBeUndefined();
  });
});
