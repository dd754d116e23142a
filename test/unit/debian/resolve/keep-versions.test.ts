import { describe, expect, it } from "vitest";
import type { Candidate } from "../../../../src/debian/package/candidate.ts";
import { versionsToKeep } from "../../../../src/debian/resolve/keep-versions.ts";
import { candidate, poolOf, security } from "../../../helpers/builders/candidate.ts";

const old = (name: string, fields: Partial<Candidate> = {}) => candidate(name, fields);
const fresh = (name: string, fields: Partial<Candidate> = {}) =>
  candidate(name, { version: "1.1", origin: security, ...fields });

/** Names whose locked version (1.0) is kept when `renewed` become newer. */
function kept(archive: readonly Candidate[], renewed: readonly string[]): string[] {
  const locked = new Map(archive.filter((one) => one.version === "1.0").map((one) => [one.name, one]));
  return [...versionsToKeep(poolOf(archive), locked, ({ name }) => renewed.includes(name)).keys()].sort();
}

describe("versionsToKeep", () => {
  const plain = ["app", "lib", "tool"].flatMap((name) => [old(name), fresh(name)]);

  it("keeps all but what is to be renewed", () => {
    expect(kept(plain, [])).toEqual(["app", "lib", "tool"]);
    expect(kept(plain, ["app"])).toEqual(["lib", "tool"]);
  });

  it("lets go what has left the archive, and what has another content by now", () => {
    const archive = [fresh("app"), old("lib")];
    const locked = new Map([
      ["app", { version: "1.0", sha256: "0" }],
      ["lib", { version: "1.0", sha256: "another" }],
    ]);
    expect([...versionsToKeep(poolOf(archive), locked, () => false).keys()]).toEqual([]);
  });

  it("renews what something renewed needs newer, and what that needs in turn", () => {
    const archive = [
      ...[old("app"), fresh("app", { depends: "lib (>= 1.1)" })],
      ...[old("lib"), fresh("lib", { depends: "deep (>= 1.1)" })],
      ...[old("deep"), fresh("deep"), old("other"), fresh("other")],
    ];
    expect(kept(archive, ["app"])).toEqual(["other"]);
    expect(kept(archive, ["deep"])).toEqual(["app", "lib", "other"]);
  });

  it("renews what needs the old version of something renewed", () => {
    const archive = [
      ...[old("app", { depends: "lib (= 1.0)" }), fresh("app", { depends: "lib (= 1.1)" })],
      ...[old("lib"), fresh("lib")],
    ];
    expect(kept(archive, ["lib"])).toEqual([]);
    expect(kept(archive, ["app"])).toEqual([]);
  });

  it("renews what something renewed breaks in its old version", () => {
    const archive = [
      ...[old("libc"), fresh("libc", { breaks: "locales (<< 1.1)" })],
      ...[old("locales"), fresh("locales"), old("other")],
    ];
    expect(kept(archive, ["libc"])).toEqual(["other"]);
    expect(kept(archive, ["other"])).toEqual(["libc", "locales"]);
  });
});
