import { describe, expect, it } from "vitest";
import { bootSteps, kernelCmdline, rootUuidOf } from "../../src/operator/boot-steps.ts";
import type { SpecInput } from "../../src/schema/spec.ts";
import { writtenDisks } from "../../src/storage/check-storage.ts";
import { layoutOf } from "../../src/storage/gpt.ts";
import { filesystemUuid } from "../../src/storage/ids.ts";
import { serverSpec } from "../helpers/deployable.ts";
import { mib } from "../helpers/storage.ts";

const seed = "seed";
const uuid = filesystemUuid(seed, "system", "root");

function boot(change: Partial<SpecInput> = {}) {
  const spec = serverSpec(change);
  const disks = writtenDisks(spec.storage!).map(([name, disk]) => ({
    layout: layoutOf(disk, 4096 * mib, 512, { seed, name }),
    target: { image: "/w/disk.raw" },
  }));
  const cmdline = kernelCmdline(spec, seed, ["tty0", "ttyS0,115200"]);
  return bootSteps(spec, seed, { cmdline, consoles: ["tty0"], esp: "/w/esp", scratch: "/w/s", disks });
}

describe("kernelCmdline", () => {
  it("names the root filesystem, the consoles in their order, then the definition's words", () => {
    expect(
      kernelCmdline(serverSpec({ boot: { cmdline: ["quiet", "a=b"] } }), seed, ["tty0", "ttyS0,9600"]),
    ).toEqual([`root=UUID=${uuid}`, "ro", "console=tty0", "console=ttyS0,9600", "quiet", "a=b"]);
  });

  it("needs a root filesystem", () => {
    expect(rootUuidOf(serverSpec(), seed)).toBe(uuid);
    expect(() => rootUuidOf(serverSpec({ storage: undefined }), seed)).toThrow(
      "the definition has no root filesystem",
    );
  });
});

describe("bootSteps", () => {
  it("serve both firmwares: an ESP filled, GRUB embedded where its partition lies, both verified", () => {
    const { filesystem, grub, verify } = boot();
    expect(filesystem).toMatchObject([{ kind: "install-systemd-boot", esp: "/w/esp", timeoutSeconds: 1 }]);
    expect(grub).toMatchObject([
      {
        kind: "install-grub",
        target: { image: "/w/disk.raw" },
        startBytes: mib,
        sizeBytes: mib,
        rootUuid: uuid,
        menu: expect.stringContaining(`linux /vmlinuz root=UUID=${uuid} ro console=tty0`),
      },
    ]);
    expect(verify).toMatchObject([{ kind: "verify-boot", esp: "/w/esp", grub: true, rootUuid: uuid }]);
  });

  it("serve only the firmware that the definition names, and none where it does not boot", () => {
    const uefi = boot({ boot: { firmware: ["uefi"] } });
    expect([uefi.filesystem.length, uefi.grub.length]).toEqual([1, 0]);
    expect(uefi.verify).toMatchObject([{ esp: "/w/esp", grub: false }]);
    const bios = boot({ boot: { firmware: ["bios"] } });
    expect([bios.filesystem.length, bios.grub.length]).toEqual([0, 1]);
    expect(bios.verify[0]).not.toHaveProperty("esp");
    expect(boot({ boot: undefined })).toEqual({ filesystem: [], grub: [], verify: [] });
  });
});
