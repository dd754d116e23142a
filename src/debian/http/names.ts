import { type LookupAddress, type LookupOptions, promises } from "node:dns";
import type { LookupFunction } from "node:net";

/** Addresses are asked for again after that: a run may take hours. */
const keptMs = 300_000;

/**
 * Finds a host's addresses once for all connections of a run. Packages come over dozens of connections; a resolver that is asked
 * for each of them, and drops one question of ten, costs its five seconds every time. What has failed is asked again.
 */
export function rememberedLookup(
  resolve: (hostname: string, options: LookupOptions) => Promise<LookupAddress[]> = lookupAll,
): LookupFunction {
  const known = new Map<string, { readonly at: number; readonly found: Promise<LookupAddress[]> }>();
  const addresses = (hostname: string, options: LookupOptions) => {
    const key = `${hostname} ${options.family ?? 0} ${options.hints ?? 0}`;
    const kept = known.get(key);
    if (kept !== undefined && performance.now() - kept.at < keptMs) return kept.found;
    const found = resolve(hostname, options);
    known.set(key, { at: performance.now(), found });
    found.catch(() => known.delete(key));
    return found;
  };
  return (hostname, options, callback) => {
    addresses(hostname, options).then(
      (found) => {
        if (options.all === true) return callback(null, found);
        callback(null, found[0]!.address, found[0]!.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, []),
    );
  };
}

async function lookupAll(hostname: string, options: LookupOptions): Promise<LookupAddress[]> {
  return await promises.lookup(hostname, { ...options, all: true });
}
