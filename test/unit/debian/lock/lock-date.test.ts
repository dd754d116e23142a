import { describe, expect, it } from "vitest";
import { formatLock, parseLock } from "../../../../src/debian/lock/lock.ts";
import { epochOf, withDateOf } from "../../../../src/debian/lock/lock-date.ts";
import { Lock } from "../../../../src/schema/lock.ts";
import { lockOf, serverSpec } from "../../../helpers/builders/deployable.ts";

const old = lockOf(serverSpec());
const [index] = old.indices;
const newer = "2025-09-07T00:00:00.000Z";
const fresh = (packages: Lock["packages"]) =>
  Lock.parse({ ...old, packages, indices: [index, { ...index, date: newer }] });
const [first, ...others] = old.packages;

describe("epochOf", () => {
  it("is the newest index's date in seconds, but for a lock that has a date of its own", () => {
    expect(epochOf(old)).toBe(Date.parse("2025-09-06T08:15:00Z") / 1000);
    expect(epochOf(fresh(old.packages))).toBe(Date.parse(newer) / 1000);
    expect(epochOf({ ...fresh(old.packages), date: "2025-09-06T12:00:00.000Z" })).toBe(
      Date.parse("2025-09-06T12:00:00Z") / 1000,
    );
  });
});

describe("withDateOf", () => {
  it("keeps the date where packages are added or taken out, over any number of locks and the file", () => {
    const added = { ...first!, name: "added", sha256: "e".repeat(64) };
    const one = withDateOf(old, fresh([...old.packages, added]));
    expect(epochOf(one)).toBe(epochOf(old));
    const read = parseLock(formatLock(one));
    expect(epochOf(withDateOf(read, fresh(others)))).toBe(epochOf(old));
  });

  it("takes the new one where a package has another version, and where there was no lock", () => {
    const changed = [{ ...first!, sha256: "f".repeat(64) }, ...others];
    expect(epochOf(withDateOf(old, fresh(changed)))).toBe(Date.parse(newer) / 1000);
    expect(epochOf(withDateOf(undefined, fresh(old.packages)))).toBe(Date.parse(newer) / 1000);
    expect(withDateOf(old, old)).toBe(old);
  });
});
