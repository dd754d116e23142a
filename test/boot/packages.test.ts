import { describe, expect, it } from "vitest";
import { bootPackages } from "../../src/boot/packages.ts";
import { Boot } from "../../src/schema/spec.ts";

describe("bootPackages", () => {
  it.each([
    [["uefi"], ["systemd-boot", "systemd-boot-efi"]],
    [["bios"], []],
    [
      ["uefi", "bios"],
      ["systemd-boot", "systemd-boot-efi"],
    ],
  ] as const)("for %j are %j", (firmware, packages) => {
    expect(bootPackages(Boot.parse({ firmware }))).toEqual(packages);
  });
});
