import { z } from "zod";
import { DeviceRef } from "../../disks/device.ts";
import { defineActions, device } from "../step/actions.ts";

const options = { timeoutMs: 600_000 };

/** Removes volumes of a kept group that are made anew; those that are not there are none. */
export const removeVolumes = defineActions({
  kind: "remove-volumes",
  schema: z.strictObject({
    group: z.string(),
    names: z.array(z.string()),
    members: z.array(DeviceRef).min(1),
  }),
  actions: ({ group, names, members }) => {
    const devices = members.flatMap((member) => ["--devices", device(member)]);
    let there: readonly string[] = [];
    return [
      {
        argv: ["lvm", "lvs", "--noheadings", "-o", "lv_name", ...devices, group],
        options,
        read: ({ stdout }) => {
          there = stdout.split("\n").map((line) => line.trim());
        },
      },
      ...names.map((name) => ({
        when: `if ${name} is among them`,
        holds: () => there.includes(name),
        actions: [{ argv: ["lvm", "lvremove", "--quiet", "--yes", ...devices, `${group}/${name}`], options }],
      })),
    ];
  },
});
