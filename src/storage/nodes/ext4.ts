import type { Ext4 } from "../../schema/storage-content.ts";
import { mkfsExt4 } from "../../steps/disk/mkfs-disk.ts";
import { mkfsExt4Image } from "../../steps/image/mkfs-ext4-image.ts";
import { patchExt4Image } from "../../steps/image/patch-ext4-image.ts";
import { swapFileImage } from "../../steps/image/swap-file-image.ts";
import { stepData } from "../../steps/step/step.ts";
import { filesystems } from "../../tables/filesystem/filesystems.ts";
import { filesystemUuid, hashSeed } from "../graph/ids.ts";
import type { ContentType, Site } from "./node.ts";

export const ext4: ContentType<Ext4> = {
  needs: ({ verity }) =>
    verity === undefined
      ? filesystems.ext4
      : {
          packages: ["cryptsetup-bin", "e2fsprogs"],
          modules: [...filesystems.ext4.modules, "dm-mod", "dm-verity", "sha256_generic", "overlay"],
        },
  create: (content, { device, scope, seed, what }) => [
    stepData(mkfsExt4, `formatting ${what} as ext4 for ${content.mount}`, {
      device,
      ...identity(content, seed, scope),
    }),
  ],
  image: {
    make: (content, { scope, seed, mountPoint: _, without, ...site }) => [
      stepData(mkfsExt4Image, `making the ext4 filesystem for ${content.mount}`, {
        ...site,
        ...identity(content, seed, scope),
        mount: content.mount,
        without: [...without],
      }),
    ],
    patch: ({ mount }, site, changes, doing) => [
      stepData(patchExt4Image, `${doing} the filesystem for ${mount}`, { ...site, changes, mount }),
    ],
    swapFile: (site, file) => [stepData(swapFileImage, "making the swap file", { ...site, ...file })],
  },
};

function identity({ label, uuid }: Ext4, seed: string, scope: Site["scope"]) {
  return {
    uuid: uuid ?? filesystemUuid(seed, ...scope),
    hashSeed: hashSeed(seed, ...scope),
    ...(label === undefined ? {} : { label }),
  };
}
