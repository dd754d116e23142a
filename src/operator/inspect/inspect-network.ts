import { isIP } from "node:net";
import { z } from "zod";
import type { LinkFacts, RouteFacts } from "../../schema/facts.ts";
import { Fail } from "../../util/fail.ts";

// `ip -j` of iproute2 4.17 and later; fields that are not used are passed over on purpose.
const IpAddress = z.array(
  z.looseObject({
    ifname: z.string().optional(),
    address: z.string().optional(),
    permaddr: z.string().optional(),
    mtu: z.int().optional(),
    flags: z.array(z.string()).default([]),
    link_type: z.string().optional(),
    linkinfo: z.looseObject({ info_kind: z.string().optional() }).optional(),
    addr_info: z
      .array(
        z.looseObject({
          family: z.string().optional(),
          local: z.string().optional(),
          prefixlen: z.int().optional(),
          scope: z.string().optional(),
          dynamic: z.boolean().optional(),
          mngtmpaddr: z.boolean().optional(),
        }),
      )
      .default([]),
  }),
);

const IpRoute = z.array(
  z.looseObject({
    type: z.string().optional(),
    dst: z.string().optional(),
    gateway: z.string().optional(),
    dev: z.string().optional(),
    protocol: z.string().optional(),
    scope: z.string().optional(),
    flags: z.array(z.string()).default([]),
    metric: z.int().optional(),
  }),
);

/** Links except loopback. An address is dynamic where the kernel counts down its lifetime (DHCP, router advertisement). */
export function parseLinks(json: string): LinkFacts[] {
  return parse(IpAddress, json, "ip address")
    .filter((link) => link.ifname !== undefined && link.link_type === "ether")
    .map((link) => ({
      name: link.ifname!,
      // Where it was changed, the card's own: that is the one it has in another kernel.
      mac: link.permaddr ?? link.address ?? "",
      mtu: link.mtu ?? 1500,
      up: link.flags.includes("UP"),
      ...(link.linkinfo?.info_kind === undefined ? {} : { kind: link.linkinfo.info_kind }),
      addresses: link.addr_info
        .filter((address) => address.scope === "global" && address.local !== undefined)
        .map((address) => ({
          address: address.local!,
          prefix: address.prefixlen ?? 32,
          dynamic: address.dynamic === true,
        })),
    }));
}

/** Routes that were set: what the kernel itself derives from addresses comes back with them. */
export function parseRoutes(json4: string, json6: string): RouteFacts[] {
  return [...parse(IpRoute, json4, "ip route"), ...parse(IpRoute, json6, "ip -6 route")]
    .filter(
      (route) => route.protocol !== "kernel" && route.dev !== undefined && route.dev !== "lo" && route.dst,
    )
    .filter((route) => route.type === undefined || route.type === "unicast")
    .map((route) => ({
      to: route.dst!,
      ...(route.gateway === undefined ? {} : { via: route.gateway }),
      link: route.dev!,
      onLink: route.flags.includes("onlink"),
      dynamic: route.protocol === "dhcp" || route.protocol === "ra",
      ...(route.metric === undefined ? {} : { metric: route.metric }),
    }));
}

/** Name servers, those of a local stub resolver first; loopback addresses are of no use to another kernel. */
export function parseNameServers(resolvConf: string, uplink: string): string[] {
  const servers = [...`${uplink}\n${resolvConf}`.matchAll(/^\s*nameserver\s+(\S+)/gm)].map(
    (match) => match[1]!,
  );
  return [...new Set(servers)].filter(
    (server) => isIP(server) !== 0 && !server.startsWith("127.") && server !== "::1",
  );
}

function parse<S extends z.ZodType>(schema: S, json: string, what: string): z.output<S> {
  if (json === "") return schema.parse([]);
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw new Fail(`the host's \`${what}\` printed no JSON`, {
      hint: "it needs iproute2 4.17 or later (`ip -j`)",
    });
  }
  const result = schema.safeParse(value);
  if (!result.success)
    throw new Fail(`the host's \`${what}\` printed something unexpected`, { cause: result.error });
  return result.data;
}
