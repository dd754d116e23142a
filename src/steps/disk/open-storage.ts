import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { DeviceRef, findDevice, openDevice } from "../../disks/device.ts";
import type { MachinePaths } from "../../disks/find-disk.ts";
import { Fail } from "../../util/fail.ts";
import { defineStep, type StepContext } from "../step/step.ts";
import { loadModules } from "./kernel-modules.ts";
import { trimmed } from "./storage-key.ts";

const timeoutMs = 600_000;
const settleMs = 90_000;

/** Opens a LUKS volume by a secret; one that is open already stays so. */
export const openLuks = defineStep({
  kind: "open-luks",
  summary: "open a LUKS volume",
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
  tools: ["cryptsetup", "udevadm"],
  run: async ({ device, header, name, uuid, secret, trim, discard, readOnly }, context) => {
    if ((await findDevice({ luks: { name, uuid } }, context.machine)) !== undefined) return;
    await loadModules(context, ["cryptsetup"]);
    const key = context.secrets.get(secret);
    if (key === undefined) throw new Fail(`the secret ${secret} is not at hand`);
    const argv = ["cryptsetup", "open", "--type=luks2", "--batch-mode", "--key-file=-"];
    if (discard) argv.push("--allow-discards");
    if (readOnly) argv.push("--readonly");
    if (header !== undefined) argv.push(`--header=${(await openDevice(header, context.machine)).path}`);
    await context.tool([...argv, (await openDevice(device, context.machine)).path, name], {
      stdin: trim ? trimmed(key.expose()) : key.expose(),
      timeoutMs,
      hint: `does the secret ${secret} open it?`,
    });
    await settle(context);
  },
});

/** Closes a LUKS volume; one that is not open is closed. */
export const closeLuks = defineStep({
  kind: "close-luks",
  summary: "close a LUKS volume",
  schema: z.strictObject({ name: z.string(), uuid: z.string() }),
  tools: ["cryptsetup", "udevadm"],
  run: async ({ name, uuid }, context) => {
    if ((await findDevice({ luks: { name, uuid } }, context.machine)) === undefined) return;
    await settle(context);
    await context.tool(["cryptsetup", "close", name], { timeoutMs });
  },
});

/** Members of a group or an array, and nothing else, are looked at. */
const Members = z.array(DeviceRef).min(1);

export const openGroup = defineStep({
  kind: "open-group",
  summary: "activate the volumes of a group",
  schema: z.strictObject({ name: z.string(), members: Members }),
  tools: ["lvm", "udevadm"],
  run: async ({ name, members }, context) => {
    await loadModules(context, ["lvm"]);
    const argv = [
      "lvm",
      "vgchange",
      "--quiet",
      "--activate",
      "y",
      "--devices",
      await pathsOf(members, context.machine),
      name,
    ];
    await context.tool(argv, { timeoutMs });
    await settle(context);
  },
});

export const closeGroup = defineStep({
  kind: "close-group",
  summary: "deactivate the volumes of a group",
  schema: z.strictObject({ name: z.string() }),
  tools: ["dmsetup", "lvm", "udevadm"],
  run: async ({ name }, context) => {
    if (!(await hasMapping(context.machine.sys, (one) => one.startsWith(`${name}-`)))) return;
    await settle(context);
    await context.tool(["lvm", "vgchange", "--quiet", "--activate", "n", name], { timeoutMs });
  },
});

export const openArray = defineStep({
  kind: "open-array",
  summary: "assemble an array",
  schema: z.strictObject({ name: z.string(), uuid: z.string(), members: Members }),
  tools: ["mdadm", "udevadm"],
  run: async ({ name, uuid, members }, context) => {
    if ((await findDevice({ array: { name, uuid } }, context.machine)) !== undefined) return;
    await loadModules(context, ["mdadm"]);
    const paths = (await pathsOf(members, context.machine)).split(",");
    await context.tool(["mdadm", "--assemble", `--uuid=${uuid}`, `/dev/md/${name}`, ...paths], { timeoutMs });
    await settle(context);
  },
});

export const closeArray = defineStep({
  kind: "close-array",
  summary: "stop an array",
  schema: z.strictObject({ name: z.string(), uuid: z.string() }),
  tools: ["mdadm", "udevadm"],
  run: async ({ name, uuid }, context) => {
    const found = await findDevice({ array: { name, uuid } }, context.machine);
    if (found === undefined) return;
    await settle(context);
    await context.tool(["mdadm", "--stop", found.path], { timeoutMs });
  },
});

/** As --devices of LVM takes them. */
async function pathsOf(members: readonly DeviceRef[], machine: MachinePaths): Promise<string> {
  const paths: string[] = [];
  for (const member of members) paths.push((await openDevice(member, machine)).path);
  return paths.join(",");
}

/** udev opens what appears and what was written, for a moment, and nothing can be closed meanwhile. */
export async function settle(context: Pick<StepContext, "tool">): Promise<void> {
  await context.tool(["udevadm", "settle", "--timeout=60"], { timeoutMs: settleMs });
}

export async function hasMapping(sys: string, is: (name: string) => boolean): Promise<boolean> {
  for (const block of await readdir(join(sys, "block"))) {
    const name = await readFile(join(sys, "block", block, "dm/name"), "utf8").catch(() => undefined);
    if (name !== undefined && is(name.trim())) return true;
  }
  return false;
}
