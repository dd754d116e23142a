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
  /** What DHCP names to start from, where the guest has IPv4: for iPXE, which QEMU's cards have, a URL. */
  readonly bootFile?: string;
  /** The guest has IPv6 alone: QEMU forwards to `guest`, and the way there is translated. */
  readonly guest6?: string;
}

/** Whether frames have to go through this process, as QEMU's network knows neither tags nor forwards to IPv6. */
export function isWired(segments: readonly Segment[]): boolean {
  return (
    segments.length > 1 || segments.some(({ vlan, guest6 }) => vlan !== undefined || guest6 !== undefined)
  );
}

/** Properties of a `user` netdev; none for QEMU's defaults. */
export function userNetdev({ ipv4, ipv6, bootFile }: Segment): Record<string, unknown> {
  const boot = bootFile === undefined ? {} : { bootfile: bootFile };
  if (ipv4 === undefined && ipv6 === undefined) return boot;
  return {
    ...boot,
    ...(ipv4 === undefined
      ? {}
      : { net: ipv4.network, host: ipv4.host, dns: ipv4.dns, dhcpstart: ipv4.dhcpStart }),
    ...(ipv6 === undefined
      ? { ipv6: false }
      : { "ipv6-prefix": ipv6.prefix, "ipv6-prefixlen": ipv6.length, "ipv6-host": ipv6.host }),
  };
}
