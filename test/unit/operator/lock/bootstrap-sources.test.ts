import { describe, expect, it } from "vitest";
import { chooseMirrors, mirrorsInSources } from "../../../../src/debian/archive/mirrors.ts";
import { bootstrapSources } from "../../../../src/operator/lock/bootstrap-sources.ts";
import { deadUrl, webOf } from "../../../helpers/labs/web.ts";

const release = (suite: string) => [`debian/dists/${suite}/InRelease`, "signed"] as const;

describe("bootstrapSources", () => {
  it("takes the first mirror that has each suite, of this machine's sources for another suite too", async () => {
    const own = await webOf(new Map([release("bookworm"), release("bookworm-updates")]));
    const security = await webOf(new Map([["security/dists/bookworm-security/InRelease", "signed"]]));
    const machine = mirrorsInSources(
      `deb ${await deadUrl()}/debian trixie main\ndeb ${own.url}/debian trixie main\ndeb ${security.url}/security trixie-security main`,
      "",
    );
    const { debian, "debian-security": secured } = chooseMirrors({ machine });
    const mirrors = { debian, "debian-security": secured };
    expect(await bootstrapSources("bookworm", { env: {}, mirrors })).toEqual([
      `deb ${own.url}/debian bookworm main`,
      `deb ${own.url}/debian bookworm-updates main`,
      `deb ${security.url}/security bookworm-security main`,
    ]);
  });

  it("asks the mirror that the environment names before all others", async () => {
    const named = await webOf(
      new Map([release("bookworm"), ["debian-security/dists/bookworm-security/InRelease", "s"]]),
    );
    const other = await webOf(new Map([release("bookworm"), release("bookworm-updates")]));
    const machine = [{ archive: "debian", url: `${other.url}/debian` }] as const;
    const mirrors = chooseMirrors({ machine, environment: `${named.url}/debian` });
    expect(await bootstrapSources("bookworm", { env: {}, mirrors })).toEqual([
      `deb ${named.url}/debian bookworm main`,
      `deb ${other.url}/debian bookworm-updates main`,
      `deb ${named.url}/debian-security bookworm-security main`,
    ]);
  });

  it("says which mirrors it asked where none has the release", async () => {
    const url = await deadUrl();
    await expect(
      bootstrapSources("bookworm", { env: {}, mirrors: { debian: [`${url}/debian`] } }),
    ).rejects.toThrow(/^no mirror has bookworm: .*127\.0\.0\.1/);
  });
});
