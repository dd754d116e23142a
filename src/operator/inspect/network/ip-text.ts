import { Fail } from "../../../util/fail.ts";

/**
 * What `ip` prints as text, from hosts whose `ip` knows no JSON: BusyBox's, and iproute2's before 4.17. Given in the form of that
 * JSON, as far as it is used.
 */

interface AddressObject {
  readonly ifname: string;
  readonly addr_info: Record<string, unknown>[];
}

/** Of `ip -o address show`: links that have addresses. */
export function addressesOf(text: string, byDhcp: ReadonlySet<string>): AddressObject[] {
  const links = new Map<string, AddressObject>();
  for (const line of text.split("\n")) {
    const [, name, family, words = ""] = /^\d+:\s+([^\s@]+)\S*\s+(inet6?)\s+(.*)$/.exec(line) ?? [];
    if (name === undefined || family === undefined) continue;
    const [own = "", ...rest] = words.split(/\s+/);
    const after = (key: string) => (rest.includes(key) ? rest[rest.indexOf(key) + 1] : undefined);
    const peer = after("peer");
    const [local = "", length] = own.split("/");
    const prefix = peer?.split("/")[1] ?? length ?? (family === "inet" ? "32" : "128");
    const metric = after("metric");
    const link = links.get(name) ?? { ifname: name, addr_info: [] };
    links.set(name, link);
    link.addr_info.push({
      family,
      local,
      prefixlen: Number(prefix),
      scope: after("scope") ?? "global",
      ...(peer === undefined ? {} : { address: peer.split("/")[0] }),
      ...(metric === undefined ? {} : { metric: Number(metric) }),
      ...(rest.includes("dynamic") || (family === "inet" && byDhcp.has(name)) ? { dynamic: true } : {}),
      ...(rest.includes("noprefixroute") ? { noprefixroute: true } : {}),
    });
  }
  return [...links.values()];
}

const types = /^(unicast|local|broadcast|multicast|anycast|blackhole|unreachable|prohibit|throw|nat)$/;

/** Of `ip route show table all`. */
export function routesOf(text: string): Record<string, unknown>[] {
  const joined = text.replaceAll(/\n\s+(?=nexthop )/g, " ").replaceAll("\\", " ");
  return joined.split("\n").flatMap((line) => {
    const words = line.split(/\s+/).filter((word) => word !== "");
    const type = types.test(words[0] ?? "") ? words.shift() : undefined;
    const dst = words.shift();
    if (dst === undefined) return [];
    const [own = [], ...hops] = split(words, "nexthop");
    const route: Record<string, unknown> = { ...(type === undefined ? {} : { type }), dst, ...wordsOf(own) };
    // BusyBox does not say which routes are the kernel's own; those have no gateway, and an address of the link.
    const isKernel =
      !("protocol" in route) && !("gateway" in route) && ("prefsrc" in route || route.metric === 256);
    // BusyBox shows nothing of several ways, and without its default route a base would be lost.
    if (dst === "default" && type === undefined && !("dev" in route) && hops.length === 0)
      throw new Fail("the host's `ip` does not show where its default route leads", {
        hint: "install iproute2 on the host",
      });
    return [
      {
        ...route,
        ...(isKernel ? { protocol: "kernel" } : {}),
        ...(hops.length === 0 ? {} : { nexthops: hops.map(wordsOf) }),
      },
    ];
  });
}

const numbers = new Set(["metric", "weight"]);
const names: Readonly<Record<string, string>> = {
  ...{ dev: "dev", proto: "protocol", scope: "scope", src: "prefsrc", table: "table", metric: "metric" },
  ...{ weight: "weight" },
};

function wordsOf(words: readonly string[]): Record<string, unknown> {
  const found: Record<string, unknown> = { flags: words.includes("onlink") ? ["onlink"] : [] };
  for (const [at, word] of words.entries()) {
    const next = words[at + 1];
    if (next === undefined) break;
    if (word === "via" && next === "inet6") found.via = { family: "inet6", host: words[at + 2] ?? "" };
    else if (word === "via") found.gateway = next;
    else if (word === "mtu") found.metrics = [{ mtu: Number(next) }];
    else if (names[word] !== undefined) found[names[word]] = numbers.has(word) ? unsigned(next) : next;
  }
  return found;
}

/** BusyBox shows the upper half of numbers as negative ones. */
function unsigned(text: string): number {
  return Number(text) >>> 0;
}

function split(words: readonly string[], at: string): string[][] {
  const parts: string[][] = [[]];
  for (const word of words)
    if (word === at) parts.push([]);
    else parts.at(-1)!.push(word);
  return parts;
}
