import { mkdir, rm, truncate, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { z } from "zod";
import { DeviceRef, openDevice, printedDevice } from "../../disks/device.ts";
import { defineActions, inMemory } from "../step/actions.ts";
import type { Action, Command, StepContext } from "../step/step.ts";
import { loadModules, settle } from "./kernel-modules.ts";
import { hasMapping } from "./open-storage.ts";

const options = { timeoutMs: 600_000 };
/** What activating may write of a member: metadata, superblocks of mirrors, a thin pool's commit. */
const copyBytes = 64 * 2 ** 20;
/** Of a snapshot's chunk, in sectors. */
const chunkSectors = 8;

const schema = z.strictObject({ name: z.string(), members: z.array(DeviceRef).min(1) });

/**
 * Activates a group's volumes before the first write. LVM, mirrors and thin pools write to their members when they are activated, so each
 * member is a snapshot: read from the disk, written to RAM.
 */
export const lookAtGroup = defineActions({
  kind: "look-at-group",
  schema,
  actions: ({ name, members }) => [
    ...loadModules(["lvm", "snapshot"]),
    ...members.flatMap((member, index) => overlay(nameOf(name, index), member)),
    activate("y", name, members.length),
    settle,
  ],
});

export const leaveGroup = defineActions({
  kind: "leave-group",
  schema,
  actions: ({ name, members }) => [
    {
      when: "if it was looked at",
      holds: ({ machine }) => hasMapping(machine.sys, (mapping) => mapping === nameOf(name, 0)),
      actions: [
        settle,
        activate("n", name, members.length),
        settle,
        ...members.map((_member, index) => ({
          argv: ["dmsetup", "remove", "--retry", nameOf(name, index)],
          options,
        })),
      ],
    },
  ],
});

function nameOf(group: string, index: number): string {
  return `imgbuild-look-${index}-${group}`;
}

/** The file and its loop device are gone with the snapshot that uses them. */
function overlay(name: string, member: DeviceRef): Action[] {
  const file = inMemory(name);
  let loop = "";
  const node = { shown: "<that loop device>", value: () => loop };
  const table = {
    shown: `'0 <sectors> snapshot ${printedDevice(member)} <that loop device> N ${chunkSectors}'`,
    value: async ({ machine }: StepContext) => {
      const { path, sizeBytes } = await openDevice(member, machine);
      return `0 ${sizeBytes / 512} snapshot ${path} ${loop} N ${chunkSectors}`;
    },
  };
  return [
    {
      does: `make the file ${file.shown} of ${copyBytes / 2 ** 20} MiB`,
      run: async (context) => {
        const path = await file.value(context);
        await mkdir(dirname(path), { recursive: true, mode: 0o700 });
        await writeFile(path, "", { mode: 0o600 });
        await truncate(path, copyBytes);
      },
    },
    {
      argv: ["losetup", "--find", "--show", file],
      options,
      read: ({ stdout }) => {
        loop = stdout.trim();
      },
    },
    { argv: ["dmsetup", "create", name, "--table", table], options },
    { argv: ["losetup", "--detach", node], options },
    { does: `remove ${file.shown}`, run: async (context) => await rm(await file.value(context)) },
  ];
}

function activate(how: "y" | "n", name: string, count: number): Command {
  const devices = Array.from({ length: count }, (_none, index) => `/dev/mapper/${nameOf(name, index)}`);
  return {
    argv: ["lvm", "vgchange", "--quiet", "--activate", how, "--devices", devices.join(","), name],
    options,
  };
}
