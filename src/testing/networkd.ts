import { basename, dirname } from "node:path";
import { linkPattern } from "../system/machine/link-names.ts";

/** What a .network file says that a cable's other end has to answer to. */
export interface DeclaredNetwork {
  /** Globs, any of which the link's name matches; none: any name. */
  readonly names: readonly string[];
  readonly macs: readonly string[];
  readonly dhcp4: boolean;
  /** CIDR notation; a bare address is a host's. */
  readonly addresses: readonly string[];
  readonly gateways: readonly string[];
  readonly dns: readonly string[];
  /** Names of VLANs on the link, and of the bonds or bridges that it is a part of. */
  readonly vlans: readonly string[];
  readonly masters: readonly string[];
}

export interface Declared {
  /** In systemd-networkd's order: the first that matches a link is the link's. */
  readonly networks: readonly DeclaredNetwork[];
  /** Ids of the VLANs that are made, by their names. */
  readonly vlanIds: ReadonlyMap<string, number>;
  /** Names of all links that are made, and are no cards. */
  readonly virtual: ReadonlySet<string>;
}

interface Entry {
  readonly section: string;
  readonly key: string;
  readonly value: string;
}

const folder = "/etc/systemd/network";

/** Reads systemd-networkd's files, by their paths; drop-ins come after what they add to. */
export function readNetworkd(files: ReadonlyMap<string, string>): Declared {
  const texts = new Map<string, string>();
  for (const [path, text] of [...files].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const parent = dirname(path);
    if (parent === folder) texts.set(path, `${text}\n${texts.get(path) ?? ""}`);
    else if (dirname(parent) === folder && parent.endsWith(".d")) {
      const whole = parent.slice(0, -2);
      texts.set(whole, `${texts.get(whole) ?? ""}\n${text}`);
    }
  }
  const networks: DeclaredNetwork[] = [];
  const vlanIds = new Map<string, number>();
  const virtual = new Set<string>();
  const ordered = [...texts].sort(([a], [b]) => (basename(a) < basename(b) ? -1 : 1));
  for (const [path, text] of ordered) {
    const entries = entriesOf(text);
    if (path.endsWith(".network")) networks.push(networkOf(entries));
    if (!path.endsWith(".netdev")) continue;
    const [name] = valuesOf(entries, "NetDev", "Name");
    const [id] = valuesOf(entries, "VLAN", "Id");
    if (name !== undefined) virtual.add(name);
    if (name !== undefined && id !== undefined) vlanIds.set(name, Number(id));
  }
  return { networks, vlanIds, virtual };
}

function networkOf(entries: readonly Entry[]): DeclaredNetwork {
  const network = (key: string) => valuesOf(entries, "Network", key);
  const words = (values: readonly string[]) => values.flatMap((one) => one.split(/\s+/)).filter(isWord);
  const [dhcp = "no"] = network("DHCP").slice(-1);
  return {
    names: words(valuesOf(entries, "Match", "Name")),
    macs: ["MACAddress", "PermanentMACAddress"]
      .flatMap((key) => words(valuesOf(entries, "Match", key)))
      .map((mac) => mac.toLowerCase()),
    dhcp4: ["yes", "true", "1", "on", "ipv4"].includes(dhcp.toLowerCase()),
    addresses: [...network("Address"), ...valuesOf(entries, "Address", "Address")],
    // "_dhcp4" and the like are no addresses.
    gateways: [...network("Gateway"), ...valuesOf(entries, "Route", "Gateway")].filter(
      (one) => !one.startsWith("_"),
    ),
    dns: words(network("DNS")),
    vlans: words(network("VLAN")),
    masters: words([...network("Bond"), ...network("Bridge")]),
  };
}

function isWord(word: string): boolean {
  return word !== "";
}

function valuesOf(entries: readonly Entry[], section: string, key: string): string[] {
  let values: string[] = [];
  for (const one of entries) {
    if (one.section !== section || one.key !== key) continue;
    // An empty value takes back those before it.
    values = one.value === "" ? [] : [...values, one.value];
  }
  return values;
}

function entriesOf(text: string): Entry[] {
  let section = "";
  return text.split("\n").flatMap((line): Entry[] => {
    const trimmed = line.trim();
    const head = /^\[(.+)\]$/.exec(trimmed);
    if (head !== null) section = head[1]!;
    const equals = trimmed.indexOf("=");
    if (head !== null || equals < 1 || /^[#;]/.test(trimmed)) return [];
    return [{ section, key: trimmed.slice(0, equals).trim(), value: trimmed.slice(equals + 1).trim() }];
  });
}

/** Whether a link of that name, or card of that address, is what the file is for. */
export function matches({ names, macs }: DeclaredNetwork, link: { name?: string; mac?: string }): boolean {
  if (macs.length > 0 && (link.mac === undefined || !macs.includes(link.mac))) return false;
  if (names.length === 0) return true;
  const { name } = link;
  if (name === undefined) return false;
  const isNot = names[0]!.startsWith("!");
  const globs = isNot ? [names[0]!.slice(1), ...names.slice(1)] : names;
  return globs.some((glob) => linkPattern(glob).test(name)) !== isNot;
}

export function isGlob(name: string): boolean {
  return /[*?[!]/.test(name);
}
