import { isIPv6 } from "node:net";
import type { Network } from "../../schema/network.ts";
import type { Spec } from "../../schema/spec.ts";
import { shellWord } from "../../util/shell-word.ts";
import { type EarlyLink, earlyLinks } from "./early-links.ts";

/** Seconds in which cards are looked for: drivers that are slow, and cards behind a switch that starts with them. */
const cardSeconds = 300;
/** Where the script notes what it made and started. */
export const stateDirectory = "/run/imgbuild-unlock";

/**
 * Shell functions that set up the definition's network by BusyBox's `ip` and `udhcpc`: `network` looks for cards until its time is over,
 * `lease` is what udhcpc calls. Debian's own ipconfig and `ip=` know neither IPv6 nor VLANs nor a gateway outside of the prefix.
 */
export function networkFunctions(network: Spec["network"]): string {
  const cards = earlyLinks(network).sort((a, b) => (a.name < b.name ? -1 : 1));
  const functions: string[] = [];
  const numbers = new Map<string, number>();
  const add = (one: EarlyLink) => {
    numbers.set(one.name, numbers.size);
    for (const { above } of one.vlans) add(above);
  };
  cards.forEach(add);
  const call = ({ name }: EarlyLink) => `link_${numbers.get(name)}`;
  const define = (one: EarlyLink) => {
    functions.push(linkFunction(one, call));
    for (const { above } of one.vlans) define(above);
  };
  cards.forEach(define);
  return [helpers, ...functions, matcher(cards, call)].join("\n");
}

const helpers = `state=${stateDirectory}
ip() { busybox ip "$@"; }
dhcp() {
    metric="$2" busybox udhcpc -f -i "$1" -s "$self" -t 5 -T 3 -A 5 > /dev/null 2>&1 &
    echo $! >> "$state/pids"
}
# What udhcpc got: interface, ip, mask and router come by the environment.
lease() {
    ip addr add "$ip/\${mask:-32}" dev "$interface"
    for gateway in $router; do
        ip route add default via "$gateway" dev "$interface" onlink \${metric:+metric "$metric"}
    done
}
`;

function linkFunction({ name, link, vlans }: EarlyLink, call: (one: EarlyLink) => string): string {
  const { mac, mtu, ipv6AcceptRa, addresses, dhcp, metric } = link;
  const lines = [
    ...(mac === undefined ? [] : [`ip link set dev "$1" address ${mac}`]),
    ...(mtu === undefined ? [] : [`ip link set dev "$1" mtu ${mtu}`]),
    ...(ipv6AcceptRa === false ? ['echo 0 > "/proc/sys/net/ipv6/conf/$1/accept_ra"'] : []),
    'ip link set dev "$1" up',
    ...addresses.map((address) => `ip addr add ${address} dev "$1"`),
    ...routesOf(link),
    ...(dhcp === "yes" || dhcp === "ipv4" ? [`dhcp "$1" ${shellWord(String(metric ?? ""))}`] : []),
    ...vlans.flatMap(({ id, above }) => [
      `ip link add link "$1" name ${above.name} type vlan id ${id}`,
      `echo ${above.name} >> "$state/made"`,
      `${call(above)} ${above.name}`,
    ]),
  ];
  return `# ${name}\n${call({ name, link, vlans })}() {\n${lines.map((line) => `    ${line}\n`).join("")}}\n`;
}

/** Those of other tables than the main one need rules, which the initramfs does not have. */
function routesOf({ gateway, gatewayOnLink, metric, routes = [] }: Network): string[] {
  const ways = [
    ...gateway.map((via) => ({ destination: "default", gateway: via, onLink: gatewayOnLink, metric })),
    ...routes.filter(({ table }) => table === undefined),
  ];
  return ways.map((way) => {
    const is6 = isIPv6(way.gateway ?? way.destination.split("/")[0]!);
    return [
      `ip ${is6 ? "-6 " : ""}route add ${way.destination}`,
      ...(way.gateway === undefined ? [] : [`via ${way.gateway}`]),
      'dev "$1"',
      ...(way.onLink ? ["onlink"] : []),
      ...(way.metric === undefined ? [] : [`metric ${way.metric}`]),
    ].join(" ");
  });
}

/** As systemd-networkd takes the first file that fits, by their names. */
function matcher(cards: readonly EarlyLink[], call: (one: EarlyLink) => string): string {
  const cases = cards.map((one) => {
    const { name = "*", mac } = one.link.match ?? {};
    return `                ${name}" "${mac ?? "*"}) ${call(one)} "$card" ;;\n`;
  });
  return `network() {
    left=${cardSeconds}
    while [ "$left" -gt 0 ]; do
        for path in /sys/class/net/*; do
            card=\${path##*/}
            [ -e "$path/device" ] && [ ! -e "$state/card-$card" ] || continue
            case "$card $(cat "$path/address")" in
${cases.join("")}                *) continue ;;
            esac
            : > "$state/card-$card"
        done
        left=$((left - 1))
        sleep 1
    done
}
`;
}
