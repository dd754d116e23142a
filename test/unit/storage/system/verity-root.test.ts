import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { verityBytes } from "../../../../src/disks/verity.ts";
import { Storage } from "../../../../src/schema/storage.ts";
import { storageProblems } from "../../../../src/storage/check/check-graph.ts";
import { filesystemUuid, partitionUuid } from "../../../../src/storage/graph/ids.ts";
import { storageSteps } from "../../../../src/storage/plan/storage-steps.ts";
import { fstab } from "../../../../src/storage/system/fstab.ts";
import { storageConfig, storagePackages } from "../../../../src/storage/system/storage-config.ts";
import { verityFiles } from "../../../../src/storage/system/verity-root.ts";
import { diskFacts, esp, mib } from "../../../helpers/builders/storage.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const verified = {
  name: "root",
  type: "linux-root",
  size: "1GiB",
  content: { type: "ext4", mount: "/", verity: true },
};
const tree = { name: "tree", type: "linux-root-verity", size: "16MiB", content: { type: "verity-hash" } };
const varPart = {
  name: "var",
  type: "linux-var",
  size: "rest",
  content: { type: "ext4", mount: "/var", options: ["nodev", "x-systemd.growfs"] },
};
const overlays = { "/etc": { upper: "/var/lib/etc" }, "/root": { upper: "memory" } };
const good = [esp, verified, tree, varPart];

function storageOf(partitions: readonly object[] = good, more: object = { overlays }): Storage {
  const system = { match: { serial: "S" }, imageSize: "4GiB", table: { type: "gpt", partitions } };
  return Storage.parse({ disks: { system }, ...more });
}

describe("a root with verity", () => {
  it("is named by its mapping, to the kernel and in fstab; what it is made of by partition", () => {
    const { cmdline, modules } = storageConfig(storageOf(), "s");
    expect(cmdline).toEqual([
      "root=/dev/mapper/root",
      `systemd.verity_root_data=/dev/disk/by-partuuid/${partitionUuid("s", "system", "root")}`,
      `systemd.verity_root_hash=/dev/disk/by-partuuid/${partitionUuid("s", "system", "tree")}`,
    ]);
    expect(modules).toEqual(expect.arrayContaining(["dm-verity", "overlay"]));
    expect(storagePackages(storageOf(), "trixie")).toContain("cryptsetup-bin");
    expect(fstab(storageOf(), "s").split("\n")[0]).toBe("/dev/mapper/root / ext4 ro 0 0");
  });

  it("is sealed when it is whole: unmounted, its digests made, and mounted so that nothing is written", () => {
    const steps = storageSteps(
      storageOf(),
      { system: diskFacts("vda", { serial: "S", sizeBytes: 4096 * mib }) },
      "s",
      1,
    );
    expect(steps.seal.map(({ kind }) => kind)).toEqual(["unmount", "make-verity", "mount", "mount", "mount"]);
    expect(steps.seal[1]).toMatchObject({ data: { number: 2, sizeBytes: 1024 * mib }, tree: { number: 3 } });
    expect(steps.seal[2]).toMatchObject({ path: "/", options: ["ro", "noload"] });
    expect(steps.seal[4]).toMatchObject({ path: "/var", options: [] });
    expect(steps.mount[0]).toMatchObject({ path: "/", options: [] });
  });

  it("needs room for its digests, also where sizes are known by the disk alone", () => {
    const small = { ...tree, size: "1%" };
    const large = { ...verified, size: "60%" };
    const facts = { system: diskFacts("vda", { serial: "S", sizeBytes: 1024 * mib }) };
    expect(() =>
      storageSteps(storageOf([{ ...esp, size: "64MiB" }, small, large, { ...varPart }]), facts, "s", 1),
    ).not.toThrow();
    const tiny = { ...tree, size: "1MiB" };
    expect(() =>
      storageSteps(storageOf([{ ...esp, size: "64MiB" }, tiny, large, varPart]), facts, "s", 1),
    ).toThrow(/too few; needs \d+ for the digests of the root/);
    expect(verityBytes(1024 * mib)).toBeLessThan(9 * mib);
  });

  const told = (storage: Storage) =>
    storageProblems(storage).map(({ path, message }) => `${path.join(".")}: ${message}`);

  it("is accepted with digests, a /var of its own and an /etc that can be written", () => {
    expect(told(storageOf())).toEqual([]);
  });

  it.each<[string, Storage, string]>([
    [
      "no digests",
      storageOf([esp, verified, varPart]),
      "needs one partition for its digests, and there are 0",
    ],
    [
      "digests of nothing",
      storageOf([esp, { ...verified, content: { type: "ext4", mount: "/" } }, tree, varPart], {}),
      "is only for digests of a root with",
    ],
    [
      "digests in any partition",
      storageOf([esp, verified, { ...tree, type: "linux" }, varPart]),
      "needs a partition of the type `linux-root-verity`",
    ],
    [
      "too little room",
      storageOf([esp, verified, { ...tree, size: "4MiB" }, varPart]),
      "partitions.2.size: 4194304 bytes are too few",
    ],
    [
      "a root in any partition",
      storageOf([esp, { ...verified, type: "linux" }, tree, varPart]),
      "needs a `linux-root` partition in a GPT",
    ],
    [
      "another filesystem than the root's",
      storageOf([
        ...good.slice(0, 3),
        { ...varPart, content: { type: "ext4", mount: "/var", verity: true } },
      ]),
      "is only for the filesystem mounted at `/`",
    ],
    ["no /var", storageOf(good.slice(0, 3)), "needs a filesystem for /var"],
    ["an /etc that nothing can write", storageOf(good, {}), 'needs `"/etc": { upper'],
    [
      "a swap file",
      storageOf(good, { overlays, swapFile: { size: "64MiB" } }),
      "lies on a root that cannot be written",
    ],
    [
      "an overlay's changes on the root",
      storageOf(good, { overlays: { "/etc": { upper: "/opt/etc" } } }),
      "is not accepted; needs a directory of another ext4",
    ],
    [
      "an overlay over a mount",
      storageOf(good, { overlays: { ...overlays, "/var/lib": { upper: "memory" } } }),
      "in which nothing else is mounted",
    ],
    [
      "an overlay in an overlay",
      storageOf(good, { overlays: { ...overlays, "/etc/ssh": { upper: "memory" } } }),
      "in which nothing else is mounted",
    ],
    [
      "an overlay of a root that can be written",
      storageOf([esp, { ...verified, size: "rest", content: { type: "ext4", mount: "/" } }]),
      "is only for a root with `verity`",
    ],
  ])("is refused with %s", (_what, storage, message) => {
    expect(
      told(storage).some((one) => one.includes(message)),
      told(storage).join("\n"),
    ).toBe(true);
  });
});

describe("what a root with verity needs", () => {
  const said = (storage: Storage) =>
    storageProblems(storage).map(({ path, message }) => `${path.join(".")}: ${message}`);
  const at = "storage.disks.system.table.partitions";
  const data = (name: string, mount: string, more: object = {}) => ({
    ...{ name, type: "linux", size: "64MiB", content: { type: "ext4", mount, ...more } },
  });
  const over = (all: object) =>
    storageOf([esp, data("srv", "/srv"), verified, tree, varPart], {
      overlays: { "/etc": { upper: "memory" }, ...all },
    });

  it.each<[string, Storage]>([
    [
      "an overlay below a directory of its own name",
      over({ "/opt": { upper: "/srv/opt" }, "/optional": { upper: "memory" } }),
    ],
    ["digests that have just enough room", storageOf([esp, verified, { ...tree, size: "9MiB" }, varPart])],
    [
      "sizes that only a disk knows",
      storageOf([esp, { ...verified, size: "50%" }, { ...tree, size: "1%" }, varPart]),
    ],
  ])("is right with %s", (_what, storage) => {
    expect(said(storage)).toEqual([]);
  });

  it.each<[string, Storage, string[]]>([
    [
      "a place in an MBR",
      Storage.parse({
        disks: {
          system: { match: { serial: "S" }, imageSize: "4GiB", table: { type: "mbr", partitions: good } },
        },
        overlays,
      }),
      [`${at}.1.content.verity: needs a \`linux-root\` partition in a GPT`],
    ],
    [
      "a place in a volume",
      storageOf(
        [
          ...[esp, tree, { ...varPart, size: "64MiB" }],
          { name: "pv", type: "linux-lvm", size: "rest", content: { type: "lvm-pv", group: "vg" } },
        ],
        { overlays, volumeGroups: { vg: { volumes: { r: { size: "1GiB", content: verified.content } } } } },
      ),
      ["storage.volumeGroups.vg.volumes.r.content.verity: needs a `linux-root` partition"],
    ],
    [
      "two partitions of digests",
      storageOf([esp, verified, tree, { ...tree, name: "more" }, varPart]),
      [`${at}.1.content.verity: needs one partition for its digests, and there are 2`],
    ],
    [
      "digests in a volume",
      storageOf(
        [
          ...[esp, verified, { ...varPart, size: "64MiB" }],
          { name: "pv", type: "linux-lvm", size: "rest", content: { type: "lvm-pv", group: "vg" } },
        ],
        { overlays, volumeGroups: { vg: { volumes: { t: { size: "16MiB", content: tree.content } } } } },
      ),
      ["storage.volumeGroups.vg.volumes.t.content: needs a partition of the type `linux-root-verity`"],
    ],
    [
      "digests of one size and a root of another",
      storageOf([esp, verified, { ...tree, size: "8MiB" }, varPart]),
      [`${at}.2.size: 8388608 bytes are too few; needs 8462336`],
    ],
    [
      "no /var",
      storageOf([esp, tree, { ...verified, size: "rest" }], {
        overlays: { "/etc": { upper: "memory" } },
      }),
      ["storage: a root with `verity` cannot be written; needs a filesystem for /var"],
    ],
    [
      "no /etc that can be written",
      storageOf(good, {}),
      ["storage.overlays: a root with `verity` cannot be written; needs"],
    ],
    [
      "a swap file",
      storageOf(good, { overlays, swapFile: { size: "64MiB" } }),
      ["storage.swapFile: lies on a root that cannot"],
    ],
    [
      "an overlay over the root",
      over({ "/": { upper: "memory" } }),
      ["storage.overlays./: needs to be a directory of the root"],
    ],
    [
      "an overlay where something is mounted",
      over({ "/srv": { upper: "memory" } }),
      ["storage.overlays./srv: needs to be a directory of the root"],
    ],
    [
      "an overlay above a mount",
      storageOf([esp, data("b", "/a/b"), verified, tree, varPart], {
        overlays: { "/etc": { upper: "memory" }, "/a": { upper: "memory" } },
      }),
      ["storage.overlays./a: needs to be a directory of the root"],
    ],
    [
      "an overlay in memory of a directory in memory",
      storageOf(good, {
        overlays: { ...overlays, "/tmp/x": { upper: "memory" } },
        tmpfs: { "/tmp": { size: "1MiB" } },
      }),
      ["storage.overlays./tmp/x: needs to be a directory of the root"],
    ],
    [
      "an overlay of a bind",
      storageOf(good, {
        overlays: { ...overlays, "/b": { upper: "memory" } },
        binds: { "/b": { from: "/c" } },
      }),
      ["storage.overlays./b: needs to be a directory of the root"],
    ],
    [
      "changes in a whole filesystem",
      over({ "/opt": { upper: "/srv" } }),
      ["storage.overlays./opt.upper: /srv is not accepted; needs a directory of another ext4"],
    ],
    [
      "changes on the root",
      over({ "/opt": { upper: "/home/opt" } }),
      ["storage.overlays./opt.upper: /home/opt is not accepted"],
    ],
    [
      "changes on another kind of filesystem",
      storageOf(
        [esp, { ...data("x", "/x"), content: { type: "f2fs", mount: "/x" } }, verified, tree, varPart],
        { overlays: { ...overlays, "/opt": { upper: "/x/opt" } } },
      ),
      ["storage.overlays./opt.upper: /x/opt is not accepted"],
    ],
    [
      "changes in LUKS",
      storageOf(
        [
          esp,
          {
            ...data("x", "/x"),
            content: { type: "luks", name: "c", key: "k", content: { type: "ext4", mount: "/x" } },
          },
          verified,
          tree,
          varPart,
        ],
        { overlays: { ...overlays, "/opt": { upper: "/x/opt" } } },
      ),
      ["storage.overlays./opt.upper: /x/opt is not accepted"],
    ],
  ])("is refused for %s", (_what, storage, messages) => {
    expect(said(storage)).toEqual(messages.map((one) => expect.stringContaining(one)));
  });

  it("says nothing of overlays where there is no root at all", () => {
    const storage = storageOf([data("a", "/a")], { overlays: { "/etc": { upper: "/a/etc" } } });
    expect(said(storage)).toEqual([expect.stringContaining("needs one ext4")]);
  });
});

describe("the initramfs' scripts", () => {
  const named = (name: string, storage = storageOf()) =>
    verityFiles(storage, "s").find(({ path }) => path.endsWith(name))!;
  const openRoot = () => named("local-top/imgbuild-verity");
  const layOver = (storage?: Storage) => named("local-bottom/imgbuild-overlays", storage);

  it("are programs that a POSIX shell understands, and that need no other before them", () => {
    const files = verityFiles(storageOf(), "s");
    expect(files.map(({ path }) => path)).toEqual([
      "/usr/share/initramfs-tools/hooks/imgbuild-verity",
      "/usr/share/initramfs-tools/scripts/local-top/imgbuild-verity",
      "/usr/share/initramfs-tools/scripts/local-bottom/imgbuild-overlays",
    ]);
    for (const { content, mode } of files) {
      expect(mode).toBe("0755");
      expect(spawnSync("sh", ["-n"], { input: content, encoding: "utf8" }).stderr).toBe("");
      expect(execFileSync("sh", ["-c", content, "script", "prereqs"], { encoding: "utf8" })).toBe("");
    }
    expect(verityFiles(Storage.parse({ disks: {} }), "s")).toEqual([]);
  });

  const optionsOf = (path: string) => {
    const at = path === "/a" ? "/run/overlay/a" : `/root/var/lib${path}`;
    return `lowerdir=/root${path},upperdir=${at}/upper,workdir=${at}/work`;
  };

  /** With functions in place of programs, each of which notes its words. */
  function run(
    script: string,
    cmdline: string,
    functions: string,
  ): { code: number | null; log: string; at: string } {
    const at = tempDir();
    const root = join(at, "root");
    for (const name of ["etc", "root", "var", "run"]) mkdirSync(join(root, name), { recursive: true });
    const log = join(at, "log");
    writeFileSync(join(at, "cmdline"), cmdline);
    writeFileSync(
      join(at, "functions"),
      `note() { echo "$*" >> ${log}; }
panic() { note panic "$@"; exit 9; }
sleep() { note sleep; }
mount() { note mount "$@"; }
checkfs() { note checkfs "$@" "$fastboot"; }
resolve_device() { echo /dev/found; }
veritysetup() { note veritysetup "$@"; }
${functions}
`,
    );
    const text = script
      .replaceAll("/scripts/functions", join(at, "functions"))
      .replaceAll("/proc/cmdline", join(at, "cmdline"))
      .replaceAll("/conf/param.conf", join(at, "param.conf"))
      .replaceAll("/run/imgbuild", join(at, "run"));
    const { status } = spawnSync("sh", ["-c", text], {
      env: { PATH: process.env.PATH, rootmnt: root, fastboot: "y" },
    });
    return { code: status, log: (existsSync(log) ? readFileSync(log, "utf8") : "").replaceAll(at, ""), at };
  }

  it("open the root by the hash on the kernel's command line, and leave it unchecked by fsck", () => {
    const words = "systemd.verity_root_data=/dev/null systemd.verity_root_hash=/dev/zero roothash=abc ro";
    const { code, log, at } = run(openRoot().content, words, "");
    expect([code, log]).toEqual([0, "veritysetup open /dev/null root /dev/zero abc\n"]);
    expect(readFileSync(join(at, "param.conf"), "utf8")).toBe("fastboot=y\n");
  });

  it("wait for the disk, but not for ever, and stop where the hash is another's", () => {
    const words = "systemd.verity_root_data=/not-there systemd.verity_root_hash=/dev/zero roothash=abc";
    const { code, log } = run(openRoot().content, words, "veritysetup() { return 1; }");
    expect(code).toBe(9);
    expect(log.match(/sleep/g)).toHaveLength(30);
    expect(log).toContain("panic the root filesystem is not that of the hash abc");
  });

  it("check and mount what keeps the changes, without words that are for systemd, then lay each directory over", () => {
    const { code, log } = run(layOver().content, "ro", "");
    expect(code).toBe(0);
    const uuid = filesystemUuid("s", "system", "var");
    expect(layOver().content).toContain(`mount_upper ${uuid} /var defaults,nodev\n`);
    expect(log.split("\n")).toEqual([
      "checkfs /dev/found /var ext4 n",
      "mount -t ext4 -o defaults,nodev /dev/found /root/var",
      "mount -t overlay -o lowerdir=/root/etc,upperdir=/root/var/lib/etc/upper,workdir=/root/var/lib/etc/work overlay /root/etc",
      "mount -t overlay -o lowerdir=/root/root,upperdir=/run/overlay/root/upper,workdir=/run/overlay/root/work overlay /root/root",
      "",
    ]);
  });

  it("leave out each word that is not for the kernel, and mount once what keeps the changes of several", () => {
    const words = ["x-systemd.growfs", "nofail", "noauto", "auto", "_netdev", "nosuid", "max-x-y", "autofs"];
    const part = { ...varPart, content: { type: "ext4", mount: "/var", options: words } };
    const several = {
      "/root": { upper: "/var/lib/root" },
      "/etc": { upper: "/var/lib/etc" },
      "/a": { upper: "memory" },
    };
    const { log } = run(
      layOver(storageOf([esp, verified, tree, part], { overlays: several })).content,
      "ro",
      "",
    );
    expect(log.split("\n").map((line) => line.split(" ").slice(0, 5).join(" "))).toEqual([
      "checkfs /dev/found /var ext4 n",
      "mount -t ext4 -o defaults,nosuid,max-x-y,autofs",
      ...Array(3)
        .fill("mount -t overlay -o")
        .map((line, index) => `${line} ${optionsOf(["/a", "/etc", "/root"][index]!)}`),
      "",
    ]);
  });

  it("skip fsck where the operator says so, and stop where a filesystem does not come", () => {
    expect(run(layOver().content, "ro fsck.mode=skip", "").log).toContain("checkfs /dev/found /var ext4 y");
    const gone = run(layOver().content, "ro", "resolve_device() { return 1; }");
    expect(gone.code).toBe(9);
    expect(gone.log).toContain("panic the filesystem of /var is not there");
  });
});
