import { describe, expect, it } from "vitest";
import {
  addressBytes,
  isIn,
  isLinkLocal,
  networkOf,
  parseAddress,
  parseCidr,
  showAddress,
} from "../../../src/util/addresses.ts";

describe("addresses", () => {
  it.each([
    ["192.0.2.10", "192.0.2.10"],
    ["0.0.0.0", "0.0.0.0"],
    ["2001:DB8::10", "2001:db8::10"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6"],
    ["::", "::"],
    ["::1", "::1"],
    ["fe80::", "fe80::"],
    ["::ffff:192.0.2.1", "::ffff:c000:201"],
  ])("reads %s and writes %s", (text, shown) => {
    expect(showAddress(parseAddress(text))).toBe(shown);
  });

  it("knows what lies in a subnet", () => {
    const { address, length } = parseCidr("192.0.2.130/25");
    expect(showAddress(networkOf(address, length))).toBe("192.0.2.128");
    expect(isIn(parseAddress("192.0.2.129"), address, length)).toBe(true);
    expect(isIn(parseAddress("192.0.2.1"), address, length)).toBe(false);
    expect(isIn(parseAddress("::c000:282"), address, length)).toBe(false);
    expect(parseCidr("2001:db8::1").length).toBe(128);
    expect(isLinkLocal(parseAddress("fe80::1"))).toBe(true);
    expect(isLinkLocal(parseAddress("fec0::1"))).toBe(false);
  });

  it("gives bytes in network order", () => {
    expect(addressBytes(parseAddress("10.0.2.2")).toString("hex")).toBe("0a000202");
    expect(addressBytes(parseAddress("::1")).toString("hex")).toBe(`${"0".repeat(31)}1`);
  });
});
