import { z } from "zod";

/** What an inspection tells about a machine: read only, from /proc, /sys and the standard tools. */

export const PartitionFacts = z.strictObject({
  /** Kernel name, "vda1". */
  name: z.string(),
  startBytes: z.int(),
  sizeBytes: z.int(),
  /** As blkid says; absent when it has no known signature. */
  fsType: z.string().optional(),
  uuid: z.string().optional(),
  /** As in /dev/disk/by-partuuid. */
  partUuid: z.string().optional(),
  /** LVM's group of which it is a member, with its UUID. */
  group: z.string().optional(),
  mountPoints: z.array(z.string()).default([]),
});

export const DiskFacts = z.strictObject({
  /** Kernel name, "vda"; valid only for the boot in which it was read. */
  name: z.string(),
  serial: z.string().optional(),
  wwn: z.string().optional(),
  model: z.string().optional(),
  sizeBytes: z.int(),
  sectorSize: z.int(),
  removable: z.boolean(),
  readOnly: z.boolean(),
  /** Kernel names of what sits on the disk or its partitions: dm-0, md0 … */
  holders: z.array(z.string()).default([]),
  fsType: z.string().optional(),
  uuid: z.string().optional(),
  group: z.string().optional(),
  /** Name of device-mapper's map that holds the disk as one path of several to it. */
  multipath: z.string().optional(),
  /** UUID of a GPT, identifier of an MBR. */
  tableUuid: z.string().optional(),
  /** Names in /dev/disk/by-id and /dev/disk/by-path. */
  byId: z.array(z.string()).optional(),
  byPath: z.array(z.string()).optional(),
  mountPoints: z.array(z.string()).default([]),
  partitions: z.array(PartitionFacts),
});

export const LinkFacts = z.strictObject({
  name: z.string(),
  mac: z.string(),
  mtu: z.int(),
  up: z.boolean(),
  /** Absent for a physical NIC; "bond", "vlan", "bridge" … for the others, as `ip` calls them. */
  kind: z.string().optional(),
  addresses: z.array(z.strictObject({ address: z.string(), prefix: z.int(), dynamic: z.boolean() })),
});

export const RouteFacts = z.strictObject({
  /** "default" or a CIDR. */
  to: z.string(),
  via: z.string().optional(),
  /** Link name. */
  link: z.string(),
  onLink: z.boolean(),
  /** Came from DHCP or router advertisements. */
  dynamic: z.boolean(),
  metric: z.int().optional(),
});

export const Facts = z.strictObject({
  bootId: z.string(),
  machineId: z.string(),
  /** The firmware's, in lower case; absent where it has none of its own. */
  dmiUuid: z.string().optional(),
  hostname: z.string(),
  architecture: z.string(),
  kernel: z.string(),
  os: z.strictObject({ id: z.string(), version: z.string(), name: z.string() }),
  user: z.strictObject({ uid: z.int(), becomesRootBy: z.enum(["none", "sudo", "doas", "impossible"]) }),
  firmware: z.enum(["uefi", "bios"]),
  secureBoot: z.boolean(),
  /** The selected word of /sys/kernel/security/lockdown, "none" where there is no such file. */
  lockdown: z.string(),
  kexecDisabled: z.boolean(),
  /** "none", or what systemd-detect-virt --container and /proc say: "lxc", "docker" … */
  container: z.string(),
  memoryMib: z.strictObject({ total: z.int(), available: z.int() }),
  /** Words of /proc/cmdline. */
  cmdline: z.array(z.string()),
  /** console= values of the command line, else the active consoles of the kernel. */
  consoles: z.array(z.string()),
  disks: z.array(DiskFacts),
  links: z.array(LinkFacts),
  routes: z.array(RouteFacts),
  dns: z.array(z.string()),
  /** Base URLs of the archive in the machine's apt sources, by archive. */
  mirrors: z.array(z.strictObject({ archive: z.enum(["debian", "debian-security"]), url: z.string() })),
  /** Public host keys, as in known_hosts without the name: "ssh-ed25519 AAAA…". */
  hostKeys: z.array(z.string()),
  /** Free MiB where the base is cached between deploys (/var/cache). */
  cacheMib: z.int(),
  clock: z.int(),
});

export type Facts = z.output<typeof Facts>;
export type PartitionFacts = z.output<typeof PartitionFacts>;
export type DiskFacts = z.output<typeof DiskFacts>;
export type LinkFacts = z.output<typeof LinkFacts>;
export type RouteFacts = z.output<typeof RouteFacts>;
