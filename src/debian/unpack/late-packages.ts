import type { LockedPackage } from "../../schema/lock.ts";

/** Packages of that size take as long to unpack as dozens of others. */
const heavyBytes = 24 * 1024 * 1024;
/** What depends on a heavy package must wait with it; more than that would be no gain. */
const mostLate = 6;

/**
 * Sets heavy packages apart that hardly any other needs, as kernels: they can be unpacked while the others are configured. Without
 * word of dependencies, in the lock of old, none are.
 */
export function splitLate(packages: readonly LockedPackage[]): {
  readonly soon: readonly LockedPackage[];
  readonly late: readonly LockedPackage[];
} {
  const late = new Set<string>();
  if (packages.some(({ depends }) => depends !== undefined))
    for (const { name, size } of packages) {
      if (size < heavyBytes) continue;
      const with_ = dependents(name, packages);
      if (with_.size <= mostLate) for (const one of with_) late.add(one);
    }
  return {
    soon: packages.filter(({ name }) => !late.has(name)),
    late: packages.filter(({ name }) => late.has(name)),
  };
}

/** A package, and all that depend on it, over others too. */
function dependents(name: string, packages: readonly LockedPackage[]): Set<string> {
  const found = new Set([name]);
  for (let size = 0; size < found.size; ) {
    size = found.size;
    for (const one of packages)
      if ((one.depends ?? []).some((other) => found.has(other))) found.add(one.name);
  }
  return found;
}
