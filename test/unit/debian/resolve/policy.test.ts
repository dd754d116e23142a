import { describe, expect, it } from "vitest";
import { candidateOf, type Pin, priorityOf } from "../../../../src/debian/resolve/policy.ts";
import { backports, candidate, originOf, security, trixie } from "../../../helpers/builders/candidate.ts";

const stable = candidate("app", { version: "1.0" });
const newer = candidate("app", { version: "2.0~bpo", origin: backports });
const experimental = candidate("app", {
  version: "3.0",
  origin: originOf("experimental", { codename: "rc-buggy", release: "experimental", notAutomatic: true }),
});
const vendor = candidate("app", {
  version: "4.0",
  origin: originOf("stable", { archive: "vendor", vendor: "Example", codename: "stable", release: "stable" }),
});
const pin = (fields: Partial<Pin> & Pick<Pin, "priority">): Pin => ({ packages: ["*"], ...fields });

describe("priorityOf", () => {
  it("is apt's own where no pin speaks: 990, 500, 100 and 1", () => {
    const policy = { pins: [], target: [] };
    expect([stable, newer, experimental, vendor].map((one) => priorityOf(one, policy))).toEqual([
      500, 100, 1, 500,
    ]);
    expect(priorityOf(stable, { pins: [], target: ["trixie"] })).toBe(990);
    expect(priorityOf(vendor, { pins: [], target: ["trixie"] })).toBe(500);
  });

  it("takes the first pin that names the package and fits the version", () => {
    const pins = [
      pin({ packages: ["lib*"], suite: "trixie", priority: 1 }),
      pin({ packages: ["ap?"], suite: "trixie-backports", priority: 700 }),
      pin({ packages: ["app"], suite: "trixie-backports", priority: 2 }),
      pin({ suite: "trixie-backports", priority: 3 }),
    ];
    expect(priorityOf(newer, { pins, target: [] })).toBe(700);
    expect(priorityOf(stable, { pins, target: [] })).toBe(500);
  });

  it("takes a pin for all packages only where none names it, whatever the order", () => {
    const pins = [
      pin({ suite: "trixie", priority: 3 }),
      pin({ packages: ["app"], suite: "trixie", priority: 4 }),
    ];
    expect(priorityOf(stable, { pins, target: ["trixie"] })).toBe(4);
    expect(priorityOf(candidate("other"), { pins, target: ["trixie"] })).toBe(3);
  });

  it.each([
    [pin({ suite: "stable-backports", priority: 7 }), newer, 7],
    [pin({ suite: "rc-buggy", priority: 7 }), experimental, 7],
    [pin({ origin: "Example", priority: 7 }), vendor, 7],
    [pin({ origin: "vendor", priority: 7 }), vendor, 7],
    [pin({ origin: "Debian", priority: 7 }), vendor, 500],
    [pin({ packages: ["app"], version: "1.*", priority: 7 }), stable, 7],
    [pin({ packages: ["app"], version: "1.*", priority: 7 }), newer, 100],
    [pin({ packages: ["app"], version: "1", priority: 7 }), stable, 500],
  ])("of %j", (one, of, priority) => {
    expect(priorityOf(of, { pins: [one], target: [] })).toBe(priority);
  });
});

describe("candidateOf", () => {
  const all = [vendor, experimental, newer, stable];
  const chosen = (pins: readonly Pin[], versions = all) =>
    candidateOf(versions, { pins, target: [] })?.version;

  it("is the version of the highest priority, the newest of equal ones", () => {
    expect(chosen([])).toBe("4.0");
    expect(chosen([], [experimental, newer, stable])).toBe("1.0");
    expect(chosen([pin({ suite: "trixie-backports", priority: 501 })])).toBe("2.0~bpo");
    expect(chosen([], [candidate("app", { version: "1.1", origin: security }), stable])).toBe("1.1");
  });

  it("is none where every version is pinned away", () => {
    expect(chosen([pin({ priority: -1 })])).toBeUndefined();
    expect(chosen([pin({ priority: 0 })])).toBeUndefined();
    expect(candidateOf([], { pins: [], target: [] })).toBeUndefined();
  });

  it("may be an older one", () => {
    expect(chosen([pin({ packages: ["app"], suite: trixie.suite, priority: 1001 })])).toBe("1.0");
  });
});
