import type { Swap } from "../../schema/storage-content.ts";
import { makeStorage } from "../../steps/disk/make-storage.ts";
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
};

/** A line of crypttab(5) for swap whose key nobody knows. */
export function randomSwapLine(name: string, device: string, discard: boolean): string {
  const options = [
    "swap",
    "cipher=aes-xts-plain64",
    "size=512",
    "sector-size=4096",
    ...(discard ? ["discard"] : []),
  ];
  return `${name} ${device} /dev/urandom ${options.join(",")}`;
}
