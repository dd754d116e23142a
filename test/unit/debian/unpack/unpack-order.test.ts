import { describe, expect, it } from "vitest";
import { nextRound, type Ordered } from "../../../../src/debian/unpack/unpack-order.ts";

const one = (name: string, fields = ""): Ordered => ({ name, fields: `Package: ${name}\n${fields}` });

/** Names in the order in which they are placed and configured, round by round. */
function rounds(waiting: readonly Ordered[], essential: readonly Ordered[] = []): string[] {
  const configured = new Set(essential.map(({ name }) => name));
  const all = [...waiting, ...essential];
  const told: string[] = [];
  let rest = waiting;
  while (rest.length > 0) {
    const { now, later, configure } = nextRound(rest, all, configured);
    for (const name of configure) configured.add(name);
    told.push(`place ${now.map(({ name }) => name).join(" ")}; configure ${configure.join(" ")}`.trim());
    rest = later;
  }
  return told;
}

describe("nextRound", () => {
  it("lets a package wait until what it pre-depends on is configured, with all that needs", () => {
    const set = [
      one("deep"),
      one("lib", "Depends: deep"),
      one("tool", "Pre-Depends: lib (>= 1)\nDepends: other"),
      one("late", "Pre-Depends: tool"),
      one("other"),
    ];
    expect(rounds(set)).toEqual([
      "place deep lib other; configure lib deep",
      "place tool; configure tool other",
      "place late; configure",
    ]);
  });

  it("takes apt and what it needs for essential", () => {
    const set = [one("web"), one("lib"), one("apt", "Depends: lib,\n libc | libc-dev"), one("more")];
    expect(rounds(set, [one("libc", "Essential: yes")])).toEqual([
      "place lib apt; configure lib apt",
      "place web more; configure",
    ]);
  });

  it("configures first what an essential package names, even as an alternative", () => {
    const set = [one("web"), one("adduser", "Depends: passwd"), one("passwd")];
    expect(rounds(set, [one("base", "Essential: yes\nDepends: base-passwd | adduser")])).toEqual([
      "place web adduser passwd; configure adduser passwd",
    ]);
  });

  it("is content with who provides what is asked for, and with what is configured of alternatives", () => {
    const set = [one("awk-user", "Pre-Depends: awk"), one("shell", "Pre-Depends: sh-a | sh-b"), one("sh-a")];
    expect(rounds(set, [one("mawk", "Provides: awk"), one("sh-b")])).toEqual([
      "place awk-user shell sh-a; configure",
    ]);
  });

  it("does not wait for ever in a cycle", () => {
    const set = [one("a", "Pre-Depends: b"), one("b", "Pre-Depends: a"), one("c")];
    expect(rounds(set)).toEqual(["place c; configure", "place a b; configure"]);
  });
});
