import { describe, expect, it } from "vitest";
import type { Candidate } from "../../../../src/debian/package/candidate.ts";
import { resolve } from "../../../../src/debian/resolve/resolve.ts";
import { Fail } from "../../../../src/util/fail.ts";
import { backports, candidate, poolOf, security } from "../../../helpers/builders/candidate.ts";

function resolved(candidates: readonly Candidate[], install: readonly string[], recommends = false) {
  return resolve(poolOf(candidates), { install, recommends, suite: "trixie" });
}

function names(candidates: readonly Candidate[], install: readonly string[], recommends = false): string[] {
  return resolved(candidates, install, recommends).packages.map((one) => one.name);
}

function failure(candidates: readonly Candidate[], install: readonly string[], recommends = false): Fail {
  try {
    names(candidates, install, recommends);
  } catch (error) {
    expect(error).toBeInstanceOf(Fail);
    return error as Fail;
  }
  throw new Error("resolved, though it cannot be");
}

describe("what is chosen", () => {
  it("follows Depends and Pre-Depends, and nothing that is not needed", () => {
    const archive = [
      candidate("app", { depends: "lib", preDepends: "init" }),
      candidate("lib"),
      candidate("init"),
      candidate("other"),
    ];
    expect(names(archive, ["app"]).sort()).toEqual(["app", "init", "lib"]);
  });

  it("is the newest version in the archive, whatever the order of the indices", () => {
    const old = candidate("app", { version: "1.9" });
    const fresh = candidate("app", { version: "1.10", origin: security });
    for (const archive of [
      [old, fresh],
      [fresh, old],
    ])
      expect(resolved(archive, ["app"]).packages).toEqual([fresh]);
  });

  it("holds Essential and required packages and apt without being asked", () => {
    const archive = [
      candidate("bash", { essential: true }),
      candidate("mount", { priority: "required" }),
      candidate("nano", { priority: "important" }),
      candidate("apt", { priority: "important" }),
    ];
    expect(names(archive, []).sort()).toEqual(["apt", "bash", "mount"]);
  });
});

describe("alternatives", () => {
  const archive = [
    candidate("app", { depends: "mta | small" }),
    candidate("mta"),
    candidate("small"),
    candidate("wants-small", { depends: "small" }),
  ];

  it("are taken in the order in which they are listed", () => {
    expect(names(archive, ["app"]).sort()).toEqual(["app", "mta"]);
  });

  it("that are asked for or chosen by then come before the first one listed", () => {
    expect(names(archive, ["app", "small"]).sort()).toEqual(["app", "small"]);
    expect(names(archive, ["wants-small", "app"]).sort()).toEqual(["app", "small", "wants-small"]);
  });

  it("that are not in the archive or too old are passed over", () => {
    const app = candidate("app", { depends: "gone | mta (>= 2) | small" });
    expect(names([...archive.slice(1), app], ["app"]).sort()).toEqual(["app", "small"]);
  });

  it("that a chosen package excludes are passed over", () => {
    const foe = candidate("foe", { conflicts: "mta" });
    expect(names([...archive, foe], ["app", "foe"]).sort()).toEqual(["app", "foe", "small"]);
  });
});

describe("virtual packages", () => {
  const exim = candidate("exim", { provides: "mail-transport-agent", priority: "standard" });
  const postfix = candidate("postfix", { provides: "mail-transport-agent, mta-api (= 3)" });
  const archive = [postfix, exim, candidate("app", { depends: "mail-transport-agent" })];

  it("are satisfied by the provider of the highest priority", () => {
    expect(names(archive, ["app"]).sort()).toEqual(["app", "exim"]);
  });

  it("are satisfied by a provider that is chosen already", () => {
    expect(names(archive, ["app", "postfix"]).sort()).toEqual(["app", "postfix"]);
  });

  it("satisfy a version only by a versioned Provides", () => {
    const app = (depends: string) => [exim, postfix, candidate("app", { depends })];
    expect(names(app("mta-api (>= 2)"), ["app"]).sort()).toEqual(["app", "postfix"]);
    expect(failure(app("mta-api (>= 4)"), ["app"]).message).toContain("mta-api (>= 4)");
    expect(failure(app("mail-transport-agent (>= 1)"), ["app"]).message).toContain("mail-transport-agent");
  });

  it("asked for by the definition need a name when several provide them", () => {
    expect(names([postfix], ["mail-transport-agent"])).toEqual(["postfix"]);
    const fail = failure(archive, ["mail-transport-agent"]);
    expect(fail.message).toBe("mail-transport-agent is a virtual package");
    expect(fail.hint).toBe("ask for one that provides it: exim, postfix");
  });
});

describe("Conflicts and Breaks", () => {
  it("refuse two requested packages, with why each is there", () => {
    const archive = [candidate("bb", { breaks: "cc (<< 2)" }), candidate("cc")];
    const fail = failure(archive, ["bb", "cc"]);
    expect(fail.message).toBe("cc is asked for, but bb breaks cc (<< 2)");
    expect(fail.hint).toBe("bb and cc cannot be had together: drop or replace one of them");
  });

  it("with a version leave other versions alone", () => {
    const archive = [candidate("bb", { breaks: "cc (<< 2)" }), candidate("cc", { version: "2" })];
    expect(names(archive, ["bb", "cc"]).sort()).toEqual(["bb", "cc"]);
  });

  it("with a virtual name that the package itself provides mean the others", () => {
    const exim = candidate("exim", { provides: "mta", conflicts: "mta" });
    const postfix = candidate("postfix", { provides: "mta", conflicts: "mta" });
    expect(names([exim, postfix], ["exim"])).toEqual(["exim"]);
    expect(failure([exim, postfix], ["exim", "postfix"]).message).toBe(
      "postfix is asked for, but exim conflicts with mta, which postfix provides",
    );
  });
});

describe("Recommends", () => {
  const archive = [
    candidate("app", { recommends: "nice, gone, hated" }),
    candidate("nice", { depends: "lib" }),
    candidate("lib"),
    candidate("hated", { conflicts: "app" }),
  ];

  it("are left out unless asked for", () => {
    expect(names(archive, ["app"])).toEqual(["app"]);
  });

  it("come with their dependencies when asked for, and fail silently", () => {
    expect(names(archive, ["app"], true).sort()).toEqual(["app", "lib", "nice"]);
  });
});

describe("Multi-Arch", () => {
  const archive = [
    candidate("perl", { multiArch: "allowed" }),
    candidate("make", { multiArch: "foreign" }),
    candidate("script", { depends: "perl:any" }),
    candidate("tool", { depends: "make:any" }),
    candidate("native", { depends: "make:native, perl:amd64" }),
    candidate("foreign", { depends: "make:i386" }),
  ];

  it("satisfies name:any by what is marked as allowed, and by nothing else", () => {
    expect(names(archive, ["script"]).sort()).toEqual(["perl", "script"]);
    expect(failure(archive, ["tool"]).message).toContain("tool needs make:any, which no suite has");
  });

  it("satisfies the machine's own architecture by name, and no other", () => {
    expect(names(archive, ["native"]).sort()).toEqual(["make", "native", "perl"]);
    expect(failure(archive, ["foreign"]).message).toContain("foreign needs make:i386, which no suite has");
  });
});

describe("what is asked for by more than its name", () => {
  const old = candidate("app", { depends: "lib (= 1.0)" });
  const fresh = candidate("app", { version: "1.1", origin: security, depends: "lib (= 1.1)" });
  const later = candidate("app", { version: "2.0~bpo", origin: backports, depends: "lib (= 2.0~bpo), tool" });
  const archive = [
    ...[old, fresh, later],
    candidate("lib"),
    candidate("lib", { version: "1.1", origin: security }),
    candidate("lib", { version: "2.0~bpo", origin: backports }),
    candidate("tool", { version: "1.0" }),
    candidate("tool", { version: "2.0~bpo", origin: backports }),
    candidate("or", { depends: "app | tool" }),
  ];
  const versions = (install: readonly string[]) =>
    resolved(archive, install)
      .packages.map(({ name, version }) => `${name} ${version}`)
      .sort();

  it("is of the version or of the suite asked for, with what it needs in the versions it needs", () => {
    expect(versions(["app"])).toEqual(["app 1.1", "lib 1.1"]);
    expect(versions(["app=1.0"])).toEqual(["app 1.0", "lib 1.0"]);
    expect(versions(["app/trixie-backports"])).toEqual(["app 2.0~bpo", "lib 2.0~bpo", "tool 1.0"]);
    expect(versions(["app/stable-backports", "tool/trixie-backports"])).toContain("tool 2.0~bpo");
  });

  it("is left out with a minus, and never chosen for another", () => {
    expect(versions(["or", "app-"])).toEqual(["or 1.0", "tool 1.0"]);
    expect(failure(archive, ["or", "app-", "tool-"]).message).toBe(
      "or needs app | tool, but app is refused by the definition, tool is refused by the definition",
    );
    expect(failure(archive, ["app", "lib-"]).message).toBe(
      "app needs lib (= 1.1), but lib is refused by the definition",
    );
  });

  it("is not asked for in two ways at once", () => {
    expect(failure(archive, ["app", "app-"]).message).toBe("app is both asked for and refused");
    expect(failure(archive, ["app=1.0", "app=1.1"]).message).toBe(
      "app is asked for in two versions, 1.0 and 1.1",
    );
    expect(versions(["app", "app/trixie"])).toEqual(["app 1.0", "lib 1.0"]);
  });

  it("does not exist in every suite and version", () => {
    expect(failure(archive, ["app=9"])).toMatchObject({
      message: "there is no version 9 of app",
      hint: "trixie-backports has 2.0~bpo, trixie-security has 1.1, trixie has 1.0",
    });
    expect(failure(archive, ["app/bookworm"]).message).toBe("there is no package app in bookworm");
  });

  it("names the version to ask for where another one is taken", () => {
    const needy = candidate("needy", { depends: "lib (<< 1.1)" });
    expect(failure([...archive, needy], ["needy"])).toMatchObject({
      message: "needy needs lib (<< 1.1), but lib 1.0 of trixie is passed over for 1.1 of trixie-security",
      hint: "ask for lib=1.0",
    });
    const { packages } = resolved([...archive, needy], ["needy", "lib=1.0"]);
    expect(packages.map(({ version }) => version)).toEqual(["1.0", "1.0"]);
  });
});

describe("a choice that comes to nothing", () => {
  it("is taken back with all that was chosen for it", () => {
    const archive = [
      candidate("app", { depends: "good-looking | plain" }),
      candidate("good-looking", { depends: "helper, gone" }),
      candidate("helper"),
      candidate("plain"),
    ];
    expect(names(archive, ["app"]).sort()).toEqual(["app", "plain"]);
  });

  it("gives way where only another choice leaves room for the request", () => {
    const archive = [
      candidate("one", { depends: "left | right" }),
      candidate("two", { depends: "middle" }),
      candidate("left", { depends: "deep" }),
      candidate("deep", { conflicts: "rare" }),
      candidate("right"),
      candidate("middle", { depends: "rare | rarer" }),
      candidate("rare"),
      candidate("rarer", { conflicts: "two" }),
    ];
    expect(names(archive, ["one", "two"]).sort()).toEqual(["middle", "one", "rare", "right", "two"]);
  });
});

describe("any small archive", () => {
  const letters = ["aa", "bb", "cc", "dd", "ee", "ff", "gg", "hh"];

  it("has an answer exactly where one of all subsets of its packages is one", () => {
    const random = randomOf(20_240_601);
    let found = 0;
    for (let round = 0; round < 600; round += 1) {
      const archive = letters.map((name) => {
        const some = (most: number) => Array.from({ length: random(most + 1) }, () => letters[random(8)]!);
        const depends = some(2).map((first) => [first, ...some(2)].join(" | "));
        return candidate(name, { depends: depends.join(", "), conflicts: some(1).join(", ") });
      });
      const install = [letters[random(8)]!, letters[random(8)]!];
      const possible = subsets(letters).some(
        (set) => install.every((name) => set.includes(name)) && isSound(archive, set),
      );
      const shown = archive.map((one) => `${one.name}: ${one.depends}; not ${one.conflicts}`).join("\n");
      if (possible) expect(isSound(archive, names(archive, install)), `${install}\n${shown}`).toBe(true);
      else expect(failure(archive, install).message.length, `${install}\n${shown}`).toBeGreaterThan(10);
      if (possible) found += 1;
    }
    expect(found).toBeGreaterThan(100);
    expect(found).toBeLessThan(500);
  });
});

/** Written apart from the resolver: every dependency has one of its alternatives, and nobody's enemy is there. */
function isSound(archive: readonly Candidate[], set: readonly string[]): boolean {
  const list = (text: string, by: string) => text.split(by).filter((one) => one !== "");
  return archive.every(
    ({ name, depends, conflicts }) =>
      !set.includes(name) ||
      (list(depends, ", ").every((any) => any.split(" | ").some((one) => set.includes(one))) &&
        list(conflicts, ", ").every((one) => one === name || !set.includes(one))),
  );
}

function subsets(all: readonly string[]): string[][] {
  return Array.from({ length: 2 ** all.length }, (_none, bits) =>
    all.filter((_one, index) => bits & (1 << index)),
  );
}

/** The same numbers in every run (a linear congruential generator). */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return Math.floor((state / 0x80000000) * below);
  };
}

describe("order and bootstrap set", () => {
  const archive = [
    candidate("bash", { essential: true, preDepends: "libc6", depends: "base-files" }),
    candidate("libc6", { depends: "libgcc" }),
    candidate("libgcc", { depends: "libc6" }),
    candidate("base-files", { essential: true }),
    candidate("app", { depends: "lib" }),
    candidate("lib"),
    candidate("mount", { priority: "required" }),
  ];
  const result = resolved(archive, ["app"]);
  const order = result.packages.map((one) => one.name);

  it("puts dependencies before dependents, though there is a cycle", () => {
    const comesBefore = (a: string, b: string) => expect(order.indexOf(a)).toBeLessThan(order.indexOf(b));
    comesBefore("libc6", "bash");
    comesBefore("libgcc", "bash");
    comesBefore("base-files", "bash");
    comesBefore("lib", "app");
    expect(new Set(order).size).toBe(order.length);
  });

  it("begins with the Essential packages and what they lead to, and only these are the bootstrap set", () => {
    expect([...result.bootstrap].sort()).toEqual(["base-files", "bash", "libc6", "libgcc"]);
    expect(new Set(order.slice(0, 4))).toEqual(result.bootstrap);
  });

  it("does not depend on the order of the indices", () => {
    const turned = resolved([...archive].reverse(), ["app"]);
    expect(turned.packages).toEqual(result.packages);
  });

  it("marks what the definition named, virtual names by their provider", () => {
    const provider = candidate("postfix", { provides: "mta" });
    const { requested } = resolved([...archive, provider], ["app", "mta"]);
    expect([...requested].sort()).toEqual(["app", "postfix"]);
  });
});

describe("what cannot be", () => {
  it("is told as a chain from the definition to the dependency that fails", () => {
    const archive = [
      candidate("web", { depends: "app" }),
      candidate("app", { depends: "lib (>= 2) | newlib" }),
      candidate("lib", { version: "1.5" }),
    ];
    const fail = failure(archive, ["web"]);
    expect(fail.message).toBe(
      "web needs app; app needs lib (>= 2) | newlib, none of which any suite has: trixie has lib 1.5",
    );
    expect(fail.hint).toBeDefined();
  });

  it("names the chosen package that excludes the dependency", () => {
    const archive = [
      candidate("app", { depends: "lib" }),
      candidate("lib"),
      candidate("foe", { breaks: "lib" }),
    ];
    expect(failure(archive, ["foe", "app"]).message).toBe("app needs lib, but foe breaks lib");
  });

  it("names packages that are nearly called so", () => {
    const fail = failure([candidate("nginx"), candidate("nginx-full")], ["ngnix"]);
    expect(fail.message).toBe("there is no package ngnix in trixie");
    expect(fail.hint).toBe("did you mean nginx?");
  });
});
