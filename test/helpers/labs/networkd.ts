import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** networkd on a busy machine. */
const settleSeconds = 60;

interface Shown {
  readonly ifname: string;
  readonly address: string;
  readonly mtu: number;
  readonly master?: string;
  readonly linkinfo?: { readonly info_kind?: string; readonly info_data?: Readonly<Record<string, unknown>> };
  readonly addr_info: readonly { readonly local: string; readonly prefixlen: number }[];
}

interface Route {
  readonly dst: string;
  readonly gateway?: string;
  readonly dev: string;
  readonly metric?: number;
  readonly table?: string;
}

export interface Settled {
  /** What networkd says, at the level of debugging. */
  readonly log: string;
  /** Lines of files that it passes over, with what it says of them. */
  readonly complaints: readonly string[];
  /** As `ip` shows them. */
  readonly links: readonly Shown[];
  readonly routes: readonly Route[];
  /** Its own notes of links, by their file. */
  readonly states: readonly string[];
}

/** Runs systemd-networkd on these files, with such cards in a network of its own, until that many links are set up. */
export function runNetworkd(
  dir: string,
  files: readonly { readonly path: string; readonly content: string }[],
  cards: readonly { readonly name: string; readonly mac: string }[],
  routable: number,
): Settled {
  mkdirSync(join(dir, "network"));
  for (const { path, content } of files)
    writeFileSync(join(dir, "network", path.split("/").at(-1)!), content);
  writeFileSync(join(dir, "links"), cards.map(({ name, mac }) => `${name} ${mac}\n`).join(""));
  const bounds = [String(routable), String(settleSeconds)];
  execFileSync("unshare", [...alone, "sh", "-c", script, "sh", dir, ...bounds]);
  const text = (name: string) => readFileSync(join(dir, name), "utf8");
  const log = text("log");
  return {
    log,
    complaints: log
      .split("\n")
      .filter((line) => /\.(network|netdev):\d+:|ignoring (network device|\[)/i.test(line)),
    links: JSON.parse(text("addresses")) as Shown[],
    routes: ["routes4", "routes6"].flatMap((name) => JSON.parse(text(name) || "[]") as Route[]),
    states: readdirSync(join(dir, "state")).map((name) => text(join("state", name))),
  };
}

const alone = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"];

/** networkd in a network of its own, where /sys is read-only and udev is not waited for, until it has set up all links. */
const script = `set -eu
mount -t sysfs -o ro sysfs /sys
mount -t tmpfs tmpfs /run
mkdir -m 755 -p /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp /run/systemd/network
chown -R systemd-network: /run/systemd/netif 2> /dev/null || :
cp "$1"/network/* /run/systemd/network/
mkdir "$1/empty"
mount --bind "$1/empty" /etc/systemd/network
ip link set lo up
while read -r name mac; do
  ip link add "$name" address "$mac" type veth peer name "p$name"
  ip link set "p$name" up
done < "$1/links"
SYSTEMD_LOG_LEVEL=debug SYSTEMD_LOG_TARGET=console /lib/systemd/systemd-networkd > "$1/log" 2>&1 &
networkd=$! waited=0
until [ "$(grep -l '^OPER_STATE=routable' /run/systemd/netif/links/* 2> /dev/null | wc -l)" -ge "$2" ] || [ "$waited" -ge "$3" ]; do
  sleep 1; waited=$((waited + 1))
done
sleep 2
ip -json -details address show > "$1/addresses"
ip -json route show table all > "$1/routes4"
ip -json -6 route show table all > "$1/routes6"
cp -r /run/systemd/netif/links "$1/state"
kill "$networkd" || { tail -n 20 "$1/log" >&2; exit 1; }
wait "$networkd" || :`;
