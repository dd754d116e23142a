import type { LockedPackage } from "../../schema/lock.ts";
import { Fail, messageOf } from "../../util/fail.ts";
import type { Log } from "../../util/log.ts";
import { type Answer, get } from "./get.ts";

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

/**
 * Asks for the first bytes of every package, so that what the archive has replaced since the lock was made, a login page or a dead mirror is
 * known while nothing depends on it yet. Each has to be on one of its archive's mirrors, as large as it was locked.
 */
export async function checkAvailable(
  packages: readonly LockedPackage[],
  options: {
    readonly mirrors: Readonly<Record<string, readonly string[]>>;
    readonly signal: AbortSignal;
    readonly log: Log;
    readonly answerMs?: number;
  },
): Promise<void> {
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(wholeMs)]);
  const problems = new Map<LockedPackage, string>(packages.map((locked) => [locked, "no mirror is known"]));
  const silence = new Map<string, string>();
  let answers = 0;
  const mirrors = [...new Set(packages.flatMap(({ archive }) => options.mirrors[archive] ?? []))];
  for (const mirror of mirrors) {
    const queue = [...problems.keys()].filter(({ archive }) => options.mirrors[archive]?.includes(mirror));
    let silent = 0;
    const worker = async () => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        try {
          if (silent >= maxSilent) {
            problems.set(next, "no answer");
            continue;
          }
          const problem = await ask(mirror, next, signal, options.answerMs ?? answerMs);
          answers += 1;
          if (problem === undefined) problems.delete(next);
          else problems.set(next, problem);
        } catch (error) {
          options.signal.throwIfAborted();
          silent += 1;
          problems.set(next, reasonOf(error));
          silence.set(mirror, reasonOf(error));
        }
        options.log.progress(packages.length - problems.size, packages.length, "packages");
      }
    };
    await Promise.all(Array.from({ length: parallel }, worker));
    if (problems.size === 0) return;
  }
  if (silence.size > 0 && answers === 0) throw unreachable(silence);
  if (problems.size > 0) throw missing(problems);
}

/** What is wrong with the mirror's file; undefined when it is the one that was locked, as far as its beginning and size show. */
async function ask(
  mirror: string,
  { path, size }: LockedPackage,
  signal: AbortSignal,
  boundMs: number,
): Promise<string | undefined> {
  const answer = await get(`${mirror.replace(/\/$/, "")}/${path}`, {
    headers: { range: `bytes=0-${magic.length - 1}` },
    signal: AbortSignal.any([signal, AbortSignal.timeout(boundMs)]),
    proxies: {},
  });
  const { status, headers, body } = answer;
  if (status !== 200 && status !== 206) {
    body.destroy();
    return `the server answered ${status}`;
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

function missing(problems: ReadonlyMap<LockedPackage, string>): Fail {
  const named = [...problems].slice(0, shown).map(([{ path }, problem]) => `${path} (${problem})`);
  const more = problems.size > shown ? ` and ${problems.size - shown} more` : "";
  const gone = [...problems.values()].every((problem) => /\b(404|410)\b/.test(problem));
  return new Fail(`no mirror has ${named.join(", ")}${more} as locked`, {
    hint: gone
      ? "the archive has replaced them by newer versions: `imgbuild lock --update`, then deploy again"
      : lookAround,
  });
}

function reasonOf(error: unknown): string {
  return messageOf(error instanceof Error && error.cause instanceof Error ? error.cause : error);
}
