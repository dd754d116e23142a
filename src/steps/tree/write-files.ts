import { z } from "zod";
import { defineStep } from "../step/step.ts";
import { ownerIn, placeFor } from "./owner.ts";

const Path = z.string().startsWith("/");
export const FileToWrite = z.union([
  z.strictObject({
    path: Path,
    content: z.string(),
    mode: z.string().default("0644"),
    owner: z.string().default("root"),
    group: z.string().default("root"),
  }),
  z.strictObject({ path: Path, link: z.string() }),
  z.strictObject({ path: Path, directory: z.literal(true), mode: z.string().default("0755") }),
]);
export type FileToWrite = z.input<typeof FileToWrite>;

/** Files whose content is in the plan. What is there already is replaced. */
export const writeFiles = defineStep({
  kind: "write-files",
  summary: "write files, links and directories",
  schema: z.strictObject({ files: z.array(FileToWrite) }),
  run: async ({ files }, { root }) => {
    for (const file of files) {
      const { path } = file;
      const tree = placeFor(root, path);
      if ("link" in file) tree.symlink(path, file.link);
      else if ("directory" in file) {
        if (!tree.stat(path)?.isDirectory()) {
          tree.remove(path);
          placeFor(root, `${path}/x`);
        }
        tree.chmod(path, Number.parseInt(file.mode, 8));
      } else {
        const owner = ownerIn(root, file.owner, file.group);
        tree.write(path, file.content, { ...owner, mode: Number.parseInt(file.mode, 8) });
      }
    }
  },
});
