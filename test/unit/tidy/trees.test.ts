import { describe, expect, it } from "vitest";
import { sourcesIn } from "../../helpers/checks/sources.ts";

/**
 * Folders whose code works on trees, where scripts may have put links anywhere: there src/tree is the way to a file. What else these
 * files touch is why they may use node:fs. A line is a room and its files.
 */
const worksOnTrees = [
  "boot",
  "debian",
  "disks",
  "operator",
  "steps",
  "storage",
  "system",
  "target",
  "testing",
];
const touchNoTree: Readonly<Record<string, readonly string[]>> = {
  "the cache, mirrors and this machine's apt": [
    "debian/archive: index keep-file mirrors release-file seen-release sources",
    "debian/http: fetch get login-files sink",
    "debian/lock: compare-lock",
    "debian/package: deb local",
    "operator/base: base pack",
    "operator/build: initramfs-cache layer-disk layers script-cache scriptless-packages",
    "operator/cache: entries gc vendor",
    "operator/native: native-context ordinary-user",
    "operator/store: fill-store put-blob store-directory store-key thin-store where-kept",
    "operator/secure-boot: loaders",
    "operator/records: escrow-record known-deploys measured rehearsal-record",
    "operator/tree: packed-tree trees",
  ],
  "a definition, its files and secrets, our sources": [
    "operator/base: source-digest",
    "operator/definition: files host-records imports load",
    "operator/init: choices init repository-around",
    "operator/deploy: inputs",
    "operator/escrow: escrow repository-files",
    "operator/lock: lock lock-definition",
    "operator/rescue: identity-file kept-identity unlock",
    "operator/secrets: default-identity secrets test-secrets",
    "steps/tree: place-files",
  ],
  "an output, or a file on its way to it, in a directory of our own": [
    "operator/build: finish-output image vm-image",
    "operator/escrow: check-escrow",
    "operator/output: disk-output minimize oci tree-output",
    "operator/report: build-report test-page write-report",
    "operator/rescue: iso network-files rescue",
    "operator/test: test-image",
    "operator/tree: pack-finished",
    "target/tree: make-tree tree-job",
    "operator/vm-runner: vm-initrd vm-run",
    "steps/boot: install-grub",
    "steps/image: partition-image swap-file-image swap-partition-image",
    "testing: checks drill lab login-files rehearse stand-in test-definition verdict",
    "testing/stock: stock-host",
  ],
  "/dev, /proc, /sys and other files of the machine on which it runs": [
    "boot/check: card-modules check-grub disk-modules superblock",
    "disks: device find-disk guard target topology",
    "operator/native: doctor",
    "steps/boot: ask-machine install-systemd-boot keep-base keep-rescue make-verity name-boot-entry write-rescue",
    "steps/data: ask-backup credentials",
    "steps/disk: ask-tang close-disks enroll-clevis look-at-group open-storage partition-disk",
    "system/door: namespace process-bound",
    "system/files: read-if-there wipe-file",
    "system/run: pipes",
    "target: dead-man identity journal machine memory network port prefetch runner shipped-tree socket work",
    "target/network: cards dhcp links",
  ],
  "a filesystem that is mounted by itself, by single names; and /proc": [
    "steps/boot: verify-boot",
    "steps/disk: btrfs-subvolumes check-kept mount",
  ],
  "types alone": ["steps/image: mkfs-ext4-image", "steps/tree: check-tree", "testing: cases"],
  "whatever path they are given; none of a tree": [
    "system/files: file-digest file-lock link-whole one-piece overlay parent wipe-file work-directory write-whole",
    "system/run: run",
    "system/user: namespace-troubles user-namespace",
  ],
  "the base's library, which no script has touched": ["system/door: chroot"],
  "a script's inputs, in a directory of their own": ["steps/tree: provision"],
  "new files by single names, in a directory that is held open": ["debian/unpack: stage"],
  "a tree, thousands of times: in real directories that src/tree has found, by the last name alone": [
    "debian/unpack: place",
  ],
  "a tree, all of it: from its root down, by lstat, and into nothing that is a link": [
    "disks/filesystem: tree-delta tree-usage",
  ],
};
/** Where a path is joined to a tree's root all the same. */
const joinsToRoot: Readonly<Record<string, string>> = {
  "operator/build/image-plan": "plain data; mkfs-ext4-image looks for links there",
  "operator/plan/plan": "plain data; what fills the ESP goes there by Tree.within",
  "operator/output/tree-output": "the whole tree is copied, its links as links",
  "disks/filesystem/tree-delta": "see above",
};

const allowed = Object.values(touchNoTree)
  .flat()
  .flatMap((line) => {
    const [room, names] = line.split(": ") as [string, string];
    return names.split(" ").map((name) => `${room}/${name}`);
  });
const joined =
  /\bjoin\(\s*(?:[\w.]+\.)?(?:root|tree|targetRoot|lower|merged)\s*,|\$\{(?:[\w.]+\.)?(?:root|tree|targetRoot)\}\//;
const sources = sourcesIn("src");

describe("what touches a tree", () => {
  it("is listed only where it is", () => {
    const names = sources.map(({ name }) => name);
    expect([...allowed, ...Object.keys(joinsToRoot)].filter((name) => !names.includes(name))).toEqual([]);
  });
  for (const { path, name, folder, imports, text } of sources)
    it(`${path} touches a tree by src/tree alone`, () => {
      if (worksOnTrees.includes(folder))
        expect(
          imports.some((one) => /^node:fs\b/.test(one)),
          "node:fs is for files that touchNoTree lists with a reason; a tree is touched by src/tree",
        ).toBe(allowed.includes(name));
      if (folder !== "tree")
        expect(joined.test(text), "a path is joined to a tree's root; src/tree takes the path alone").toBe(
          name in joinsToRoot,
        );
    });
});
