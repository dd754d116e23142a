import { createHash } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import { Fail, messageOf } from "../util/fail.ts";

/** No byte for so long ends a transfer; the next mirror or try follows. */
export const stallMs = 30_000;
const triesPerMirror = 3;
const retryPauseMs = 1_000;

export interface Download {
  /** Relative to the mirror's base URL. */
  readonly path: string;
  readonly maxBytes: number;
  /** Checked where known; a file that differs is never kept. */
  readonly size?: number;
  readonly sha256?: string;
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
    for (let attempt = 1; attempt <= triesPerMirror; attempt++) {
      signal?.throwIfAborted();
      try {
        return await work(url);
      } catch (error) {
        if (signal?.aborted) throw signal.reason;
        // A disk that is full stays so on every mirror.
        if ((error as NodeJS.ErrnoException).code === "ENOSPC")
          throw new Fail(`no space left while fetching ${what.path}`, {
            hint: "free some, or set IMGBUILD_CACHE to a larger disk",
          });
        problems.push(
          messageOf(error instanceof Error && error.cause instanceof Error ? error.cause : error),
        );
        if (error instanceof Final) break;
        await new Promise((resolve) => setTimeout(resolve, retryPauseMs * attempt));
      }
    }
    problems[problems.length - 1] = `${mirror}: ${problems.at(-1)}`;
  }
  throw new Fail(
    `${what.path} cannot be fetched: ${[...new Set(problems)].join("; ") || "no mirror is known"}`,
    {
      hint: "check the network and the mirror; IMGBUILD_MIRROR names another one",
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
  const stalled = new AbortController();
  let timer = setTimeout(() => stalled.abort(new Error(`no byte within ${stallMs / 1000} s`)), stallMs);
  try {
    const response = await fetch(url, {
      signal: signal === undefined ? stalled.signal : AbortSignal.any([signal, stalled.signal]),
    });
    if (!response.ok || response.body === null) {
      await response.body?.cancel();
      throw new Final(`the server answered ${response.status}`);
    }
    const hash = createHash("sha256");
    let size = 0;
    for await (const chunk of response.body) {
      clearTimeout(timer);
      timer = setTimeout(() => stalled.abort(new Error(`no byte within ${stallMs / 1000} s`)), stallMs);
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
    clearTimeout(timer);
  }
}
