import type { Spec } from "../../schema/spec.ts";
import type { Setting } from "./setting.ts";

const localhost =
  "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\nff02::1 ip6-allnodes\nff02::2 ip6-allrouters\n";

/** hosts(5): the system's own lines, then the definition's. */
export const hosts: Setting = {
  field: "hosts",
  files: (spec) => (spec.hosts === undefined ? [] : [hostsFile(spec)]),
};

/** Every system has one. Where the definition gives an address to the system's own name, that is its address. */
export function hostsFile({ hostname, hosts = {} }: Spec) {
  const [short] = hostname.split(".");
  const names = hostname === short ? short : `${hostname} ${short}`;
  const given = Object.values(hosts).flat();
  const own = given.includes(hostname) ? "" : `127.0.1.1 ${names}\n`;
  const lines = Object.entries(hosts).map(([address, all]) => `${address} ${all.join(" ")}\n`);
  return { path: "/etc/hosts", content: localhost + own + lines.join("") };
}
