import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cacheRoot } from "../../src/system/files/cache.ts";
import { openLab, type TestLab } from "../../src/testing/index.ts";
import { silentLog } from "../../src/util/log.ts";
import { bootState } from "../helpers/cut/boot-state.ts";
import { countCuts, rowOf } from "../helpers/cut/count-cuts.ts";
import { type Cuts, judgeCuts } from "../helpers/cut/cuts.ts";
import { type Host, recordOver } from "../helpers/cut/recorded.ts";

const seed = Number(process.env.IMGBUILD_SEED ?? "1");
/** These are judged by their bytes: such a system may well start, with something missing in it. */
const notBooted = /root filesystem|filesystems/;

const cases: readonly [firmware: "bios" | "uefi", host: Host][] = [
  ["bios", "stock"],
  ["bios", "own"],
  ["uefi", "stock"],
  ["uefi", "own"],
];

describe.each(cases)("cut-%s-%s:", (firmware, host) => {
  let made: Awaited<ReturnType<typeof recordOver>>;
  let cuts: Cuts;
  let lab: TestLab;
  beforeAll(async () => {
    lab = await openLab();
    made = await recordOver(host, firmware, {
      ...{ cache: cacheRoot(process.env), env: process.env, log: silentLog, hasPlace: true },
      signal: new AbortController().signal,
    });
    cuts = judgeCuts(made.recording, { firmware, seed, baseKernel: made.recording.baseKernel });
  });
  afterAll(async () => {
    await made?.close();
    await lab?.close();
  });

  it(`every state is old, base, new or dead, and dead only until the base is there (seed ${seed})`, () => {
    const counted = countCuts(cuts, made.recording);
    console.log(rowOf(`cut-${firmware}-${host}`, counted));
    for (const { count, verdict, why } of cuts.classes) console.log(`${count} ${verdict}: ${why}`);
    expect(counted.order).toEqual(["old", "dead", "base", "new"]);
    expect(counted.deadLater).toBe(0);
  });

  it("a machine in a state of each class starts as it was judged", async () => {
    const wrong: string[] = [];
    for (const [index, one] of cuts.classes.filter(({ why }) => !notBooted.test(why)).entries()) {
      const how = { firmware, host, name: `cut-${one.verdict}-${index}` };
      const problem = await bootState(lab, one, made.recording, how);
      console.log(
        `${one.verdict}, ${one.why} (${one.example.kind} ${one.example.entry}): ${problem ?? "as judged"}`,
      );
      if (problem !== undefined) wrong.push(`${one.verdict}, ${one.why}: ${problem}`);
    }
    expect(wrong).toEqual([]);
  });
});
