import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { Fail } from "../../util/fail.ts";
import type { Log } from "../../util/log.ts";
import { keepFile } from "./keep-file.ts";
import type { Release } from "./release.ts";
import type { Source } from "./sources.ts";

/** A Release without an end of its validity, fetched over plain HTTP, is warned about from this age on. */
const unboundedMs = 30 * 24 * 60 * 60 * 1000;
/** Mirrors that are remembered of one suite. */
const maxMirrors = 64;

/** Dates of the newest Release that each mirror has served of a suite. */
const Seen = z.record(z.string(), z.iso.datetime());
type Seen = z.output<typeof Seen>;

export interface SeenOptions {
  readonly cache: string;
  readonly mirrors: Readonly<Record<string, readonly string[]>>;
  readonly now: Date;
  readonly log: Log;
  /** Dates of the Releases that a lock was made from, by `keyOf` archive and suite. */
  readonly lockedFrom?: ReadonlyMap<string, string> | undefined;
  /** An older one than was seen before is taken, on purpose. */
  readonly allowOlder?: boolean | undefined;
}

export function keyOf({ archive, suite }: { readonly archive: string; readonly suite: string }): string {
  return `${archive} ${suite}`;
}

/**
 * Refuses a Release that is older than one that was seen before, here from the same mirrors or by who made the lock: its signature is
 * right for ever, so that whoever stands between could bring back packages that were replaced since.
 */
export async function refuseOlder(release: Release, source: Source, options: SeenOptions): Promise<void> {
  const { date } = release;
  const locked = options.lockedFrom?.get(keyOf(source));
  const seen = Object.entries(await readSeen(source, options)).filter(([mirror]) =>
    mirrorsOf(source, options).includes(mirror),
  );
  const last = seen
    .map(([, one]) => one)
    .sort()
    .at(-1);
  const [than, where] =
    locked !== undefined && locked > (last ?? "")
      ? [locked, "the lock was made from"]
      : [last, "was seen before"];
  if (than === undefined || date >= than) return;
  const what = `InRelease of ${source.suite}: is of ${date}, but one of ${than} ${where}`;
  if (options.allowOlder) return options.log.warn(`${what}; taken, as asked for`);
  throw new Fail(what, {
    hint: "the mirror is out of date, or somebody replays an old one: try another mirror, or later; `imgbuild lock --update --allow-older` takes it",
  });
}

/** Remembers what a mirror served, and forgets what was newer where that was allowed. */
export async function noteSeen(
  mirror: string,
  { date }: Release,
  source: Source,
  options: SeenOptions,
): Promise<void> {
  const before = await readSeen(source, options);
  const ours = mirrorsOf(source, options);
  const others = Object.entries(before).filter(
    ([one, theirs]) => one !== mirror && (theirs <= date || !ours.includes(one)),
  );
  if (before[mirror] === date && others.length === Object.keys(before).length - 1) return;
  const newest = others.sort(([, a], [, b]) => (a < b ? 1 : -1)).slice(0, maxMirrors - 1);
  await keepFile(
    placeOf(source, options),
    `${JSON.stringify({ ...Object.fromEntries(newest), [mirror]: date })}\n`,
  );
}

/**
 * Nothing but HTTPS says that a Release without Valid-Until is the one of today. Debian's releases have none and keep their date for
 * months, so nothing is said of them; their updates and security suites expire within days.
 */
export function warnUnbounded(
  mirror: string,
  { date, validUntil }: Release,
  source: Source,
  { now, log }: SeenOptions,
): void {
  if (validUntil !== undefined || !mirror.startsWith("http:")) return;
  if (source.byRelease !== true && !source.suite.includes("-")) return;
  if (now.getTime() - Date.parse(date) <= unboundedMs) return;
  log.warn(
    `${source.suite} of ${mirror} is of ${date} and says no end of its validity: over plain HTTP an old one could be replayed; name an https address`,
  );
}

function mirrorsOf({ archive }: Source, { mirrors }: SeenOptions): readonly string[] {
  return mirrors[archive] ?? [];
}

function placeOf({ archive, suite }: Source, { cache }: SeenOptions): string {
  return join(cache, "seen", `${archive}_${suite.replaceAll("/", "_")}.json`);
}

/** What cannot be read counts as nothing: it is written whole, and only by us. */
async function readSeen(source: Source, options: SeenOptions): Promise<Seen> {
  try {
    return Seen.parse(JSON.parse(await readFile(placeOf(source, options), "utf8")));
  } catch {
    return {};
  }
}
