import type { Spec } from "../../schema/spec.ts";
import type { Problem } from "../../util/problem.ts";
import { asksFor, type Setting } from "./setting.ts";

const path = "/etc/nftables.conf";
const usualSshPort = 22;

/** nft(8). What is forwarded, and what goes out, is left as it is. */
export const firewall: Setting = {
  field: "firewall",
  files: ({ firewall }) =>
    firewall === undefined
      ? []
      : [{ path, content: typeof firewall === "string" ? firewall : textOf(firewall), mode: "0755" }],
  problems: (spec) => {
    const { firewall } = spec;
    if (firewall === undefined) return [];
    if (!asksFor(spec, "nftables"))
      return [{ path: ["firewall"], message: "needs the package `nftables` in packages.install" }];
    if (typeof firewall === "string") return [];
    const problems = (["tcp", "udp"] as const).flatMap((protocol) => portProblems(firewall, protocol));
    const ports = spec.sshd?.ports ?? [usualSshPort];
    if (asksFor(spec, "openssh-server") && !ports.some((port) => comesIn(firewall, port)))
      problems.push({
        path: ["firewall", "tcp"],
        message: `leaves out SSH: the server listens on ${ports.join(", ")}; add ${ports[0]}, or say another port in \`sshd.ports\``,
      });
    return problems;
  },
  enables: ({ firewall }) => (firewall === undefined ? [] : ["nftables.service"]),
  expected: ({ firewall }) =>
    firewall === undefined ? [] : [{ path: ["firewall"], kind: "nftables rules" as const, name: path }],
};

type Rules = Exclude<NonNullable<Spec["firewall"]>, string>;

/** Answers to what the system asked for come in, pings and neighbours, DHCPv6's answers, and what is named. */
function textOf({ tcp, udp, rules }: Rules): string {
  const lines = [
    "type filter hook input priority filter; policy drop;",
    "ct state vmap { established : accept, related : accept, invalid : drop }",
    'iifname "lo" accept',
    "meta l4proto { icmp, ipv6-icmp } accept",
    // The server answers from its own address, not from the group that was asked.
    "ip6 saddr fe80::/10 udp dport 546 accept",
    ...(tcp.length === 0 ? [] : [`tcp dport { ${tcp.join(", ")} } accept`]),
    ...(udp.length === 0 ? [] : [`udp dport { ${udp.join(", ")} } accept`]),
    ...rules,
  ];
  return `#!/usr/sbin/nft -f

flush ruleset

table inet filter {
	chain input {
${lines.map((line) => `\t\t${line}\n`).join("")}	}
}
`;
}

/** Whether a firewall of ports lets a TCP port in; a rule that names it is believed. */
export function comesIn({ tcp, rules }: Rules, port: number): boolean {
  return (
    tcp.map(boundsOf).some(([first, last]) => first <= port && port <= last) ||
    rules.some((rule) => new RegExp(`\\b${port}\\b`).test(rule))
  );
}

function portProblems(firewall: Rules, protocol: "tcp" | "udp"): Problem[] {
  const all = firewall[protocol].map(boundsOf);
  return all.flatMap(([first, last], index): Problem[] => {
    const path = ["firewall", protocol, index];
    if (first > last || last > 65_535)
      return [{ path, message: `${first}-${last} is no range; needs to go up, to 65535 at most` }];
    const other = all.slice(0, index).findIndex((one) => one[0] <= last && first <= one[1]);
    // nft takes no set with ports that are in it twice.
    return other < 0
      ? []
      : [
          {
            path,
            message: `is in \`${protocol}\` already, by ${firewall[protocol][other]}; leave one of them out`,
          },
        ];
  });
}

function boundsOf(ports: number | string): readonly [first: number, last: number] {
  const [first, last = first] = String(ports).split("-").map(Number);
  return [first!, last!];
}
