import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  partitionAt,
  partitionPath,
  refuseBusy,
  writableDisk,
  writablePath,
} from "../../../src/disks/target.ts";
import { mib } from "../../helpers/builders/storage.ts";
import { kernelDisks } from "../../helpers/fakes/kernel-disks.ts";

const part = (number: number, startMib: number, sizeMib: number) => ({
  kernelName: `vda${number}`,
  number,
  startBytes: startMib * mib,
  sizeBytes: sizeMib * mib,
});
const disk = {
  path: "/dev/vda",
  kernelName: "vda",
  sectorSize: 512,
  holders: [],
  partitions: [part(1, 1, 9), part(3, 10, 90)],
};
const wanted = (number: number, startMib: number, sizeMib: number) => ({
  disk: { name: "system", serial: "SYS", sizeBytes: 100 * mib },
  number,
  startBytes: startMib * mib,
  sizeBytes: sizeMib * mib,
});

describe("partitionAt", () => {
  it("finds a partition by its place", () => {
    expect(partitionAt(disk, wanted(3, 10, 90)).kernelName).toBe("vda3");
  });

  it("takes none of another length at the same place, nor of another place and the same length", () => {
    const odd = { ...disk, partitions: [part(1, 10, 80), part(2, 20, 90), part(3, 10, 90)] };
    expect(partitionAt(odd, wanted(1, 10, 90)).kernelName).toBe("vda3");
  });

  it("finds what is kept under another number, as a build that is resumed behind a new table does", () => {
    expect(partitionAt(disk, wanted(2, 10, 90)).kernelName).toBe("vda3");
  });

  it("refuses a place where no partition lies, under whatever number", () => {
    expect(() => partitionAt(disk, wanted(3, 10, 80))).toThrow(
      `partition 3 of disk system lies at ${10 * mib}, ${90 * mib} bytes long; the plan says ${10 * mib} and ${80 * mib}`,
    );
    expect(() => partitionAt(disk, wanted(2, 50, 10))).toThrow(
      "partition 2 of disk system (/dev/vda) is not there",
    );
  });
});

const identity = { name: "system", serial: "SYS", sizeBytes: 100 * mib };
const sectors = (mibs: number) => String(mibs * 2048);
const machine = () =>
  kernelDisks({
    vda: { size: sectors(100), serial: "OTHER" },
    vdb: {
      size: sectors(100),
      serial: "SYS",
      "vdb1/partition": "1",
      "vdb1/start": sectors(1),
      "vdb1/size": sectors(9),
    },
  });

describe("the path that is written", () => {
  it("is that of the disk or partition as this boot calls it, or that of an image", async () => {
    const sources = machine();
    const found = await writableDisk(identity, sources);
    expect(found).toMatchObject({ path: join(sources.dev, "vdb"), kernelName: "vdb" });
    expect(await writablePath({ disk: identity }, sources)).toBe(found.path);
    expect(await partitionPath(wanted(1, 1, 9), sources)).toBe(join(sources.dev, "vdb1"));
    const image = join(sources.dev, "disk.raw");
    writeFileSync(image, "");
    expect(await writablePath({ image }, sources)).toBe(image);
  });

  it.each([
    ["a disk", "vdb", (sources: ReturnType<typeof machine>) => writableDisk(identity, sources)],
    ["a partition", "vdb1", (sources: ReturnType<typeof machine>) => partitionPath(wanted(1, 1, 9), sources)],
    [
      "an image",
      "vdb",
      (sources: ReturnType<typeof machine>) => writablePath({ image: join(sources.dev, "vdb") }),
    ],
  ])("of %s is refused where no disk may be written", async (_what, node, ask) => {
    const sources = machine();
    rmSync(join(sources.dev, node));
    mkdirSync(join(sources.dev, node));
    await expect(ask(sources)).rejects.toThrow(/neither a regular file nor a block device/);
  });
});

describe("refuseBusy", () => {
  const swapped = "Filename\tType\tSize\tUsed\tPriority";
  const busy = async (lines: { mounts?: string[]; swaps?: string[] }) => {
    const sources = machine();
    const at = (line: string) => line.replace("DEV", sources.dev);
    const files = { mounts: lines.mounts ?? [], swaps: [swapped, ...(lines.swaps ?? [])] };
    writeFileSync(join(sources.proc, "self/mounts"), files.mounts.map(at).join("\n"));
    writeFileSync(join(sources.proc, "swaps"), files.swaps.map(at).join("\n"));
    await refuseBusy(await writableDisk(identity, sources), "system", sources);
  };

  it("passes a disk of which nothing is used, whatever is used elsewhere", async () => {
    const mounts = ["DEV/vda / ext4 rw 0 0", "tmpfs DEV/vdb tmpfs rw 0 0", "DEV/vdb10 /x ext4 rw 0 0"];
    const swaps = ["DEV/vda2\tpartition\t1\t0\t-2", "/swapfile file 1 0 -3"];
    await expect(busy({ mounts, swaps })).resolves.toBeUndefined();
  });

  it("refuses a disk that is mounted or swapped on, as a whole or by a partition", async () => {
    for (const node of ["vdb", "vdb1"]) {
      const mounted = busy({ mounts: ["proc /proc proc rw 0 0", `DEV/${node} /mnt ext4 rw 0 0`] });
      await expect(mounted).rejects.toThrow(new RegExp(`system is in use: .*/${node} is mounted or swap`));
      const swapping = busy({ swaps: [`DEV/${node}\tpartition\t1\t0\t-2`] });
      await expect(swapping).rejects.toThrow(new RegExp(`/${node} is mounted or swap`));
    }
  });

  it("refuses a disk on which something is stacked", async () => {
    const held = { ...disk, holders: ["dm-0", "md0"] };
    await expect(refuseBusy(held, "system", machine())).rejects.toThrow(
      "disk system (/dev/vda) is in use by dm-0, md0",
    );
  });
});
