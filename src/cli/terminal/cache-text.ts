import { relative } from "node:path";
import { type CacheEntry, cacheKinds, sumOf } from "../../operator/cache/entries.ts";
import type { Cleared, Outcome } from "../../operator/cache/gc.ts";
import type { Cli } from "./context.ts";

/** Kinds of which the entries are too many to be shown one by one. */
const files: ReadonlySet<string> = new Set(["packages", "indices"]);

/** How much of each kind there is, and of all. */
export function cacheTable(entries: readonly CacheEntry[]): string[] {
  const row = (name: string, some: readonly CacheEntry[]) => {
    const last = some.length === 0 ? "" : day(Math.max(...some.map(({ usedAt }) => usedAt)));
    return `${name.padEnd(10)} ${String(some.length).padStart(6)} ${show(sumOf(some).bytes).padStart(11)}  ${last}`.trimEnd();
  };
  return [
    ...cacheKinds
      .map((kind) => [kind, entries.filter((entry) => entry.kind === kind)] as const)
      .filter(([, some]) => some.length > 0)
      .map(([kind, some]) => row(kind, some)),
    row("total", entries),
  ];
}

/** Shows what was taken out, or would be. */
export function showCleared(
  cli: Cli,
  { entries, freed, left }: Cleared,
  { dryRun, maxBytes }: { readonly dryRun: boolean; readonly maxBytes: number },
): void {
  const of = (outcome: Outcome) =>
    entries.filter((each) => each.outcome === outcome).map(({ entry }) => entry);
  const removed = of("removed");
  const word = dryRun ? "would remove" : "removed";
  for (const { path, kind, bytes, usedAt } of removed.filter((entry) => !files.has(entry.kind)))
    cli.print(`${word} ${relative(cli.cache, path)} (${kind}, ${show(bytes)}, used ${day(usedAt)})`);
  for (const kind of files) {
    const some = removed.filter((entry) => entry.kind === kind);
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
  const counts = { inUse: busy.entries, notOurs: foreign.length };
  cli.emit({ event: "done", dryRun, freed, left, ...counts, removed: paths });
  if (left > maxBytes)
    cli.log.warn(`${show(left)} are left, more than ${show(maxBytes)}: the rest cannot be taken out now`);
}

function show(bytes: number): string {
  return bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(1)} GiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

function day(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
