import type { MadeLink } from "../../../schema/facts.ts";
import { hardwarePath } from "../../../system/machine/link-names.ts";

/** A link as /sys, /proc/net/vlan and /proc/sys show it: every host has them, and not every `ip` shows as much. */
export interface SysLink {
  readonly mac: string;
  /** The card's own, where it uses another one. */
  readonly ownMac?: string;
  readonly mtu: number;
  readonly up: boolean;
  readonly isLoopback: boolean;
  readonly kind?: string;
  readonly device?: MadeLink;
  readonly path?: string;
  readonly master?: string;
  readonly passesOverRa: boolean;
}

/** ARPHRD_ETHER and ARPHRD_LOOPBACK of if_arp.h. */
const types = { ether: "1", loopback: "772" } as const;
const upFlag = 1;
const unlessForwarding = "1";
/** What a link has by no hardware, where nothing says more. */
const virtual = "virtual link";

/** The links of the probe's section, by name. */
export function parseSysLinks(text: string): ReadonlyMap<string, SysLink> {
  const blocks = new Map<string, ReadonlyMap<string, string>>();
  for (const part of `\n${text}`.split("\nlink ").slice(1)) {
    const [name = "", ...lines] = part.split("\n");
    const words = lines.map(
      (line) => [line.split(" ", 1)[0]!, line.slice(line.indexOf(" ") + 1).trim()] as const,
    );
    blocks.set(name.trim(), new Map(words));
  }
  const membersOf = (name: string) =>
    [...blocks].flatMap(([other, words]) => (words.get("master") === name ? [other] : []));
  return new Map([...blocks].map(([name, words]) => [name, linkOf(words, membersOf(name))] as const));
}

function linkOf(words: ReadonlyMap<string, string>, members: readonly string[]): SysLink {
  const device = deviceOf(words, members);
  const path = words.get("path");
  const own = words.get("own-address")?.toLowerCase();
  const mac = words.get("address") ?? "";
  const isLoopback = words.get("type") === types.loopback;
  const kind = device?.kind ?? words.get("devtype") ?? (path === undefined ? virtual : undefined);
  const master = words.get("master");
  return {
    mac,
    ...(own === undefined || own === mac ? {} : { ownMac: own }),
    mtu: Number(words.get("mtu") ?? 1500),
    up: (Number(words.get("flags") ?? upFlag) & upFlag) !== 0,
    isLoopback,
    ...(isLoopback || kind === undefined ? {} : { kind }),
    ...(device === undefined ? {} : { device }),
    ...(path === undefined ? {} : { path: hardwarePath(path, words.get("dev_port")) }),
    ...(master === undefined ? {} : { master }),
    passesOverRa: passesOver(words),
  };
}

/** As the kernel does; a program of the host may take advertisements in its place. */
function passesOver(words: ReadonlyMap<string, string>): boolean {
  const accepts = words.get("accept_ra");
  return (
    words.get("disable_ipv6") === "1" ||
    accepts === "0" ||
    (accepts === unlessForwarding && words.get("forwarding") === "1")
  );
}

function deviceOf(words: ReadonlyMap<string, string>, members: readonly string[]): MadeLink | undefined {
  const number = (key: string) => {
    const value = words.get(key);
    return value !== undefined && /^\d{1,9}$/.test(value) ? Number(value) : undefined;
  };
  const id = number("vlan-id");
  const on = words.get("vlan-on");
  if (id !== undefined && on !== undefined) return { kind: "vlan", id, link: on };
  const mode = words.get("bond-mode")?.split(" ")[0];
  if (mode !== undefined) return { kind: "bond", options: bondOptions(mode, words), members: [...members] };
  const stp = number("bridge-stp_state");
  if (stp === undefined) return undefined;
  const forwardDelay = number("bridge-forward_delay");
  const priority = number("bridge-priority");
  return {
    kind: "bridge",
    stp: stp !== 0,
    ...(forwardDelay === undefined ? {} : { forwardDelay }),
    ...(priority === undefined ? {} : { priority }),
    vlanFiltering: number("bridge-vlan_filtering") === 1,
    members: [...members],
  };
}

const modes = {
  lacp: ["802.3ad"],
  hashed: ["balance-xor", "802.3ad", "balance-tlb"],
  primary: ["active-backup", "balance-tlb", "balance-alb"],
  asking: ["balance-rr", "active-backup", "balance-xor", "broadcast"],
} as const;
/** Options that another mode refuses, or has no use for; the kernel shows them in every mode. */
const optionModes: Readonly<Record<string, readonly string[]>> = {
  lacp_rate: modes.lacp,
  ad_select: modes.lacp,
  ad_actor_sys_prio: modes.lacp,
  ad_user_port_key: modes.lacp,
  xmit_hash_policy: modes.hashed,
  primary: modes.primary,
  primary_reselect: modes.primary,
  fail_over_mac: ["active-backup"],
  arp_interval: modes.asking,
  arp_ip_target: modes.asking,
  arp_validate: modes.asking,
  packets_per_slave: ["balance-rr"],
  tlb_dynamic_lb: ["balance-tlb"],
};
const always = ["miimon", "updelay", "downdelay", "min_links", "resend_igmp", "all_slaves_active"];
/** Of these there is none by default, and some need others. */
const unset: Readonly<Record<string, string>> = {
  updelay: "0",
  downdelay: "0",
  arp_interval: "0",
  arp_validate: "none",
};

/** The options of a bond that mean something in its mode, as `ip link` names them. */
function bondOptions(mode: string, words: ReadonlyMap<string, string>): Record<string, string> {
  const options: Record<string, string> = { mode };
  for (const name of [...always, ...Object.keys(optionModes)]) {
    const said = words.get(`bond-${name}`) ?? "";
    // "fast 1"; addresses stand side by side.
    const value = name === "arp_ip_target" ? said.split(" ").join(",") : said.split(" ")[0]!;
    const isFit = optionModes[name]?.includes(mode) ?? true;
    if (isFit && /^[\w.,:+-]+$/.test(value) && unset[name] !== value) options[name] = value;
  }
  return options;
}
