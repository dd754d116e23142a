import { setTimeout as sleep } from "node:timers/promises";

/** Does both at once; where one fails the other is ended, and its end awaited. */
export async function runBoth<A, B>(
  signal: AbortSignal,
  [first, second]: readonly [(signal: AbortSignal) => Promise<A>, (signal: AbortSignal) => Promise<B>],
): Promise<[A, B]> {
  const failed = new AbortController();
  const both = AbortSignal.any([signal, failed.signal]);
  let cause: { readonly error: unknown } | undefined;
  const careful = <T>(work: (signal: AbortSignal) => Promise<T>) =>
    work(both).catch((error: unknown) => {
      cause ??= { error };
      failed.abort(error);
      return undefined;
    });
  const ends = await Promise.all([careful(first), careful(second)]);
  if (cause !== undefined) throw cause.error;
  return ends as [A, B];
}

/** Whether the promise settles well within `timeoutMs`; it goes on otherwise, and its rejection is ours. */
export async function settlesWithin(promise: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, timeoutMs, false);
  });
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * What `begin` settles the promise with; a failure, which `late` gives, where that takes longer than its bound. What `begin` gives
 * back is done in the end.
 */
export async function within<T>(
  boundMs: number,
  late: () => Error,
  begin: (resolve: (value: T) => void, reject: (error: unknown) => void) => () => void,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  let end = () => {};
  try {
    return await new Promise<T>((resolve, reject) => {
      timer = setTimeout(() => reject(late()), boundMs);
      end = begin(resolve, reject);
    });
  } finally {
    clearTimeout(timer);
    end();
  }
}

/**
 * Tries until an attempt succeeds. One that takes long does not hold up the next, which begins `everyMs` after it, or `pauseMs` after it
 * failed; at most `most` go on at once. Undefined where none has succeeded when `goesOn` says no more; an error that `isFinal` is thrown.
 */
export async function keepTrying<T>(
  attempt: () => Promise<T>,
  how: {
    readonly goesOn: () => boolean;
    readonly isFinal: (error: unknown) => boolean;
    /** What succeeds when another has. */
    readonly close: (late: T) => void;
    readonly pauseMs: number;
    readonly everyMs: number;
    readonly most: number;
    readonly signal: AbortSignal;
  },
): Promise<T | undefined> {
  const pending = new Set<Promise<void>>();
  let end: { readonly value: T } | { readonly error: unknown } | undefined;
  let wake = () => {};
  const ended = new Promise<void>((resolve) => {
    wake = resolve;
  });
  const settle = (as: NonNullable<typeof end>) => {
    end ??= as;
    wake();
  };
  const one = async () => {
    try {
      const value = await attempt();
      if (end === undefined) settle({ value });
      else how.close(value);
    } catch (error) {
      if (how.isFinal(error)) settle({ error });
    }
  };
  try {
    while (end === undefined && how.goesOn()) {
      how.signal.throwIfAborted();
      const begun = one();
      pending.add(begun);
      void begun.then(() => pending.delete(begun));
      await untilNext(begun, ended, how);
      while (pending.size >= how.most && end === undefined) await Promise.race([ended, ...pending]);
    }
    await Promise.race([ended, Promise.all(pending)]);
  } catch (error) {
    // Interrupted: what succeeds from now on is closed.
    settle({ error });
  }
  if (end !== undefined && "error" in end) throw end.error;
  return end?.value;
}

async function untilNext(
  begun: Promise<void>,
  ended: Promise<void>,
  { pauseMs, everyMs }: { readonly pauseMs: number; readonly everyMs: number },
): Promise<void> {
  const over = new AbortController();
  const wait = (ms: number) => sleep(ms, undefined, { signal: over.signal }).catch(() => {});
  try {
    await Promise.race([ended, wait(everyMs), begun.then(() => wait(pauseMs))]);
  } finally {
    over.abort();
  }
}
