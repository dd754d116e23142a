import { Option } from "commander";
import { type CacheEntry, cacheEntries, cacheKinds, hasTrees, sumOf } from "../../operator/cache/entries.ts";
import { clearCache } from "../../operator/cache/gc.ts";
import { asRoot } from "../terminal/as-root.ts";
import { cacheTable, showCleared } from "../terminal/cache-text.ts";
import type { AddCommand, Cli } from "../terminal/context.ts";
import { bytes } from "../terminal/options.ts";

export const cacheCommand: AddCommand = (program, act) => {
  const cache = program.command("cache").description("what builds keep, to be faster the next time");
  cache
    .command("show")
    .description("what it holds, and how much of each kind")
    .action(() => act((cli) => withRights(cli, () => showCache(cli))));
  cache
    .command("gc")
    .description("take out what was used least recently, but nothing that is in use")
    .addOption(
      new Option("--max-size <SIZE>", "how much may stay, as 20GiB; 0 takes out everything")
        .argParser(bytes)
        .default(20 * 2 ** 30, "20GiB"),
    )
    .option("--dry-run", "only say what would go")
    .action(({ maxSize: maxBytes, dryRun = false }: { maxSize: number; dryRun?: boolean }) =>
      act((cli) =>
        withRights(cli, async () => {
          const entries = await look(cli);
          const cleared = await cli.log.task("clearing the cache", () =>
            clearCache(entries, { maxBytes, dryRun, now: Date.now() }),
          );
          showCleared(cli, cleared, { maxBytes, dryRun });
        }),
      ),
    );
  cache
    .command("pack", { hidden: true })
    .description("make the tree that a deploy of an ordinary user asks for")
    .argument("<FILE>", "what is to be made")
    .action((file: string) =>
      act(async (cli) => {
        const { packJob } = await import("../../operator/tree/trees.ts");
        await packJob(file, cli);
        cli.emit({ event: "done" });
      }),
    );
};

async function showCache(cli: Cli): Promise<void> {
  const entries = await look(cli);
  for (const line of [...cacheTable(entries), `in ${cli.cache}`]) cli.print(line);
  const kinds = cacheKinds.map((kind) => [kind, sumOf(entries.filter((entry) => entry.kind === kind))]);
  cli.emit({ event: "done", cache: cli.cache, ...sumOf(entries), kinds: Object.fromEntries(kinds) });
}

/** Trees have files of many owners, which only root, or the root of a user namespace, can delete or even see. */
async function withRights(cli: Cli, work: () => Promise<void>): Promise<void> {
  if (hasTrees(cli.cache)) await asRoot(cli, work);
  else await work();
}

async function look(cli: Cli): Promise<CacheEntry[]> {
  return await cli.log.task("looking at the cache", async () => cacheEntries(cli.cache));
}
