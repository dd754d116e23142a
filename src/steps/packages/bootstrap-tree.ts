import { z } from "zod";
import { beginDatabase } from "../../debian/unpack/dpkg-db.ts";
import { LockedPackage } from "../../schema/lock.ts";
import { Tree } from "../../tree/tree.ts";
import { Fail } from "../../util/fail.ts";
import { defineStep } from "../step/step.ts";
import { clearStaging, fetchAndStage, placeAll, runPreinsts, scriptEnv } from "./unpack.ts";

/** The essential packages unpacked without dpkg: enough of a system for the tree's own dpkg to configure them. */
export const bootstrapTree = defineStep({
  kind: "bootstrap-tree",
  summary: "unpack the essential packages, without dpkg",
  schema: z.strictObject({ packages: z.array(LockedPackage).min(1) }),
  run: async ({ packages }, context) => {
    const { root, log } = context;
    const dpkg = packages.find(({ name }) => name === "dpkg");
    if (dpkg === undefined) throw new Fail("dpkg is not among the essential packages");
    layOut(Tree.make(root));
    const staged = await fetchAndStage(packages, context, log);
    beginDatabase(root);
    placeAll(staged, { root, owners: new Map() }, { bootstrap: true, log });
    clearStaging(root);
    // Their files must be there before any script can run at all, as in every bootstrap of a Debian system.
    await runPreinsts(staged, context, scriptEnv, dpkg.version);
  },
});

/** One /usr, as Debian has it since 12, and the places that hold no package's files. */
function layOut(tree: Tree): void {
  tree.chmod("/", 0o755);
  for (const name of ["bin", "sbin", "lib", "lib64"]) {
    tree.makeDirectories(`/usr/${name}`);
    tree.symlink(`/${name}`, `usr/${name}`);
  }
  for (const [name, mode] of [
    ["dev", 0o755],
    ["proc", 0o555],
    ["sys", 0o555],
    ["run", 0o755],
    ["tmp", 0o1777],
    ["etc", 0o755],
  ] as const) {
    tree.makeDirectories(`/${name}`);
    tree.chmod(`/${name}`, mode);
  }
}
