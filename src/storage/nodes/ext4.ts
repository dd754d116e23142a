import type { Ext4 } from "../../schema/storage-content.ts";
import { mkfsExt4 } from "../../steps/disk/mkfs-disk.ts";
import { stepData } from "../../steps/step/step.ts";
import { filesystemUuid, hashSeed } from "../graph/ids.ts";
import type { ContentType } from "./node.ts";

export const ext4: ContentType<Ext4> = {
  needs: ({ verity }) =>
    verity === undefined
      ? { modules: ["ext4"] }
      : {
          packages: ["cryptsetup-bin", "e2fsprogs"],
          modules: ["ext4", "dm-mod", "dm-verity", "sha256_generic", "overlay"],
        },
  create: ({ mount, label, uuid }, { device, scope, seed, what }) => [
    stepData(mkfsExt4, `formatting ${what} as ext4 for ${mount}`, {
      device,
      uuid: uuid ?? filesystemUuid(seed, ...scope),
      hashSeed: hashSeed(seed, ...scope),
      ...(label === undefined ? {} : { label }),
    }),
  ],
};
