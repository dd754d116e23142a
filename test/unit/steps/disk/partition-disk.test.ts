import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { z } from "zod";
import { partitionDisk } from "../../../../src/steps/disk/partition-disk.ts";
import { fakeMachine } from "../../../helpers/fakes/fake-machine.ts";
import { stepBench } from "../../../helpers/fakes/step-bench.ts";

const mib = 2 ** 20;
const sizeBytes = 16 * mib;
const old = { number: 1, startBytes: 2 * mib, sizeBytes: 3 * mib };
const word = Buffer.from("signature");

/** A disk full of words, one in each 4 KiB. */
function bench() {
  const made = fakeMachine();
  const disk = made.disk("vda", sizeBytes, [old]);
  const path = join(made.machine.dev, "vda");
  const file = openSync(path, "r+");
  for (let at = 0; at < sizeBytes; at += 4096) writeSync(file, word, 0, word.length, at);
  closeSync(file);
  const { context, asked, options } = stepBench({ machine: made.machine });
  const run = async (more: Partial<z.input<typeof partitionDisk.schema>> = {}) =>
    await partitionDisk.run(partitionDisk.schema.parse({ disk, script: "label: gpt\n", ...more }), context);
  const words = () => {
    const content = readFileSync(path);
    return Array.from({ length: sizeBytes / mib }, (_none, index) =>
      content.subarray(index * mib, (index + 1) * mib).includes(word),
    );
  };
  return { ...made, disk, path, asked, options, run, words };
}

describe("partition-disk", () => {
  it("clears the places of signatures of the disk, of what it had and of what it gets, then writes the table", async () => {
    const { run, words, asked, options, path } = bench();
    await run({ made: [{ startBytes: 8 * mib, sizeBytes: 4 * mib }] });
    const cleared = words().flatMap((left, at) => (left ? [] : [at]));
    // First and last MiB of each: the disk, 2 to 5, 8 to 12.
    expect(cleared).toEqual([0, 2, 4, 8, 11, 15]);
    expect(asked).toEqual([
      `sfdisk --quiet --wipe always --wipe-partitions never ${path}`,
      "udevadm settle --timeout=60",
    ]);
    expect(options).toEqual([{ stdin: "label: gpt\n" }, { timeoutMs: 90_000 }]);
  });

  it("writes not a byte of what is kept, and has sfdisk wipe nothing either", async () => {
    const { run, words, asked, path } = bench();
    const kept = [{ startBytes: old.startBytes, sizeBytes: old.sizeBytes }];
    const content = readFileSync(path);
    await run({ kept });
    expect(words().every((left) => left)).toBe(true);
    expect(readFileSync(path).equals(content)).toBe(true);
    expect(asked[0]).toBe(`sfdisk --quiet --wipe never --wipe-partitions never ${path}`);
  });

  it.each([
    ["something stacked on it", "sys/block/vda/vda1/holders/dm-0/dev", "253:0", "is in use by dm-0"],
    ["a mount", "proc/self/mounts", "DEV/vda1 /srv ext4 rw 0 0\n", "vda1 is mounted or swap"],
    ["swap", "proc/swaps", "Filename Type\nDEV/vda partition 1 0 -2\n", "vda is mounted or swap"],
  ])("refuses a disk with %s, and writes nothing", async (_what, file, content, message) => {
    const { run, put, machine, path, asked } = bench();
    put(file, content.replace("DEV", machine.dev));
    const before = readFileSync(path);
    await expect(run()).rejects.toThrow(message);
    expect([asked, readFileSync(path).equals(before)]).toEqual([[], true]);
  });

  it("refuses a disk that is another one now", async () => {
    const { run, put } = bench();
    put("sys/block/vda/serial", "OTHER\n");
    await expect(run()).rejects.toThrow("disk the-vda (serial VDA, 16777216 bytes) is not there");
  });
});
