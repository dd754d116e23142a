import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { DeviceRef, findDevice } from "../../disks/device.ts";
import { readIfThere } from "../../system/files/read-if-there.ts";
import { defineActions, device, joined } from "../step/actions.ts";
import type { Action, StepContext } from "../step/step.ts";
import { loadModules, settle } from "./kernel-modules.ts";

const options = { timeoutMs: 600_000 };

/** Opens a LUKS volume by a secret; one that is open already stays so. */
export const openLuks = defineActions({
  kind: "open-luks",
  schema: z.strictObject({
    device: DeviceRef,
    header: DeviceRef.optional(),
    name: z.string(),
    uuid: z.string(),
    secret: z.string(),
    trim: z.boolean(),
    discard: z.boolean(),
    /** Nothing of it is written, not even a header that needs repair. */
    readOnly: z.boolean().default(false),
  }),
  actions: ({ device: ref, header, name, uuid, secret, trim, discard, readOnly }) => {
    const argv = [
      ...["cryptsetup", "open", "--type=luks2", "--batch-mode", "--key-file=-"],
      ...(discard ? ["--allow-discards"] : []),
      ...(readOnly ? ["--readonly"] : []),
      ...(header === undefined ? [] : [joined(["--header=", device(header)])]),
      device(ref),
      name,
    ];
    const hint = `does the secret ${secret} open it?`;
    return unlessOpen({ luks: { name, uuid } }, [
      ...loadModules(["cryptsetup"]),
      { argv, secrets: [{ name: secret, trim }], options: { ...options, hint } },
      settle,
    ]);
  },
});

/** Closes a LUKS volume; one that is not open is closed. */
export const closeLuks = defineActions({
  kind: "close-luks",
  schema: z.strictObject({ name: z.string(), uuid: z.string() }),
  actions: ({ name, uuid }) =>
    ifOpen({ luks: { name, uuid } }, [settle, { argv: ["cryptsetup", "close", name], options }]),
});

/** Members of a group or an array, and nothing else, are looked at. */
const Members = z.array(DeviceRef).min(1);

export const openGroup = defineActions({
  kind: "open-group",
  schema: z.strictObject({ name: z.string(), members: Members }),
  actions: ({ name, members }) => {
    const devices = joined(members.map(device), ",");
    return [
      ...loadModules(["lvm"]),
      { argv: ["lvm", "vgchange", "--quiet", "--activate", "y", "--devices", devices, name], options },
      settle,
    ];
  },
});

export const closeGroup = defineActions({
  kind: "close-group",
  schema: z.strictObject({ name: z.string() }),
  actions: ({ name }) => [
    {
      when: "if one of them is active",
      holds: ({ machine }) => hasMapping(machine.sys, (mapping) => mapping.startsWith(`${name}-`)),
      actions: [settle, { argv: ["lvm", "vgchange", "--quiet", "--activate", "n", name], options }],
    },
  ],
});

export const openArray = defineActions({
  kind: "open-array",
  schema: z.strictObject({ name: z.string(), uuid: z.string(), members: Members }),
  actions: ({ name, uuid, members }) =>
    unlessOpen({ array: { name, uuid } }, [
      ...loadModules(["mdadm"]),
      {
        argv: ["mdadm", "--assemble", `--uuid=${uuid}`, `/dev/md/${name}`, ...members.map(device)],
        options,
      },
      settle,
    ]),
});

export const closeArray = defineActions({
  kind: "close-array",
  schema: z.strictObject({ name: z.string(), uuid: z.string() }),
  actions: ({ name, uuid }) => {
    const array = { array: { name, uuid } };
    const node = {
      shown: `/dev/md/${name}`,
      value: async ({ machine }: StepContext) => (await findDevice(array, machine))!.path,
    };
    return ifOpen(array, [settle, { argv: ["mdadm", "--stop", node], options }]);
  },
});

function unlessOpen(ref: DeviceRef, actions: readonly Action[]): Action[] {
  const isClosed = async ({ machine }: StepContext) => (await findDevice(ref, machine)) === undefined;
  return [{ when: "unless it is open", holds: isClosed, actions }];
}

function ifOpen(ref: DeviceRef, actions: readonly Action[]): Action[] {
  const isOpen = async ({ machine }: StepContext) => (await findDevice(ref, machine)) !== undefined;
  return [{ when: "if it is open", holds: isOpen, actions }];
}

export async function hasMapping(sys: string, is: (name: string) => boolean): Promise<boolean> {
  for (const block of await readdir(join(sys, "block"))) {
    const name = readIfThere(join(sys, "block", block, "dm/name"));
    if (name !== undefined && is(name.trim())) return true;
  }
  return false;
}
