import { describe, expect, it } from "vitest";
import { comesIn } from "../../../../src/operator/settings/firewall.ts";
import { settingsEnable, settingsExpect } from "../../../../src/operator/settings/settings.ts";
import { Spec } from "../../../../src/schema/spec.ts";
import { written, wrongIn } from "../../../helpers/builders/settings.ts";

const path = "/etc/nftables.conf";
const packages = { install: ["nftables", "openssh-server"] };
const admin = { admin: { keys: ["ssh-ed25519 AAAA me"] } };

describe("firewall", () => {
  it("lets in what is named, answers, pings and the machine itself", () => {
    const rules = ["ip saddr 192.0.2.0/24 tcp dport { 5432, 6432 } accept"];
    expect(written({ firewall: { tcp: [22, 80, "8000-8100"], udp: [51820], rules } })[path]).toBe(
      `#!/usr/sbin/nft -f

flush ruleset

table inet filter {
	chain input {
		type filter hook input priority filter; policy drop;
		ct state vmap { established : accept, related : accept, invalid : drop }
		iifname "lo" accept
		meta l4proto { icmp, ipv6-icmp } accept
		ip6 saddr fe80::/10 udp dport 546 accept
		tcp dport { 22, 80, 8000-8100 } accept
		udp dport { 51820 } accept
		ip saddr 192.0.2.0/24 tcp dport { 5432, 6432 } accept
	}
}
`,
    );
    expect(written({ firewall: {} })[path]).not.toContain("tcp dport");
  });

  it("takes a whole file as it is", () => {
    const text = "table inet f { }\n";
    expect(written({ firewall: text })).toEqual({ [path]: text });
    expect(wrongIn({ packages, firewall: text })).toEqual([]);
  });

  it("is enabled, and read by the tree's nft when it is built", () => {
    const spec = Spec.parse({ hostname: "x", firewall: {} });
    expect(settingsEnable(spec)).toEqual(["nftables.service"]);
    expect(settingsExpect(spec)).toEqual([{ path: ["firewall"], kind: "nftables rules", name: path }]);
    expect(settingsEnable(Spec.parse({ hostname: "x" }))).toEqual([]);
  });

  it("needs its package", () => {
    expect(wrongIn({ firewall: { tcp: [22] } })).toEqual([
      "firewall: needs the package `nftables` in packages.install",
    ]);
  });

  it.each<[object, string]>([
    [{ tcp: [0] }, "firewall.tcp[0]"],
    [{ tcp: [65_536] }, "firewall.tcp[0]"],
    [{ tcp: ["80"] }, "firewall.tcp[0]"],
    [{ tcp: ["80, 90"] }, "firewall.tcp[0]"],
    [{ tcp: [22, "90-80"] }, "firewall.tcp[1]: 90-80 is no range; needs to go up, to 65535 at most"],
    [{ udp: ["1-99999"], tcp: [22] }, "firewall.udp[0]: 1-99999 is no range"],
    [{ tcp: [22, 80, "1-100"] }, "firewall.tcp[2]: is in `tcp` already, by 22"],
    [{ tcp: [22], rules: ["accept }"] }, "firewall.rules[0]"],
    [{ tcp: [22], rules: ["accept; policy accept"] }, "firewall.rules[0]"],
    [{ tcp: [22], rules: ["# accept"] }, "firewall.rules[0]"],
    [{ ports: [22] }, "firewall.ports: unknown key"],
  ])("refuses %j", (firewall, why) => {
    expect(wrongIn({ packages, firewall })).toEqual([expect.stringContaining(why)]);
  });

  it("refuses a rule of two lines", () => {
    expect(wrongIn({ packages, firewall: { tcp: [22], rules: ["accept\n}"] } })).not.toEqual([]);
  });

  it("refuses to leave out SSH where a server is installed", () => {
    const leftOut = (ports: string) => [
      expect.stringContaining(`firewall.tcp: leaves out SSH: the server listens on ${ports}; add`),
    ];
    expect(wrongIn({ packages, firewall: { tcp: [80] } })).toEqual(leftOut("22"));
    expect(wrongIn({ packages: { install: ["nftables"] }, firewall: { tcp: [80] } })).toEqual([]);
    const moved = { packages, users: admin, sshd: { ports: [2222, 2223] } };
    expect(wrongIn({ ...moved, firewall: { tcp: [22] } })).toEqual(leftOut("2222, 2223"));
    expect(wrongIn({ ...moved, firewall: { tcp: ["2000-2222"] } })).toEqual([]);
    const rules = ["ip saddr 192.0.2.0/24 tcp dport 22 accept"];
    expect(wrongIn({ packages, firewall: { rules } })).toEqual([]);
    expect(wrongIn({ packages, firewall: { rules: ["tcp dport 2222 accept"] } })).toEqual(leftOut("22"));
  });

  it("knows what comes in", () => {
    const rules = { tcp: [22, "80-90"], udp: [53], rules: ["tcp dport 5432 accept"] };
    expect([22, 80, 90, 5432].filter((port) => !comesIn(rules, port))).toEqual([]);
    expect([21, 79, 91, 53, 543].filter((port) => comesIn(rules, port))).toEqual([]);
  });
});
