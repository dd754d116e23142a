import { z } from "zod";
import { splitLate } from "../../debian/unpack/late-packages.ts";
import { isActivePackage, leavesOf } from "../../debian/unpack/leaf-packages.ts";
import { LockedPackage } from "../../schema/lock.ts";
import { runBoth } from "../../util/promises.ts";
import { defineStep, type StepContext } from "../step/step.ts";
import {
  dpkg,
  type Installing,
  installStagedLeaves,
  placeOthers,
  quiet,
  unpackByDpkg,
  withDpkg,
} from "./dpkg.ts";
import { indexModules, placeWrapper, scriptPath } from "./module-index.ts";
import { fetchAndStage, unregistered } from "./unpack.ts";

/**
 * Unpacks packages, and has the tree's own dpkg configure them, with every maintainer script. Leaves come last, so that a build can
 * do that part by itself (`install-leaves`) and come to the same.
 */
export const installPackages = defineStep({
  kind: "install-packages",
  summary: "install packages with the tree's own dpkg",
  schema: z.strictObject({ packages: z.array(LockedPackage).min(1) }),
  run: async ({ packages }, context) => {
    const essential = packages.filter((locked) => locked.bootstrap).map(({ name }) => name);
    await withDpkg(context, packages, essential, (installing) => install(packages, context, installing));
  },
});

async function install(
  packages: readonly LockedPackage[],
  context: StepContext,
  installing: Installing,
): Promise<void> {
  const { root, log } = context;
  const { env } = installing;
  const essential = packages.filter((locked) => locked.bootstrap);
  const { soon, late } = splitLate(packages.filter((locked) => !locked.bootstrap));
  await unpackByDpkg(context, unregistered(root, essential), env);
  const [, staged] = await runBoth(context.signal, [
    (signal) =>
      log.task(`configuring ${essential.length} essential packages`, (inner) =>
        dpkg(
          { ...context, signal },
          ["--no-triggers", "--force-depends", "--configure", ...essential.map(({ name }) => name)],
          { env, log: inner, total: essential.length },
        ),
      ),
    (signal) => fetchAndStage(soon, context, quiet(log), { signal }),
  ] as const);
  const active = new Set(
    staged.filter(({ control }) => isActivePackage(control)).map(({ locked }) => locked),
  );
  const leaves = leavesOf(packages, (locked) => active.has(locked));
  const isLeaf = ({ name }: LockedPackage) => leaves.has(name);
  const first = soon.filter((locked) => !isLeaf(locked));
  await log.task(`placing ${first.length} packages`, () =>
    placeOthers(
      context,
      staged.filter(({ locked }) => !isLeaf(locked)),
      installing,
    ),
  );
  if (late.length > 0) await installLate(context, first, late, installing);
  const rest = late.length === 0 ? first : late;
  await log.task(`configuring ${rest.length} packages`, (inner) =>
    dpkg(context, ["--configure", "--pending"], {
      env: late.length === 0 ? env : { ...env, PATH: scriptPath },
      log: inner,
      total: rest.length,
    }),
  );
  for (const { name } of rest) installing.configured.add(name);
  await installStagedLeaves(
    context,
    staged.filter(({ locked }) => isLeaf(locked)),
    installing,
  );
}

/** Unpacks heavy packages while the others are configured, and makes the index of a kernel's modules. */
async function installLate(
  context: StepContext,
  soon: readonly LockedPackage[],
  late: readonly LockedPackage[],
  installing: Installing,
): Promise<void> {
  const { log } = context;
  const [, staged] = await runBoth(context.signal, [
    (signal) =>
      log.task(`configuring ${soon.length} packages`, (inner) =>
        dpkg({ ...context, signal }, ["--no-triggers", "--configure", "--pending"], {
          ...{ env: installing.env, log: inner, total: soon.length },
        }),
      ),
    async (signal) => {
      const staged = await fetchAndStage(late, context, quiet(log), { signal, lanes: 1 });
      await indexModules(staged, { ...context, signal });
      return staged;
    },
  ]);
  for (const { name } of soon) installing.configured.add(name);
  placeWrapper(context.root);
  await log.task(`placing ${late.length} heavy packages`, () => placeOthers(context, staged, installing));
}
