import { open } from "node:fs/promises";
import { z } from "zod";
import { DiskIdentity } from "../../disks/find-disk.ts";
import { refuseBusy, writableDisk } from "../../disks/target.ts";
import { type Extent, wipeExtents } from "../../disks/wipe.ts";
import { defineActions, device } from "../step/actions.ts";
import { settle } from "./kernel-modules.ts";

const Extents = z.array(z.strictObject({ startBytes: z.int().positive(), sizeBytes: z.int().positive() }));

/** Clears all signatures but those of what is kept, and writes the partition table. */
export const partitionDisk = defineActions({
  kind: "partition-disk",
  schema: z.strictObject({
    disk: DiskIdentity,
    script: z.string(),
    /** Partitions whose bytes stay. */
    kept: Extents.default([]),
    /** The others. */
    made: Extents.default([]),
  }),
  actions: ({ disk, script, kept, made }) => [
    {
      does: "refuse it if it is in use, and clear the signatures of what is not kept",
      run: async ({ machine }) => {
        const found = await writableDisk(disk, machine);
        await refuseBusy(found, disk.name, machine);
        const partitions = [...found.partitions, ...made];
        await clear(found.path, wipeExtents({ sizeBytes: disk.sizeBytes, partitions, kept }));
      },
    },
    {
      // Nothing is left for sfdisk to wipe, and it does not know what is kept.
      argv: [
        ...["sfdisk", "--quiet", "--wipe", kept.length === 0 ? "always" : "never"],
        ...["--wipe-partitions", "never", device({ disk })],
      ],
      options: { stdin: script },
    },
    settle,
  ],
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
