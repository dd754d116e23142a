import { dirname } from "node:path";
import { z } from "zod";
import { databaseBackups } from "../../debian/unpack/dpkg-db.ts";
import { distribution } from "../../tables/distribution.ts";
import { Tree } from "../../tree/tree.ts";
import { canonicalJson, sha256 } from "../../util/digest.ts";
import { defineStep } from "../step/step.ts";

/** Where a deploy leaves its mark on the new system. */
export const markPath = "/var/lib/imgbuild/deploy.json";

/** Removes what is left of the making, and gives the system its own identity. */
export const finishTree = defineStep({
  kind: "finish-tree",
  summary: "clear the traces of the making",
  schema: z.strictObject({
    definition: z.string(),
    epoch: z.int().positive(),
    /** Of a definition that is for the host with this one; else each deploy makes another. */
    machineId: z
      .string()
      .regex(/^[0-9a-f]{32}$/)
      .optional(),
  }),
  run: async ({ definition, epoch, machineId: kept }, { root, nonce, began }) => {
    const tree = new Tree(root);
    clearTraces(tree);
    settlePasswordDates(tree, epoch, began);
    // An empty file makes systemd take a fresh one at the first start; a deploy brings its own.
    const machineId = nonce === undefined ? "" : `${kept ?? machineIdOf(nonce)}\n`;
    if (tree.stat("/etc/machine-id")?.isFile()) tree.rewrite("/etc/machine-id", machineId);
    else tree.write("/etc/machine-id", machineId, { mode: 0o444 });
    if (nonce === undefined) return;
    tree.makeDirectories(dirname(markPath));
    tree.write(markPath, `${canonicalJson({ version: 1, nonce, definition })}\n`);
  },
});

/** Of the system that a deploy with this nonce makes, where the definition names none. */
export function machineIdOf(nonce: string): string {
  return sha256(`${nonce} machine-id`).slice(0, 32);
}

/** What is left of the making, and what would differ with each making. */
export function clearTraces(tree: Tree): void {
  for (const path of [
    "/etc/passwd-",
    "/etc/shadow-",
    "/etc/group-",
    "/etc/gshadow-",
    ...databaseBackups,
    "/var/lib/dbus/machine-id",
    "/var/lib/systemd/random-seed",
    "/var/lib/systemd/credential.secret",
    "/root/.bash_history",
    // ldconfig's memory of inodes and times, which are other ones in every making; it does without.
    "/var/cache/ldconfig/aux-cache",
    // Where packages waited to be installed.
    "/var/cache/imgbuild-packages",
  ])
    tree.remove(path);
  for (const directory of ["/tmp", "/run", "/var/tmp", `${distribution.archives}/partial`])
    tree.clear(directory);
  // apt's own directory, as its package has it.
  tree.clear(distribution.archives, ["partial"]);
  for (const name of distribution.logs)
    if (tree.stat(`/var/log/${name}`)?.isFile()) tree.rewrite(`/var/log/${name}`, "");
}

const daySeconds = 86_400;

/**
 * The days on which passwords were set are days of the making. An account without a login by password gets the day of
 * `epoch`; a password has none, and so no age: it is not known when it was made.
 */
export function settlePasswordDates(tree: Tree, epoch: number, began: number): void {
  const file = "/etc/shadow";
  const text = tree.text(file);
  if (text === undefined) return;
  const [first, last] = [began, Date.now() / 1000].map((time) => Math.floor(time / daySeconds));
  const settled = text.replace(/^([^:\n]*):([^:\n]*):(\d+):/gm, (line, name, password, day) => {
    if (Number(day) < first! || Number(day) > last!) return line;
    return `${name}:${password}:${/^[!*]/.test(password) ? Math.floor(epoch / daySeconds) : ""}:`;
  });
  if (settled !== text) tree.rewrite(file, settled);
}
