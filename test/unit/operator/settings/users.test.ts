import { describe, expect, it } from "vitest";
import { configureSteps } from "../../../../src/operator/plan/configure.ts";
import { Spec, type SpecInput } from "../../../../src/schema/spec.ts";
import { written, wrongIn } from "../../../helpers/builders/settings.ts";

const hashedPassword = "$y$j9T$aaaa$bbbb";

describe("a user", () => {
  it("may linger, by a file that logind looks for", () => {
    expect(written({ users: { ann: { lingering: true }, bob: { lingering: false }, eve: {} } })).toEqual({
      "/var/lib/systemd/linger/ann": "",
    });
    expect(wrongIn({ users: { ann: { lingering: true } } })).toEqual([
      "users.ann.lingering: needs the package `libpam-systemd` in packages.install",
    ]);
  });

  it("needs a password where sudo asks for it", () => {
    const packages = { install: ["sudo"] };
    expect(wrongIn({ packages, users: { ann: { sudo: "password" } } })).toEqual([
      "users.ann.sudo: asks for a password; needs `hashedPassword` or `hashedPasswordSecret`",
    ]);
    expect(wrongIn({ packages, users: { ann: { sudo: "password", hashedPassword } } })).toEqual([]);
    expect(wrongIn({ users: { ann: { sudo: "password", hashedPassword } } })).toEqual([
      "users.ann.sudo: needs the package `sudo` in packages.install",
    ]);
  });

  it.each<[object, string]>([
    [{ ann: { sudo: "yes" } }, "users.ann.sudo: "],
    [{ ann: { home: "home/ann" } }, "users.ann.home: "],
    [{ ann: { home: "/home/a:b" } }, "users.ann.home: "],
    [{ ann: { home: { mode: "700" } } }, "users.ann.home.mode: "],
    [{ root: { home: "/home/root" } }, "users.root.home: of root is /root and cannot be another"],
    [{ ann: { subuid: { start: 1000, count: 1 } } }, "users.ann.subuid.start: "],
    [{ ann: { subuid: { start: 100_000, count: 0 } } }, "users.ann.subuid.count: "],
    [{ ann: { subgid: { start: 4_294_967_000, count: 65_536 } } }, "users.ann.subgid: "],
  ])("refuses %j", (users, why) => {
    expect(wrongIn({ users })).toEqual([expect.stringContaining(why)]);
  });

  it("has ids of its own, and both users are named if not", () => {
    const ann = { subuid: { start: 100_000, count: 65_536 } };
    const bob = { subuid: { start: 165_535, count: 1 }, subgid: { start: 100_000, count: 1 } };
    expect(wrongIn({ users: { ann, bob } })).toEqual([
      "users.ann.subuid: has ids of `bob` too; use others",
      "users.bob.subuid: has ids of `ann` too; use others",
    ]);
    expect(wrongIn({ users: { ann, bob: { subuid: { start: 165_536, count: 1 } } } })).toEqual([]);
  });

  it("is planned with home and ids, and as before where none of it is said", () => {
    const planned = (users: SpecInput["users"]) => {
      const [step] = configureSteps(Spec.parse({ hostname: "x", users }), {
        epoch: 1,
        storage: { files: [], directories: [] },
        mirrors: {},
        packages: new Set(),
        files: { files: new Map(), links: [] },
        identity: "deploy",
      }).filter(({ kind }) => kind === "make-users");
      return (step as unknown as { users: object[] }).users[0];
    };
    const usual = { name: "ann", comment: "", shell: "/bin/bash", groups: [], sudo: false, keys: [] };
    const subuid = { start: 100_000, count: 65_536 };
    expect(planned({ ann: {} })).toEqual(usual);
    expect(planned({ ann: { lingering: true } })).toEqual(usual);
    expect(planned({ ann: { home: "/srv/ann", subuid } })).toEqual({
      ...{ ...usual, home: { path: "/srv/ann" }, subuid },
    });
    expect(planned({ ann: { home: { mode: "0700" } } })).toEqual({ ...usual, home: { mode: "0700" } });
  });
});
