import type { DeviceRef } from "../../disks/device.ts";
import type { StepData } from "../../schema/plan.ts";
import type { Volume } from "../../schema/storage.ts";
import type { LvmPv } from "../../schema/storage-content.ts";
import { leaveGroup, lookAtGroup } from "../../steps/disk/look-at-group.ts";
import { makeStorage } from "../../steps/disk/make-storage.ts";
import { closeGroup, openGroup } from "../../steps/disk/open-storage.ts";
import { removeVolumes } from "../../steps/disk/remove-volumes.ts";
import { stepData } from "../../steps/step/step.ts";
import type { ContentType, Needs } from "./node.ts";

const pvNeeds: Needs = { packages: ["lvm2"], modules: ["dm-mod"] };

/** A physical volume. */
export const lvmPv: ContentType<LvmPv> = {
  needs: () => pvNeeds,
  create: ({ group, uuid, keep }, { device, epoch, what }) =>
    keep !== undefined
      ? []
      : [
          stepData(makeStorage, `making ${what} a member of ${group}`, {
            commands: [
              { program: "wipefs", args: ["--all", "--quiet", { device }] },
              {
                program: "lvm",
                args: ["pvcreate", ...quiet, ...own(uuid), "--devices", { device }, { device }],
              },
            ],
            epoch,
          }),
        ],
};

const quiet = ["--quiet", "--yes"];

/** Without a backup of metadata to restore, LVM takes a UUID only when told that there is none. */
function own(uuid: string | undefined): string[] {
  return uuid === undefined ? [] : ["--norestorefile", "--uuid", uuid];
}

export const lvmGroup = {
  create(name: string, members: readonly DeviceRef[], epoch: number): StepData[] {
    const args = ["vgcreate", ...quiet, ...onlyOn(members), name, ...members.map((device) => ({ device }))];
    return [
      stepData(makeStorage, `making the volume group ${name}`, {
        commands: [{ program: "lvm", args }],
        epoch,
      }),
    ];
  },
  open: (name: string, members: readonly DeviceRef[]): StepData[] => [
    stepData(openGroup, `activating ${name}`, { name, members: [...members] }),
  ],
  /** As `open`, before the first write: the members stay as they are. */
  look: (name: string, members: readonly DeviceRef[]): StepData[] => [
    stepData(lookAtGroup, `looking into ${name}`, { name, members: [...members] }),
  ],
  leave: (name: string, members: readonly DeviceRef[]): StepData[] => [
    stepData(leaveGroup, `leaving ${name}`, { name, members: [...members] }),
  ],
  close: (name: string): StepData[] => [stepData(closeGroup, `deactivating ${name}`, { name })],
};

export const lvmVolume = {
  needs: ({ kind }: Volume): Needs => ({
    packages: ["lvm2", ...(kind === "thin" || kind === "thin-pool" ? ["thin-provisioning-tools"] : [])],
    modules: {
      linear: [],
      striped: [],
      raid1: ["dm-raid", "raid1"],
      thin: ["dm-thin-pool"],
      "thin-pool": ["dm-thin-pool"],
    }[kind],
  }),
  create(
    group: string,
    name: string,
    volume: Volume,
    site: { readonly members: readonly DeviceRef[]; readonly epoch: number; readonly groupIsKept: boolean },
  ): StepData[] {
    const args = [
      "lvcreate",
      ...quiet,
      ...(volume.kind === "thin-pool" ? [] : ["--wipesignatures", "y"]),
      ...onlyOn(site.members),
      "--name",
      name,
      ...shape(volume),
      group,
    ];
    return [
      ...(site.groupIsKept
        ? [
            stepData(removeVolumes, `removing the old volume ${group}/${name}`, {
              group,
              names: [name],
              members: [...site.members],
            }),
          ]
        : []),
      stepData(makeStorage, `making the volume ${group}/${name}`, {
        commands: [{ program: "lvm", args }],
        epoch: site.epoch,
      }),
    ];
  },
};

/** LVM looks at every disk otherwise, and acts on what it finds there. */
function onlyOn(members: readonly DeviceRef[]): (string | { device: DeviceRef })[] {
  return members.flatMap((device) => ["--devices", { device }]);
}

function shape({ kind, size, over = 2, pool }: Volume): string[] {
  if (kind === "thin")
    return [
      "--type",
      "thin",
      "--virtualsize",
      `${typeof size === "number" ? size : 0}b`,
      "--thinpool",
      pool ?? "",
    ];
  const room =
    typeof size === "number"
      ? ["--size", `${size}b`]
      : ["--extents", size === "rest" || size === undefined ? "100%FREE" : `${size}VG`];
  switch (kind) {
    case "striped":
      return ["--type", "striped", "--stripes", String(over), ...room];
    case "raid1":
      return ["--type", "raid1", "--mirrors", String(over - 1), ...room];
    case "thin-pool":
      return ["--type", "thin-pool", ...room];
    case "linear":
      return ["--type", "linear", ...room];
  }
}
