import type { LockOptions } from "../../operator/lock/lock-definition.ts";
import { exitCodes, Fail } from "../../util/fail.ts";
import type { AddCommand, Cli } from "../terminal/context.ts";
import { defHelp } from "../terminal/options.ts";

export const lockCommand: AddCommand = (program, act) => {
  program
    .command("lock")
    .description("resolve packages into imgbuild.lock.yaml; prints what changed")
    .argument("<DEF>", defHelp)
    .argument("[PKG...]", "with --update: only these, and what they need")
    .option("--update", "take the newest versions; without it, versions stay as they are locked")
    .option(
      "--check",
      "change nothing; fail when the lock does not fit the definition or the signed indices, and say why",
    )
    .option("--offline", "resolve from the indices that were fetched before")
    .option("--allow-older", "take indices that are older than those that were seen before")
    .action((path: string, only: string[], options: LockOptions) =>
      act(async (cli) => {
        if (only.length > 0 && !options.update)
          throw new Fail(`${only[0]}: packages are named with --update only`, { exitCode: exitCodes.usage });
        const { lockDefinition } = await import("../../operator/lock/lock-definition.ts");
        const { file, outcome, packages, bytes, changes } = await lockDefinition(path, only, options, cli);
        for (const line of changes) cli.print(line);
        if (options.check && !options.offline) await showKept(path, cli);
        const size = Math.round((bytes ?? 0) / 2 ** 20);
        cli.print(
          {
            checked: `${file} fits the definition`,
            fits: `${file} fits the definition; --update takes newer versions`,
            "nothing newer": `${file}: nothing newer`,
            written: `${file}: ${packages} packages, ${size} MiB to fetch`,
          }[outcome],
        );
        cli.emit({
          ...{ event: "done", file },
          ...(outcome === "checked" ? {} : { packages }),
          ...(bytes === undefined ? {} : { bytes }),
        });
      }),
    );
};

/** Says of packages that no mirror has any more who keeps them. */
async function showKept(path: string, cli: Cli): Promise<void> {
  const { whereKept } = await import("../../operator/store/where-kept.ts");
  const { openDefinition } = await import("../../operator/lock/open-definition.ts");
  const definition = await openDefinition(path);
  const { lines, lost } = await cli.log.task("asking the mirrors for the packages", (log) =>
    whereKept(definition, { ...cli, log }),
  );
  for (const line of lines) cli.print(line);
  for (const one of lost)
    cli.log.warn(
      `${one} is on no mirror, in no store and in no snapshot that was asked: \`imgbuild lock --update\``,
    );
}
