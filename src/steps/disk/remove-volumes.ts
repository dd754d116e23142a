import { z } from "zod";
import { DeviceRef, openDevice } from "../../disks/device.ts";
import { defineStep } from "../step/step.ts";

const timeoutMs = 600_000;

/** Removes volumes of a kept group that are made anew; those that are not there are none. */
export const removeVolumes = defineStep({
  kind: "remove-volumes",
  summary: "remove volumes of a group that stays",
  schema: z.strictObject({
    group: z.string(),
    names: z.array(z.string()),
    members: z.array(DeviceRef).min(1),
  }),
  tools: ["lvm"],
  run: async ({ group, names, members }, { tool, machine }) => {
    const devices: string[] = [];
    for (const member of members) devices.push("--devices", (await openDevice(member, machine)).path);
    const { stdout } = await tool(["lvm", "lvs", "--noheadings", "-o", "lv_name", ...devices, group], {
      timeoutMs,
    });
    const there = new Set(stdout.split("\n").map((line) => line.trim()));
    for (const name of names)
      if (there.has(name))
        await tool(["lvm", "lvremove", "--quiet", "--yes", ...devices, `${group}/${name}`], { timeoutMs });
  },
});
