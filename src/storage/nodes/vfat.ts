import type { Vfat } from "../../schema/storage-content.ts";
import { mkfsVfatDisk } from "../../steps/disk/mkfs-disk.ts";
import { stepData } from "../../steps/step/step.ts";
import { vfatVolumeId } from "../graph/ids.ts";
import type { ContentType } from "./node.ts";

export const vfat: ContentType<Vfat> = {
  needs: () => ({}),
  create: ({ mount, label, uuid }, { device, scope, seed, epoch, what }) => [
    stepData(mkfsVfatDisk, `formatting ${what} as FAT for ${mount}`, {
      device,
      volumeId: uuid?.replace("-", "").toLowerCase() ?? vfatVolumeId(seed, ...scope),
      epoch,
      ...(label === undefined ? {} : { label }),
    }),
  ],
};
