import { describe, expect, it } from "vitest";
import { Storage } from "../../../../src/schema/storage.ts";
import type { Place } from "../../../../src/storage/graph/graph.ts";
import { mbrId, partitionUuid } from "../../../../src/storage/graph/ids.ts";
import { mdUuid } from "../../../../src/storage/nodes/md.ts";
import {
  stableName,
  stackOf,
  storageConfig,
  storageModules,
  storagePackages,
} from "../../../../src/storage/system/storage-config.ts";
import {
  esp,
  fileOf,
  holding,
  keptDisk,
  keptUuid,
  root,
  storageOf,
} from "../../../helpers/builders/storage.ts";
import { storageFor } from "../../../helpers/builders/storage-steps.ts";

const paths = (storage: Storage) => storageConfig(storage, "s").files.map(({ path }) => path);
const content = (storage: Storage, path: string) =>
  storageConfig(storage, "s").files.find((one) => one.path === path)?.content;
/** By which the kernel reads LUKS. */
const crypto = [
  ...["dm-crypt", "dm-mod", "aes_generic", "aesni_intel", "xts", "sha256_generic"],
  ...["algif_skcipher", "af_alg"],
];
const modulesFile = "/usr/share/initramfs-tools/modules.d/imgbuild-storage";
const luks = (name: string, inner: object, more: object = {}) => ({
  ...{ type: "luks", name, key: "k", content: inner, ...more },
});
const ext4 = (mount: string) => ({ type: "ext4", mount });
const pool = (mount: string) => ({
  pools: {
    p: { mount, data: "single", metadata: "single" },
    q: { mount: "/q", data: "single", metadata: "single" },
  },
});
const members = [
  { ...holding({ type: "btrfs-member", pool: "q" }, "1GiB", "q") },
  { ...holding({ type: "btrfs-member", pool: "p" }, "1GiB", "p") },
];
const only = (partitions: readonly object[], more: object = {}) =>
  Storage.parse({
    disks: { system: { match: { serial: "S" }, table: { type: "gpt", partitions } } },
    ...more,
  });

describe("the files of a new system", () => {
  it("are fstab alone, where nothing else is to be said", () => {
    expect(paths(storageOf([esp, root]))).toEqual(["/etc/fstab"]);
  });

  it("name what is encrypted, arrays, compressed swap and what the initramfs loads", () => {
    const storage = storageFor(
      [[holding({ type: "md-member", array: "md" })], [holding({ type: "md-member", array: "md" })]],
      { arrays: { md: { level: 1, content: luks("c", ext4("/c")) } }, zram: { percent: 25 } },
    );
    expect(paths(storage)).toEqual([
      ...["/etc/fstab", "/etc/crypttab", "/etc/mdadm/mdadm.conf", "/etc/systemd/zram-generator.conf"],
    ]);
    expect(content(storage, "/etc/mdadm/mdadm.conf")).toContain(`UUID=${mdUuid("s", "md")}`);
    expect(content(storage, "/etc/systemd/zram-generator.conf")).toBe(
      "[zram0]\nzram-size = ram * 25 / 100\ncompression-algorithm = zstd\nswap-priority = 100\n",
    );
    expect(storagePackages(storage, "trixie")).toContain("systemd-zram-generator");
  });

  it("name to the initramfs the modules by which it reaches root and /usr, but not ext4, which it has", () => {
    const encrypted = { ...root, content: luks("c", { type: "xfs", mount: "/" }) };
    expect(content(only([encrypted]), modulesFile)?.split("\n")).toEqual([...crypto, "xfs", ""]);
    const usr = holding({ type: "btrfs", mount: "/usr" }, "1GiB", "usr");
    expect(content(storageOf([usr, holding({ type: "xfs", mount: "/x" }), root]), modulesFile)).toBe(
      "btrfs\n",
    );
    expect(storageConfig(storageOf([root]), "s").modules).toEqual(["ext4"]);
  });

  it("open the root by the network where a server gives its key, and only then", () => {
    const tang = { unlock: { type: "tang", url: "http://192.0.2.1", thumbprint: "a".repeat(43) } };
    const network = "/usr/share/initramfs-tools/hooks/imgbuild-network";
    expect(paths(only([{ ...root, content: luks("c", ext4("/"), tang) }]))).toContain(network);
    expect(paths(only([{ ...root, content: luks("c", ext4("/")) }]))).not.toContain(network);
    expect(paths(storageOf([holding(luks("c", ext4("/c"), tang)), root]))).not.toContain(network);
  });

  it("start a mirror of the root without a disk where that is asked for, and only then", () => {
    const script = "/usr/share/initramfs-tools/scripts/local-premount/imgbuild-pool";
    const of = (more: object) => only(members.slice(1), { pools: { p: { mount: "/", ...more } } });
    const { files } = storageConfig(of({ startDegraded: true }), "s");
    expect(files.find(({ path }) => path === script)).toMatchObject({ mode: "0755" });
    expect(paths(of({}))).not.toContain(script);
    expect(paths(storageOf([root]))).not.toContain(script);
  });

  it("encrypt a swap of a random key by its partition, and no other swap", () => {
    const swaps = [
      holding({ type: "swap", randomKey: "r" }, "64MiB", "r"),
      holding({ type: "swap", randomKey: "t", discard: true }, "64MiB", "t"),
      holding({ type: "swap" }, "64MiB", "s"),
    ];
    const at = (name: string) => `/dev/disk/by-partuuid/${partitionUuid("s", "system", name)}`;
    const words = "swap,cipher=aes-xts-plain64,size=512,sector-size=4096";
    expect(fileOf(storageConfig(storageOf([...swaps, root]), "s"), "/etc/crypttab")).toBe(
      `r ${at("r")} /dev/urandom ${words}\nt ${at("t")} /dev/urandom ${words},discard\n`,
    );
  });

  it("find each volume by its own header, where headers lie apart", () => {
    const apart = (name: string) => [
      holding(luks(name, ext4(`/${name}`), { detachedHeader: true }), "64MiB", name),
      holding({ type: "luks-header", volume: name }, "64MiB", `${name}-header`),
    ];
    const config = storageConfig(storageOf([...apart("a"), ...apart("b"), root]), "s");
    const at = (name: string) => `/dev/disk/by-partuuid/${partitionUuid("s", "system", name)}`;
    const lines = fileOf(config, "/etc/crypttab").trim().split("\n");
    for (const [index, name] of ["a", "b"].entries()) {
      expect(lines[index]).toMatch(new RegExp(`^${name} ${at(name)} `));
      expect(lines[index]).toContain(`header=${at(`${name}-header`)}`);
    }
  });

  it("cannot be said without a root", () => {
    expect(() => storageConfig(storageOf([holding(ext4("/a"))]), "s")).toThrow("has no root filesystem");
    expect(() => storageConfig(Storage.parse({ disks: {} }), "s")).toThrow("has no root filesystem");
  });
});

describe("the kernel's command line", () => {
  const cmdline = (storage: Storage) => storageConfig(storage, "s").cmdline.slice(1);
  it("names the root's type and subvolume where they are not ext4's", () => {
    expect(cmdline(storageOf([root]))).toEqual([]);
    expect(
      cmdline(only([{ ...root, content: { type: "btrfs", subvolumes: { "@": { mount: "/" } } } }])),
    ).toEqual([...["rootfstype=btrfs", "rootflags=subvol=@"]]);
  });
});

describe("directories that no mount makes", () => {
  it("are those of what is kept, in memory, and of both ends of a bind", () => {
    const storage = storageOf([root], { disks: { data: keptDisk } });
    const more = Storage.parse({
      ...storage,
      tmpfs: { "/tmp": { size: "1MiB" } },
      binds: { "/a": { from: "/b" } },
    });
    expect(storageConfig(more, "s").directories).toEqual(["/srv", "/tmp", "/b", "/a"]);
  });
});

describe("what leads to a mount point", () => {
  const ids = (storage: Storage, mount: string) => stackOf(storage, mount).map(({ id }) => id);

  it("is the stack that it lies in, and nothing beside", () => {
    const storage = storageFor(
      [[holding({ type: "lvm-pv", group: "vg" })], [holding({ type: "lvm-pv", group: "other" })]],
      {
        volumeGroups: {
          vg: {
            volumes: { a: { size: "64MiB", content: ext4("/a") }, b: { size: "64MiB", content: ext4("/b") } },
          },
          other: { volumes: { c: { size: "64MiB" } } },
        },
      },
    );
    expect(ids(storage, "/a")).toEqual([
      "partition a/data",
      "group vg",
      "volume vg/a",
      "volume vg/a content",
    ]);
    expect(ids(storage, "/none")).toEqual([]);
  });

  it("is its own pool's members", () => {
    expect(ids(only(members, pool("/")), "/")).toEqual(["partition system/p", "pool p"]);
    const named = { ...pool("/"), volumeGroups: { q: { volumes: {} } } };
    expect(ids(only(members, named), "/q")).toEqual(["partition system/q", "pool q"]);
    expect(ids(only(members, pool("/")), "/q")).toEqual(["partition system/q", "pool q"]);
  });
});

describe("packages and modules", () => {
  it("are those of all that there is, once each", () => {
    const storage = storageFor(
      [
        [
          holding({ type: "lvm-pv", group: "vg" }),
          holding(luks("c", { type: "xfs", mount: "/c" }), "64MiB", "c"),
          holding({ type: "xfs", mount: "/x" }, "64MiB", "x"),
        ],
      ],
      { volumeGroups: { vg: { volumes: { a: { kind: "raid1", size: "64MiB" }, b: { size: "64MiB" } } } } },
    );
    expect(storagePackages(storage, "trixie")).toEqual([
      "cryptsetup",
      "lvm2",
      "systemd-cryptsetup",
      "xfsprogs",
    ]);
    expect(storagePackages(storage, "bookworm")).toEqual(["cryptsetup", "lvm2", "xfsprogs"]);
    expect(storageModules(storage)).toEqual([...crypto, "dm-raid", "ext4", "raid1", "xfs"].sort());
  });

  it("are those of each kind of volume and array", () => {
    const vg = (volumes: object) =>
      storageFor([[holding({ type: "lvm-pv", group: "vg" })]], { volumeGroups: { vg: { volumes } } });
    const pooled = { p: { kind: "thin-pool", size: "64MiB" } };
    expect(storageModules(vg({ a: { size: "64MiB" } }))).toEqual(["dm-mod", "ext4"]);
    expect(storageModules(vg({ a: { kind: "striped", size: "64MiB" } }))).toEqual(["dm-mod", "ext4"]);
    expect(storageModules(vg(pooled))).toEqual(["dm-mod", "dm-thin-pool", "ext4"]);
    expect(storageModules(vg({ a: { kind: "thin", pool: "p", size: "64MiB" } }))).toContain("dm-thin-pool");
    expect(storagePackages(vg(pooled), "trixie")).toEqual(["lvm2", "thin-provisioning-tools"]);
    expect(storagePackages(vg({ a: { size: "64MiB" } }), "trixie")).toEqual(["lvm2"]);
    const md = holding({ type: "md-member", array: "md" });
    const array = storageFor([[md], [md]], { arrays: { md: { level: 1, content: ext4("/m") } } });
    expect(storageModules(array)).toEqual(["ext4", "md-mod", "raid1"]);
    expect(storagePackages(array, "trixie")).toEqual(["mdadm"]);
  });

  it("are a TPM's drivers where it opens the root", () => {
    const tpm = luks("c", ext4("/"), { unlock: { type: "tpm2" } });
    expect(storageConfig(only([{ ...root, content: tpm }]), "s").modules).toEqual(
      expect.arrayContaining(["tpm_tis", "tpm_crb"]),
    );
    expect(storageConfig(only([{ ...root, content: luks("c", ext4("/")) }]), "s").modules).toEqual([
      ...crypto,
      "ext4",
    ]);
  });
});

describe("the name of a device that has no UUID", () => {
  it.each<[string, Place, string]>([
    ["on a kept disk", { on: "kept-disk", disk: "d", uuid: keptUuid }, `/dev/disk/by-uuid/${keptUuid}`],
    ["in LUKS", { on: "luks", name: "c" }, "/dev/mapper/c"],
    ["in a volume", { on: "volume", group: "vg", name: "a" }, "/dev/mapper/vg-a"],
    ["on an array", { on: "array", name: "md" }, `/dev/disk/by-id/md-uuid-${mdUuid("s", "md")}`],
  ])("is its path %s", (_where, place, path) => {
    expect(stableName(place, storageOf([root]), "s")).toBe(path);
  });

  it("is that of its partition, in an MBR by its number", () => {
    const partitions = [{ ...root, size: "64MiB" }, holding({ type: "swap" })];
    for (const [type, name] of [
      ["gpt", partitionUuid("s", "system", "data")],
      ["mbr", `${mbrId("s", "system")}-02`],
    ] as const) {
      const storage = Storage.parse({
        disks: { system: { match: { serial: "S" }, table: { type, partitions } } },
      });
      const { system } = storage.disks;
      const partition = "table" in system! ? system.table.partitions[1]! : undefined;
      expect(stableName({ on: "partition", disk: "system", partition: partition! }, storage, "s")).toBe(
        `/dev/disk/by-partuuid/${name}`,
      );
    }
  });
});
