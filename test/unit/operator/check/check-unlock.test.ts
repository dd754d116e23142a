import { describe, expect, it } from "vitest";
import { bond, vlan } from "../../../../src/dsl/network.ts";
import { checkSpec } from "../../../../src/operator/check/check.ts";
import type { Spec } from "../../../../src/schema/spec.ts";
import { showPath } from "../../../../src/util/problem.ts";
import { sshSpec } from "../../../helpers/builders/unlock.ts";

const wrong = (spec: Spec) =>
  checkSpec(spec)
    .map(({ path, message }) => `${showPath(path)}: ${message}`)
    .filter((line) => /ssh|SSH|initramfs|nobody|tang|differs|unlock/.test(line));
const ssh = { type: "ssh" };
const fixed = { addresses: ["192.0.2.10/24"], gateway: ["192.0.2.1"], dns: ["192.0.2.53"] };
const card = (last: number) => ({ match: { mac: `52:54:00:00:00:0${last}` } });
const network = (links: object) => sshSpec(ssh, { network: links } as never);

describe("checkSpec of a root that is opened over SSH", () => {
  it.each([
    ["DHCP", network({ lan: { match: { name: "en*" }, dhcp: "ipv4", dns: ["192.0.2.53"] } })],
    ["an address", network({ lan: { ...card(1), ...fixed } })],
    ["an IPv6 address alone", network({ lan: { ...card(1), addresses: ["2001:db8::10/64"] } })],
    ["a VLAN on a card", network({ nic: card(1), lan: vlan({ id: 5, link: "nic" }, fixed) })],
    [
      "a VLAN in a VLAN",
      network({
        nic: card(1),
        outer: vlan({ id: 5, link: "nic" }, {}),
        lan: vlan({ id: 6, link: "outer" }, fixed),
      }),
    ],
    [
      "a bond beside a card with an address",
      network({
        admin: { ...card(1), ...fixed },
        a: card(2),
        b: card(3),
        bond0: bond({ mode: "active-backup", links: ["a", "b"] }, { addresses: ["198.51.100.2/24"] }),
      }),
    ],
    ["keys of its own", sshSpec({ ...ssh, keys: ["ssh-ed25519 AAAA"] }, { users: {} })],
  ])("takes %s", (_what, spec) => {
    expect(wrong(spec)).toEqual([]);
  });

  it("refuses it for what the root does not need", () => {
    expect(wrong(sshSpec({ type: "tpm2" }, { also: ssh }))).toEqual([
      expect.stringMatching(
        /partitions\[2\]\.content\.unlock: `ssh` is for what the root needs: .*use `key-file` here$/,
      ),
    ]);
  });

  it("refuses a network that the initramfs does not make, and says what it needs", () => {
    const parts = { a: card(2), b: card(3) };
    const bonded = bond({ mode: "active-backup", links: ["a", "b"] }, fixed);
    expect(wrong(network({ ...parts, bond0: bonded }))).toEqual([
      "network.bond0.device: is a bond, which the initramfs does not make; `unlock: ssh` needs an address on a card, or on a VLAN on a card",
    ]);
    expect(
      wrong(
        network({
          ...parts,
          bond0: bond({ mode: "active-backup", links: ["a", "b"] }, {}),
          lan: vlan({ id: 5, link: "bond0" }, fixed),
        }),
      ),
    ).toEqual([expect.stringMatching(/^network\.lan\.device: is a VLAN that is not on a card, /)]);
    expect(wrong(network({ lan: { ...card(1), dhcp: "ipv6", dns: ["192.0.2.53"] } }))).toEqual([
      expect.stringMatching(/unlock: needs an address in `network` .* \(it does not speak DHCPv6\)$/),
    ]);
    expect(wrong(network({}))).toHaveLength(1);
    expect(wrong(network({ lan: { match: { name: "!wl*" }, ...fixed } }))).toEqual([
      expect.stringMatching(/^network\.lan\.match\.name: .*name the card$/),
    ]);
  });

  it("refuses one that nobody could open", () => {
    expect(wrong(sshSpec(ssh, { users: { guest: { keys: ["ssh-ed25519 AAAA"] } } }))).toEqual([
      expect.stringMatching(/unlock: nobody could come: needs `keys`, or keys of `root`/),
    ]);
    expect(wrong(sshSpec({ ...ssh, hostKey: "absent" }))).toEqual([
      expect.stringMatching(/unlock\.hostKey: .*absent/),
    ]);
  });

  it("refuses two ways to serve or to set up one network", () => {
    const two = (first: object, second: object) => {
      const spec = sshSpec(first, { also: second });
      const { partitions } = (spec.storage!.disks.system as { table: { partitions: object[] } }).table;
      (partitions[2] as { content: { content: { mount: string } } }).content.content.mount = "/usr";
      return wrong(spec);
    };
    expect(two(ssh, ssh)).toEqual([]);
    expect(two(ssh, { ...ssh, port: 2222 })).toEqual([
      expect.stringMatching(/unlock: differs from that of another volume/),
    ]);
    const tang = { type: "tang", url: "http://192.0.2.10:7500", thumbprint: "A".repeat(43) };
    expect(two(ssh, tang)).toEqual([expect.stringMatching(/unlock: beside `tang` /)]);
  });
});
