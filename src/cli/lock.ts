import { existsSync } from "node:fs";
import { diffLocks } from "../debian/lock.ts";
import { loadDefinition } from "../operator/load.ts";
import { lockPath, makeLockFor, readLockFor, writeLock } from "../operator/lock.ts";
import { Fail } from "../util/fail.ts";
import type { AddCommand } from "./commands.ts";

export const lockCommand: AddCommand = (program, act) => {
  program
    .command("lock")
    .description("resolve packages into imgbuild.lock.yaml; prints what changed")
    .argument("<DEF>", "the definition: a directory with an IMGBUILD.ts, or the file")
    .option("--update", "take the newest versions of all packages")
    .option("--check", "change nothing; fail when the lock does not fit the definition")
    .action((path: string, options: { update?: boolean; check?: boolean }) =>
      act(async (cli) => {
        const definition = await loadDefinition(path);
        const file = lockPath(definition);
        if (options.check) {
          await readLockFor(definition);
          cli.print(`${file} fits the definition`);
          cli.emit({ event: "done", file });
          return;
        }
        const old = existsSync(file) ? await readLockFor(definition, { stale: "accept" }) : undefined;
        if (old !== undefined && !options.update && old.fresh) {
          cli.print(`${file} fits the definition; --update takes newer versions`);
          cli.emit({ event: "done", file, packages: old.lock.packages.length });
          return;
        }
        const lock = await cli.log.task("resolving packages", (log) =>
          makeLockFor(definition.spec, { cache: cli.cache, log, signal: cli.signal, env: cli.env }),
        );
        if (lock.packages.length === 0) throw new Fail("the definition resolves to no packages");
        for (const line of diffLocks(old?.lock, lock)) cli.print(line);
        await writeLock(file, lock);
        const bytes = lock.packages.reduce((sum, one) => sum + one.size, 0);
        cli.print(`${file}: ${lock.packages.length} packages, ${Math.round(bytes / 2 ** 20)} MiB to fetch`);
        cli.emit({ event: "done", file, packages: lock.packages.length, bytes });
      }),
    );
};
