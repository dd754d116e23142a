import { describe, expect, it } from "vitest";
import { entryOf, superblockOf, writeLog } from "../../helpers/builders/write-log.ts";
import { logEntries } from "../../helpers/cut/write-log.ts";

const sector = Buffer.alloc(512, 7);

function entries(log: Buffer) {
  const read = (offset: number, length: number) => Buffer.from(log.subarray(offset, offset + length));
  return [...logEntries(read, log.length)];
}

describe("a log of writes", () => {
  it("gives writes, flushes, discards and marks in order, and says where their data is", () => {
    const log = writeLog([
      { type: "write", offset: 1024, data: Buffer.concat([sector, sector]) },
      { type: "flush" },
      { type: "discard", offset: 4096, length: 8192 },
      { type: "mark", text: "done" },
    ]);
    const found = entries(log);
    expect(found).toEqual([
      { kind: "write", offset: 1024, length: 1024, dataAt: 1024, fua: false, flush: false, end: 2048 },
      { kind: "flush", end: 2560 },
      { kind: "discard", offset: 4096, length: 8192, end: 3072 },
      { kind: "mark", text: "done", end: 4096 },
    ]);
    expect(log.subarray(1024, 1536)).toEqual(sector);
  });

  it("knows a write that is flushed itself", () => {
    const log = Buffer.concat([
      superblockOf({ entries: 1n }),
      entryOf({ sector: 0n, sectors: 1n, flags: 3n }),
      sector,
    ]);
    expect(entries(log)).toMatchObject([{ kind: "write", fua: true, flush: true }]);
  });

  const write = entryOf({ sector: 0n, sectors: 1n });
  it.each<[string, Buffer, RegExp]>([
    ["another magic number", superblockOf({ magic: 1n }), /magic number/],
    ["another version", superblockOf({ version: 2n }), /version 2; 1 is read/],
    ["sectors that are none", superblockOf({ sector: 513 }), /sectors of 513 bytes/],
    ["less than a sector", Buffer.alloc(100), /not 100 bytes/],
    ["an entry too few", superblockOf({ entries: 1n }), /ends within entry 0 of 1/],
    [
      "data that is cut off",
      Buffer.concat([superblockOf({ entries: 1n }), write]),
      /within the data of entry 0/,
    ],
    [
      "flags that are not known",
      Buffer.concat([superblockOf({ entries: 1n }), entryOf({ flags: 16n })]),
      /flags 16/,
    ],
    [
      "an entry that does nothing",
      Buffer.concat([superblockOf({ entries: 1n }), entryOf({})]),
      /does nothing/,
    ],
    [
      "a place beyond any disk",
      Buffer.concat([superblockOf({ entries: 1n }), entryOf({ sector: 2n ** 40n })]),
      /says/,
    ],
  ])("is refused with %s", (_what, log, why) => {
    expect(() => entries(log)).toThrow(why);
  });
});
