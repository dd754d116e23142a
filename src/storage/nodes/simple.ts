import type { Simple } from "../../schema/storage-content.ts";
import { makeStorage } from "../../steps/disk/make-storage.ts";
import { stepData } from "../../steps/step/step.ts";
import { filesystems, simpleFilesystems } from "../../tables/filesystem/filesystems.ts";
import { filesystemUuid } from "../graph/ids.ts";
import type { ContentType } from "./node.ts";

/** Any filesystem that is made by one command. */
export const simple: ContentType<Simple> = {
  needs: ({ type }) => filesystems[type],
  create: ({ type, mount, label, uuid }, { device, scope, seed, epoch, what }) => {
    const { program, args } = simpleFilesystems[type];
    const words = args(uuid ?? filesystemUuid(seed, ...scope), label);
    return [
      stepData(makeStorage, `formatting ${what} as ${type} for ${mount}`, {
        commands: [{ program, args: [...words, { device }] }],
        epoch,
      }),
    ];
  },
};
