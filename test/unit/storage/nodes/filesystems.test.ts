import { describe, expect, it } from "vitest";
import { contentUuid, filesystemUuid, vfatVolumeId } from "../../../../src/storage/graph/ids.ts";
import { storageConfig, storagePackages } from "../../../../src/storage/system/storage-config.ts";
import { argvOf, fileOf, holding, mib, storageOf } from "../../../helpers/builders/storage.ts";
import { stepsFor, storageFor } from "../../../helpers/builders/storage-steps.ts";

const uuid = filesystemUuid("s", "a", "data");
const linesOf = (content: object, where: RegExp) =>
  fileOf(stepsFor([[holding(content)]]).config, "/etc/fstab")
    .split("\n")
    .filter((line) => where.test(line));

describe("filesystems", () => {
  it.each<[string, object, string, string[]]>([
    [
      "xfs",
      { type: "xfs", mount: "/srv", label: "data" },
      `mkfs.xfs -q -f -m uuid=${uuid} -L data <a:1>`,
      ["xfsprogs"],
    ],
    [
      "f2fs",
      { type: "f2fs", mount: "/srv", label: "data" },
      `mkfs.f2fs -q -f -U ${uuid} -l data <a:1>`,
      ["f2fs-tools"],
    ],
    [
      "btrfs",
      { type: "btrfs", mount: "/srv", label: "data" },
      `mkfs.btrfs --quiet --force --uuid ${uuid} --label data <a:1>`,
      ["btrfs-progs"],
    ],
    [
      "swap",
      { type: "swap", label: "data" },
      `mkswap --force --uuid ${contentUuid("s", "swap", "a", "data")} --label data <a:1>`,
      [],
    ],
    [
      "swap of a random key",
      { type: "swap", randomKey: "swap0" },
      "wipefs --all --quiet <a:1>",
      ["cryptsetup", "systemd-cryptsetup"],
    ],
  ])("makes %s by one command, and asks for its package", (_name, content, argv, packages) => {
    expect(argvOf(stepsFor([[holding(content)]]).create)).toEqual([argv]);
    expect(storagePackages(storageFor([[holding(content)]]), "trixie")).toEqual(packages);
  });

  it("makes ext4 and FAT by steps that images share", () => {
    const { create } = stepsFor([[holding({ type: "ext4", mount: "/srv" })]]);
    expect(create.filter(({ kind }) => kind === "mkfs-ext4")).toMatchObject([
      { uuid, device: { partition: { number: 1, startBytes: mib, sizeBytes: 1024 * mib } } },
      { device: { partition: { number: 2 } } },
    ]);
  });

  it("names ext4 and FAT as the definition does, by UUIDs of its own", () => {
    const own = "7f1d9a54-3c0e-4b6a-9d58-2f6b1c8e4a90";
    const of = (content: object, type = "linux") =>
      stepsFor([[{ ...holding(content), type }]]).create.find(({ kind }) => String(kind).startsWith("mkfs"));
    expect(of({ type: "ext4", mount: "/srv", label: "data", uuid: own })).toMatchObject({
      uuid: own,
      label: "data",
    });
    expect(of({ type: "ext4", mount: "/srv" })).not.toHaveProperty("label");
    const efi = { type: "vfat", mount: "/efi" };
    expect(of({ ...efi, label: "ESP", uuid: "AB12-CD34" }, "esp")).toMatchObject({
      volumeId: "ab12cd34",
      label: "ESP",
    });
    expect(of(efi, "esp")).toMatchObject({ kind: "mkfs-vfat", volumeId: vfatVolumeId("s", "a", "data") });
    expect(of(efi, "esp")).not.toHaveProperty("label");
  });

  it("makes no filesystem of what only has a place", () => {
    for (const content of [{ type: "luks-header", volume: "c" }, { type: "verity-hash" }]) {
      expect(argvOf(stepsFor([[holding(content)]]).create)).toEqual([]);
      expect(storagePackages(storageFor([[holding(content)]]), "trixie")).toEqual([]);
    }
  });

  it("passes no label where there is none", () => {
    const argv = (content: object) => argvOf(stepsFor([[holding(content)]]).create)[0];
    expect(argv({ type: "xfs", mount: "/x" })).toBe(`mkfs.xfs -q -f -m uuid=${uuid} <a:1>`);
    expect(argv({ type: "f2fs", mount: "/x" })).toBe(`mkfs.f2fs -q -f -U ${uuid} <a:1>`);
    expect(argv({ type: "swap" })).toBe(
      `mkswap --force --uuid ${contentUuid("s", "swap", "a", "data")} <a:1>`,
    );
  });

  it("writes fstab by UUID; only ext4, f2fs and FAT are for fsck", () => {
    expect(linesOf({ type: "xfs", mount: "/srv", options: ["noatime"] }, /srv/)).toEqual([
      `UUID=${uuid} /srv xfs noatime 0 0`,
    ]);
    expect(linesOf({ type: "f2fs", mount: "/srv" }, /srv/)).toEqual([`UUID=${uuid} /srv f2fs defaults 0 2`]);
    expect(linesOf({ type: "swap", priority: 5, discard: true }, /swap/)).toEqual([
      `UUID=${contentUuid("s", "swap", "a", "data")} none swap pri=5,discard 0 0`,
    ]);
  });

  it("makes subvolumes and mounts each, compressed from the first byte", () => {
    const content = {
      type: "btrfs",
      compression: "zstd:3",
      subvolumes: { "@b": { mount: "/srv/b" }, "@a": { mount: "/srv", options: ["nodev"] }, snapshots: {} },
    };
    const { create, mount, config } = stepsFor([[holding(content)]]);
    expect(create.find(({ kind }) => kind === "btrfs-subvolumes")).toMatchObject({
      names: ["@a", "@b", "snapshots"],
    });
    expect(mount.slice(1)).toMatchObject([
      { path: "/srv", type: "btrfs", options: ["subvol=@a", "compress=zstd:3"] },
      { path: "/srv/b", type: "btrfs", options: ["subvol=@b", "compress=zstd:3"] },
    ]);
    expect(fileOf(config, "/etc/fstab")).toContain(
      `UUID=${uuid} /srv btrfs subvol=@a,compress=zstd:3,nodev 0 0\n`,
    );
  });

  it("makes one btrfs of several members, and mounts it by all of them", () => {
    const member = holding({ type: "btrfs-member", pool: "data" });
    const { create, mount, config } = stepsFor([[member], [member]], {
      pools: { data: { mount: "/srv", label: "d" } },
    });
    const made = contentUuid("s", "filesystem", "pool:", "data");
    expect(argvOf(create)).toEqual([
      `mkfs.btrfs --quiet --force --uuid ${made} --label d --data raid1 --metadata raid1 <a:1> <b:1>`,
    ]);
    expect(mount.at(-1)).toMatchObject({ device: { partition: { disk: { name: "a" } } }, path: "/srv" });
    expect(mount.at(-1)?.others).toMatchObject([{ partition: { disk: { name: "b" } } }]);
    expect(fileOf(config, "/etc/fstab")).toContain(`UUID=${made} /srv btrfs defaults 0 0\n`);
  });

  it("tells the kernel the type and the subvolume of the root", () => {
    const config = (content: object) =>
      storageConfig(storageOf([{ name: "root", type: "linux-root", size: "rest", content }]), "s");
    const wanted = `root=UUID=${filesystemUuid("s", "system", "root")}`;
    expect(config({ type: "ext4", mount: "/" }).cmdline).toEqual([wanted]);
    const onBtrfs = config({ type: "btrfs", subvolumes: { "@": { mount: "/" } } });
    expect(onBtrfs.cmdline).toEqual([wanted, "rootfstype=btrfs", "rootflags=subvol=@"]);
    expect(onBtrfs.modules).toEqual(["btrfs"]);
  });

  it("writes what lies in memory, and other names of directories", () => {
    const { config } = stepsFor([[]], {
      tmpfs: { "/tmp": { size: "50%", options: ["nodev"] }, "/x": { size: "64MiB" } },
      binds: { "/srv/log": { from: "/var/log", options: ["ro"] } },
      zram: { percent: 25 },
    });
    expect(fileOf(config, "/etc/fstab")).toContain(
      `tmpfs /tmp tmpfs size=50%,nodev 0 0\ntmpfs /x tmpfs size=${64 * mib} 0 0\n/var/log /srv/log none bind,ro 0 0\n`,
    );
    expect(config.directories).toEqual(["/tmp", "/x", "/var/log", "/srv/log"]);
    expect(config.files.find(({ path }) => path === "/etc/systemd/zram-generator.conf")?.content).toBe(
      "[zram0]\nzram-size = ram * 25 / 100\ncompression-algorithm = zstd\nswap-priority = 100\n",
    );
  });
});
