import { describe, expect, it } from "vitest";
import { lockRequest, requestDifferences } from "../../../../src/debian/lock/lock-request.ts";
import { Spec, type SpecInput } from "../../../../src/schema/spec.ts";

const vendor = {
  url: "https://vendor.example.org/apt",
  suite: "stable",
  components: ["main"],
  key: "-----BEGIN PGP PUBLIC KEY BLOCK-----\n",
  fingerprint: "A".repeat(40),
};
const request = (change: Partial<SpecInput> = {}) =>
  lockRequest(Spec.parse({ hostname: "a", packages: { install: ["b1", "a1"] }, ...change }));
const differences = (change: Partial<SpecInput>, from: Partial<SpecInput> = {}) =>
  requestDifferences(request(from), request(change));

describe("a request", () => {
  it("does not mind order, repetition, mirror, what is pruned and where a repository is served", () => {
    expect(
      request({ packages: { install: ["a1", "b1", "a1"], prune: ["/usr/share/doc/*"], pins: [], debs: [] } }),
    ).toEqual(request());
    expect(
      request({ system: { mirror: "http://example.org/debian", suites: [], repositories: {} } }),
    ).toEqual(request());
    const moved = { ...vendor, url: "http://192.0.2.1/apt" };
    expect(request({ system: { repositories: { vendor } } })).toEqual(
      request({ system: { repositories: { vendor: moved } } }),
    );
  });

  it.each<[Partial<SpecInput>, string[]]>([
    [{}, []],
    [{ packages: { install: ["a1"] } }, ["b1 is not asked for any more"]],
    [{ packages: { install: ["a1", "b1", "c1/trixie-backports"] } }, ["c1/trixie-backports is asked for"]],
    [{ packages: { install: ["a1", "b1"], recommends: true } }, ["recommended packages are asked for"]],
    [{ system: { suite: "bookworm" } }, ["suite is bookworm, not trixie"]],
    [{ system: { components: ["main", "contrib"] } }, ["the component contrib is asked for"]],
    [{ system: { suites: ["trixie-backports"] } }, ["the suite trixie-backports is asked for"]],
    [{ system: { repositories: { vendor } } }, ["the repository vendor is another"]],
    [{ packages: { install: ["a1", "b1"], debs: ["own.deb"] } }, ["the file own.deb is asked for"]],
    [
      { packages: { install: ["a1", "b1"], pins: [{ packages: ["*"], suite: "trixie", priority: 1 }] } },
      ["the pins are others"],
    ],
  ])("of %j differs by what is said", (change, said) => {
    expect(differences(change)).toEqual(said);
  });

  it("minds the order of what decides between equals", () => {
    const suites = (...names: string[]): Partial<SpecInput> => ({ system: { suites: names } });
    expect(differences(suites("sid", "forky"), suites("forky", "sid"))).toEqual([
      "components or suites stand in another order",
    ]);
  });
});
