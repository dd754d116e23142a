import { chmod, chown, lstat, rm, symlink, writeFile } from "node:fs/promises";
import { z } from "zod";
import { Fail } from "../util/fail.ts";
import { ownerIn, placeFor } from "./owner.ts";
import { defineStep } from "./step.ts";

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
  tools: [],
  run: async ({ files }, { root }) => {
    for (const file of files) {
      const to = await placeFor(root, file.path);
      const found = await lstat(to).catch(() => undefined);
      if (found?.isDirectory() && !("directory" in file))
        throw new Fail(`${file.path} is a directory in the tree, not a file`);
      if (found !== undefined && !found.isDirectory()) await rm(to);
      if ("link" in file) await symlink(file.link, to);
      else if ("directory" in file) {
        if (!found?.isDirectory()) await placeFor(root, `${file.path}/x`);
        await chmod(to, Number.parseInt(file.mode, 8));
      } else {
        const { uid, gid } = await ownerIn(root, file.owner, file.group);
        // Closed until it has its owner: the content is nobody else's meanwhile.
        await writeFile(to, file.content, { mode: 0o600 });
        await chown(to, uid, gid);
        await chmod(to, Number.parseInt(file.mode, 8));
      }
    }
  },
});
