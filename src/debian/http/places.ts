import type { LockedPackage } from "../../schema/lock.ts";
import type { LoginSource } from "./login-files.ts";

/** Who has packages that the mirrors have dropped: stores of the operator's, and the distribution's archive of the past. */
export interface Keepers {
  /** Base URLs of stores, the first preferred, without a slash at the end. */
  readonly stores: readonly string[];
  /** Base URLs by archive, each of a moment. */
  readonly snapshots: Readonly<Record<string, readonly string[]>>;
  /** Where the logins of stores in registries may be. */
  readonly logins?: readonly LoginSource[];
  /** Names of secrets with the logins that a definition gives to its stores, by their URLs. */
  readonly loginSecrets?: Readonly<Record<string, string>>;
}

/** Where one file may be. */
export interface Place {
  readonly kind: (typeof placeKinds)[number];
  readonly base: string;
  /** Relative to it. */
  readonly path: string;
  /** Where its login may be. */
  readonly logins?: readonly LoginSource[];
}

/** In the order in which they are asked. */
export const placeKinds = ["mirror", "store", "snapshot"] as const;

/** A store's signed index, relative to its base. */
export const storeIndexName = "index.txt";

/** Where a store has a package, relative to its base. */
export function storePath({ sha256 }: Pick<LockedPackage, "sha256">): string {
  return `packages/${sha256}.deb`;
}

/** Every place that may have a package, in the order in which they are asked. */
export function placesOf(
  locked: LockedPackage,
  mirrors: Readonly<Record<string, readonly string[]>>,
  keepers: Keepers | undefined,
): Place[] {
  const { archive, path } = locked;
  const at = (kind: Place["kind"], bases: readonly string[] = [], from = path) =>
    bases.map((base) => ({ kind, base: base.replace(/\/$/, ""), path: from }));
  return [
    ...at("mirror", mirrors[archive]),
    ...at("store", keepers?.stores, storePath(locked)).map((one) => ({
      ...one,
      ...(keepers?.logins === undefined ? {} : { logins: keepers.logins }),
    })),
    ...at("snapshot", keepers?.snapshots[archive]),
  ];
}
