import type { Swap } from "../../schema/storage-content.ts";
import { makeStorage } from "../../steps/disk/make-storage.ts";
import { swapPartitionImage } from "../../steps/image/swap-partition-image.ts";
import { stepData } from "../../steps/step/step.ts";
import { contentUuid } from "../graph/ids.ts";
import type { ContentType } from "./node.ts";

export const swap: ContentType<Swap> = {
  needs: ({ randomKey }) =>
    randomKey === undefined ? {} : { packages: ["cryptsetup", "systemd-cryptsetup"] },
  create: ({ label, randomKey, uuid }, { device, scope, seed, epoch, what }) => {
    // Made anew at each start; until then nothing must pass for something else.
    if (randomKey !== undefined)
      return [
        stepData(makeStorage, `clearing ${what} for encrypted swap`, {
          commands: [{ program: "wipefs", args: ["--all", "--quiet", { device }] }],
          epoch,
        }),
      ];
    const words = ["--force", "--uuid", uuid ?? contentUuid(seed, "swap", ...scope)];
    const args = [...words, ...(label === undefined ? [] : ["--label", label]), { device }];
    return [
      stepData(makeStorage, `formatting ${what} as swap`, { commands: [{ program: "mkswap", args }], epoch }),
    ];
  },
  image: {
    make: ({ label, randomKey, uuid }, { image, offsetBytes, sizeBytes, scope, seed }) =>
      randomKey !== undefined
        ? []
        : [
            stepData(swapPartitionImage, `making the swap partition ${scope[1]}`, {
              ...{ image, offsetBytes, sizeBytes },
              uuid: uuid ?? contentUuid(seed, "swap", ...scope),
              ...(label === undefined ? {} : { label }),
            }),
          ],
  },
  /** Swap with a key that is never kept. */
  crypttab: ({ randomKey, discard }, { device }) =>
    randomKey === undefined
      ? []
      : [
          `${randomKey} ${device} /dev/urandom swap,cipher=aes-xts-plain64,size=512,sector-size=4096${discard ? ",discard" : ""}`,
        ],
  fstab: ({ randomKey, priority, discard, uuid, keep }, { seed, scope }) => ({
    source:
      randomKey === undefined
        ? `UUID=${keep?.uuid ?? uuid ?? contentUuid(seed, "swap", ...scope)}`
        : `/dev/mapper/${randomKey}`,
    type: "swap",
    options: [...(priority === undefined ? [] : [`pri=${priority}`]), ...(discard ? ["discard"] : [])],
  }),
};
