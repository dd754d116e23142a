import type { F2fs } from "../../schema/storage-content.ts";
import { makeStorage } from "../../steps/disk/make-storage.ts";
import { stepData } from "../../steps/step/step.ts";
import { filesystemUuid } from "../graph/ids.ts";
import type { ContentType } from "./node.ts";

export const f2fs: ContentType<F2fs> = {
  needs: () => ({ packages: ["f2fs-tools"], modules: ["f2fs"] }),
  create: ({ mount, label, uuid }, { device, scope, seed, epoch, what }) => {
    const words = ["-q", "-f", "-U", uuid ?? filesystemUuid(seed, ...scope)];
    const args = [...words, ...(label === undefined ? [] : ["-l", label]), { device }];
    return [
      stepData(makeStorage, `formatting ${what} as f2fs for ${mount}`, {
        commands: [{ program: "mkfs.f2fs", args }],
        epoch,
      }),
    ];
  },
};
