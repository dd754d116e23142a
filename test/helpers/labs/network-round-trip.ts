import { spawnSync } from "node:child_process";
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseNetwork } from "../../../src/operator/inspect/inspect-network.ts";
import { probeScript, sectionsOf } from "../../../src/operator/inspect/probe.ts";
import type { NetworkReplay } from "../../../src/schema/base/deploy.ts";
import { networkReplay } from "../../../src/system/machine/network-replay.ts";
import { restoreNetwork } from "../../../src/target/network.ts";
import { messageOf } from "../../../src/util/fail.ts";
import { type Log, silentLog } from "../../../src/util/log.ts";

/**
 * A program: makes a network in a namespace, looks at it by the probe, sets it up again in another namespace as the base does, and
 * looks again. It runs here, and in the base, whose kernel has bonds and VLANs.
 */
export interface Stack {
  readonly name: string;
  /** MACs of the cards: c0, c1 … in the old system, and of other names in the base. */
  readonly cards: readonly string[];
  /** Shell lines of the old system. */
  readonly old: readonly string[];
  /** Shell lines before the base sets its network up: what else is there. */
  readonly around?: readonly string[];
  /** It asks by DHCP: times and protocols are others afterwards. */
  readonly isLeased?: true;
  /** It has what BusyBox's `ip` does not show. */
  readonly isRich?: true;
}

export interface RoundTrip {
  readonly name: string;
  readonly replay: NetworkReplay;
  readonly problems: readonly string[];
  /** Facts of the network before and after, cards by their names in the old system. */
  readonly before: Network;
  readonly after: Network;
  /** The same as `ip -j` shows it. */
  readonly shown: { readonly before: unknown; readonly after: unknown };
  /** What the probe sees through BusyBox's `ip`; why it sees nothing. */
  readonly plain: Network | string;
  readonly said: string;
}

type Network = ReturnType<typeof parseNetwork>;
const mark = "@@round-trip";
const boundMs = 120_000;
// What a lease leaves running ends with them.
const namespaces = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"];
/** Where the base has what it runs, and where that answers. */
const port = "/dev/virtio-ports/org.imgbuild.runner";
const besides = "/run/imgbuild/stacks.json";
const [, self = "", verb, file = ""] = process.argv;

if (verb === "restore") {
  const said: string[] = [];
  const log: Log = {
    ...silentLog,
    info: (text) => void said.push(text),
    warn: (text) => void said.push(text),
  };
  restoreNetwork(JSON.parse(readFileSync(file, "utf8")) as NetworkReplay, log)
    .catch((error: unknown) => said.push(messageOf(error)))
    .finally(() => console.error(said.join("\n")));
} else {
  const stacks = JSON.parse(readFileSync(verb ?? besides, "utf8")) as Stack[];
  const here = mkdtempSync(join(tmpdir(), "imgbuild-round-trip-"));
  const out = verb === undefined ? openSync(port, "w") : 1;
  for (const stack of stacks) writeFileSync(out, `round-trip ${JSON.stringify(roundTrip(stack, here))}\n`);
  writeFileSync(out, "round-trip end\n");
  rmSync(here, { recursive: true });
  // A runner that ends is started anew.
  if (verb === undefined) setInterval(() => {}, 2 ** 30);
}

function roundTrip({ name, cards, old, around = [] }: Stack, here: string): RoundTrip {
  const probe = join(here, "probe");
  const busybox = join(here, "probe-busybox");
  writeFileSync(probe, probeScript);
  writeFileSync(busybox, `ip() { busybox ip "$@"; }\n${probeScript}`);
  const look = (script: string) => `sh -s ${mark} < ${script}`;
  const first = alone([...makeCards(cards, "c"), ...old, "sleep 1", look(probe), "echo @@@", look(busybox)]);
  const [json = "", text = ""] = first.stdout.split("@@@");
  const before = networkOf(json);
  const { replay, problems } = networkReplay({ ...before, dns: [] });
  const data = join(here, "replay.json");
  writeFileSync(data, JSON.stringify(replay));
  const restore = `${process.execPath} ${self} restore ${data}`;
  const second = alone([...makeCards([...cards].reverse(), "n"), ...around, restore, "sleep 1", look(probe)]);
  // The last card of the base is the first one of the old system.
  const names = new Map(cards.map((_, index) => [`n${cards.length - 1 - index}`, `c${index}`]));
  // What has a name that a card has here.
  names.set("made0", "n0");
  const last = renamed(second.stdout, names);
  return {
    ...{ name, replay, problems, before },
    after: networkOf(last),
    shown: { before: shownIn(json), after: shownIn(last) },
    plain: tried(() => networkOf(text)),
    said: `${first.stderr}${second.stderr}`.trim(),
  };
}

/** Ethernet cables, whose other ends are up. */
function makeCards(macs: readonly string[], prefix: string): string[] {
  return macs.flatMap((mac, index) => [
    `ip link add ${prefix}${index} address ${mac} type veth peer name x${prefix}${index}`,
    `ip link set x${prefix}${index} up`,
  ]);
}

function alone(lines: readonly string[]): { stdout: string; stderr: string } {
  const script = [
    "mount -t sysfs sysfs /sys",
    "mount -t proc proc /proc",
    "ip link set lo up",
    ...lines,
  ].join("\n");
  const ran = spawnSync("unshare", [...namespaces, "sh", "-c", script], {
    ...{ encoding: "utf8", timeout: boundMs, maxBuffer: 2 ** 24 },
  });
  return { stdout: ran.stdout ?? "", stderr: `${ran.stderr ?? ""}${ran.error ?? ""}` };
}

function tried<T>(work: () => T): T | string {
  try {
    return work();
  } catch (error) {
    return messageOf(error);
  }
}

function isCable(kind: string | undefined): boolean {
  return kind === undefined || kind === "veth" || kind === "virtual link";
}

/** What the probe sees; ends of cables are cards here. */
function networkOf(output: string): Network {
  const sections = sectionsOf(output, mark);
  const found = parseNetwork((name) => sections.get(name) ?? "");
  const links = found.links
    .filter(({ name }) => !name.startsWith("x"))
    .map(({ kind, ...link }) => (isCable(kind) ? link : { ...link, kind }));
  const routes = found.routes.filter(({ link }) => !link.startsWith("x"));
  return { ...found, links: links as Network["links"], routes };
}

/** Of `ip -j`, what is the same after the same commands: no numbers of links, no times. */
function shownIn(output: string): unknown {
  const sections = sectionsOf(output, mark);
  const read = (name: string) => JSON.parse(sections.get(name) || "[]") as Readonly<Record<string, never>>[];
  const isOurs = ({ ifname = "", dev = "" }: { ifname?: string; dev?: string }) =>
    !`${ifname}${dev}`.startsWith("x");
  const sorted = (all: readonly object[]) =>
    all.map((one) => JSON.stringify(Object.entries(one).sort())).sort();
  const links = read("ip-address")
    .filter(isOurs)
    .map(({ ifname, address, mtu, master, link, linkinfo, addr_info }) => {
      const { info_kind, info_data = {} } = (linkinfo ?? {}) as {
        info_kind?: string;
        info_data?: Record<string, unknown>;
      };
      const kept = Object.entries(info_data).filter(
        ([key]) => !/^(ad_info|active_slave)|_(id|timer|changed?|detected|port|cost)$/.test(key),
      );
      const addresses = (addr_info as unknown as Record<string, unknown>[])
        .filter(({ scope }) => scope !== "link")
        .map(({ local, address: peer, prefixlen, metric, noprefixroute }) =>
          [local, peer ?? "", prefixlen, metric ?? "", noprefixroute ?? ""].join(" "),
        );
      const on = info_kind === "vlan" ? link : undefined;
      return [
        ifname,
        address,
        mtu,
        master,
        on,
        info_kind === "veth" ? "" : info_kind,
        kept.sort(),
        addresses.sort(),
      ];
    });
  const routes = ["ip-route4", "ip-route6"].flatMap((name) =>
    read(name)
      .filter((route) => isOurs(route) && route.table !== "local")
      .map(({ protocol: _protocol, ...route }) => route),
  );
  return {
    links: links.map((one) => JSON.stringify(one)).sort(),
    routes: sorted(routes),
    rules: [4, 6].map((family) => sections.get(`ip-rule${family}`)),
  };
}

/** Text with the links' names of the old system. */
function renamed(text: string, names: ReadonlyMap<string, string>): string {
  return text.replaceAll(/\b(n\d+|made0)\b/g, (name) => names.get(name) ?? name);
}
