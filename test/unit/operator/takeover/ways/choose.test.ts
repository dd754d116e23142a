import { describe, expect, it } from "vitest";
import { chooseWay } from "../../../../../src/operator/takeover/ways/choose.ts";
import type { WayName } from "../../../../../src/operator/takeover/ways/way.ts";
import type { BootPlace, Facts } from "../../../../../src/schema/facts.ts";
import { machineFacts } from "../../../../helpers/builders/deployable.ts";

const grub: BootPlace = {
  ...{ loader: "grub", directory: "/boot/grub", fsType: "ext4", plain: true, freeMib: 500 },
  reads: ["custom.cfg", "load_env"],
};
const esp: BootPlace = {
  ...{ loader: "systemd-boot", directory: "/efi", fsType: "vfat", plain: true, freeMib: 500, reads: [] },
};
const efi: BootPlace = { ...esp, loader: "firmware", directory: "/boot/efi" };
const espUuid = "8c2f3f4e-1f0c-4a3e-9d52-0c1b8e6a4f01";
const withEsp = machineFacts().disks.map((disk) => ({
  ...disk,
  partitions: disk.partitions.map((part) => ({ ...part, partUuid: espUuid, mountPoints: ["/boot/efi"] })),
}));
const byGrub = { bootPlaces: [grub], cmdline: ["BOOT_IMAGE=/boot/vmlinuz", "quiet"] };
const bySystemdBoot = { bootPlaces: [esp], loaderInfo: "systemd-boot 252.36-1~deb12u1" };
const full = { memoryMib: { total: 700, available: 247 } };

function choose(facts: Partial<Facts>, wanted?: WayName) {
  return chooseWay(machineFacts({ cacheMib: 900, ...facts }), { baseMib: 100, wanted });
}

function chosen(...given: Parameters<typeof choose>) {
  const result = choose(...given);
  if ("problem" in result) throw new Error(result.problem);
  return result;
}

function refusal(...given: Parameters<typeof choose>) {
  const result = choose(...given);
  return "problem" in result ? result.problem : `chosen: ${result.detail}`;
}

describe("the way into the base", () => {
  it.each<[string, Partial<Facts>, WayName, string]>([
    ["kexec, where nothing is known to stand against it", byGrub, "kexec", "kexec: allowed"],
    [
      "the kernel's own loading, where it starts only what is signed (F06)",
      { secureBoot: true, lockdown: "integrity", trustsDebian: true },
      "kexec-file",
      "kexec-file: the host's kernel checks Debian's signature of the base's; not kexec: Secure Boot is on and lockdown integrity, so the kernel starts only what is signed",
    ],
    [
      "a boot entry of GRUB, where kexec is switched off (F05)",
      { ...byGrub, kexecDisabled: true },
      "boot-entry",
      "boot-entry: one start by the host's own GRUB, out of /boot/grub (500 MiB free, 132 needed); not kexec: kernel.kexec_load_disabled is 1; not kexec-file: kernel.kexec_load_disabled is 1",
    ],
    [
      "a boot entry of systemd-boot",
      { ...bySystemdBoot, kexecDisabled: true },
      "boot-entry",
      "boot-entry: one start by the host's own systemd-boot, out of /efi (500 MiB free, 132 needed); not kexec: kernel.kexec_load_disabled is 1; not kexec-file: kernel.kexec_load_disabled is 1",
    ],
    [
      "a boot entry, where memory holds no two copies (F07)",
      { ...byGrub, ...full },
      "boot-entry",
      "boot-entry: one start by the host's own GRUB, out of /boot/grub (500 MiB free, 132 needed); not kexec: it needs 248 MiB of memory available, and the host has 247; not kexec-file: it needs 248 MiB of memory available, and the host has 247",
    ],
    ["kexec, where memory is short for every way", full, "kexec", "kexec: allowed"],
  ])("is %s", (_what, facts, name, detail) => {
    const { way, detail: said } = chosen(facts);
    expect([way.name, said]).toEqual([name, detail]);
  });

  it("is the one that was asked for, or none", () => {
    expect(chosen(byGrub, "boot-entry").way).toMatchObject({ name: "boot-entry", at: ["/boot/grub"] });
    expect(chosen(byGrub, "kexec-file").way.name).toBe("kexec-file");
    const given = { ...byGrub, kexecDisabled: true };
    expect(choose(given, "kexec")).toEqual({
      problem: "not kexec: kernel.kexec_load_disabled is 1",
      hint: expect.stringContaining("without --takeover"),
    });
  });

  it.each<[string, Partial<Facts>, RegExp]>([
    [
      "with Secure Boot, by its firmware alone",
      { bootPlaces: [efi], disks: withEsp, secureBoot: true, trustsDebian: true },
      /the firmware itself starts no kernel that Debian alone has signed/,
    ],
    [
      "with an ESP that is no partition of a GPT",
      { bootPlaces: [efi] },
      /the firmware finds nothing in \/boot\/efi, which is on vfat/,
    ],
    [
      "with little room on its ESP",
      { bootPlaces: [{ ...efi, freeMib: 60 }], disks: withEsp },
      /\/boot\/efi has 60 MiB free, and 132 are needed/,
    ],
    ["without files of either bootloader", { bootPlaces: [] }, /neither GRUB's nor systemd-boot's files/],
    ["that an older probe looked at", {}, /neither GRUB's nor systemd-boot's files/],
    [
      "whose /boot is on LVM",
      { ...byGrub, bootPlaces: [{ ...grub, plain: false }] },
      /GRUB cannot write to \/boot\/grub \(ext4, not on a partition itself\)/,
    ],
    [
      "whose /boot is on btrfs",
      { ...byGrub, bootPlaces: [{ ...grub, fsType: "btrfs" }] },
      /GRUB cannot write to \/boot\/grub \(btrfs\)/,
    ],
    [
      "whose menu is its own",
      { ...byGrub, bootPlaces: [{ ...grub, reads: [] }] },
      /grub\.cfg does not use custom\.cfg and load_env/,
    ],
    [
      "with little room",
      { ...byGrub, bootPlaces: [{ ...grub, freeMib: 131 }] },
      /\/boot\/grub has 131 MiB free, and 132 are needed/,
    ],
    ["that another loader started", { bootPlaces: [grub] }, /does not say that GRUB started/],
    [
      "with an old GRUB beside systemd-boot",
      { ...byGrub, loaderInfo: "systemd-boot 257" },
      /GRUB, whose files are in \/boot\/grub, did not start the host/,
    ],
    [
      "with BLS entries for GRUB",
      { ...byGrub, bootPlaces: [{ ...esp, directory: "/boot", fsType: "ext4" }] },
      /systemd-boot, whose files are in \/boot, did not start the host/,
    ],
    [
      "whose menu is on ext4, which systemd-boot does not read",
      { ...bySystemdBoot, bootPlaces: [{ ...esp, fsType: "ext4" }] },
      /\/efi is on ext4/,
    ],
    [
      "that trusts only others' keys",
      { ...byGrub, secureBoot: true, trustsDebian: false },
      /not boot-entry: the host trusts no key of Debian's/,
    ],
  ])("is no boot entry on a host %s", (_what, facts, message) => {
    expect(refusal({ ...facts, kexecDisabled: true })).toMatch(message);
  });

  it("goes by the firmware where GRUB cannot write to its disk, and the ESP is a partition of a GPT", () => {
    const facts = { ...byGrub, bootPlaces: [{ ...grub, fsType: "btrfs" }, efi], disks: withEsp };
    const { way, detail } = chosen({ ...facts, kexecDisabled: true });
    expect(way.at).toEqual(["/boot/efi"]);
    expect(detail).toMatch(/^boot-entry: one start by the host's own firmware, out of \/boot\/efi \(500 MiB/);
    // Partition 1 begins at the first MiB, and has 4000.
    const option = Buffer.from(
      way
        .entry(["a=b"])
        .replaceAll(/\\(\d{3})/g, (_all, octal) => String.fromCharCode(Number.parseInt(octal, 8))),
      "latin1",
    );
    expect(option.toString("hex")).toContain(
      `04012a0001000000000800000000000000007d00000000004e3f2f8c0c1f3e4a9d520c1b8e6a4f010202`,
    );
  });

  it("takes the next place where the first has no room", () => {
    const places = [esp, { ...esp, directory: "/boot" }].map((place, index) => ({
      ...place,
      freeMib: index === 0 ? 40 : 400,
    }));
    expect(chosen({ ...bySystemdBoot, bootPlaces: places }, "boot-entry").way.at).toEqual(["/boot"]);
  });

  it("wants memory for one copy of the base where the disk does not keep it", () => {
    expect(chosen(byGrub, "boot-entry").availableMib).toBe(48);
    expect(chosen({ ...byGrub, cacheMib: 356 }, "boot-entry").availableMib).toBe(148);
    expect(chosen(byGrub, "kexec").availableMib).toBe(248);
  });
});
