import type { DeviceRef } from "../../disks/device.ts";
import type { StepData } from "../../schema/plan.ts";
import type { MdArray } from "../../schema/storage.ts";
import type { MdMember } from "../../schema/storage-content.ts";
import { makeStorage } from "../../steps/disk/make-storage.ts";
import { closeArray, openArray } from "../../steps/disk/open-storage.ts";
import { stepData } from "../../steps/step/step.ts";
import { contentUuid } from "../graph/ids.ts";
import type { ContentType, Needs } from "./node.ts";

/** Fewer members are no array of that level. */
export const leastMembers = { 0: 2, 1: 2, 5: 3, 6: 4, 10: 2 } as const;
const modulesOf = { 0: "raid0", 1: "raid1", 5: "raid456", 6: "raid456", 10: "raid10" } as const;

/** A member of an array; that is made as a whole. */
export const mdMember: ContentType<MdMember> = {
  needs: () => ({ packages: ["mdadm"], modules: ["md-mod"] }),
  create: () => [],
};

export const mdArray = {
  needs: ({ level }: MdArray): Needs => ({
    packages: ["mdadm"],
    modules: ["md-mod", modulesOf[level]],
  }),
  create(
    name: string,
    { level, metadata }: MdArray,
    members: readonly DeviceRef[],
    { seed, epoch }: { readonly seed: string; readonly epoch: number },
  ): StepData[] {
    const uuid = mdUuid(seed, name);
    const args = [
      "--create",
      `/dev/md/${name}`,
      "--run",
      `--level=${level}`,
      `--metadata=${metadata}`,
      `--raid-devices=${members.length}`,
      `--uuid=${uuid}`,
      `--name=${name}`,
      "--homehost=any",
      ...(level === 0 ? [] : ["--bitmap=internal"]),
      ...members.map((device) => ({ device })),
    ];
    const device = { array: { name, uuid } };
    return [
      stepData(makeStorage, `making the array ${name} of ${members.length} members, level ${level}`, {
        commands: [
          { program: "mdadm", args },
          // What an array before it had at the same place.
          { program: "wipefs", args: ["--all", "--quiet", { device }] },
        ],
        epoch,
      }),
    ];
  },
  open: (name: string, members: readonly DeviceRef[], seed: string): StepData[] => [
    stepData(openArray, `assembling ${name}`, { name, uuid: mdUuid(seed, name), members: [...members] }),
  ],
  close: (name: string, seed: string): StepData[] => [
    stepData(closeArray, `stopping ${name}`, { name, uuid: mdUuid(seed, name) }),
  ],
};

/** As mdadm writes it: four groups of eight digits. */
export function mdUuid(seed: string, name: string): string {
  return contentUuid(seed, "array", "array:", name)
    .replaceAll("-", "")
    .replace(/(.{8})(?=.)/g, "$1:");
}

/** /etc/mdadm/mdadm.conf: these arrays and no others. */
export function mdadmConf(arrays: Readonly<Record<string, MdArray>>, seed: string): string {
  const lines = Object.entries(arrays).map(
    ([name, { metadata }]) => `ARRAY /dev/md/${name} metadata=${metadata} UUID=${mdUuid(seed, name)}`,
  );
  return lines.length === 0 ? "" : `${["HOMEHOST <ignore>", "MAILADDR root", ...lines].join("\n")}\n`;
}
