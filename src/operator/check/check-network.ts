import { BlockList, isIPv6 } from "node:net";
import type { Network, Spec } from "../../schema/spec.ts";
import type { Problem } from "../../util/problem.ts";

/** Gateways that the new system would have no way to. */
export function gatewayProblems({ network }: Pick<Spec, "network">): Problem[] {
  return Object.entries(network).flatMap(([name, link]) =>
    link.gateway.flatMap((gateway, index) =>
      isReached(gateway, link)
        ? []
        : [
            {
              path: ["network", name, "gateway", index],
              message: `${gateway} is in none of the prefixes of \`addresses\`${link.addresses.length === 0 ? "" : ` (${link.addresses.join(", ")})`}; a gateway outside of them needs \`gatewayOnLink: true\``,
            },
          ],
    ),
  );
}

function isReached(gateway: string, { addresses, dhcp, gatewayOnLink }: Network): boolean {
  const v6 = isIPv6(gateway);
  // What a server will give is not known here.
  if (gatewayOnLink || dhcp === "yes" || dhcp === (v6 ? "ipv6" : "ipv4")) return true;
  const prefixes = new BlockList();
  const family = v6 ? "ipv6" : "ipv4";
  // Each link has an address of its own there.
  if (v6) prefixes.addSubnet("fe80::", 10, "ipv6");
  for (const one of addresses) {
    const [address = "", prefix] = one.split("/");
    if (isIPv6(address) === v6) prefixes.addSubnet(address, Number(prefix), family);
  }
  return prefixes.check(gateway, family);
}
