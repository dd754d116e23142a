import { describe, expect, it } from "vitest";
import { machineOf, uefiFor } from "../../../src/testing/lab.ts";
import type { Machine, MachineOptions } from "../../../src/vm/machine/machine.ts";
import { serverSpec } from "../../helpers/builders/deployable.ts";

describe("uefiFor", () => {
  it("is firmware that knows the keys of the definition's signatures, or is about to take them", () => {
    const secureBoot = { key: "sb", certificate: "-----BEGIN CERTIFICATE-----" };
    expect(uefiFor(serverSpec())).toBe("uefi");
    expect(uefiFor(serverSpec({ boot: { loader: "grub", secureBoot: "debian" } }))).toBe("secure-boot");
    expect(uefiFor(serverSpec({ boot: { loader: "uki", secureBoot } }))).toBe("setup-mode");
  });
});

describe("machineOf", () => {
  const part = (serial: string) => ({ file: `/${serial}.raw`, serial });
  const image = {
    spec: serverSpec(),
    system: part("A"),
    others: [part("B")],
    kept: [part("K")],
    hostKey: "ssh-ed25519 x",
    placed: [],
    networkd: new Map<string, string>(),
  };
  const serialsOf = async (without?: readonly string[]) => {
    let asked: MachineOptions | undefined;
    const machine = async (options: MachineOptions) => {
      asked = options;
      return {} as Machine;
    };
    const more = { moreDisks: [{ sizeBytes: 2 ** 20, serial: "M" }] };
    await machineOf({ machine }, image, { ...more, ...(without && { without }) });
    return asked!.disks?.map(({ serial }) => serial);
  };

  it("has the definition's disks, the one to start from first, then those beside them", async () => {
    expect(await serialsOf()).toEqual(["A", "B", "K", "M"]);
  });

  it("lacks those that were taken out, be it the first, and knows which there are", async () => {
    expect(await serialsOf(["A"])).toEqual(["B", "K", "M"]);
    expect(await serialsOf(["A", "K"])).toEqual(["B", "M"]);
    await expect(serialsOf(["X"])).rejects.toThrow("the definition has no disk with the serial X");
  });
});
