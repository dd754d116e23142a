import { asFail, during, Fail, messageOf } from "../../util/fail.ts";
import { type Answer, answered } from "./ask.ts";
import { get } from "./get.ts";
import type { Place } from "./places.ts";
import type { Proxies } from "./proxy.ts";
import { countingSink, fileSink, memorySink, type Sink } from "./sink.ts";

const triesPerMirror = 3;
/** A place that gave no answer for so many files is asked last, and once. */
const maxSilent = 3;

/** When a transfer is given up; the next try or mirror follows. */
export interface TransferBounds {
  /** In every such span at least `leastBytes` arrive, else the mirror is as good as dead. */
  readonly windowMs: number;
  readonly leastBytes: number;
  /** Before the second try; longer before each further one. */
  readonly pauseMs: number;
}

/** 1 KiB/s: a mirror that drips single bytes would otherwise hold a deploy for years. */
const usualBounds: TransferBounds = { windowMs: 30_000, leastBytes: 30 * 1024, pauseMs: 1_000 };

export interface Download {
  /** Relative to the mirror's base URL. */
  readonly path: string;
  readonly maxBytes: number;
  /** Checked where known; a file that differs is never kept. */
  readonly size?: number;
  readonly sha256?: string;
  readonly bounds?: TransferBounds;
  readonly proxies?: Proxies;
  /** For how many files each place gave no answer; shared by the files of one run. */
  readonly silent?: Map<string, number>;
}

/** Fetches into memory from the first mirror that serves it whole. */
export async function download(
  mirrors: readonly (string | Place)[],
  what: Download,
  signal?: AbortSignal,
): Promise<Buffer> {
  const sink = memorySink();
  await anyMirror(mirrors, what, signal, (from) => transfer(from, what, signal, sink));
  return sink.bytes();
}

/** Reads it whole from the first place that has it, and keeps nothing: what is wrong with it is thrown. */
export async function examine(
  mirrors: readonly (string | Place)[],
  what: Download & { readonly sha256: string },
  signal?: AbortSignal,
): Promise<void> {
  await anyMirror(mirrors, what, signal, (from) => transfer(from, what, signal, countingSink()));
}

/** Fetches into `file`, which appears only when it is whole and right; what an interrupted run had fetched is gone on with. */
export async function downloadTo(
  mirrors: readonly (string | Place)[],
  what: Download,
  file: string,
  signal?: AbortSignal,
): Promise<void> {
  // A part of something whose content is not known could belong to an older version.
  const sink = await fileSink(file, what.maxBytes, what.sha256 !== undefined);
  try {
    await anyMirror(mirrors, what, signal, (from) => transfer(from, what, signal, sink));
    await sink.finish();
  } finally {
    await sink.leave();
  }
}

/** What one mirror has of a file that may be here already; undefined where it is the one that `known` is about. */
export async function downloadChanged(
  mirror: string,
  what: Download,
  known: { readonly etag?: string | undefined; readonly modified?: string | undefined },
  signal?: AbortSignal,
): Promise<{ readonly bytes: Buffer; readonly etag?: string; readonly modified?: string } | undefined> {
  const sink = memorySink();
  const conditions = {
    ...(known.etag === undefined ? {} : { "if-none-match": known.etag }),
    ...(known.modified === undefined ? {} : { "if-modified-since": known.modified }),
  };
  const headers = await anyMirror([mirror], what, signal, (from) =>
    transfer(from, what, signal, sink, conditions),
  );
  if (headers === undefined) return undefined;
  const { etag, "last-modified": modified } = headers;
  return {
    bytes: sink.bytes(),
    ...(etag === undefined ? {} : { etag }),
    ...(modified === undefined ? {} : { modified }),
  };
}

async function anyMirror<T>(
  mirrors: readonly (string | Place)[],
  what: Download,
  signal: AbortSignal | undefined,
  work: (from: Place) => Promise<T>,
): Promise<T> {
  const problems: string[] = [];
  const found: string[] = [];
  let gone = mirrors.length > 0;
  for (const place of bySilence(mirrors, what)) {
    const { base, kind } = place;
    const tries = isSilent(base, what) ? 1 : triesPerMirror;
    let problem = "";
    for (let attempt = 1; attempt <= tries; attempt++) {
      signal?.throwIfAborted();
      try {
        const result = await work(place);
        what.silent?.delete(base);
        return result;
      } catch (error) {
        if (signal?.aborted) throw signal.reason;
        // A disk that is full or closed to us stays so on every mirror.
        if (asFail(error) !== undefined) await during(`fetching ${what.path}`, () => Promise.reject(error));
        problem = messageOf(error instanceof Error && error.cause instanceof Error ? error.cause : error);
        if (error instanceof WrongDigest) found.push(error.digest);
        if (error instanceof Final) break;
        if (attempt >= tries) {
          what.silent?.set(base, (what.silent.get(base) ?? 0) + 1);
          break;
        }
        const { pauseMs } = what.bounds ?? usualBounds;
        await new Promise((resolve) => setTimeout(resolve, pauseMs * attempt));
      }
    }
    problems.push(`${base}: ${problem}`);
    if (kind === "mirror" && !/\b404\b/.test(problem)) gone = false;
  }
  const message = `${what.path} cannot be fetched: ${[...new Set(problems)].join("; ") || "no mirror is known"}`;
  if (found.length > 0) throw new OtherContent(message, found);
  throw new Fail(message, {
    hint: gone
      ? "the archive has replaced it by a newer version: `imgbuild lock --update`"
      : "check the network and the mirror; IMGBUILD_MIRROR names another one",
  });
}

function isSilent(base: string, { silent }: Download): boolean {
  return (silent?.get(base) ?? 0) >= maxSilent;
}

/** Hundreds of packages do not wait for a dead mirror while another place has them. */
function bySilence(mirrors: readonly (string | Place)[], what: Download): Place[] {
  const places = mirrors.map(
    (one): Place => (typeof one === "string" ? { kind: "mirror", base: one, path: what.path } : one),
  );
  return [
    ...places.filter(({ base }) => !isSilent(base, what)),
    ...places.filter(({ base }) => isSilent(base, what)),
  ];
}

/** A mirror was reached, and what it serves is not what was asked for: the network is not to blame. */
export class OtherContent extends Fail {
  /** SHA-256 of what came. */
  readonly found: readonly string[];

  constructor(message: string, found: readonly string[], hint = "IMGBUILD_MIRROR names another mirror") {
    super(message, { hint });
    this.found = found;
  }
}

/** The server's answer will not change by asking again. */
class Final extends Error {}

class WrongDigest extends Final {
  readonly digest: string;

  constructor(message: string, digest: string) {
    super(message);
    this.digest = digest;
  }
}

/** The headers of the answer; undefined where the file has not changed since the conditions were noted. */
async function transfer(
  { base, path, logins }: Place,
  what: Download,
  signal: AbortSignal | undefined,
  sink: Sink,
  conditions: Readonly<Record<string, string>> = {},
): Promise<Answer["headers"] | undefined> {
  const { windowMs, leastBytes } = what.bounds ?? usualBounds;
  const stalled = new AbortController();
  let arrived = 0;
  let before = 0;
  const timer = setInterval(() => {
    if (arrived - before < leastBytes)
      stalled.abort(new Error(`only ${arrived - before} bytes within ${windowMs / 1000} s`));
    before = arrived;
  }, windowMs);
  try {
    // Only what is checked as a whole may be put together from several answers.
    if (what.sha256 === undefined) await sink.reset();
    const from = sink.size;
    const answer = await get(`${base}/${path}`, {
      logins,
      headers: { ...conditions, ...(from > 0 ? { range: `bytes=${from}-` } : {}) },
      signal: signal === undefined ? stalled.signal : AbortSignal.any([signal, stalled.signal]),
      proxies: what.proxies ?? {},
    });
    const unchanged = await refuse(answer, from, sink);
    if (unchanged) return undefined;
    for await (const chunk of answer.body) {
      arrived += (chunk as Buffer).length;
      if (sink.size + (chunk as Buffer).length > what.maxBytes) {
        await sink.reset();
        throw new Final(`more than ${what.maxBytes} bytes`);
      }
      await sink.write(chunk as Buffer);
    }
    await check(what, sink, answer.status === 206);
    return answer.headers;
  } catch (error) {
    // The stream's own words for an abort say nothing of the cause.
    if (stalled.signal.aborted) throw stalled.signal.reason;
    throw error;
  } finally {
    clearInterval(timer);
  }
}

/** Throws where the answer is none; true where it says that nothing has changed. */
async function refuse(answer: Answer, from: number, sink: Sink): Promise<boolean> {
  const { status, headers, body } = answer;
  const continues = status === 206 && headers["content-range"]?.startsWith(`bytes ${from}-`) === true;
  if (status === 200 || continues) {
    if (status === 200) await sink.reset();
    return false;
  }
  body.destroy();
  if (status === 304) return true;
  if (from > 0) {
    await sink.reset();
    if (status === 416 || status === 206)
      throw new Error(`the server answered ${status} to a part of the file`);
  }
  // A server or proxy that is overloaded may not be so the next time.
  if (status >= 500 || status === 429 || status === 408) throw new Error(answered(status));
  throw new Final(answered(status));
}

async function check(what: Download, sink: Sink, resumed: boolean): Promise<void> {
  const { size } = sink;
  if (what.size !== undefined && size !== what.size) {
    // It ended in good order: this is another file, not a part of the one that is wanted.
    await sink.reset();
    throw new Error(`${size} bytes instead of ${what.size}`);
  }
  if (what.sha256 === undefined) return;
  const digest = sink.digest();
  if (digest === what.sha256) return;
  await sink.reset();
  const problem = "the content is not what was asked for (SHA-256 differs)";
  // The part that was wrong may be that of an earlier answer.
  throw resumed ? new Error(problem) : new WrongDigest(problem, digest);
}
