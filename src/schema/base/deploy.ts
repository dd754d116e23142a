import { z } from "zod";
import { LinkAddress, MadeLink, Route, RuleFacts } from "../facts.ts";

/** What the base needs to know before it trusts a payload. It travels in the initramfs beside it; the kernel's command line names its digest. */

const Addresses = z.array(LinkAddress);
const Routes = z.array(Route);

const LinkReplay = z.strictObject({
  /** In the old system, where others name it. */
  name: z.string().optional(),
  /** By which a card is found; what a made link gets. */
  mac: z.string(),
  /** Where the card is plugged in, if another one has its MAC. */
  path: z.string().optional(),
  /** Used by a card in place of its own. */
  address: z.string().optional(),
  /** Bonds, VLANs, bridges and the like; addresses of a loopback go to that of the base. */
  device: z.union([MadeLink, z.strictObject({ kind: z.literal("loopback") })]).optional(),
  mtu: z.int(),
  /** Asked of a DHCP server, because the old system did. */
  dhcp4: z.boolean(),
  acceptRa: z.literal(false).optional(),
  addresses: Addresses,
  routes: Routes,
  /**
   * The lease of the old system, until it ends: another client may get another address, and the server may be gone. Of the routes
   * those are set that neither DHCP nor a router's advertisement brings.
   */
  given: z.strictObject({ addresses: Addresses, routes: Routes }),
  /** Of the default route that DHCP sets; none is set without it. */
  metric: z.int().min(0).optional(),
});

/** The old system's network. A link comes after those that it is made of. */
export const NetworkReplay = z.strictObject({
  links: z.array(LinkReplay),
  dns: z.array(z.string()),
  /** Routes of no link, of several, or with the address of another one. */
  routes: z.array(Route.extend({ link: z.string().optional() })).optional(),
  rules: z.array(RuleFacts).optional(),
});

/** A machine by its hardware, whichever system runs on it: the UUID of its firmware's tables, and its network cards. */
export const Machine = z.strictObject({ uuid: z.string().optional(), macs: z.array(z.string()) });

/** Word of the kernel's command line that names the deploy's data by its SHA-256. */
export const deployWord = "imgbuild.deploy";

/** In the base, beside the deploy's other files; only root reads them there. */
export const recordFiles = { plain: "record.json", sealed: "record.age" } as const;

export const DeployData = z.strictObject({
  version: z.literal(1),
  /** 64 hexadecimal digits, made for this deploy; by which the base and the new system are recognised. */
  nonce: z.string().regex(/^[0-9a-f]{64}$/),
  /** Ed25519 public key (SPKI, DER, base64) with which this deploy's payload is signed. */
  publicKey: z.string(),
  oldBootId: z.string(),
  hostname: z.string(),
  network: NetworkReplay,
  /** From the start of the base to GO, and from GO to the first write; after that the base restarts into the old system. */
  deadManSeconds: z.int().min(10).max(7200),
  /** Name of a virtio port that leads to the operator as well: the base runs in a machine of the operator's own. */
  port: z
    .string()
    .regex(/^[a-z][a-z0-9.]{0,62}$/)
    .optional(),
});

/** The part of the payload that says what to do, beside the plan and the definition's files. */
export const Order = z.strictObject({
  version: z.literal(1),
  definition: z.string(),
  planDigest: z.string(),
  /** The disks the operator confirmed, as the old system saw them; the base must see the same. */
  disks: z.array(
    z.strictObject({
      name: z.string(),
      serial: z.string().optional(),
      wwn: z.string().optional(),
      model: z.string().optional(),
      path: z.string().optional(),
      sizeBytes: z.int().positive(),
    }),
  ),
  mirrors: z.record(z.string(), z.array(z.string())),
  /** Who is asked for what no mirror has. */
  keepers: z
    .strictObject({
      stores: z.array(z.string()),
      snapshots: z.record(z.string(), z.array(z.string())),
      /** Which secret has the login of a store in a registry, by its URL. */
      loginSecrets: z.record(z.string(), z.string()).optional(),
    })
    .optional(),
  /** Names of the secrets the new system needs; sent sealed with GO, never in the payload. */
  secrets: z.array(z.string()),
  /** The finished tree, as an archive that came along at `shippedTree`: its size and digest, and the size of its content. */
  tree: z
    .strictObject({
      size: z.int().positive(),
      sha256: z.string().regex(/^[0-9a-f]{64}$/),
      contentBytes: z.int().positive(),
    })
    .optional(),
});

/** Where a tree that was made elsewhere is in the base, in RAM; `initramfs/init` puts it there. */
export const shippedTree = "/run/imgbuild/tree";

export type NetworkReplay = z.output<typeof NetworkReplay>;
export type LinkReplay = NetworkReplay["links"][number];
export type Machine = z.output<typeof Machine>;
export type DeployData = z.output<typeof DeployData>;
export type Order = z.output<typeof Order>;
