import { describe, expect, it } from "vitest";
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
