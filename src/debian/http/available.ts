import type { LockedPackage } from "../../schema/lock.ts";
import { Fail, messageOf } from "../../util/fail.ts";
import type { Log } from "../../util/log.ts";
import { type Answer, answered } from "./ask.ts";
import { get } from "./get.ts";
import { type Keepers, type Place, placeKinds, placesOf } from "./places.ts";
import type { Proxies } from "./proxy.ts";

/** One answer; a mirror that is slower than this for a few bytes is no good for hundreds of packages. */
const answerMs = 30_000;
/** All questions together. */
const wholeMs = 600_000;
/** A mirror that did not answer so often is not asked any more. */
const maxSilent = 3;
const parallel = 6;
/** What every .deb begins with: it is an ar archive. */
const magic = "!<arch>\n";
const lookAround = "check the network and the mirror; `mirror` in the definition names another one";
/** So many are named when they are missing. */
const shown = 5;

interface AskOptions {
  readonly mirrors: Readonly<Record<string, readonly string[]>>;
  readonly keepers?: Keepers | undefined;
  readonly signal: AbortSignal;
  readonly log: Log;
  readonly proxies?: Proxies;
  readonly answerMs?: number;
}

/** What each place said of a package that it does not have. */
type Problems = ReadonlyMap<LockedPackage, ReadonlyMap<Place, string>>;

/**
 * Asks for the first bytes of every package, so that what the archive has replaced since the lock was made, a login page or a dead mirror is
 * known while nothing depends on it yet. Each has to be on one of its archive's mirrors, or in a store or snapshot, as large as it was
 * locked.
 */
export async function checkAvailable(packages: readonly LockedPackage[], options: AskOptions): Promise<void> {
  const { missing, silence, answers } = await lookFor(packages, options);
  if (missing.size === 0) return;
  if (silence.size > 0 && answers === 0) throw unreachable(silence);
  throw notThere(missing);
}

/** The first place of each package that has it. Mirrors are asked before stores, and those before snapshots. */
export async function lookFor(
  packages: readonly LockedPackage[],
  options: AskOptions,
): Promise<{
  readonly found: ReadonlyMap<LockedPackage, Place>;
  readonly missing: Problems;
  /** Why a place gave no answer. */
  readonly silence: ReadonlyMap<string, string>;
  readonly answers: number;
}> {
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(wholeMs)]);
  const places = new Map(packages.map((one) => [one, placesOf(one, options.mirrors, options.keepers)]));
  const missing = new Map<LockedPackage, Map<Place, string>>(packages.map((one) => [one, new Map()]));
  const found = new Map<LockedPackage, Place>();
  const silence = new Map<string, string>();
  let answers = 0;
  for (const base of basesOf([...places.values()].flat())) {
    const queue = [...missing.keys()].flatMap((locked) => {
      const place = places.get(locked)?.find((one) => one.base === base);
      return place === undefined ? [] : [{ locked, place }];
    });
    let silent = 0;
    const worker = async () => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const { locked, place } = next;
        const { proxies = {} } = options;
        try {
          const problem =
            silent >= maxSilent
              ? "no answer"
              : await ask(place, locked, { signal, proxies, boundMs: options.answerMs ?? answerMs });
          if (silent < maxSilent) answers += 1;
          if (problem !== undefined) missing.get(locked)?.set(place, problem);
          else {
            missing.delete(locked);
            found.set(locked, place);
          }
        } catch (error) {
          options.signal.throwIfAborted();
          silent += 1;
          missing.get(locked)?.set(place, reasonOf(error));
          silence.set(base, reasonOf(error));
        }
        options.log.progress(found.size, packages.length, "packages");
      }
    };
    await Promise.all(Array.from({ length: parallel }, worker));
    if (missing.size === 0) break;
  }
  return { found, missing, silence, answers };
}

/** Each once, all mirrors before the first store. */
function basesOf(places: readonly Place[]): string[] {
  return [
    ...new Set(
      placeKinds.flatMap((kind) => places.filter((one) => one.kind === kind)).map(({ base }) => base),
    ),
  ];
}

/** What is wrong with a place's file; undefined when it is the one that was locked, as far as its beginning and size show. */
async function ask(
  { base, path, logins }: Place,
  { size }: LockedPackage,
  how: { readonly signal: AbortSignal; readonly proxies: Proxies; readonly boundMs: number },
): Promise<string | undefined> {
  const answer = await get(`${base}/${path}`, {
    headers: { range: `bytes=0-${magic.length - 1}` },
    signal: AbortSignal.any([how.signal, AbortSignal.timeout(how.boundMs)]),
    proxies: how.proxies,
    logins,
  });
  const { status, headers, body } = answer;
  if (status !== 200 && status !== 206) {
    body.destroy();
    return answered(status);
  }
  const has = sizeIn(headers, status);
  let begin = "";
  // A part is read to its end: then the connection serves the next question.
  for await (const chunk of body) {
    begin += Buffer.from(chunk as Uint8Array).toString("latin1");
    if (begin.length > magic.length) break;
  }
  if (!begin.startsWith(magic)) return "what the server gives is no package";
  return has === undefined || has === size ? undefined : `${has} bytes instead of ${size}`;
}

function sizeIn(headers: Answer["headers"], status: number): number | undefined {
  const text =
    status === 206 ? /\/(\d+)$/.exec(headers["content-range"] ?? "")?.[1] : headers["content-length"];
  return text === undefined || !/^\d+$/.test(text) ? undefined : Number(text);
}

function unreachable(silence: ReadonlyMap<string, string>): Fail {
  const reasons = [...silence].map(([mirror, reason]) => `${mirror}: ${reason}`);
  return new Fail(`no mirror can be reached: ${reasons.join("; ")}`, { hint: lookAround });
}

function notThere(missing: Problems): Fail {
  const reasons = ([{ path }, problems]: readonly [LockedPackage, ReadonlyMap<Place, string>]) =>
    `${path} (${[...new Set(problems.values())].join(", ") || "no mirror is known"})`;
  const named = [...missing].slice(0, shown).map(reasons);
  const more = missing.size > shown ? ` and ${missing.size - shown} more` : "";
  const asked = [...missing.values()].flatMap((problems) => [...problems]);
  const kept = [...new Set(asked.flatMap(([{ kind, base }]) => (kind === "mirror" ? [] : [base])))];
  const of = asked.filter(([{ kind }]) => kind === "mirror");
  const gone = of.length > 0 && of.every(([, problem]) => /\b(404|410)\b/.test(problem));
  return new Fail(
    `no mirror has ${named.join(", ")}${more} as locked${kept.length === 0 ? "" : `, nor has ${kept.join(", ")}`}`,
    {
      hint: gone
        ? "the archive has replaced them by newer versions: `imgbuild lock --update`, then deploy again"
        : lookAround,
    },
  );
}

function reasonOf(error: unknown): string {
  return messageOf(error instanceof Error && error.cause instanceof Error ? error.cause : error);
}
