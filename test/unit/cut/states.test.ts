import { describe, expect, it } from "vitest";
import { DiskView } from "../../helpers/cut/disk-view.ts";
import { randomFrom } from "../../helpers/cut/random.ts";
import { setsOf, tearsOf, walkOf } from "../../helpers/cut/states.ts";
import type { LogEntry } from "../../helpers/cut/write-log.ts";

const write = (offset: number, length = 512): Extract<LogEntry, { kind: "write" }> => ({
  ...{ kind: "write", offset, length, dataAt: 1024 + offset, fua: false, flush: false, end: 0 },
});

describe("what a power cut may leave", () => {
  it("is every set of a few writes that are not flushed, but for those that come by themselves", () => {
    expect(setsOf(["a", "b", "c"], randomFrom(1))).toEqual(
      [["b"], ["a", "c"], ["b", "c"], ["c"]].sort((a, b) => order(a) - order(b)),
    );
  });

  it("is of many writes a bounded number of sets, the same for the same seed", () => {
    const many = Array.from({ length: 300 }, (_, index) => index);
    const sets = setsOf(many, randomFrom(7));
    expect(sets.length).toBeLessThanOrEqual(24);
    expect(sets).toEqual(setsOf(many, randomFrom(7)));
    expect(sets).not.toEqual(setsOf(many, randomFrom(8)));
    expect(sets).toContainEqual([299]);
    expect(sets).toContainEqual(many.slice(1));
  });

  it("tears a write of 4 KiB at every sector, and a long one at a few", () => {
    expect(tearsOf(4096, randomFrom(1))).toEqual([1, 2, 3, 4, 5, 6, 7].map((count) => count * 512));
    const tears = tearsOf(2 ** 20, randomFrom(1));
    expect(tears).toHaveLength(10);
    expect(tears.every((bytes) => bytes > 0 && bytes < 2 ** 20 && bytes % 512 === 0)).toBe(true);
    expect(tearsOf(512, randomFrom(1))).toEqual([]);
  });

  it("takes what is flushed for written, and asks for sets of the rest alone", () => {
    const steps = [...walkOf([write(0), write(512), { kind: "flush", end: 0 }, write(1024)], randomFrom(1))];
    expect(steps.map(({ type }) => type)).toEqual(["wrote", "wrote", "flushed", "wrote", "flushed"]);
    const flushed = steps.flatMap((step) => (step.type === "flushed" ? [step] : []));
    expect(flushed[0]!.sets).toEqual([[write(512)]]);
    expect(flushed[1]!.sets).toEqual([]);
  });
});

describe("a view of a disk", () => {
  const view = () =>
    new DiskView({
      size: 4096,
      disk: (_offset, length) => Buffer.alloc(length, "o"),
      log: (offset, length) => Buffer.alloc(length, offset >= 1536 ? "2" : "1"),
    });
  const shown = (one: DiskView) => [0, 512, 1024].map((at) => one.read(at, 1).toString());

  it("has the old bytes, those of the log, and zeros where they were discarded", () => {
    const one = view();
    one.apply(write(0, 1024));
    expect(shown(one)).toEqual(["1", "2", "o"]);
    one.apply({ kind: "discard", offset: 512, length: 512, end: 0 });
    expect(shown(one)).toEqual(["1", "\0", "o"]);
  });

  it("takes a change back", () => {
    const one = view();
    const back = one.save(write(0, 1024));
    one.apply(write(0, 1024), 512);
    expect(shown(one)).toEqual(["1", "o", "o"]);
    back();
    expect(shown(one)).toEqual(["o", "o", "o"]);
  });

  it("knows what was read of it", () => {
    const one = view();
    one.note();
    one.read(600, 10);
    expect([one.wasSeen([0, 1]), one.wasSeen([1, 2]), one.wasSeen([0, 8])]).toEqual([false, true, true]);
  });

  it("compares bytes, not where they come from", () => {
    const same = new DiskView({
      ...{
        size: 4096,
        disk: (_at: number, length: number) => Buffer.alloc(length),
        log: (_at: number, length: number) => Buffer.alloc(length),
      },
    });
    const other = same.at(Int32Array.from(same.sectors));
    other.apply(write(0));
    expect(other.isSame(same.sectors, [0, 8])).toBe(true);
    const different = view();
    const before = Int32Array.from(different.sectors);
    different.apply(write(0));
    expect(different.isSame(before, [0, 8])).toBe(false);
    expect(different.isSame(before, [1, 8])).toBe(true);
  });
});

function order(set: readonly string[]): number {
  return set.reduce((sum, one) => sum + 2 ** "abc".indexOf(one), 0);
}
