import { describe, expect, it } from "vitest";
import { bootSteps } from "../../../../src/operator/plan/boot-steps.ts";
import {
  lastingFindings,
  lastingInImage,
  lastingStep,
  rescueLine,
  rescuePlace,
  rescueSteps,
} from "../../../../src/operator/plan/rescue-first.ts";
import type { SpecInput } from "../../../../src/schema/spec.ts";
import type { WrittenDisk } from "../../../../src/schema/storage.ts";
import { layoutOf } from "../../../../src/storage/table/gpt.ts";
import { lockOf, serverSpec } from "../../../helpers/builders/deployable.ts";
import { bios, diskFacts, esp, holding, mib, root } from "../../../helpers/builders/storage.ts";

const file = (name: string, size: number) => ({
  path: `/c/${name}`,
  size: size * mib,
  sha256: "0".repeat(64),
});
const base = {
  digest: "d1",
  kernel: file("kernel", 12),
  outer: file("outer", 4),
  squashfs: file("squashfs", 90),
  kit: file("kit", 1),
  busybox: file("busybox", 2),
};

function placed(
  partitions: readonly object[],
  firmware: "bios" | "uefi",
  {
    boot = {},
    storage = {},
    secureBoot = false,
  }: { boot?: object; storage?: object; secureBoot?: boolean } = {},
) {
  const spec = serverSpec({
    boot,
    storage: {
      disks: { system: { match: { serial: "SYS" }, table: { type: "gpt", partitions } } },
      ...storage,
    },
  } as unknown as Partial<SpecInput>);
  const inputs = {
    ...{ spec, lock: lockOf(spec), base, facts: { firmware, secureBoot } },
    disks: { system: diskFacts("vda", { serial: "SYS", sizeBytes: 8192 * mib }) },
  };
  return { spec, inputs, rescue: rescuePlace(inputs) };
}

const small = (size: string) => ({ ...esp, size });
const ownBoot = (size: string) => holding({ type: "ext4", mount: "/boot" }, size, "boot");
describe("rescuePlace", () => {
  it.each<[string, readonly object[], "bios" | "uefi", string]>([
    [
      "GRUB reads the root, where the base is kept anyway",
      [bios, esp, root],
      "bios",
      "/var/cache/imgbuild/d1",
    ],
    ["systemd-boot reads the ESP alone", [bios, esp, root], "uefi", "/efi/imgbuild/rescue"],
  ])("%s", (_what, partitions, firmware, directory) => {
    expect(placed(partitions, firmware).rescue).toMatchObject({ directory });
  });

  it("takes an extended boot loader partition where kernels are on one", () => {
    const xbootldr = {
      ...esp,
      name: "x",
      type: "xbootldr",
      size: "512MiB",
      content: { type: "vfat", mount: "/xbootldr" },
    };
    const { rescue } = placed([small("40MiB"), xbootldr, root], "uefi", { boot: { firmware: ["uefi"] } });
    expect(rescue).toMatchObject({ directory: "/xbootldr/imgbuild/rescue", seen: "/imgbuild/rescue" });
  });

  it("takes /boot where the root is too small, with its path as GRUB sees it", () => {
    const tight = { ...root, size: "100MiB" };
    const { rescue } = placed([bios, ownBoot("512MiB"), tight], "bios", { boot: { firmware: ["bios"] } });
    expect(rescue).toMatchObject({
      directory: "/boot/imgbuild/rescue",
      seen: "/imgbuild/rescue",
      isCache: false,
    });
  });

  it("sees a subvolume from the top of its btrfs", () => {
    const content = { type: "btrfs", subvolumes: { "@": { mount: "/" }, "@var": { mount: "/var" } } };
    const { rescue } = placed([bios, { ...root, content }], "bios", { boot: { firmware: ["bios"] } });
    expect(rescue).toMatchObject({ directory: "/var/cache/imgbuild/d1", seen: "/@var/cache/imgbuild/d1" });
  });

  it.each<[string, readonly object[], "bios" | "uefi", Parameters<typeof placed>[2], RegExp]>([
    [
      "an ESP is too small",
      [small("120MiB"), root],
      "uefi",
      { boot: { firmware: ["uefi"] } },
      /^\/efi has 120 MiB, and base and system take \d+ MiB$/,
    ],
    ["Secure Boot is on", [bios, esp, root], "uefi", { secureBoot: true }, /Secure Boot is on/],
    [
      "GRUB is the loader under UEFI",
      [bios, esp, root],
      "uefi",
      { boot: { loader: "grub" } },
      /GRUB for UEFI/,
    ],
  ])("says why there is no place: %s", (_what, partitions, firmware, more, reason) => {
    const { rescue } = placed(partitions, firmware, more);
    expect(rescue).toEqual({ reason: expect.stringMatching(reason) });
    expect(rescueLine(rescue)).toMatch(/^during the build it leaves nothing that starts: /);
  });
});

describe("rescueSteps", () => {
  const made = (firmware: "bios" | "uefi") => {
    const { spec, rescue } = placed([bios, esp, root], firmware);
    if ("reason" in rescue) throw new Error(rescue.reason);
    return { ...rescueSteps(rescue, { spec, base }, "seed", "MENU\n"), line: rescueLine(rescue) };
  };

  it("write the base whole where it is kept, and leave it there without what was of the deploy", () => {
    const { first, last, line } = made("bios");
    expect(line).toContain("the base starts from /var/cache/imgbuild, and");
    expect(first).toMatchObject([
      {
        kind: "write-rescue",
        files: ["kernel", "outer", "squashfs", "kit"].map((name) => ({ name })),
        config: { path: "/boot/grub/grub.cfg", content: expect.stringContaining("MENU") },
        entry: { loader: "grub", directory: "/var/cache/imgbuild/d1" },
      },
    ]);
    expect(last).toMatchObject([
      {
        kind: "switch-entry",
        config: { from: "set rescue=yes\n", to: "set rescue=no \n" },
        wipe: "/var/cache/imgbuild/d1/deploy",
        remove: ["/boot/grub/imgbuild-rescue.cfg", "/var/cache/imgbuild/d1/carried"],
      },
    ]);
  });

  it("take all of the base off an ESP", () => {
    const { first, last } = made("uefi");
    expect(first).toMatchObject([
      {
        config: {
          path: "/efi/loader/loader.conf",
          content: expect.stringMatching(/^default imgbuild-rescue\*\ntimeout 1\n/),
        },
        entry: { loader: "systemd-boot", entries: "/efi", directory: "/imgbuild/rescue" },
      },
    ]);
    expect(last).toMatchObject([
      {
        remove: ["/efi/loader/entries/imgbuild-rescue.conf", "/efi/imgbuild/rescue"],
        flush: [{ path: "/" }, { path: "/efi" }],
      },
    ]);
  });
});

describe("a base that stays", () => {
  const rescue = { rescue: true };

  it.each<[string, readonly object[], "bios" | "uefi", string]>([
    ["GRUB reads /boot", [bios, esp, root], "bios", "/boot/imgbuild/rescue"],
    [
      "/boot is too small for it, and GRUB reads the root",
      [bios, ownBoot("200MiB"), root],
      "bios",
      "/var/lib/imgbuild/rescue",
    ],
    ["systemd-boot reads the ESP", [bios, esp, root], "uefi", "/efi/imgbuild/rescue"],
  ])("has a place where %s", (_what, partitions, firmware, directory) => {
    const boot = { ...rescue, firmware: [firmware] };
    const found = placed(partitions, firmware, { boot });
    expect(found.rescue).toMatchObject({ directory, stays: true, isCache: false });
    expect(lastingFindings(found.inputs)).toMatchObject([{ check: "rescue", verdict: "go" }]);
  });

  it("is refused with the numbers where kernels that apt brings would not fit beside it", () => {
    const { inputs } = placed([small("240MiB"), root], "uefi", { boot: { ...rescue, firmware: ["uefi"] } });
    expect(lastingFindings(inputs)).toMatchObject([
      {
        verdict: "no-go",
        detail: expect.stringMatching(/\/efi has 240 MiB, and base and system take \d+ MiB/),
      },
    ]);
    const { facts: _facts, ...image } = inputs;
    expect(() => lastingInImage(image)).toThrow(
      /has no place as rescue system of this image: \/efi has 240 MiB/,
    );
  });

  it("is not looked for where the definition does not ask for it", () => {
    const { inputs } = placed([bios, esp, root], "bios");
    expect(lastingFindings(inputs)).toEqual([]);
    expect(lastingInImage(inputs)).toEqual([]);
  });

  it("is in an image once for each firmware", () => {
    const { inputs } = placed([bios, esp, root], "bios", { boot: rescue });
    expect(lastingInImage(inputs).map(({ loader }) => loader)).toEqual(["systemd-boot", "grub"]);
  });

  it("keeps its files after the build that began with them, and gets the definition's network, keys and port", () => {
    const { spec, rescue: place } = placed([bios, esp, root], "uefi", { boot: rescue });
    if ("reason" in place) throw new Error(place.reason);
    const { last } = rescueSteps(place, { spec, base }, "seed", "MENU\n");
    expect(last).toMatchObject([
      { remove: ["/efi/loader/entries/imgbuild-rescue.conf", "/efi/imgbuild/rescue/carried"] },
    ]);
    const step = lastingStep(place, { spec, base }, "seed", { on: "/mnt/target/efi" });
    expect(step).toMatchObject({
      ...{ kind: "keep-rescue", on: "/mnt/target/efi", directory: "/imgbuild/rescue", port: 22 },
      files: [{ name: "kernel" }, { name: "outer" }, { name: "squashfs" }],
      data: { hostname: "web.example.org", network: { ethernet: { dhcp: "yes" } } },
      keys: [expect.stringContaining("ssh-ed25519 ")],
      entry: { loader: "systemd-boot", directory: "/imgbuild/rescue" },
    });
    expect(step).not.toHaveProperty("cmdline");
  });
});

describe("what stays, in the steps of a bootloader", () => {
  it("has GRUB read its entry and write its variables, and is checked after the system's own", () => {
    const { spec, inputs } = placed([bios, esp, root], "bios", { boot: { rescue: true } });
    const places = lastingInImage(inputs);
    const { filesystem, grub } = bootSteps(spec, "seed", {
      ...{
        cmdline: ["root=x"],
        consoles: ["tty0"],
        esp: "/w/esp",
        xbootldr: "/w/x",
        scratch: "/w/s",
        epoch: 1,
      },
      disks: [
        {
          layout: layoutOf(spec.storage!.disks.system as WrittenDisk, 8192 * mib, 512, {
            seed: "",
            name: "system",
          }),
          target: { image: "/w/disk.raw" },
        },
      ],
      lasting: { places, base, inImage: true },
      rootAt: { image: "/w/disk.raw", offsetBytes: 0 },
    });
    expect(filesystem.map(({ kind }) => kind)).toEqual([
      ...["write-files", "install-systemd-boot", "keep-rescue", "keep-rescue"],
    ]);
    expect(filesystem[0]).toMatchObject({
      files: [{ content: expect.stringContaining("source $prefix/custom.cfg") }],
    });
    expect(filesystem.slice(2)).toMatchObject([
      { on: "/w/esp", directory: "/imgbuild/rescue", cmdline: ["console=tty0"] },
      { directory: "/boot/imgbuild/rescue", entry: { loader: "grub" } },
    ]);
    expect(grub).toMatchObject([{ kind: "install-grub", modules: ["loadenv"] }]);
  });
});
