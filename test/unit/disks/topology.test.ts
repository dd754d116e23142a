import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseMountinfo } from "../../../src/disks/mountinfo.ts";
import { type Block, closings, readBlocks } from "../../../src/disks/topology.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const block = (name: string, device: string, on: string[] = [], more: Partial<Block> = {}): Block => ({
  name,
  device,
  on,
  ...more,
});
const disks = [
  block("vda", "254:0"),
  block("vda1", "254:1", ["vda"]),
  block("vdb", "254:16"),
  block("vdb1", "254:17", ["vdb"]),
];
const array = block("md127", "9:127", ["vda1", "vdb1"], { array: true });
const crypt = block("dm-0", "253:0", ["md127"], { mapping: "crypt" });
const root = block("dm-1", "253:1", ["dm-0"], { mapping: "vg-root" });
const swap = block("dm-2", "253:2", ["dm-0"], { mapping: "vg-swap" });
const mount = (device: string, point: string, source = "/dev/x", type = "ext4") =>
  `1 1 ${device} / ${point} rw - ${type} ${source} rw`;
const mounts = (...lines: string[]) => parseMountinfo(lines.join("\n"));
const nothing = { mounts: [], swaps: [] };

describe("F35: closings", () => {
  it("goes from the top of a stack down: swap, mounts, mappings, array", () => {
    const blocks = [...disks, array, crypt, root, swap];
    const now = {
      mounts: mounts(mount("253:1", "/mnt"), mount("8:1", "/"), mount("253:1", "/mnt/a\\040b")),
      swaps: ["/dev/dm-2", "/mnt/swapfile", "/swapfile"],
    };
    expect(closings(blocks, new Set(["vda", "vdb"]), now)).toEqual([
      { do: "swapoff", path: "/dev/dm-2" },
      { do: "swapoff", path: "/mnt/swapfile" },
      { do: "unmount", point: "/mnt/a b" },
      { do: "unmount", point: "/mnt" },
      { do: "remove-mapping", name: "vg-root" },
      { do: "remove-mapping", name: "vg-swap" },
      { do: "remove-mapping", name: "crypt" },
      { do: "stop-array", path: "/dev/md127" },
    ]);
  });

  it("knows a btrfs by its source, and leaves other disks' things alone", () => {
    const now = {
      mounts: mounts(mount("0:40", "/b", "/dev/vda1", "btrfs"), mount("254:17", "/other")),
      swaps: [],
    };
    expect(closings(disks, new Set(["vda"]), now)).toEqual([{ do: "unmount", point: "/b" }]);
    const others = mounts(mount("0:41", "/c", "/dev/vdb1", "btrfs"));
    expect(closings(disks, new Set(["vda"]), { mounts: others, swaps: ["/dev/vdb1"] })).toEqual([]);
    expect(closings(disks, new Set(["vda"]), nothing)).toEqual([]);
  });

  it("knows a btrfs on a mapping by its source, and the swap files of a root", () => {
    const stack = [...disks, block("dm-0", "253:0", ["vda1"], { mapping: "crypt" })];
    const now = {
      mounts: mounts(mount("0:40", "/", "/dev/mapper/crypt", "btrfs"), mount("0:41", "/b", "/dev/mapper/x")),
      swaps: ["/swapfile"],
    };
    expect(closings(stack, new Set(["vda"]), now)).toEqual([
      { do: "swapoff", path: "/swapfile" },
      { do: "unmount", point: "/" },
      { do: "remove-mapping", name: "crypt" },
    ]);
    const beside = { ...now, mounts: mounts(mount("254:1", "/mnt")), swaps: ["/mnt2/swapfile"] };
    expect(closings(disks, new Set(["vda"]), beside)).toEqual([{ do: "unmount", point: "/mnt" }]);
  });

  it("closes what lies on something low and something high before either", () => {
    const low = block("dm-1", "253:1", ["vda1"], { mapping: "low" });
    const high = block("dm-2", "253:2", ["dm-1"], { mapping: "high" });
    const top = block("dm-0", "253:0", ["vda1", "dm-2"], { mapping: "top" });
    for (const blocks of [
      [top, high, low, ...disks],
      [...disks, low, high, top],
    ])
      expect(closings(blocks, new Set(["vda"]), nothing).map((one) => "name" in one && one.name)).toEqual([
        ...["top", "high", "low"],
      ]);
  });

  it("closes what is of one height in the order of names", () => {
    const twins = ["dm-2", "dm-1", "dm-3"].map((name) => block(name, name, ["vda1"], { mapping: name }));
    expect(closings([...twins, ...disks], new Set(["vda"]), nothing)).toMatchObject([
      { name: "dm-1" },
      { name: "dm-2" },
      { name: "dm-3" },
    ]);
  });

  it("refuses what also lies on a device that is not known", () => {
    const odd = block("dm-0", "253:0", ["vda1", "sdz1"], { mapping: "odd" });
    expect(() => closings([...disks, odd], new Set(["vda"]), nothing)).toThrow(
      "odd lies on a disk of the plan and on sdz1",
    );
  });

  it("refuses an array or a mapping that also lies on a disk that is not written", () => {
    expect(() => closings([...disks, array], new Set(["vda"]), nothing)).toThrow(
      "md127 lies on a disk of the plan and on vdb, which is not written",
    );
    const spanning = block("dm-0", "253:0", ["vda1", "vdb1"], { mapping: "vg-data" });
    expect(() => closings([...disks, spanning], new Set(["vdb"]), nothing)).toThrow(
      "vg-data lies on a disk of the plan and on vda",
    );
  });
});

describe("readBlocks", () => {
  it("reads disks, partitions, mappings and arrays from the kernel", async () => {
    const sys = tempDir();
    const put = (path: string, text: string) => {
      mkdirSync(join(sys, "block", path, ".."), { recursive: true });
      writeFileSync(join(sys, "block", path), `${text}\n`);
    };
    put("vda/dev", "254:0");
    put("vda/vda1/dev", "254:1");
    put("vda/vda1/partition", "1");
    put("vda/queue/rotational", "0");
    put("dm-0/dev", "253:0");
    put("dm-0/dm/name", "crypt");
    put("dm-0/slaves/vda1", "");
    put("md0/dev", "9:0");
    put("md0/md/level", "raid1");
    put("sr0/size", "0");
    const blocks = (await readBlocks(sys)).map((one) => ({ ...one, on: [...one.on].sort() }));
    expect(blocks.sort((a, b) => (a.name < b.name ? -1 : 1))).toStrictEqual([
      { name: "dm-0", device: "253:0", on: ["vda1"], mapping: "crypt" },
      { name: "md0", device: "9:0", on: [], array: true },
      { name: "sr0", device: "", on: [] },
      { name: "vda", device: "254:0", on: [] },
      { name: "vda1", device: "254:1", on: ["vda"] },
    ]);
  });
});
