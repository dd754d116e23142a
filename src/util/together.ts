/** Does both at once; where one fails the other is ended, and its end awaited. */
export async function together<A, B>(
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
