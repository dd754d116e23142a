import type { Xfs } from "../../schema/storage-content.ts";
import { makeStorage } from "../../steps/disk/make-storage.ts";
import { stepData } from "../../steps/step/step.ts";
import { filesystemUuid } from "../graph/ids.ts";
import type { ContentType } from "./node.ts";

export const xfs: ContentType<Xfs> = {
  needs: () => ({ packages: ["xfsprogs"], modules: ["xfs"] }),
  create: ({ mount, label, uuid }, { device, scope, seed, epoch, what }) => {
    const words = ["-q", "-f", "-m", `uuid=${uuid ?? filesystemUuid(seed, ...scope)}`];
    const args = [...words, ...(label === undefined ? [] : ["-L", label]), { device }];
    return [
      stepData(makeStorage, `formatting ${what} as xfs for ${mount}`, {
        commands: [{ program: "mkfs.xfs", args }],
        epoch,
      }),
    ];
  },
};
