import type { Log } from "./log.ts";

/** Work that takes no longer needs no word. */
const quietMs = 5_000;

/** Does the work; when it takes a while, says what is waited for and how long that may be. */
export async function announced<T>(
  what: string,
  boundSeconds: number,
  log: Pick<Log, "info">,
  work: () => Promise<T>,
  afterMs = quietMs,
): Promise<T> {
  const say = () => log.info(`waiting, for at most ${Math.ceil(boundSeconds)} s: ${what}`);
  const timer = setTimeout(say, afterMs);
  try {
    return await work();
  } finally {
    clearTimeout(timer);
  }
}
