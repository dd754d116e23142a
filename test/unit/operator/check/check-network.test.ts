import { describe, expect, it } from "vitest";
import { checkSpec } from "../../../../src/operator/check/check.ts";
import { serverSpec } from "../../../helpers/builders/deployable.ts";

const told = (link: object) =>
  checkSpec(serverSpec({ network: { lan: { match: { name: "en*" }, ...link } } } as never))
    .map(({ path, message }) => `${path.join(".")}: ${message}`)
    .filter((one) => one.includes("gateway"));

describe("checkSpec of a network", () => {
  it.each([
    ["in a prefix", { addresses: ["192.0.2.10/24"], gateway: ["192.0.2.1"] }],
    ["in the second prefix", { addresses: ["198.51.100.7/32", "192.0.2.10/24"], gateway: ["192.0.2.1"] }],
    ["in a prefix of IPv6", { addresses: ["2001:db8:0:1::10/64"], gateway: ["2001:db8:0:1::1"] }],
    ["of the link alone", { addresses: ["2001:db8::10/128"], gateway: ["fe80::1"] }],
    ["of the link, which has no addresses yet", { gateway: ["fe80::1"], dhcp: "no" }],
    [
      "outside, and said to be",
      { addresses: ["192.0.2.10/32"], gateway: ["198.51.100.1"], gatewayOnLink: true },
    ],
    ["in a prefix that DHCP will give", { dhcp: "yes", gateway: ["192.0.2.1", "2001:db8::1"] }],
    [
      "of both families",
      { addresses: ["192.0.2.10/24", "2001:db8::10/64"], gateway: ["192.0.2.1", "2001:db8::1"] },
    ],
  ])("takes a gateway %s", (_what, link) => {
    expect(told(link)).toEqual([]);
  });

  it.each([
    ["outside the prefix", { addresses: ["192.0.2.10/24"], gateway: ["198.51.100.1"] }],
    ["of a host's own prefix", { addresses: ["192.0.2.10/32"], gateway: ["192.0.2.1"] }],
    ["of IPv6 outside the prefix", { addresses: ["2001:db8:0:1::10/64"], gateway: ["2001:db8:0:2::1"] }],
    ["of the other family", { addresses: ["192.0.2.10/24"], gateway: ["2001:db8::1"] }],
    ["beside DHCP of the other family", { dhcp: "ipv6", gateway: ["192.0.2.1"] }],
    ["without any address", { gateway: ["192.0.2.1"] }],
  ])("refuses a gateway %s, and says what to do", (_what, link) => {
    expect(told(link)).toEqual([
      expect.stringMatching(
        /^network\.lan\.gateway\.0: .* is in none of the prefixes .*`gatewayOnLink: true`$/,
      ),
    ]);
  });
});
