import { mkdir, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { DeviceRef, openDevice } from "../../disks/device.ts";
import { defineStep, type StepContext } from "../step/step.ts";
import { loadModules } from "./kernel-modules.ts";
import { hasMapping, settle } from "./open-storage.ts";

const timeoutMs = 600_000;
/** What activating may write of a member: metadata, superblocks of mirrors, a thin pool's commit. */
const copyBytes = 64 * 2 ** 20;
/** Of a snapshot's chunk, in sectors. */
const chunkSectors = 8;

const schema = z.strictObject({ name: z.string(), members: z.array(DeviceRef).min(1) });

/**
 * Activates a group's volumes before the first write. LVM, mirrors and thin pools write to their members when they are activated, so each
 * member is a snapshot: read from the disk, written to RAM.
 */
export const lookAtGroup = defineStep({
  kind: "look-at-group",
  summary: "activate the volumes of a group without writing to its members",
  schema,
  tools: ["dmsetup", "losetup", "lvm", "udevadm"],
  run: async ({ name, members }, context) => {
    await loadModules(context, ["lvm", "snapshot"]);
    await mkdir(parentOf(context), { recursive: true, mode: 0o700 });
    for (const [index, member] of members.entries()) await overlay(context, nameOf(name, index), member);
    await activate(context, "y", name, members.length);
    await settle(context);
  },
});

export const leaveGroup = defineStep({
  kind: "leave-group",
  summary: "deactivate the volumes of a group that was looked at",
  schema,
  tools: ["dmsetup", "lvm", "udevadm"],
  run: async ({ name, members }, context) => {
    if (!(await hasMapping(context.machine.sys, (one) => one === nameOf(name, 0)))) return;
    await settle(context);
    await activate(context, "n", name, members.length);
    await settle(context);
    for (const index of members.keys())
      await context.tool(["dmsetup", "remove", "--retry", nameOf(name, index)], { timeoutMs });
  },
});

function parentOf({ machine }: StepContext): string {
  return join(machine.run, "imgbuild");
}

function nameOf(group: string, index: number): string {
  return `imgbuild-look-${index}-${group}`;
}

/** The file and its loop device are gone with the snapshot that uses them. */
async function overlay(context: StepContext, name: string, member: DeviceRef): Promise<void> {
  const { path, sizeBytes } = await openDevice(member, context.machine);
  const file = join(parentOf(context), name);
  await writeFile(file, "", { mode: 0o600 });
  await truncate(file, copyBytes);
  const { stdout } = await context.tool(["losetup", "--find", "--show", file], { timeoutMs });
  const loop = stdout.trim();
  const table = `0 ${sizeBytes / 512} snapshot ${path} ${loop} N ${chunkSectors}`;
  await context.tool(["dmsetup", "create", name, "--table", table], { timeoutMs });
  await context.tool(["losetup", "--detach", loop], { timeoutMs });
  await rm(file);
}

async function activate(context: StepContext, how: "y" | "n", name: string, count: number): Promise<void> {
  const devices = Array.from({ length: count }, (_none, index) => `/dev/mapper/${nameOf(name, index)}`);
  const argv = ["lvm", "vgchange", "--quiet", "--activate", how, "--devices", devices.join(","), name];
  await context.tool(argv, { timeoutMs });
}
