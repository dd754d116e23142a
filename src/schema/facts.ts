import { z } from "zod";
import { visibleLine } from "../util/visible.ts";
import { TpmFacts } from "./needs.ts";

/** What an inspection finds out about a machine: read only, from /proc, /sys and the standard tools. */

/** Of a text that a host gives; names and identities are far shorter. */
const mostOfText = 512;
/** Of a public key; RSA's of 16384 bits has 2,800. */
const mostOfKey = 8_192;
/** Of disks, partitions, addresses, words … of one machine. */
const mostOfList = 4_096;

/**
 * What a host says about itself: one line without anything that a terminal acts on or hides, cut if it is too long. Disks are
 * compared and confirmed in this form, see `disks/find-disk`.
 */
export const asFact = (text: string): string => visibleLine(text, mostOfText);
const Text = z.string().transform(asFact);
const list = <T extends z.ZodType>(of: T) => z.array(of).max(mostOfList);

export const PartitionFacts = z.strictObject({
  /** Kernel name, "vda1". */
  name: Text,
  startBytes: z.int().min(0),
  sizeBytes: z.int().min(0),
  /** As blkid says; absent when it has no known signature. */
  fsType: Text.optional(),
  uuid: Text.optional(),
  /** As in /dev/disk/by-partuuid. */
  partUuid: Text.optional(),
  /** LVM's group of which it is a member, with its UUID. */
  group: Text.optional(),
  mountPoints: list(Text).default([]),
});

export const DiskFacts = z.strictObject({
  /** Kernel name, "vda"; valid only for the boot in which it was read. */
  name: Text,
  serial: Text.optional(),
  wwn: Text.optional(),
  model: Text.optional(),
  sizeBytes: z.int().min(0),
  sectorSize: z.int().min(0),
  removable: z.boolean(),
  readOnly: z.boolean(),
  /** Kernel names of what uses the disk or its partitions: dm-0, md0 … */
  holders: list(Text).default([]),
  fsType: Text.optional(),
  uuid: Text.optional(),
  group: Text.optional(),
  /** Name of device-mapper's map that holds the disk as one path of several to it. */
  multipath: Text.optional(),
  /** UUID of a GPT, identifier of an MBR. */
  tableUuid: Text.optional(),
  /** Names in /dev/disk/by-id and /dev/disk/by-path. */
  byId: list(Text).optional(),
  byPath: list(Text).optional(),
  mountPoints: list(Text).default([]),
  partitions: list(PartitionFacts),
});

/** A link that is made of others, as the kernel was asked for it; links go by their names. */
export const MadeLink = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("vlan"),
    id: z.int().min(0).max(4095),
    /** Left out for 802.1Q. */
    protocol: z.literal("802.1ad").optional(),
    link: Text,
  }),
  z.strictObject({
    kind: z.literal("bond"),
    /** As `ip link add … type bond` names them: mode, miimon, lacp_rate, primary … */
    options: z.record(Text, Text),
    members: list(Text),
  }),
  z.strictObject({
    kind: z.literal("bridge"),
    stp: z.boolean(),
    /** Of the spanning tree protocol, in hundredths of a second. */
    forwardDelay: z.int().min(0).optional(),
    priority: z.int().min(0).optional(),
    /** It keeps VLANs apart by rules of its ports. */
    vlanFiltering: z.boolean(),
    /** Those rules give frames without a tag the same VLAN on its ports and on itself. */
    sameUntagged: z.literal(true).optional(),
    members: list(Text),
  }),
]);

const linkAddress = {
  address: Text,
  prefix: z.int(),
  metric: z.int().optional(),
  /** The route to its network was set by hand, or not at all. */
  noPrefixRoute: z.literal(true).optional(),
  /** The other end of a point-to-point link; the prefix is this one's. */
  peer: Text.optional(),
};
export const LinkAddress = z.strictObject(linkAddress);

export const LinkFacts = z.strictObject({
  name: Text,
  /** The card's own, by which it is known under another kernel. */
  mac: Text,
  /** What it uses in place of its own. */
  address: Text.optional(),
  mtu: z.int(),
  up: z.boolean(),
  /** Absent for a physical NIC; "bond", "vlan", "bridge", "wlan" … for the others, as `ip` calls them. */
  kind: Text.optional(),
  device: MadeLink.optional(),
  /** Where a card is plugged in, as /sys shows it, by which cards with the same MAC differ. */
  path: Text.optional(),
  /** The link that it is a part of. */
  master: Text.optional(),
  /** Router advertisements are passed over. */
  acceptRa: z.literal(false).optional(),
  addresses: list(z.strictObject({ ...linkAddress, dynamic: z.boolean() })),
});

/** One of several ways of a route. */
const RouteHop = z.strictObject({
  via: Text.optional(),
  /** Link name. */
  link: Text,
  onLink: z.boolean(),
  weight: z.int().optional(),
});

const route = {
  /** "default" or a CIDR. */
  to: Text,
  via: Text.optional(),
  onLink: z.boolean(),
  metric: z.int().optional(),
  /** Where neither `to` nor `via` shows it, or they differ. */
  family: z.literal([4, 6]).optional(),
  /** Number of its table; absent for the main one. */
  table: z.int().optional(),
  /** The address that is taken for what is sent by it. */
  src: Text.optional(),
  scope: Text.optional(),
  mtu: z.int().optional(),
  /** In place of a way: "blackhole", "unreachable", "prohibit" or "throw". */
  refuses: z.enum(["blackhole", "unreachable", "prohibit", "throw"]).optional(),
  hops: list(RouteHop).optional(),
};
export const Route = z.strictObject(route);

export const RouteFacts = z.strictObject({
  ...route,
  /** Link name; that of the first hop, "lo" for what is refused. */
  link: Text,
  /** Came from DHCP or router advertisements. */
  dynamic: z.boolean(),
});

/** A rule that chooses a table, beside the three that every kernel has. */
export const RuleFacts = z.strictObject({
  family: z.literal([4, 6]),
  priority: z.int().min(0),
  /** As `ip rule` prints and takes it, tables by their numbers: "from", "192.0.2.5", "lookup", "100". */
  words: list(Text),
});

/** A directory that a bootloader or the firmware reads, where a boot entry could be put. */
const BootPlace = z.strictObject({
  loader: z.enum(["grub", "systemd-boot", "firmware"]),
  directory: Text,
  /** Of the filesystem that it is on. */
  fsType: Text,
  /** That is on a disk or partition as they are: no LVM, md or the like between. */
  plain: z.boolean(),
  freeMib: z.int(),
  /** Of "custom.cfg" and "load_env", those that grub.cfg has. */
  reads: list(Text),
});

export const Facts = z.strictObject({
  bootId: Text,
  machineId: Text,
  /** The firmware's, in lower case; absent where it has none of its own. */
  dmiUuid: Text.optional(),
  hostname: Text,
  architecture: Text,
  kernel: Text,
  os: z.strictObject({ id: Text, version: Text, name: Text }),
  user: z.strictObject({ uid: z.int(), becomesRootBy: z.enum(["none", "sudo", "doas", "impossible"]) }),
  firmware: z.enum(["uefi", "bios"]),
  secureBoot: z.boolean(),
  /** The selected word of /sys/kernel/security/lockdown, "none" where there is no such file. */
  lockdown: Text,
  /** What the firmware starts with Secure Boot on (its db): authorities by their common names, programs by their SHA-256. */
  secureBootDb: z.strictObject({ authorities: list(Text), programs: list(Text) }).optional(),
  /** Generations that the firmware asks of shim and what it starts (SBAT): "shim,4". */
  sbatLevel: list(Text).optional(),
  /** Firmware that knows no Secure Boot keys yet, and accepts any. */
  setupMode: z.boolean().optional(),
  /** Absent where there is none. */
  tpm: TpmFacts.optional(),
  /** Of the processor, as in /proc/cpuinfo. */
  cpuFlags: list(Text).optional(),
  kexecDisabled: z.boolean(),
  /** The running kernel has the key in its keyrings by which Debian's kernels are signed. */
  trustsDebian: z.boolean().optional(),
  /** What a bootloader that starts EFI programs says of itself: "systemd-boot 252.36-1~deb12u1". */
  loaderInfo: Text.optional(),
  bootPlaces: list(BootPlace).optional(),
  /** "none", or what systemd-detect-virt --container and /proc say: "lxc", "docker" … */
  container: Text,
  memoryMib: z.strictObject({ total: z.int(), available: z.int() }),
  /** Its root is on no disk: a rescue or live system. */
  live: z.boolean().optional(),
  /** Words of /proc/cmdline. */
  cmdline: list(Text),
  /** console= values of the command line, else the active consoles of the kernel. */
  consoles: list(Text),
  disks: list(DiskFacts),
  links: list(LinkFacts),
  routes: list(RouteFacts),
  /** Absent where there are none but the kernel's. */
  rules: list(RuleFacts).optional(),
  dns: list(Text),
  /** Base URLs of the archive in the machine's apt sources, by archive. */
  mirrors: list(z.strictObject({ archive: z.enum(["debian", "debian-security"]), url: Text })),
  /** Public host keys, as in known_hosts without the name: "ssh-ed25519 AAAA…". */
  hostKeys: list(z.string().transform((text) => visibleLine(text, mostOfKey))),
  /** Free MiB where the base is cached between deploys (/var/cache). */
  cacheMib: z.int(),
  /** What its kernel does not give of all that a tree is made by, in words. */
  lacksForTree: list(Text).optional(),
  /** The kernel's names of its watchdogs. */
  watchdogs: list(Text).default([]),
  /** Seconds since the epoch, as the system says, and as the hardware clock does, which the next kernel begins with. */
  clock: z.int(),
  hardwareClock: z.int().optional(),
});

export type BootPlace = z.output<typeof BootPlace>;
export type Facts = z.output<typeof Facts>;
export type PartitionFacts = z.output<typeof PartitionFacts>;
export type DiskFacts = z.output<typeof DiskFacts>;
export type LinkFacts = z.output<typeof LinkFacts>;
export type RouteFacts = z.output<typeof RouteFacts>;
export type RuleFacts = z.output<typeof RuleFacts>;
export type MadeLink = z.output<typeof MadeLink>;

/**
 * The host that a definition is for. Everything given must be the host's, or a deploy is refused before anything is done; one
 * of them is enough. `imgbuild plan DEF HOST` shows what a host has.
 */
export const HostBinding = z
  .strictObject({
    /** The firmware's UUID: /sys/class/dmi/id/product_uuid. Stays the same under any system. */
    dmiUuid: z
      .string()
      .regex(
        /^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$/,
        "a UUID, as in /sys/class/dmi/id/product_uuid",
      )
      .transform((uuid) => uuid.toLowerCase())
      .optional(),
    /** /etc/machine-id; the deployed system keeps it, so that the definition fits the next time too. */
    machineId: z
      .string()
      .regex(/^[0-9a-f]{32}$/, "32 hexadecimal digits, as in /etc/machine-id")
      .optional(),
    /** Fingerprint of one of its SSH host keys: `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`. */
    sshHostKey: z
      .string()
      .regex(/^SHA256:[A-Za-z0-9+/]{43}$/, "a fingerprint such as SHA256:…, as `ssh-keygen -l` prints it")
      .optional(),
  })
  .refine(
    (host) => Object.values(host).some((one) => one !== undefined),
    "needs `dmiUuid`, `machineId` or `sshHostKey`",
  );
export type HostBinding = z.output<typeof HostBinding>;
