import { dirname } from "node:path";
import type { StagedPackage } from "../../debian/unpack/stage.ts";
import { plainEnv } from "../../system/run/run.ts";
import { Tree } from "../../tree/tree.ts";
import type { StepContext } from "../step/step.ts";
import { holdStaging, stagingPath } from "./unpack.ts";

/** Reading thousands of packed modules, where the processor is emulated. */
const indexMs = 3_600_000;
const inside = `${stagingPath}/depmod`;

/** What maintainer scripts find first, while the index of a kernel's modules may be there already. */
export const scriptPath = `${inside}/bin:${plainEnv.PATH}`;

/**
 * `depmod VERSION` as a kernel's postinst calls it. If that version's modules are those of which the index was made meanwhile, by the
 * same program, it is put in its place; otherwise the program runs.
 */
const wrapper = `#!/bin/sh
made=${inside}/made-$1
if [ $# = 1 ] && [ -f "$made/modules" ] && [ -d "/lib/modules/$1" ]; then
  there=$(cd "/lib/modules/$1" && find . -name '*.ko*' | LC_ALL=C sort)
  if [ "$there" = "$(cat "$made/modules")" ]; then
    exec cp -p "$made"/index/* "/lib/modules/$1/"
  fi
fi
exec /sbin/depmod "$@"
`;

/**
 * Makes the index of the modules that staged kernels bring, which takes seconds of reading them all: here beside other work, and not
 * when the kernel's postinst asks for it and everything waits. The modules are looked at through hard links.
 */
export async function indexModules(packages: readonly StagedPackage[], context: StepContext): Promise<void> {
  const outside = holdStaging(context.root, "depmod");
  const tree = new Tree(outside);
  for (const { entries } of packages) {
    const files = entries.flatMap(({ path, staged }) => {
      const [, version, name] = /^(?:\/usr)?\/lib\/modules\/([^/]+)\/(.+)$/.exec(path) ?? [];
      return version === undefined || name === undefined || staged === undefined
        ? []
        : [{ version, name, staged }];
    });
    for (const version of new Set(files.map((file) => file.version))) {
      const of = files.filter((file) => file.version === version);
      const modules = of.filter(({ name }) => /\.ko(\.[a-z]+)?$/.test(name)).map(({ name }) => `./${name}`);
      if (modules.length === 0) continue;
      const directory = `/root/lib/modules/${version}`;
      for (const below of new Set(of.map(({ name }) => dirname(name))))
        tree.makeDirectories(`${directory}/${below}`);
      for (const { name, staged } of of) tree.hardLink(`${directory}/${name}`, staged);
      await context.chroot(["depmod", "--basedir", `${inside}/root`, version], {
        timeoutMs: indexMs,
        signal: context.signal,
      });
      const brought = new Set(of.map(({ name }) => name));
      const index = `/made-${version}/index`;
      tree.makeDirectories(index);
      for (const name of tree.list(directory))
        if (name.startsWith("modules.") && !brought.has(name))
          tree.rename(`${directory}/${name}`, `${index}/${name}`);
      tree.write(`/made-${version}/modules`, `${modules.sort().join("\n")}\n`);
    }
  }
}

/** Puts the wrapper where `scriptPath` finds it. */
export function placeWrapper(root: string): void {
  const tree = new Tree(root);
  tree.makeDirectories(`${inside}/bin`);
  tree.write(`${inside}/bin/depmod`, wrapper, { mode: 0o755 });
}
