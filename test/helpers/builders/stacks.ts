import type { Stack } from "../labs/network-round-trip.ts";

const macs = ["02:00:00:00:01:01", "02:00:00:00:01:02", "02:00:00:00:01:03"] as const;
const [one, two, three] = macs;
const own = "02:00:00:00:09:09";

/** Old systems' networks that any kernel with veth and bridges can make. */
export const plainStacks: readonly Stack[] = [
  {
    name: "an address of its own alone, with a gateway outside of it",
    cards: [one],
    old: [
      "ip link set c0 up mtu 1400",
      "ip addr add 192.0.2.5/32 dev c0",
      "ip route add 172.31.1.1 dev c0",
      "ip route add default via 172.31.1.1 dev c0 metric 7",
      "ip addr add 2001:db8:1::5/128 dev c0 nodad",
      "ip -6 route add fe80::1 dev c0",
      "ip -6 route add default via fe80::1 dev c0 onlink",
    ],
  },
  {
    name: "IPv6 alone, and two ways out of it",
    isRich: true,
    cards: [one, two],
    old: [
      ...["ip link set c0 up", "ip link set c1 up mtu 9000"],
      "ip addr add 2001:db8:1::5/64 dev c0 nodad",
      "ip addr add 2001:db8:2::5/64 dev c1 nodad metric 77",
      "ip -6 route add default via fe80::1 dev c0 metric 100",
      "ip -6 route add default via 2001:db8:2::1 dev c1 metric 200 mtu 1280",
    ],
  },
  {
    name: "a way out that an advertisement gave, of a router that is silent now",
    isLeased: true,
    cards: [one],
    old: [
      "ip link set c0 up",
      "ip addr add 2001:db8:1::5/64 dev c0 nodad valid_lft 3600 preferred_lft 1800",
      "ip -6 route add default via fe80::1 dev c0 proto ra metric 1024",
    ],
  },
  {
    name: "a bridge with a MAC of its own, a guest on it, jumbo frames",
    cards: [one, two],
    old: [
      `ip link add br0 address ${own} type bridge stp_state 0 forward_delay 200 priority 4096`,
      ...["ip link set c0 up mtu 9000 master br0", "ip link set br0 up mtu 9000"],
      ...["ip link add xguest type veth peer name xport", "ip link set xport up master br0"],
      ...["ip addr add 192.0.2.5/24 dev br0", "ip addr add 192.0.2.6/24 dev br0"],
      "ip route add default via 192.0.2.1 dev br0",
    ],
  },
  {
    name: "a bridge with the MAC of its card",
    cards: [one, two],
    old: [
      ...["ip link add br0 type bridge", "ip link set c1 up master br0", "ip link set br0 up"],
      ...["ip addr add 192.0.2.5/24 dev br0", "ip route add default via 192.0.2.1 dev br0"],
    ],
  },
  {
    name: "cards that have each other's names",
    cards: [one, two],
    old: [
      ...["ip link set c0 up", "ip link set c1 up"],
      ...["ip addr add 192.0.2.5/24 dev c0", "ip addr add 198.51.100.5/24 dev c1"],
      "ip route add default via 198.51.100.1 dev c1",
    ],
  },
  {
    name: "rules and tables for each of two ways",
    isRich: true,
    cards: [one, two],
    old: [
      ...["ip link set c0 up", "ip link set c1 up"],
      ...["ip addr add 192.0.2.5/24 dev c0", "ip addr add 198.51.100.5/24 dev c1 noprefixroute"],
      "ip route add 198.51.100.0/24 dev c1 src 198.51.100.5 metric 300",
      "ip route add default via 192.0.2.1 dev c0 metric 100",
      "ip route add default via 198.51.100.1 dev c1 metric 200",
      "ip route add default via 198.51.100.1 dev c1 table 77 src 198.51.100.5",
      "ip route add unreachable default table 77 metric 4278198272",
      "ip rule add from 198.51.100.5 lookup 77 priority 100",
      "ip rule add not from 203.0.113.0/24 fwmark 0x1/0xff iif c1 lookup 78 priority 99",
      "ip rule add to 203.0.113.0/24 ipproto tcp dport 22 lookup main suppress_prefixlength 0 priority 98",
      "ip -6 rule add from 2001:db8::/32 prohibit priority 97",
    ],
  },
  {
    name: "several ways as one, what goes nowhere, and a gateway of the other family",
    isRich: true,
    cards: [one, two],
    old: [
      ...["ip link set c0 up", "ip link set c1 up"],
      ...["ip addr add 192.0.2.5/24 dev c0", "ip addr add 198.51.100.5 peer 198.51.100.6 dev c1"],
      "ip route add default nexthop via 192.0.2.1 dev c0 nexthop via 198.51.100.6 dev c1 weight 3",
      "ip route add blackhole 10.9.0.0/16",
      "ip -4 route add 203.0.113.0/24 via inet6 fe80::1 dev c0",
      "ip -6 route add unreachable 2001:db8:9::/48",
    ],
  },
  {
    name: "a server's only address on its loopback",
    cards: [one],
    old: [
      ...["ip link set c0 up", "ip addr add 203.0.113.9/32 dev lo"],
      "ip route add 169.254.0.1 dev c0",
      "ip route add default via 169.254.0.1 dev c0 onlink src 203.0.113.9",
    ],
  },
  {
    name: "a card in a bridge, and a name that a card has here",
    cards: [one, two],
    old: [
      ...["ip link add n0 type bridge", "ip link set c0 up master n0", "ip link set n0 up"],
      ...["ip addr add 192.0.2.5/24 dev n0", "ip route add default via 192.0.2.1 dev n0"],
    ],
  },
];

/** A server for one address on the cable of a card of the base, in a network of its own. */
const served = (card: string, ip: string, router?: string) => [
  "unshare --net sleep 100 & server=$!",
  "sleep 1",
  `ip link set x${card} netns $server`,
  `nsenter --net --target $server sh -c 'ip address add 192.0.2.1/24 dev x${card}; ip link set x${card} up'`,
  `printf 'start ${ip}\\nend ${ip}\\ninterface x${card}\\nlease_file /dev/null\\nopt subnet 255.255.255.0\\nopt lease 3600\\n' > /tmp/udhcpd.$$`,
  ...(router === undefined ? [] : [`echo 'opt router ${router}' >> /tmp/udhcpd.$$`]),
  "nsenter --net --target $server busybox udhcpd /tmp/udhcpd.$$ 2> /dev/null",
];
const lifetime = "valid_lft 3600 preferred_lft 3600";

/** Leases; where this runs, the base's script for its client is in its place, and BusyBox has a server. */
export const leasedStacks: readonly Stack[] = [
  {
    name: "a lease without a gateway, and a way out that was set by hand",
    isLeased: true,
    cards: [one],
    old: [
      ...["ip link set c0 up mtu 1400", `ip addr add 192.0.2.50/24 dev c0 ${lifetime}`],
      "ip route add default via 192.0.2.7 dev c0 metric 9",
    ],
    around: served("n0", "192.0.2.50"),
  },
  {
    name: "a lease with its gateway, beside a card that leads out by hand",
    isLeased: true,
    cards: [one, two],
    old: [
      ...["ip link set c0 up", "ip link set c1 up", `ip addr add 192.0.2.50/24 dev c0 ${lifetime}`],
      ...[
        "ip route add default via 192.0.2.1 dev c0 proto dhcp metric 100",
        "ip addr add 198.51.100.5/24 dev c1",
      ],
      "ip route add default via 198.51.100.1 dev c1 metric 200",
    ],
    around: served("n1", "192.0.2.50", "192.0.2.1"),
  },
  {
    name: "a lease without a gateway alone",
    isLeased: true,
    cards: [one],
    old: ["ip link set c0 up", `ip addr add 192.0.2.50/24 dev c0 ${lifetime}`],
    around: served("n0", "192.0.2.50"),
  },
];

/** Slow: the server is waited for. */
export const lostLease: Stack = {
  name: "a lease on a bridge, of a server that is gone",
  isLeased: true,
  cards: [one],
  old: [
    ...["ip link add br0 type bridge", "ip link set c0 up master br0", "ip link set br0 up"],
    ...[`ip addr add 192.0.2.50/24 dev br0 ${lifetime}`, "ip route add default via 192.0.2.1 dev br0"],
  ],
};

/** Random networks: cards and bridges with addresses of both families, ways, tables and rules. */
export function randomStacks(count: number, random: () => number): Stack[] {
  const below = (limit: number) => Math.floor(random() * limit);
  const pick = <T>(some: readonly T[]): T => some[below(some.length)]!;
  return Array.from({ length: count }, (_, at) => {
    const cards = macs.slice(0, 1 + below(macs.length));
    const old = cards.flatMap((_mac, card) => {
      const up = `ip link set c${card} up mtu ${pick([1280, 1500, 4000, 9000])}`;
      const isBridged = below(3) === 0;
      const name = isBridged ? `br${card}` : `c${card}`;
      const bridge = [
        `ip link add ${name} ${below(2) === 0 ? `address 02:00:00:00:0${card}:77 ` : ""}type bridge`,
        ...[`ip link set c${card} master ${name}`, `ip link set ${name} up`],
      ];
      const [length4, length6] = [pick([24, 28, 32]), pick([64, 128])];
      const [own4, via4] = [`198.18.${card}.5`, `198.18.${card}.1`];
      const [own6, via6] = [`2001:db8:${card}::5`, pick([`2001:db8:${card}::1`, "fe80::1"])];
      const metric = pick(["", ` metric ${100 + card}`]);
      const more = pick(["", " mtu 1280", ` src ${own4}`]);
      const has4 = card === 0 || below(2) === 0;
      return [
        ...[up, ...(isBridged ? bridge : [])],
        ...(has4 ? [`ip addr add ${own4}/${length4} dev ${name}`] : []),
        ...(has4 && (card === 0 || metric !== "")
          ? [`ip route add default via ${via4} dev ${name} onlink${metric}${more}`]
          : []),
        ...(has4 && below(2) === 0
          ? [
              `ip route add default via ${via4} dev ${name} onlink table ${1000 + card}`,
              `ip rule add from ${own4} ${pick(["", `iif ${name} `])}lookup ${1000 + card} priority ${200 + card}`,
            ]
          : []),
        `ip addr add ${own6}/${length6} dev ${name} nodad${pick(["", " noprefixroute"])}`,
        ...(below(2) === 0
          ? [`ip -6 route add default via ${via6} dev ${name} onlink metric ${500 + card}`]
          : []),
      ];
    });
    return { name: `at random, number ${at}`, isRich: true as const, cards, old };
  });
}

const bonded = (options: string, members: readonly number[]) => [
  `ip link add bond0 type bond ${options}`,
  ...members.map((number) => `ip link set c${number} master bond0`),
];

/** Those for which the kernel needs its modules bonding and 8021q, as the base's has them. */
export const taggedStacks: readonly Stack[] = [
  {
    name: "a VLAN on a bond of two as the only way out",
    cards: [one, two, three],
    old: [
      ...bonded("mode active-backup miimon 100 updelay 200 downdelay 300 fail_over_mac none", [0, 1]),
      "ip link set bond0 type bond primary c1",
      ...["ip link set bond0 mtu 9000 up", "ip link add link bond0 name bond0.20 type vlan id 20"],
      ...["ip link set bond0.20 up mtu 1400", "ip addr add 192.0.2.5/24 dev bond0.20"],
      "ip route add default via 192.0.2.1 dev bond0.20",
    ],
  },
  {
    name: "a bridge on a VLAN on a bond that speaks LACP",
    cards: [one, two, three],
    old: [
      ...bonded(
        "mode 802.3ad miimon 50 lacp_rate fast xmit_hash_policy layer3+4 min_links 1 ad_select bandwidth",
        [0, 2],
      ),
      ...["ip link set bond0 up", `ip link add link bond0 name v40 address ${own} type vlan id 40`],
      ...[
        "ip link add br40 type bridge stp_state 0",
        "ip link set v40 up master br40",
        "ip link set br40 up",
      ],
      ...["ip addr add 192.0.2.5/24 dev br40", "ip addr add 2001:db8:1::5/64 dev br40 nodad"],
      ...["ip route add default via 192.0.2.1 dev br40", "ip -6 route add default via fe80::1 dev br40"],
    ],
  },
  ...["balance-rr", "balance-xor", "broadcast", "balance-tlb", "balance-alb"].map((mode) => ({
    name: `a bond of mode ${mode}`,
    cards: [one, two],
    old: [
      ...bonded(`mode ${mode} miimon 100`, [0, 1]),
      ...["ip link set bond0 up", "ip addr add 192.0.2.5/24 dev bond0"],
      "ip route add default via 192.0.2.1 dev bond0",
    ],
  })),
  {
    name: "a bond that asks by ARP",
    cards: [one, two],
    old: [
      ...bonded(
        "mode active-backup arp_interval 1000 arp_ip_target 192.0.2.1,192.0.2.2 arp_validate active",
        [0, 1],
      ),
      ...["ip link set bond0 up", "ip addr add 192.0.2.5/24 dev bond0"],
      "ip route add default via 192.0.2.1 dev bond0",
    ],
  },
  {
    name: "tags within tags on a card, beside an address of the card's own",
    isRich: true,
    cards: [one],
    old: [
      ...["ip link set c0 up", "ip addr add 198.51.100.5/24 dev c0"],
      ...["ip link add link c0 name c0.4 type vlan proto 802.1ad id 4", "ip link set c0.4 up"],
      ...["ip link add link c0.4 name inner type vlan id 4094", "ip link set inner up"],
      ...["ip addr add 192.0.2.5/24 dev inner", "ip route add default via 192.0.2.1 dev inner"],
    ],
  },
  {
    name: "a VLAN on a bridge",
    cards: [one],
    old: [
      ...["ip link add br0 type bridge", "ip link set c0 up master br0", "ip link set br0 up"],
      ...["ip link add link br0 name br0.7 type vlan id 7", "ip link set br0.7 up"],
      ...["ip addr add 192.0.2.5/24 dev br0.7", "ip route add default via 192.0.2.1 dev br0.7"],
    ],
  },
];
