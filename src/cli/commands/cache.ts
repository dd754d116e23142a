import { existsSync, readdirSync } from "node:fs";
import { relative } from "node:path";
import { InvalidArgumentError, Option } from "commander";
import { type CacheEntry, cacheEntries, cacheKinds } from "../../operator/cache/entries.ts";
import { type Cleared, clearCache, type Outcome } from "../../operator/cache/gc.ts";
import { asRoot } from "../terminal/as-root.ts";
import type { AddCommand, Cli } from "../terminal/context.ts";

const units: Readonly<Record<string, number>> = {
  "": 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

export const cacheCommand: AddCommand = (program, act) => {
  const cache = program.command("cache").description("what builds keep, to be faster the next time");
  cache
    .command("show")
    .description("what it holds, and how much of each kind")
    .action(() =>
      act((cli) =>
        withRights(cli, async () => {
          const entries = await look(cli);
          for (const line of table(entries)) cli.print(line);
          cli.print(`in ${cli.cache}`);
          const kinds = cacheKinds.map((kind) => [kind, sumOf(entries.filter((one) => one.kind === kind))]);
          cli.emit({ event: "done", cache: cli.cache, ...sumOf(entries), kinds: Object.fromEntries(kinds) });
        }),
      ),
    );
  cache
    .command("gc")
    .description("take out what was used least recently, but nothing that is in use")
    .addOption(
      new Option("--max-size <SIZE>", "how much may stay, as 20GiB; 0 takes out everything")
        .argParser(sizeOf)
        .default(20 * 2 ** 30, "20GiB"),
    )
    .option("--dry-run", "only say what would go")
    .action((options: { maxSize: number; dryRun?: boolean }) =>
      act((cli) =>
        withRights(cli, async () => {
          const dryRun = options.dryRun === true;
          const entries = await look(cli);
          const { maxSize: maxBytes } = options;
          const cleared = await cli.log.task("clearing the cache", () =>
            clearCache(entries, { maxBytes, dryRun, now: Date.now() }),
          );
          tell(cli, cleared, dryRun);
          if (cleared.left > maxBytes)
            cli.log.warn(
              `${show(cleared.left)} are left, more than ${show(maxBytes)}: the rest cannot be taken out now`,
            );
        }),
      ),
    );
};

/** Trees have files of many owners, which only root, or the root of a user namespace, can delete or even see. */
async function withRights(cli: Cli, work: () => Promise<void>): Promise<void> {
  const names = existsSync(cli.cache) ? readdirSync(cli.cache) : [];
  if (names.some((name) => /^(tree|base)(-|$)/.test(name))) await asRoot(cli, work);
  else await work();
}

async function look(cli: Cli): Promise<CacheEntry[]> {
  return await cli.log.task("looking at the cache", async () => cacheEntries(cli.cache));
}

function tell(cli: Cli, { entries, freed, left }: Cleared, dryRun: boolean): void {
  const of = (outcome: Outcome) => entries.filter((one) => one.outcome === outcome).map(({ entry }) => entry);
  const files = new Set(["packages", "indices"]);
  const removed = of("removed");
  const word = dryRun ? "would remove" : "removed";
  for (const entry of removed.filter(({ kind }) => !files.has(kind)))
    cli.print(
      `${word} ${relative(cli.cache, entry.path)} (${entry.kind}, ${show(entry.bytes)}, used ${day(entry.usedAt)})`,
    );
  for (const kind of files) {
    const some = removed.filter((one) => one.kind === kind);
    if (some.length > 0) cli.print(`${word} ${some.length} ${kind} (${show(sumOf(some).bytes)})`);
  }
  const busy = sumOf(of("in use"));
  if (busy.entries > 0) cli.print(`${busy.entries} things of ${show(busy.bytes)} are in use and stay`);
  const foreign = of("not ours");
  if (foreign.length > 0)
    cli.log.warn(
      `${foreign.length} things are another user's, as ${foreign[0]!.path}: \`sudo rm -r\` them, or run this as that user`,
    );
  cli.print(
    `${dryRun ? "would free" : "freed"} ${show(freed)}; ${show(left)} ${dryRun ? "would be" : "are"} left`,
  );
  const paths = removed.map(({ kind, path, bytes }) => ({ kind, path, bytes }));
  cli.emit({
    event: "done",
    dryRun,
    freed,
    left,
    inUse: busy.entries,
    notOurs: foreign.length,
    removed: paths,
  });
}

function table(entries: readonly CacheEntry[]): string[] {
  const row = (name: string, some: readonly CacheEntry[]) => {
    const last = some.length === 0 ? "" : day(Math.max(...some.map(({ usedAt }) => usedAt)));
    return `${name.padEnd(10)} ${String(some.length).padStart(6)} ${show(sumOf(some).bytes).padStart(11)}  ${last}`.trimEnd();
  };
  return [
    ...cacheKinds
      .map((kind) => [kind, entries.filter((one) => one.kind === kind)] as const)
      .filter(([, some]) => some.length > 0)
      .map(([kind, some]) => row(kind, some)),
    row("total", entries),
  ];
}

function sumOf(entries: readonly CacheEntry[]): { entries: number; bytes: number } {
  return { entries: entries.length, bytes: entries.reduce((sum, { bytes }) => sum + bytes, 0) };
}

function show(bytes: number): string {
  return bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(1)} GiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

function day(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

function sizeOf(text: string): number {
  const [, number, unit = ""] = /^(0|[1-9][0-9]{0,12})(KiB|MiB|GiB|TiB)?$/.exec(text) ?? [];
  const bytes = Number(number) * units[unit]!;
  if (number !== undefined && Number.isSafeInteger(bytes)) return bytes;
  throw new InvalidArgumentError('a size such as "20GiB" or "512MiB" is accepted');
}
