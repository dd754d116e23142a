import { parseSbat, revokedBy } from "../../boot/efi/sbat.ts";
import type { Facts } from "../../schema/facts.ts";
import type { Loaders } from "./loaders.ts";

/** What firmware with Secure Boot on makes of a system's loaders. */
interface Judged {
  /** Why it will not start; none where nothing is known to speak against it. */
  readonly refused: readonly string[];
  /** By whom it is trusted, as far as the firmware lets that be known. */
  readonly trusted: readonly string[] | undefined;
}

/** Compares what is signed and revoked with what the machine's firmware has. */
export function judgeLoaders(
  { shim, asks, next }: Loaders,
  { secureBootDb: db, sbatLevel }: Pick<Facts, "secureBootDb" | "sbatLevel">,
): Judged {
  const level = parseSbat((sbatLevel ?? []).join("\n"));
  const byName = shim.signedBy.filter((name) => db?.authorities.includes(name));
  const trusted = db?.programs.includes(shim.digest) ? [...byName, "its SHA-256"] : byName;
  const isUnknown = db !== undefined && trusted.length === 0;
  return {
    refused: [
      ...(isUnknown
        ? [
            `${shim.from} is signed by ${shim.signedBy.join(" and ") || "no authority"}; the firmware trusts ${db.authorities.join(", ") || "none"}`,
          ]
        : []),
      ...[shim, next].flatMap(({ from, generations }) =>
        revokedBy(level, generations).map((one) => `the firmware has revoked ${from}: ${one}`),
      ),
      ...revokedBy(asks, next.generations).map((one) => `${shim.from} does not start ${next.from}: ${one}`),
    ],
    trusted: db === undefined ? undefined : trusted,
  };
}

/** "shim 4, shim.debian 1". */
export function generationsOf({ generations }: Loaders["shim"]): string {
  return [...generations]
    .filter(([name]) => name !== "sbat")
    .map(([name, generation]) => `${name} ${generation}`)
    .join(", ");
}
