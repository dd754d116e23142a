import type { Xfs } from "../../schema/storage-content.ts";
import { makeStorage } from "../../steps/make-storage.ts";
import { stepData } from "../../steps/step.ts";
import { filesystemUuid } from "../ids.ts";
import type { ContentType } from "../node.ts";

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
