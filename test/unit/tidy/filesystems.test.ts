import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { makeStorage } from "../../../src/steps/disk/make-storage.ts";
import {
  filesystems,
  filesystemTypes,
  simpleFilesystems,
  simpleTypes,
} from "../../../src/tables/filesystem/filesystems.ts";
import { sourcesIn } from "../../helpers/checks/sources.ts";

// A filesystem is one file of src/tables/filesystem and its line in the list there. What knows a type by its name elsewhere, and why.
const mayName: Readonly<Record<string, string>> = {
  "disks/filesystem/mkfs: ext4": "the command lines of mke2fs, for a device and for an image",
  "disks/membership: btrfs": "libblkid's name, among those of others' that are spread over disks",
  "operator/check/growth: ext4": "minimizing an image is resize2fs' work",
  "operator/test/test-image: ext4": "what a test makes in the place of a disk that is kept",
  "operator/takeover/ways/choose: ext4": "GRUB writes in place on the old system's",
  "operator/takeover/ways/choose: vfat": "the same, and what systemd-boot reads",
  "operator/takeover/ways/choose: xfs": "GRUB writes in place on the old system's",
  "schema/storage-content: ext4": "verity is a field of its own",
  "schema/storage-content: btrfs": "subvolumes are fields of its own",
  "schema/storage-content: vfat": "its identifier is no UUID",
  "storage/check/check-verity: ext4": "the initramfs mounts the upper directories of overlays as ext4",
  "storage/graph/check-storage: btrfs": "what a pool holds",
  "storage/match/disk-fates: btrfs": "shown with its subvolumes",
  "steps/disk/btrfs-subvolumes: btrfs": "the program and the type of that step",
  "steps/disk/check-kept: btrfs": "its subvolumes are looked at",
};
const own = /^(tables\/filesystem|storage\/nodes|dsl|testing)\//;
const quoted = new RegExp(`["'\`](${filesystemTypes.join("|")})["'\`]`, "g");

describe("filesystems", () => {
  const named = sourcesIn("src")
    .filter(({ name }) => !own.test(name))
    .flatMap(({ name, text }) => [...text.matchAll(quoted)].map(([, type]) => `${name}: ${type}`));

  it("are known by name in a file of their own, in a node, and where there is a reason", () => {
    expect([...new Set(named)].sort()).toEqual(Object.keys(mayName).sort());
  });

  it.each(filesystemTypes)("have their packages in the base, which makes them: %s", (type) => {
    const base = readFileSync("initramfs/IMGBUILD.ts", "utf8");
    for (const name of filesystems[type].packages) expect(base).toContain(`"${name}"`);
  });

  it.each(simpleTypes)("are made by a program that the step may start: %s", (type) => {
    const { program, args } = simpleFilesystems[type];
    const commands = [{ program, args: args("u", "l") }];
    expect(makeStorage.schema.safeParse({ commands, epoch: 1 }).success).toBe(true);
  });
});
