import { z } from "zod";
import { LockedPackage } from "../../schema/lock.ts";
import { defineStep } from "../step/step.ts";
import { installStagedLeaves, withDpkg } from "./dpkg.ts";
import { fetchAndStage } from "./unpack.ts";

/** The last part of `install-packages` by itself, upon a tree that has the others. */
export const installLeaves = defineStep({
  kind: "install-leaves",
  summary: "install packages without scripts, upon which no other depends, with the tree's own dpkg",
  schema: z.strictObject({
    /** All of the lock. */
    packages: z.array(LockedPackage).min(1),
    /** Names of those that are not installed yet. */
    leaves: z.array(z.string()).min(1),
  }),
  run: async ({ packages, leaves }, context) => {
    const names = new Set(leaves);
    const there = packages.filter(({ name }) => !names.has(name)).map(({ name }) => name);
    await withDpkg(context, packages, there, async (installing) => {
      const missing = packages.filter(({ name }) => names.has(name));
      await installStagedLeaves(context, await fetchAndStage(missing, context, context.log), installing);
    });
  },
});
