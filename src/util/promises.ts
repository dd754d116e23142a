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
