import { describe, expect, it } from "vitest";
import { basePlaces, fixOf, refuseTroubles } from "../../../../src/operator/native/ordinary-user.ts";
import { mapsName } from "../../../../src/system/user/id-maps.ts";
import { ownMaps } from "../../../../src/system/user/user-namespace.ts";
import { Fail } from "../../../../src/util/fail.ts";

const troubles = [
  { reason: "no ids", fix: ["usermod", "--add-subuids", "1-2", "alice"] },
  { reason: "no rights" },
  { reason: "no namespaces", fix: ["sysctl", "-w", "user.max_user_namespaces=10000"] },
];

describe("refuseTroubles", () => {
  it("lets pass who can build", () => {
    expect(() => refuseTroubles([], "use sudo")).not.toThrow();
  });

  it("tells every reason, one line that mends what can be mended, and what root would do", () => {
    const refused = (some: typeof troubles) => {
      try {
        refuseTroubles(some, "run it with sudo");
      } catch (error) {
        return error as Fail;
      }
      return undefined;
    };
    const all = refused(troubles);
    expect(all).toBeInstanceOf(Fail);
    expect(all?.message).toMatch(/^building needs root, .*:\nno ids\nno rights\nno namespaces$/);
    expect(all?.hint).toBe(
      "sudo usermod --add-subuids 1-2 alice && sudo sysctl -w user.max_user_namespaces=10000\nor run it with sudo",
    );
    expect(refused(troubles.slice(1, 2))?.hint).toBe("run it with sudo");
    expect(fixOf(troubles)).toHaveLength(2);
  });
});

describe("basePlaces", () => {
  it("keeps trees made under other ids apart, and root's where they have always been", async () => {
    const { own, roots } = await basePlaces("/cache");
    const maps = await ownMaps();
    const name = maps && mapsName(maps);
    expect(roots).toBe("/cache/base");
    expect(own).toBe(name === undefined ? "/cache/base" : `/cache/base-${name}`);
  });
});
