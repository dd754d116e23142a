import { z } from "zod";
import { DiskIdentity } from "../storage/find-disk.ts";
import { refuseBusy, writableDisk } from "../storage/target.ts";
import { defineStep } from "./step.ts";

const settleMs = 90_000;

/** Wipes a disk's signatures and writes its partition table. */
export const partitionDisk = defineStep({
  kind: "partition-disk",
  summary: "write a disk's partition table",
  schema: z.strictObject({ disk: DiskIdentity, script: z.string() }),
  tools: ["sfdisk", "wipefs", "udevadm"],
  run: async ({ disk, script }, context) => {
    const found = await writableDisk(disk);
    await refuseBusy(found, disk.name);
    // From the inside out: a signature left in a partition would come back with a partition at the same place.
    for (const { kernelName } of found.partitions)
      await context.tool(["wipefs", "--all", "--quiet", `/dev/${kernelName}`]);
    await context.tool(["wipefs", "--all", "--quiet", found.path]);
    const argv = ["sfdisk", "--quiet", "--wipe", "always", "--wipe-partitions", "always", found.path];
    await context.tool(argv, { stdin: script });
    await context.tool(["udevadm", "settle", "--timeout=60"], { timeoutMs: settleMs });
  },
});
