import type { Vfat } from "../../schema/storage-content.ts";
import { mkfsVfatDisk } from "../../steps/disk/mkfs-disk.ts";
import { mkfsVfatImage } from "../../steps/image/mkfs-vfat-image.ts";
import { stepData } from "../../steps/step/step.ts";
import { filesystems } from "../../tables/filesystem/filesystems.ts";
import { vfatVolumeId } from "../graph/ids.ts";
import type { ContentType, Site } from "./node.ts";

export const vfat: ContentType<Vfat> = {
  needs: () => filesystems.vfat,
  create: (content, { device, scope, seed, epoch, what }) => [
    stepData(mkfsVfatDisk, `formatting ${what} as FAT for ${content.mount}`, {
      device,
      epoch,
      ...identity(content, seed, scope),
    }),
  ],
  image: {
    make: (content, { scope, seed, without: _, reservedBytes: __, ...site }) => [
      stepData(mkfsVfatImage, `making the FAT filesystem for ${content.mount}`, {
        ...site,
        ...identity(content, seed, scope),
      }),
    ],
  },
};

function identity({ label, uuid }: Vfat, seed: string, scope: Site["scope"]) {
  return {
    volumeId: uuid?.replace("-", "").toLowerCase() ?? vfatVolumeId(seed, ...scope),
    ...(label === undefined ? {} : { label }),
  };
}
