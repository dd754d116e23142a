import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { DiskIdentity, findDisk } from "../../disks/find-disk.ts";
import { refuseHostDisks } from "../../disks/guard.ts";
import { parseBlkid, parsePvs, refuseSpanning, type Seen } from "../../disks/membership.ts";
import { parseMountinfo } from "../../disks/mountinfo.ts";
import { type Closing, closings, readBlocks } from "../../disks/topology.ts";
import { runActions } from "../step/actions.ts";
import { defineStep, type StepContext } from "../step/step.ts";
import { loadModules, settle } from "./kernel-modules.ts";

/** Flushing what an earlier attempt wrote. */
const flushMs = 1_800_000;
const timeoutMs = 120_000;

/**
 * Closes what is open on the planned disks, and looks for what spans one of them and one that is not planned. The first thing that
 * cannot be closed is the end of the run, and nothing was written yet.
 */
export const closeDisks = defineStep({
  kind: "close-disks",
  summary: "close what is open on the planned disks",
  schema: z.strictObject({
    /** Those that will be written. */
    disks: z.array(DiskIdentity),
  }),
  run: async ({ disks }, context) => {
    const { sys, dev, proc } = context.machine;
    const toWrite = new Set<string>();
    for (const identity of disks) {
      const { kernelName } = await findDisk(identity, context.machine);
      await refuseHostDisks(join(dev, kernelName));
      toWrite.add(kernelName);
    }
    await runActions([...loadModules(["lvm"]), settle], context);
    const blocks = await readBlocks(sys);
    const mounts = parseMountinfo(await readFile(join(proc, "self/mountinfo"), "utf8"));
    const swaps = (await readFile(join(proc, "swaps"), "utf8"))
      .split("\n")
      .slice(1)
      .flatMap((line) => line.split(/\s/)[0] || []);
    for (const closing of closings(blocks, toWrite, { mounts, swaps })) {
      const argv = argvOf(closing);
      context.log.info(argv.join(" "));
      await context.tool(argv, { timeoutMs: closing.do === "unmount" ? flushMs : timeoutMs });
    }
    await runActions([settle], context);
    refuseSpanning(await membersSeen(context), toWrite);
  },
});

function argvOf(closing: Closing): string[] {
  switch (closing.do) {
    case "unmount":
      return ["umount", closing.point];
    case "swapoff":
      return ["swapoff", closing.path];
    case "remove-mapping":
      return ["dmsetup", "remove", "--retry", closing.name];
    case "stop-array":
      return ["mdadm", "--stop", closing.path];
  }
}

async function membersSeen({ tool, machine }: StepContext): Promise<Seen[]> {
  // 2: nothing was found anywhere.
  const { stdout } = await tool(["blkid", "-c", "/dev/null", "-o", "export"], { timeoutMs, accept: [0, 2] });
  const signatures = parseBlkid(stdout);
  const pvs = ["lvm", "pvs", "--noheadings", "--separator", "|", "-o", "pv_name,vg_name,vg_uuid"];
  const groups = parsePvs((await tool(pvs, { timeoutMs })).stdout);
  const blocks = await readBlocks(machine.sys);
  return blocks
    .filter(({ mapping, array }) => mapping === undefined && array === undefined)
    .map(({ name, on }) => ({
      disk: on[0] ?? name,
      device: name,
      fsType: signatures.get(name)?.fsType,
      uuid: signatures.get(name)?.uuid,
      group: groups.get(name),
    }));
}
