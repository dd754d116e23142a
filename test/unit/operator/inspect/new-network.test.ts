import { describe, expect, it } from "vitest";
import { bond, vlan } from "../../../../src/dsl/network.ts";
import { newNetwork } from "../../../../src/operator/inspect/new-network.ts";
import type { SpecInput } from "../../../../src/schema/spec.ts";
import { machineFacts, serverSpec } from "../../../helpers/builders/deployable.ts";

const mac = "52:54:00:12:34:56";
const facts = machineFacts();
const [card] = facts.links;
const dynamic = machineFacts({
  links: [{ ...card!, addresses: [{ address: "192.0.2.10", prefix: 24, dynamic: true }] }],
});
const fixed = { addresses: ["192.0.2.10/24"], gateway: ["192.0.2.1"] };

function found(network: SpecInput["network"], about = facts, reached = "192.0.2.10", files: string[] = []) {
  return newNetwork(serverSpec(network === undefined ? {} : { network }), files, about, reached);
}

describe("the network of the new system, compared with the host's", () => {
  it("is as now: the same address and gateway on the same card, by name or by MAC", () => {
    expect(found({ lan: { match: { name: "en*" }, ...fixed } }).verdict).toBe("go");
    expect(found({ lan: { match: { mac }, ...fixed } }).verdict).toBe("go");
    expect(found({ lan: { match: { name: "ens3" }, ...fixed } }, facts, "::ffff:192.0.2.10").verdict).toBe(
      "go",
    );
  });

  it("is as now where both ask for an address", () => {
    expect(found({ lan: { match: { name: "en*" }, dhcp: "yes" } }, dynamic)).toMatchObject({ verdict: "go" });
  });

  it("is warned of where a fixed address would be asked for", () => {
    expect(found({ lan: { match: { name: "en*" }, dhcp: "yes" } })).toMatchObject({
      verdict: "warn",
      detail: expect.stringContaining("may get another"),
      hint: expect.stringContaining('"192.0.2.10/24"'),
    });
  });

  it("is warned of where the address or the gateway is another, or the card", () => {
    const other = (network: NonNullable<SpecInput["network"]>) => found(network).detail;
    expect(other({ lan: { match: { name: "en*" }, addresses: ["192.0.2.20/24"] } })).toContain(
      "192.0.2.20/24",
    );
    expect(other({ lan: { match: { name: "en*" }, ...fixed, gateway: ["192.0.2.254"] } })).toContain(
      "now 192.0.2.1, then 192.0.2.254",
    );
    expect(other({ lan: { match: { name: "en*" }, addresses: fixed.addresses } })).toContain("then none");
    expect(other({ lan: { match: { name: "eth0" }, ...fixed } })).toContain(`ens3 (${mac})`);
  });

  const port = (number: number) => ({
    ...{ ...card!, name: `enp${number}s0`, mac: `52:54:00:00:00:0${number}`, addresses: [] },
    master: "bond0",
  });
  const bonded = (mode: string, dynamic = false) =>
    machineFacts({
      links: [
        {
          ...{ ...card!, name: "bond0.20", mac: "52:54:00:00:00:01", kind: "vlan" },
          device: { kind: "vlan", id: 20, link: "bond0" },
          addresses: [{ address: "192.0.2.10", prefix: 24, dynamic }],
        },
        {
          ...{ ...card!, name: "bond0", mac: "52:54:00:00:00:01", kind: "bond", addresses: [] },
          device: { kind: "bond", options: { mode }, members: ["enp1s0", "enp2s0"] },
        },
        port(1),
        port(2),
      ],
      routes: [{ to: "default", via: "192.0.2.1", link: "bond0.20", onLink: false, dynamic }],
    });
  const ports = { p1: { match: { mac: "52:54:00:00:00:01" } }, p2: { match: { name: "enp2s0" } } };
  const uplink = bond({ mode: "802.3ad", links: ["p1", "p2"] });

  it("compares what a link is made of: cards, tags, and whether the switch has to speak LACP", () => {
    const same = { ...ports, uplink, lan: vlan({ id: 20, link: "uplink" }, fixed) };
    expect(found(same, bonded("802.3ad"))).toMatchObject({ verdict: "go" });
    const said = (network: NonNullable<SpecInput["network"]>, mode = "802.3ad") =>
      found(network, bonded(mode)).detail;
    expect(said({ ...ports, uplink, lan: vlan({ id: 30, link: "uplink" }, fixed) })).toContain(
      "its VLAN does not: now 20, then 30",
    );
    expect(said({ lan: { match: { mac: "52:54:00:00:00:01" }, ...fixed } })).toContain("now 20, then none");
    expect(said(same, "active-backup")).toContain("LACP (802.3ad) now no, then yes");
    const elsewhere = { p1: { match: { name: "eth7" } }, lan: vlan({ id: 20, link: "p1" }, fixed) };
    expect(said(elsewhere)).toContain("bond0.20 (52:54:00:00:00:01) on enp1s0, enp2s0");
    expect(found(elsewhere, bonded("802.3ad")).hint).toBe('say match: { mac: "52:54:00:00:00:01" }');
  });

  it("looks for who asks for an address on the same way", () => {
    const asks = (id: number) => ({ ...ports, uplink, lan: vlan({ id, link: "uplink" }, { dhcp: "yes" }) });
    expect(found(asks(20), bonded("802.3ad", true))).toMatchObject({ verdict: "go" });
    expect(found(asks(30), bonded("802.3ad", true)).detail).toContain("asks for one on another card");
  });

  it("finds the same IPv6 address in another spelling", () => {
    const v6 = machineFacts({
      links: [{ ...card!, addresses: [{ address: "2001:db8::a", prefix: 64, dynamic: false }] }],
      routes: [{ to: "default", via: "2001:db8::1", link: "ens3", onLink: false, dynamic: false }],
    });
    const network = {
      lan: { match: { name: "en*" }, addresses: ["2001:db8:0::000a/64"], gateway: ["2001:db8::1"] },
    };
    expect(found(network, v6, "2001:db8::a").verdict).toBe("go");
  });

  it("has no opinion of a definition that brings its own files, and warns of one that says nothing", () => {
    expect(found({}, facts, "192.0.2.10", ["/etc/network/interfaces"]).verdict).toBe("go");
    expect(found({}).verdict).toBe("warn");
  });
});
