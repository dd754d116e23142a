import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseMountinfo } from "../../src/storage/mountinfo.ts";
import { type Block, closings, readBlocks } from "../../src/storage/topology.ts";
import { tempDir } from "../helpers/temp-dir.ts";

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
    expect(closings(disks, new Set(["vda"]), nothing)).toEqual([]);
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
    expect(await readBlocks(sys)).toEqual([
      { name: "dm-0", device: "253:0", on: ["vda1"], mapping: "crypt" },
      { name: "md0", device: "9:0", on: [], array: true },
      { name: "vda", device: "254:0", on: [] },
      { name: "vda1", device: "254:1", on: ["vda"] },
    ]);
  });
});
