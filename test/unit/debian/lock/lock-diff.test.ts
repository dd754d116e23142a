import { describe, expect, it } from "vitest";
import { formatLock, parseLock } from "../../../../src/debian/lock/lock.ts";
import { diffLocks } from "../../../../src/debian/lock/lock-diff.ts";
import { lockedPackage, lockOf } from "../../../helpers/builders/lock.ts";

describe("diffLocks", () => {
  it("tells what came, went and changed, by source package", () => {
    const old = lockOf([
      lockedPackage("libssl3t64", "3.5.1-1", { source: "openssl" }),
      lockedPackage("openssl", "3.5.1-1"),
      lockedPackage("g++", "4:14.2.0-1", { source: "gcc-defaults (1.220)" }),
      lockedPackage("b1", "1.10"),
      lockedPackage("c1", "1"),
      lockedPackage("same", "1"),
      lockedPackage("bpo", "1"),
    ]);
    const fixed = { archive: "debian-security", suite: "trixie-security" };
    const fresh = lockOf([
      lockedPackage("libssl3t64", "3.5.1-1+deb13u1", { source: "openssl", ...fixed }),
      lockedPackage("openssl", "3.5.1-1+deb13u1", fixed),
      lockedPackage("openssl-provider-legacy", "3.5.1-1+deb13u1", { source: "openssl", ...fixed }),
      lockedPackage("g++", "4:14.2.0-2", { source: "gcc-defaults (1.221)" }),
      lockedPackage("d1", "3", { archive: "vendor", suite: "stable" }),
      lockedPackage("b1", "1.9"),
      lockedPackage("same", "1", { sha256: "b".repeat(64) }),
      lockedPackage("bpo", "2~bpo13+1", { suite: "trixie-backports" }),
    ]);
    expect(diffLocks(old, fresh)).toEqual([
      "DOWN b1 1.10 → 1.9",
      "bpo 1 → 2~bpo13+1 (backports)",
      "- c1 1",
      "+ d1 3 (vendor)",
      "gcc-defaults 4:14.2.0-1 → 4:14.2.0-2: g++",
      "openssl 3.5.1-1 → 3.5.1-1+deb13u1 (security): libssl3t64, openssl",
      "+ openssl 3.5.1-1+deb13u1 (security): openssl-provider-legacy",
      "same 1 has another content",
    ]);
  });

  it("says nothing of a first or an equal lock", () => {
    const lock = lockOf([lockedPackage("a1", "1.0")]);
    expect(diffLocks(undefined, lock)).toEqual([]);
    expect(diffLocks(lock, parseLock(formatLock(lock)))).toEqual([]);
  });
});
