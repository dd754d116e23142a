import { createHash } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import { asFail, during, Fail, messageOf } from "../util/fail.ts";

const triesPerMirror = 3;

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
}

/** Fetches into memory from the first mirror that serves it whole. */
export async function download(
  mirrors: readonly string[],
  what: Download,
  signal?: AbortSignal,
): Promise<Buffer> {
  return await anyMirror(mirrors, what, signal, async (url) => {
    const chunks: Buffer[] = [];
    await transfer(url, what, signal, async (chunk) => {
      chunks.push(chunk);
    });
    return Buffer.concat(chunks);
  });
}

/** Fetches into `file`, which appears only when it is whole and right. */
export async function downloadTo(
  mirrors: readonly string[],
  what: Download,
  file: string,
  signal?: AbortSignal,
): Promise<void> {
  const part = `${file}.${process.pid}.${Math.random().toString(36).slice(2)}.part`;
  try {
    await anyMirror(mirrors, what, signal, async (url) => {
      const handle = await open(part, "w", 0o644);
      try {
        await transfer(url, what, signal, async (chunk) => {
          await handle.writeFile(chunk);
        });
      } finally {
        await handle.close();
      }
    });
    await rename(part, file);
  } finally {
    await rm(part, { force: true });
  }
}

async function anyMirror<T>(
  mirrors: readonly string[],
  what: Download,
  signal: AbortSignal | undefined,
  work: (url: string) => Promise<T>,
): Promise<T> {
  const problems: string[] = [];
  for (const mirror of mirrors) {
    const url = `${mirror}/${what.path}`;
    let problem = "";
    for (let attempt = 1; attempt <= triesPerMirror; attempt++) {
      signal?.throwIfAborted();
      try {
        return await work(url);
      } catch (error) {
        if (signal?.aborted) throw signal.reason;
        // A disk that is full or closed to us stays so on every mirror.
        if (asFail(error) !== undefined) await during(`fetching ${what.path}`, () => Promise.reject(error));
        problem = messageOf(error instanceof Error && error.cause instanceof Error ? error.cause : error);
        if (error instanceof Final || attempt === triesPerMirror) break;
        const { pauseMs } = what.bounds ?? usualBounds;
        await new Promise((resolve) => setTimeout(resolve, pauseMs * attempt));
      }
    }
    problems.push(`${mirror}: ${problem}`);
  }
  throw new Fail(
    `${what.path} cannot be fetched: ${[...new Set(problems)].join("; ") || "no mirror is known"}`,
    {
      hint:
        problems.length > 0 && problems.every((problem) => /\b404\b/.test(problem))
          ? "the archive has replaced it by a newer version: `imgbuild lock --update`"
          : "check the network and the mirror; IMGBUILD_MIRROR names another one",
    },
  );
}

/** The server's answer will not change by asking again. */
class Final extends Error {}

async function transfer(
  url: string,
  what: Download,
  signal: AbortSignal | undefined,
  write: (chunk: Buffer) => Promise<void>,
): Promise<void> {
  const { windowMs, leastBytes } = what.bounds ?? usualBounds;
  const stalled = new AbortController();
  let size = 0;
  let before = 0;
  const timer = setInterval(() => {
    if (size - before < leastBytes)
      stalled.abort(new Error(`only ${size - before} bytes within ${windowMs / 1000} s`));
    before = size;
  }, windowMs);
  try {
    const response = await fetch(url, {
      // Some servers declare a .gz file as encoded, and it would arrive unpacked.
      headers: { "accept-encoding": "identity" },
      signal: signal === undefined ? stalled.signal : AbortSignal.any([signal, stalled.signal]),
    });
    if (!response.ok || response.body === null) {
      await response.body?.cancel();
      throw new Final(`the server answered ${response.status}`);
    }
    const hash = createHash("sha256");
    for await (const chunk of response.body) {
      size += chunk.length;
      if (size > what.maxBytes) throw new Final(`more than ${what.maxBytes} bytes`);
      hash.update(chunk);
      await write(Buffer.from(chunk));
    }
    if (what.size !== undefined && size !== what.size)
      throw new Error(`${size} bytes instead of ${what.size}`);
    if (what.sha256 !== undefined && hash.digest("hex") !== what.sha256)
      throw new Final("the content is not what was asked for (SHA-256 differs)");
  } finally {
    clearInterval(timer);
  }
}
