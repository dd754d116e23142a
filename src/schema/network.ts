import { z } from "zod";
import { Line, Name } from "./words.ts";

/** Links of a system by name, as plain data: what systemd-networkd is given follows from it (`operator/plan/network-files`). */

const Cidr = z.union([z.cidrv4(), z.cidrv6()]);
const Address = z.union([z.ipv4(), z.ipv6()]);
const Mac = z.string().regex(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/, "a lower-case MAC address");
const Metric = z.int().min(0).max(4294967295);
/** 32 bytes in base64. */
const WireguardKey = z
  .string()
  .regex(/^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/, "a key as `wg pubkey` prints it, 44 characters");
const Links = z.array(Name);
const bondModes = [
  ...(["active-backup", "802.3ad", "balance-rr", "balance-xor"] as const),
  ...(["broadcast", "balance-tlb", "balance-alb"] as const),
] as const;

const Vlan = z.strictObject({
  /** A VLAN on another link. */
  kind: z.literal("vlan"),
  /** Its number. */
  id: z.int().min(1).max(4094),
  /** The link that carries it, by its name in `network`. */
  link: Name,
});

const Bond = z.strictObject({
  /** Several links as one. */
  kind: z.literal("bond"),
  /** How they share the work; 802.3ad needs a switch that speaks LACP. */
  mode: z.enum(bondModes),
  /** Its links, by their names in `network`. */
  links: Links.min(1),
  /** How often its links' cables are looked at, in milliseconds. */
  monitorMs: z.int().min(1).max(60_000).default(100),
  /** Of 802.3ad: how often the other side is asked to send. */
  lacpRate: z.enum(["slow", "fast"]).optional(),
  /** By what frames are given to links. */
  hashPolicy: z.enum(["layer2", "layer2+3", "layer3+4", "encap2+3", "encap3+4"]).optional(),
  /** The link that is used while it works. */
  primary: Name.optional(),
});

const Bridge = z.strictObject({
  /** Links joined as by a switch. */
  kind: z.literal("bridge"),
  /** None: for guests of this machine alone. */
  links: Links.default([]),
  /** The spanning tree protocol, against loops. */
  stp: z.boolean().optional(),
});

const Peer = z.strictObject({
  /** By which it is known. */
  publicKey: WireguardKey,
  /** Where it is reached: "vpn.example.org:51820". Left out for peers that come to us. */
  endpoint: z
    .string()
    .regex(
      /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):[1-9][0-9]{0,4}$/,
      'a host with a port, as "[2001:db8::1]:51820"',
    )
    .optional(),
  /** What may come from it, and is sent to it once a route leads to the link. */
  allowedIps: z.array(Cidr).min(1),
  /** A secret with a `path`, as `wg genpsk` prints it. */
  presharedKeySecret: Name.optional(),
  /** How often something is sent, so that a router between does not forget the connection. */
  keepaliveSeconds: z.int().min(1).max(65535).optional(),
});

const Wireguard = z.strictObject({
  kind: z.literal("wireguard"),
  /** A secret with a `path`, as `wg genkey` prints it. */
  privateKeySecret: Name,
  /** The port at which peers reach it; left out: any. */
  listenPort: z.int().min(1).max(65535).optional(),
  /** Who is at the other end. */
  peers: z.array(Peer).min(1),
});

const Device = z.discriminatedUnion("kind", [Vlan, Bond, Bridge, Wireguard]);

const Route = z.strictObject({
  /** "default", or a network in CIDR notation. */
  destination: z.union([z.literal("default"), Cidr]),
  /** Left out where all of the destination is on the link itself. */
  gateway: Address.optional(),
  /** Of several ways the one with the lowest is taken. */
  metric: Metric.optional(),
  /** The gateway is outside every address's prefix. */
  onLink: z.boolean().optional(),
  /** Number of a routing table; left out: the main one. */
  table: z.int().min(1).max(4294967295).optional(),
});

/** A link: a card that is there (`match`), or a `device` that is made and has the entry's name. */
export const Network = z
  .strictObject({
    /** The card, by its name or its MAC address. */
    match: z
      .strictObject({
        name: z
          .string()
          .regex(/^[A-Za-z0-9*?[\]!_.-]+$/, 'the name of a link, or a pattern such as "en*"')
          .optional(),
        mac: Mac.optional(),
      })
      .refine((match) => match.name !== undefined || match.mac !== undefined, "needs `name` or `mac`")
      .optional(),
    /** What is made. */
    device: Device.optional(),
    /** Whether addresses are asked for, and of which family. */
    dhcp: z.enum(["no", "yes", "ipv4", "ipv6"]).default("no"),
    /** Addresses of its own, with the length of the prefix: "192.0.2.10/24". */
    addresses: z.array(Cidr).default([]),
    /** Ways to everywhere; those with a metric, and all others, are `routes`. */
    gateway: z.array(Address).default([]),
    /** The gateway is outside every address's prefix, as at many providers. */
    gatewayOnLink: z.boolean().default(false),
    /** Ways besides `gateway`. */
    routes: z.array(Route).optional(),
    /** Of `gateway` and of routes by DHCP and router advertisements: of several ways the lowest is taken. */
    metric: Metric.optional(),
    /** Name servers. */
    dns: z.array(Address).default([]),
    /** Domains in which names without a dot are looked for. */
    searchDomains: z
      .array(Line.regex(/^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/, "a domain").max(253))
      .optional(),
    /** The longest packet in bytes. */
    mtu: z.int().min(68).max(65535).optional(),
    /** In place of its own. Left out, a bond and a bridge have that of one of their links. */
    mac: Mac.optional(),
    /** `false`: router advertisements are passed over. */
    ipv6AcceptRa: z.boolean().optional(),
    /** `false`: the start does not wait for it (network-online.target), as for a card without a cable. */
    requiredForOnline: z.boolean().optional(),
  })
  .refine(
    ({ match, device }) => (match === undefined) !== (device === undefined),
    "needs `match` for a card that is there, or `device` for a link that is made",
  );

export type Network = z.output<typeof Network>;
export type Device = z.output<typeof Device>;

/** Names of the links that a device is laid on, or made of. */
export function linksOf(device: Device | undefined): readonly string[] {
  if (device === undefined || device.kind === "wireguard") return [];
  return device.kind === "vlan" ? [device.link] : device.links;
}
