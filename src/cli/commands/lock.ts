import { existsSync } from "node:fs";
import { exitCodes, Fail } from "../../util/fail.ts";
import type { AddCommand } from "../terminal/context.ts";

interface Options {
  readonly update?: boolean;
  readonly check?: boolean;
  readonly offline?: boolean;
  readonly allowOlder?: boolean;
}

export const lockCommand: AddCommand = (program, act) => {
  program
    .command("lock")
    .description("resolve packages into imgbuild.lock.yaml; prints what changed")
    .argument("<DEF>", "the definition: a directory with an IMGBUILD.ts, or the file")
    .argument("[PKG...]", "with --update: only these, and what they need")
    .option("--update", "take the newest versions; without it, versions stay as they are locked")
    .option(
      "--check",
      "change nothing; fail when the lock does not fit the definition or the signed indices, and say why",
    )
    .option("--offline", "resolve from the indices that were fetched before")
    .option("--allow-older", "take indices that are older than those that were seen before")
    .action((path: string, packages: string[], options: Options) =>
      act(async (cli) => {
        if (packages.length > 0 && !options.update)
          throw new Fail(`${packages[0]}: packages are named with --update only`, {
            exitCode: exitCodes.usage,
          });
        const { loadDefinition } = await import("../../operator/definition/load.ts");
        const { lockPath, makeLockFor, readLockFor, readOldLock, requirePackages, writeLock } = await import(
          "../../operator/lock/lock.ts"
        );
        const definition = await loadDefinition(path);
        for (const line of definition.unfinished) cli.log.warn(line);
        const file = lockPath(definition);
        if (options.check) {
          const { requireSigned } = await import("../../operator/lock/compare-lock.ts");
          const { lock } = await readLockFor(definition);
          await requireSigned(definition, lock, { ...cli, offline: options.offline ?? false });
          cli.print(`${file} fits the definition`);
          cli.emit({ event: "done", file });
          return;
        }
        const old = await readOldLock(definition);
        if (
          old?.lock !== undefined &&
          !options.update &&
          (await readLockFor(definition, { stale: "accept" })).fresh
        ) {
          cli.print(`${file} fits the definition; --update takes newer versions`);
          cli.emit({ event: "done", file, packages: old.lock.packages.length });
          return;
        }
        const lock = await cli.log.task("resolving packages", (log) =>
          makeLockFor(definition.spec, {
            ...{ cache: cli.cache, log, signal: cli.signal, env: cli.env },
            dir: definition.dir,
            offline: options.offline ?? false,
            allowOlder: options.allowOlder ?? false,
            old,
            update: !options.update ? [] : packages.length > 0 ? packages : "all",
          }),
        );
        requirePackages(definition, lock);
        if (lock === old?.lock && existsSync(file)) {
          cli.print(`${file}: nothing newer`);
          cli.emit({ event: "done", file, packages: lock.packages.length });
          return;
        }
        const { diffLocks } = await import("../../debian/lock/lock-diff.ts");
        for (const line of diffLocks(old?.lock, lock)) cli.print(line);
        await writeLock(file, lock);
        const bytes = lock.packages.reduce((sum, one) => sum + one.size, 0);
        cli.print(`${file}: ${lock.packages.length} packages, ${Math.round(bytes / 2 ** 20)} MiB to fetch`);
        cli.emit({ event: "done", file, packages: lock.packages.length, bytes });
      }),
    );
};
