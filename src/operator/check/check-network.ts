import { type Device, linksOf, type Network } from "../../schema/network.ts";
import type { Spec } from "../../schema/spec.ts";
import { isIn, isLinkLocal, parseAddress, parseCidr, showAddress } from "../../util/addresses.ts";
import type { Problem } from "../../util/problem.ts";
import { noSecret } from "./check-credentials.ts";

type Declared = Pick<Spec, "network" | "secrets">;
type Links = Spec["network"];
type Path = (string | number)[];
type Of<Kind extends Device["kind"]> = Extract<Device, { kind: Kind }>;

/** The kernel's bound for a name (IFNAMSIZ), and names that it or its /proc/sys has itself. */
const longestName = 15;
const takenNames = ["lo", "all", "default"];
const usualMtu = 1500;
const networkdUser = "systemd-network";
/** What each device may be laid on, or made of. */
const carriers: Readonly<Record<Device["kind"], readonly string[]>> = {
  vlan: ["card", "bond", "bridge", "vlan"],
  bond: ["card"],
  bridge: ["card", "bond", "vlan"],
  wireguard: [],
};
const modesWith: Readonly<Record<"lacpRate" | "hashPolicy" | "primary", readonly string[]>> = {
  lacpRate: ["802.3ad"],
  hashPolicy: ["802.3ad", "balance-xor", "balance-tlb"],
  primary: ["active-backup", "balance-tlb", "balance-alb"],
};

/** Links that cannot be made, or by which the new system would not be reached. */
export function networkProblems(spec: Declared): Problem[] {
  const { network } = spec;
  return [
    ...Object.entries(network).flatMap(([name, link]) => [
      ...gatewayProblems(name, link),
      ...(link.device === undefined ? [] : deviceProblems(name, link.device, spec)),
    ]),
    ...partProblems(network),
    ...circleProblems(network),
    ...twiceProblems(network),
  ];
}

function when(isWrong: boolean, path: Path, message: string): Problem[] {
  return isWrong ? [{ path: ["network", ...path], message }] : [];
}

/** Gateways that the new system would have no way to. */
function gatewayProblems(name: string, link: Network): Problem[] {
  const { gateway, gatewayOnLink, addresses, routes = [] } = link;
  const of = (one: string, path: Path, isOnLink: boolean, word: string) =>
    when(
      !isOnLink && !isReached(one, link),
      [name, ...path],
      `${one} is in none of the prefixes of \`addresses\`${addresses.length === 0 ? "" : ` (${addresses.join(", ")})`}; a gateway outside of them needs \`${word}: true\``,
    );
  return [
    ...gateway.flatMap((one, index) => of(one, ["gateway", index], gatewayOnLink, "gatewayOnLink")),
    ...routes.flatMap((route, index) =>
      route.gateway === undefined
        ? when(
            route.destination === "default",
            [name, "routes", index, "destination"],
            '"default" needs a `gateway`; without one, "0.0.0.0/0" or "::/0" is all of the link\'s',
          )
        : of(route.gateway, ["routes", index, "gateway"], route.onLink === true, "onLink"),
    ),
  ];
}

function isReached(gateway: string, { addresses, dhcp }: Network): boolean {
  const one = parseAddress(gateway);
  // What a server will give is not known here, and each link has an address of its own below fe80::.
  if (dhcp === "yes" || dhcp === (one.bits === 32 ? "ipv4" : "ipv6") || isLinkLocal(one)) return true;
  return addresses.map(parseCidr).some(({ address, length }) => isIn(one, address, length));
}

function deviceProblems(name: string, device: Device, spec: Declared): Problem[] {
  const { network } = spec;
  const { kind } = device;
  const path = [name, "device"];
  const takes = carriers[kind];
  return [
    ...when(
      name.length > longestName || takenNames.includes(name),
      [name],
      `${name} would be the name of a ${kind}; needs at most ${longestName} characters, and none of ${takenNames.join(", ")}`,
    ),
    ...linksOf(device).flatMap((other, index) => {
      const at = [...path, ...(kind === "vlan" ? ["link"] : ["links", index])];
      const link = network[other];
      if (link === undefined)
        return when(true, at, `\`${other}\` is not in \`network\`: ${Object.keys(network).join(", ")}`);
      const found = link.device?.kind ?? "card";
      return when(
        !takes.includes(found),
        at,
        `\`${other}\` is a ${found}; a ${kind} takes ${takes.join(", ")}`,
      );
    }),
    ...(kind === "vlan" ? vlanProblems(name, device, network) : []),
    ...(kind === "bond" ? bondProblems(path, device) : []),
    ...(kind === "wireguard" ? wireguardProblems(path, device, spec) : []),
    ...when(kind === "wireguard" && network[name]?.mac !== undefined, [name, "mac"], "a wireguard has none"),
  ];
}

function vlanProblems(name: string, { id, link }: Of<"vlan">, network: Links): Problem[] {
  const carrier = network[link];
  // A VLAN has the MTU of its own link where it says nothing.
  const most = carrier?.mtu ?? (carrier?.device?.kind === "vlan" ? undefined : usualMtu);
  const mtu = network[name]?.mtu;
  const [twin] = Object.entries(network).find(
    ([, { device }]) => device?.kind === "vlan" && device.link === link && device.id === id,
  ) ?? [name];
  return [
    ...when(
      mtu !== undefined && most !== undefined && mtu > most,
      [name, "mtu"],
      `${mtu} is more than the ${most} of \`${link}\`, which carries it`,
    ),
    ...when(twin !== name, [name, "device", "id"], `${id} is the VLAN \`${twin}\` of \`${link}\` too`),
  ];
}

function bondProblems(path: Path, device: Of<"bond">): Problem[] {
  const { mode, links, primary } = device;
  const words = ["lacpRate", "hashPolicy", "primary"] as const;
  return [
    ...words.flatMap((word) =>
      when(
        device[word] !== undefined && !modesWith[word].includes(mode),
        [...path, word],
        `${mode} has none; accepted with ${modesWith[word].join(", ")}`,
      ),
    ),
    ...when(
      primary !== undefined && !links.includes(primary),
      [...path, "primary"],
      `\`${primary}\` is not among its links: ${links.join(", ")}`,
    ),
  ];
}

function wireguardProblems(
  path: Path,
  { privateKeySecret, peers }: Of<"wireguard">,
  spec: Declared,
): Problem[] {
  return [
    ...keyProblems([...path, "privateKeySecret"], privateKeySecret, spec),
    ...peers.flatMap(({ publicKey, presharedKeySecret }, index) => [
      ...(presharedKeySecret === undefined
        ? []
        : keyProblems([...path, "peers", index, "presharedKeySecret"], presharedKeySecret, spec)),
      ...when(
        peers.findIndex((one) => one.publicKey === publicKey) < index,
        [...path, "peers", index, "publicKey"],
        "is that of another peer too; needs one of its own",
      ),
    ]),
  ];
}

/** systemd-networkd reads it itself, as a user of its own. */
function keyProblems(path: Path, name: string, spec: Declared): Problem[] {
  const secret = spec.secrets[name];
  if (secret === undefined) return when(true, path, noSecret(name, spec));
  const mode = Number.parseInt(secret.mode, 8);
  const isRead =
    (secret.owner === networkdUser && (mode & 0o400) !== 0) ||
    (secret.group === networkdUser && (mode & 0o040) !== 0);
  const need = (isWrong: boolean, needs: string) => when(isWrong, path, `the secret \`${name}\` ${needs}`);
  if (secret.path === undefined) return need(true, `needs a \`path\`, as "/etc/systemd/network/${name}.key"`);
  return [
    ...need(
      !/^[A-Za-z0-9_.@+/-]+$/.test(secret.path),
      "is named in a unit, so its `path` may hold letters, digits and `_.@+-/` only",
    ),
    ...need(!isRead, `is read by systemd-networkd; it needs \`group: "${networkdUser}", mode: "0640"\``),
  ];
}

/** A link is a part of one bond or bridge, and has nothing of its own then. */
function partProblems(network: Links): Problem[] {
  const owners = new Map<string, string>();
  const twice = Object.entries(network).flatMap(([name, { device }]) =>
    (device?.kind === "vlan" ? [] : linksOf(device)).flatMap((link, index) => {
      const owner = owners.get(link);
      owners.set(link, name);
      const path = [name, "device", "links", index];
      return when(owner !== undefined, path, `\`${link}\` is a part of \`${owner}\` already`);
    }),
  );
  const own = [...owners].flatMap(([name, owner]) => {
    const { addresses = [], gateway = [], routes = [], dhcp = "no" } = network[name] ?? {};
    const lists = { addresses, gateway, routes, dhcp: dhcp === "no" ? [] : [dhcp] };
    return Object.entries(lists).flatMap(([field, said]) =>
      when(said.length > 0, [name, field], `\`${name}\` is a part of \`${owner}\`, which has them instead`),
    );
  });
  const vlans = Object.entries(network).flatMap(([name, { device }]) => {
    const owner = device?.kind === "vlan" ? (owners.get(device.link) ?? "") : "";
    const message = `is a part of the bond \`${owner}\`, which carries VLANs instead`;
    return when(network[owner]?.device?.kind === "bond", [name, "device", "link"], message);
  });
  return [...twice, ...own, ...vlans];
}

/** Links that are laid on themselves, each circle once. */
function circleProblems(network: Links): Problem[] {
  const done = new Set<string>();
  const from = (name: string, way: readonly string[]): Problem[] => {
    const circle = way.includes(name) ? [...way.slice(way.indexOf(name)), name] : [];
    if (circle.length > 0) return when(true, [name, "device"], `is laid on itself: ${circle.join(" on ")}`);
    if (done.has(name)) return [];
    done.add(name);
    return linksOf(network[name]?.device).flatMap((other) => from(other, [...way, name]));
  };
  return Object.keys(network).flatMap((name) => from(name, []));
}

/** Of two links with the same match the second has nothing of what it says, and an address is on one link. */
function twiceProblems(network: Links): Problem[] {
  const first = new Map<string, string>();
  const claim = (what: string, name: string, path: Path) => {
    const other = first.get(what);
    if (other === undefined) first.set(what, name);
    return when(
      other !== undefined,
      [name, ...path],
      `${what} is that of \`${other}\` too; needs one of its own`,
    );
  };
  return Object.entries(network).flatMap(([name, { match, addresses }]) => [
    ...(match === undefined
      ? []
      : claim([match.name ?? [], match.mac ?? []].flat().join(" with "), name, ["match"])),
    ...addresses.flatMap((one, index) => {
      const { address } = parseCidr(one);
      // Each link may have the same there.
      return isLinkLocal(address) ? [] : claim(showAddress(address), name, ["addresses", index]);
    }),
  ]);
}
