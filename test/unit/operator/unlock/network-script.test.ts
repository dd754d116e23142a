import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { bond, vlan } from "../../../../src/dsl/network.ts";
import { networkFunctions, stateDirectory } from "../../../../src/operator/unlock/network-script.ts";
import { sshSpec } from "../../../helpers/builders/unlock.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

/** What BusyBox is asked when a machine with these cards starts: each call on a line, without its name. */
function calls(network: object, cards: Readonly<Record<string, string>>, then = "network"): string[] {
  const temp = tempDir();
  const [bin, sys, state] = ["bin", "sys", "state"].map((name) => join(temp, name));
  mkdirSync(bin!);
  mkdirSync(state!);
  writeFileSync(
    join(bin!, "busybox"),
    `#!/bin/sh\necho "$*\${metric:+ with metric $metric}" >> ${temp}/log\n`,
  );
  writeFileSync(join(bin!, "sleep"), "#!/bin/sh\n");
  for (const name of ["busybox", "sleep"]) chmodSync(join(bin!, name), 0o755);
  for (const [name, mac] of Object.entries({ lo: "00:00:00:00:00:00", ...cards })) {
    mkdirSync(join(sys!, name), { recursive: true });
    writeFileSync(join(sys!, name, "address"), `${mac}\n`);
    if (name !== "lo") writeFileSync(join(sys!, name, "device"), "");
  }
  const script = networkFunctions(sshSpec(undefined, { network } as never).network)
    .replaceAll("/sys/class/net", sys!)
    .replaceAll(stateDirectory, state!)
    .replace(/left=\d+/, "left=3");
  const env = { PATH: `${bin}:${process.env.PATH}`, interface: "eth0", ip: "192.0.2.9", router: "192.0.2.1" };
  execFileSync("sh", ["-eu", "-c", `self=/self\n${script}\n${then}\nwait`], { env });
  const log = join(temp, "log");
  return existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : [];
}
const card = (last: number) => ({ match: { mac: `52:54:00:00:00:0${last}` } });
const mac = (last: number) => `52:54:00:00:00:0${last}`;

describe("the initramfs' network", () => {
  it("is a static address with its gateway, once, on the card that has the MAC address", () => {
    const lan = { ...card(1), addresses: ["192.0.2.10/24"], gateway: ["192.0.2.1"], mtu: 1400 };
    expect(calls({ lan }, { eth0: mac(2), eth1: mac(1) })).toEqual([
      "ip link set dev eth1 mtu 1400",
      "ip link set dev eth1 up",
      "ip addr add 192.0.2.10/24 dev eth1",
      "ip route add default via 192.0.2.1 dev eth1",
    ]);
  });

  it("is an address of its own with a gateway on the link, of both families", () => {
    const lan = {
      ...{ match: { name: "en*" }, addresses: ["192.0.2.10/32", "2001:db8::10/128"], gatewayOnLink: true },
      ...{ gateway: ["198.51.100.1", "fe80::1"], metric: 50, ipv6AcceptRa: true },
    };
    expect(calls({ lan }, { enp1s0: mac(1) })).toEqual([
      "ip link set dev enp1s0 up",
      "ip addr add 192.0.2.10/32 dev enp1s0",
      "ip addr add 2001:db8::10/128 dev enp1s0",
      "ip route add default via 198.51.100.1 dev enp1s0 onlink metric 50",
      "ip -6 route add default via fe80::1 dev enp1s0 onlink metric 50",
    ]);
  });

  it("is a VLAN on a card, with routes; those of other tables are left out", () => {
    const lan = vlan(
      { id: 5, link: "nic" },
      {
        addresses: ["192.0.2.10/24"],
        routes: [
          { destination: "203.0.113.0/24", gateway: "192.0.2.3" },
          { destination: "2001:db8:1::/48" },
          { destination: "default", gateway: "192.0.2.4", table: 100 },
        ],
      },
    );
    expect(calls({ nic: card(1), lan }, { eth0: mac(1) })).toEqual([
      "ip link set dev eth0 up",
      "ip link add link eth0 name lan type vlan id 5",
      "ip link set dev lan up",
      "ip addr add 192.0.2.10/24 dev lan",
      "ip route add 203.0.113.0/24 via 192.0.2.3 dev lan",
      "ip -6 route add 2001:db8:1::/48 dev lan",
    ]);
  });

  it("asks by DHCP on each card that fits, and takes the gateway even where it is outside of the prefix", () => {
    const asked = calls(
      { lan: { match: { name: "en*" }, dhcp: "yes", metric: 7 } },
      { en1: mac(1), wl0: mac(2), en2: mac(3) },
    );
    expect(asked.filter((line) => line.startsWith("udhcpc"))).toEqual([
      expect.stringMatching(/^udhcpc -f -i en\d -s \/self .* with metric 7$/),
      expect.stringMatching(/^udhcpc -f -i en\d -s \/self .* with metric 7$/),
    ]);
    expect(asked.some((line) => line.includes("wl0"))).toBe(false);
  });

  it("takes what DHCP gives", () => {
    expect(calls({}, {}, "mask=24 metric= lease")).toEqual([
      "ip addr add 192.0.2.9/24 dev eth0",
      "ip route add default via 192.0.2.1 dev eth0 onlink",
    ]);
  });

  it("gives a part of a bond no address, also where a pattern of another link would fit it", () => {
    const bond0 = bond({ mode: "active-backup", links: ["a", "b"] }, { addresses: ["198.51.100.2/24"] });
    const links = {
      ...{ a: card(2), b: card(3), bond0 },
      lan: { match: { name: "eth*" }, addresses: ["192.0.2.10/24"] },
    };
    expect(calls(links, { eth0: mac(2), eth1: mac(3), eth2: mac(1) })).toEqual([
      "ip link set dev eth0 up",
      "ip link set dev eth1 up",
      "ip link set dev eth2 up",
      "ip addr add 192.0.2.10/24 dev eth2",
    ]);
  });
});
