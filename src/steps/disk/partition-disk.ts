import { open } from "node:fs/promises";
import { z } from "zod";
import { DiskIdentity } from "../../disks/find-disk.ts";
import { refuseBusy, writableDisk } from "../../disks/target.ts";
import { type Extent, wipeExtents } from "../../disks/wipe.ts";
import { defineStep } from "../step/step.ts";

const settleMs = 90_000;
const Extents = z.array(z.strictObject({ startBytes: z.int().positive(), sizeBytes: z.int().positive() }));

/** Clears all signatures but those of what is kept, and writes the partition table. */
export const partitionDisk = defineStep({
  kind: "partition-disk",
  summary: "write a disk's partition table",
  schema: z.strictObject({
    disk: DiskIdentity,
    script: z.string(),
    /** Partitions whose bytes stay. */
    kept: Extents.default([]),
    /** The others. */
    made: Extents.default([]),
  }),
  tools: ["sfdisk", "udevadm"],
  run: async ({ disk, script, kept, made }, context) => {
    const found = await writableDisk(disk, context.machine);
    await refuseBusy(found, disk.name, context.machine);
    const extents = wipeExtents({
      sizeBytes: disk.sizeBytes,
      partitions: [...found.partitions, ...made],
      kept,
    });
    await clear(found.path, extents);
    // Nothing is left for sfdisk to wipe, and it does not know what is kept.
    const never = ["--wipe", kept.length === 0 ? "always" : "never", "--wipe-partitions", "never"];
    await context.tool(["sfdisk", "--quiet", ...never, found.path], { stdin: script });
    await context.tool(["udevadm", "settle", "--timeout=60"], { timeoutMs: settleMs });
  },
});

async function clear(path: string, extents: readonly Extent[]): Promise<void> {
  const file = await open(path, "r+");
  try {
    for (const { startBytes, sizeBytes } of extents)
      await file.write(Buffer.alloc(sizeBytes), 0, sizeBytes, startBytes);
    await file.sync();
  } finally {
    await file.close();
  }
}
