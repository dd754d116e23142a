import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { sha256 } from "../../util/digest.ts";
import { Fail } from "../../util/fail.ts";
import { defineStep } from "../step/step.ts";
import { placeFor } from "./owner.ts";

/** The definition's `files/`: they keep their places and modes, and belong to root. */
export const placeFiles = defineStep({
  kind: "place-files",
  summary: "place the files of the definition's files/",
  schema: z.strictObject({
    files: z.array(
      z.strictObject({ path: z.string().startsWith("/"), mode: z.string(), sha256: z.string() }),
    ),
  }),
  run: async ({ files }, context) => {
    for (const file of files) {
      if (context.files === undefined) throw new Fail(`${file.path} did not come along`);
      const content = await readFile(join(context.files, file.path));
      if (sha256(content) !== file.sha256)
        throw new Fail(`${file.path} of files/ has changed since the plan was made`, { hint: "start again" });
      const tree = placeFor(context.root, file.path);
      tree.write(file.path, content, { mode: Number.parseInt(file.mode, 8), uid: 0, gid: 0 });
    }
  },
});
