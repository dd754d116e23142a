import { describe, expect, it } from "vitest";
import { uefiFor } from "../../src/testing/lab.ts";
import { serverSpec } from "../helpers/deployable.ts";

describe("uefiFor", () => {
  it("is firmware that knows the keys of the definition's signatures, or is about to take them", () => {
    const secureBoot = { key: "sb", certificate: "-----BEGIN CERTIFICATE-----" };
    expect(uefiFor(serverSpec())).toBe("uefi");
    expect(uefiFor(serverSpec({ boot: { loader: "grub", secureBoot: "debian" } }))).toBe("secure-boot");
    expect(uefiFor(serverSpec({ boot: { loader: "uki", secureBoot } }))).toBe("setup-mode");
  });
});
