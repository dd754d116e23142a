import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { StepData } from "../../src/schema/plan.ts";
import { Storage } from "../../src/schema/storage.ts";
import { storageSteps } from "../../src/storage/plan/storage-steps.ts";
import { laidOn } from "../../src/storage/size/fit.ts";
import { roomsOf } from "../../src/storage/size/room.ts";
import { cacheRoot } from "../../src/system/files/cache.ts";
import { plainLog } from "../../src/util/log.ts";
import { blankAll, epoch, inBase, makeRack, mib, placed } from "../helpers/builders/ladder.ts";
import { root } from "../helpers/builders/storage.ts";

const options = {
  cache: cacheRoot(process.env),
  env: process.env,
  log: plainLog(process.stderr, Date.now),
  signal: new AbortController().signal,
};
const vmMs = 3_600_000;
const pv = { type: "lvm-pv", group: "vg" };
const md = { type: "md-member", array: "md" };

/** A root on the first disk, and on all of them a partition with this. */
function onAll(content: object, more: object): object {
  const all = { name: "all", type: "linux", size: "rest", content };
  const disks = [[{ ...root, size: "128MiB" }, all], [all], [all]].map((partitions, index) => [
    `d${index}`,
    { match: { serial: `D${index}` }, table: { type: "gpt", partitions } },
  ]);
  return { disks: Object.fromEntries(disks), ...more };
}

/** Each has one volume of all that there is, by the size that is counted for it. */
const volumes: readonly [name: string, of: (size: string | number) => object][] = [
  ["raid1", (size) => onAll(pv, { volumeGroups: { vg: { volumes: { x: { kind: "raid1", size } } } } })],
  [
    "striped",
    (size) => onAll(pv, { volumeGroups: { vg: { volumes: { x: { kind: "striped", over: 3, size } } } } }),
  ],
  [
    "thin-pool",
    (size) => onAll(pv, { volumeGroups: { vg: { volumes: { x: { kind: "thin-pool", size } } } } }),
  ],
  ...([0, 1, 5, 10] as const).map((level): [string, (size: string | number) => object] => [
    `linear on md ${level}`,
    (size) =>
      onAll(md, {
        arrays: { md: { level, content: pv } },
        volumeGroups: { vg: { volumes: { x: { size } } } },
      }),
  ]),
];

it(
  "storage-room: what is counted as room for a volume or on an array can be had of LVM and md",
  async () => {
    const directory = mkdtempSync(join(tmpdir(), "imgbuild-room-"));
    try {
      const rack = await makeRack(directory, [1536, 1024, 768]);
      const steps: StepData[] = [];
      for (const [name, of] of volumes) {
        const whole = Storage.parse(of("rest"));
        const disks = placed(whole, rack);
        const counted = roomsOf(whole, laidOn(whole, disks)).held.get("volume vg/x")!.bytes;
        expect(counted, name).toBeGreaterThan(500 * mib);
        const made = storageSteps(Storage.parse(of(counted)), disks, name, epoch);
        steps.push(...made.prepare(), ...made.create, ...made.close, ...blankAll(rack));
      }
      expect((await inBase(rack, { steps }, new Map(), options)).outcome).toBe("done");
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  },
  vmMs,
);
