import { describe, expect, it } from "vitest";
import type { Loaders } from "../../../../src/operator/secure-boot/loaders.ts";
import { generationsOf, judgeLoaders } from "../../../../src/operator/secure-boot/refusals.ts";
import { signedLoaders } from "../../../helpers/builders/loaders.ts";

const db = (...authorities: string[]) => ({ authorities, programs: [] });

describe("what firmware makes of a system's loaders", () => {
  it.each<[string, Partial<Loaders>, object, string[], readonly string[] | undefined]>([
    ["a key of either year is enough", {}, { secureBootDb: db("Other", "CA 2023") }, [], ["CA 2023"]],
    ["both", {}, { secureBootDb: db("CA 2023", "CA 2011") }, [], ["CA 2011", "CA 2023"]],
    [
      "none of them",
      {},
      { secureBootDb: db("Windows 2011") },
      ["shim-signed 1.0 is signed by CA 2011 and CA 2023; the firmware trusts Windows 2011"],
      [],
    ],
    [
      "a program by its SHA-256",
      {},
      { secureBootDb: { authorities: [], programs: [signedLoaders.shim.digest] } },
      [],
      ["its SHA-256"],
    ],
    ["firmware that does not say", {}, {}, [], undefined],
    [
      "generations that it has revoked",
      {},
      { secureBootDb: db("CA 2011"), sbatLevel: ["sbat,1,2026010100", "shim,5", "grub,5"] },
      ["the firmware has revoked shim-signed 1.0: shim 4, where 5 is asked for"],
      ["CA 2011"],
    ],
    [
      "a GRUB that this shim does not start",
      { asks: new Map([["grub", 6]]) },
      { secureBootDb: db("CA 2011"), sbatLevel: ["grub,5"] },
      ["shim-signed 1.0 does not start grub 2.0: grub 5, where 6 is asked for"],
      ["CA 2011"],
    ],
  ])("%s", (_, change, facts, refused, trusted) => {
    expect(judgeLoaders({ ...signedLoaders, ...change }, facts)).toEqual({ refused, trusted });
  });

  it("are shown with their generations", () => {
    expect(generationsOf(signedLoaders.shim)).toBe("shim 4, shim.debian 1");
  });
});
