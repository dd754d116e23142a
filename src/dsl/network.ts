import type { z } from "zod";
import type { Network } from "../schema/spec.ts";

type NetworkInput = z.input<typeof Network>;

/** Links that ask for their addresses: `dhcp("en*")`. A name may hold shell wildcards. */
export function dhcp(name: string, input: Omit<NetworkInput, "match" | "dhcp"> = {}): NetworkInput {
  return { match: { name }, dhcp: "yes", ...input };
}

/** A link with addresses of its own, in CIDR notation. */
export function staticAddress(input: NetworkInput & { addresses: string[] }): NetworkInput {
  return { dhcp: "no", ...input };
}
