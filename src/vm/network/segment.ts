/** In the order in which the firmware starts what there is; a machine has fewer disks. */
const firstCard = 0x40;

/** The network of a card, as QEMU's own network plays it: its subnet, its gateway, and what of the guest is reached there. */
export interface Segment {
  /** Tag of the VLAN; left out for frames without one. */
  readonly vlan?: number;
  readonly ipv4?: {
    /** CIDR. */
    readonly network: string;
    /** The gateway, which answers. */
    readonly host: string;
    readonly dns: string;
    readonly dhcpStart: string;
  };
  readonly ipv6?: { readonly prefix: string; readonly length: number; readonly host: string };
  /** The guest's IPv4 address that forwarded ports lead to; left out where DHCP gives it. */
  readonly guest?: string;
  /** What DHCP names to start from, where the guest has IPv4. */
  readonly boot?: NetworkBoot;
  /** The guest has IPv6 alone: QEMU forwards to `guest`, and the way there is translated. */
  readonly guest6?: string;
}

interface NetworkBoot {
  /** Who asks for it: iPXE, which QEMU's cards have, or UEFI itself. */
  readonly by: "ipxe" | "uefi";
  /** A URL, or the name of a file that TFTP serves. */
  readonly file: string;
  /** Directory that TFTP serves. */
  readonly tftp?: string;
}

/** Whether frames have to go through this process: QEMU's network knows no tags, no forwards to IPv6, and no HTTP boot. */
export function isWired(segments: readonly Segment[]): boolean {
  return (
    segments.length > 1 ||
    segments.some(
      (segment) => segment.vlan !== undefined || segment.guest6 !== undefined || isHttpBoot(segment),
    )
  );
}

/** Whether UEFI starts from a URL, for which DHCP has to know it. */
export function isHttpBoot({ boot }: Segment): boolean {
  return boot?.by === "uefi" && boot.tftp === undefined;
}

/** Properties of a card that the firmware starts from, after all disks. UEFI would leave that to iPXE if the card had it. */
export function bootCard(segments: readonly Segment[], index: number): Record<string, unknown> {
  const boot = segments.find((segment) => segment.boot !== undefined)?.boot;
  if (boot === undefined) return {};
  return { bootindex: firstCard + index, ...(boot.by === "uefi" ? { romfile: "" } : {}) };
}

/** Properties of a `user` netdev; none for QEMU's defaults. */
export function userNetdev({ ipv4, ipv6, boot }: Segment): Record<string, unknown> {
  const start = boot && { bootfile: boot.file, ...(boot.tftp === undefined ? {} : { tftp: boot.tftp }) };
  if (ipv4 === undefined && ipv6 === undefined) return { ...start };
  return {
    ...start,
    ...(ipv4 === undefined
      ? {}
      : { net: ipv4.network, host: ipv4.host, dns: ipv4.dns, dhcpstart: ipv4.dhcpStart }),
    ...(ipv6 === undefined
      ? { ipv6: false }
      : { "ipv6-prefix": ipv6.prefix, "ipv6-prefixlen": ipv6.length, "ipv6-host": ipv6.host }),
  };
}
