import { closeSync, lstatSync, openSync, readFileSync, truncateSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { verityBytes, verityProblem } from "../../../../src/disks/verity.ts";
import { makeVerity, verityOf, withBoth } from "../../../../src/steps/boot/make-verity.ts";
import { fakeMachine } from "../../../helpers/fake-machine.ts";
import { stepBench } from "../../../helpers/step-bench.ts";

const mib = 2 ** 20;
const dataBytes = 2 * mib;

function bench(treeBytes = verityBytes(dataBytes)) {
  const made = fakeMachine();
  const parts = [
    { number: 1, startBytes: mib, sizeBytes: dataBytes },
    { number: 2, startBytes: 4 * mib, sizeBytes: treeBytes },
  ] as const;
  const disk = made.disk("vda", 8 * mib, parts);
  const path = (number: number) => join(made.machine.dev, `vda${number}`);
  const write = (number: number, at: number, text: string) => {
    const file = openSync(path(number), "r+");
    writeSync(file, text, at);
    closeSync(file);
  };
  write(1, 5_000, "content");
  const file = join(made.dir, "run/deep/root-hash");
  const plan = {
    ...{ data: made.part(disk, parts[0]), tree: made.part(disk, parts[1]) },
    ...{ uuid: "2f6c1a34-8e0d-4b57-9a21-c3d4e5f60718", salt: "ab".repeat(32), file },
  };
  const one = stepBench({ machine: made.machine });
  return {
    ...made,
    ...one,
    plan,
    file,
    path,
    write,
    make: async () => await makeVerity.run(plan, one.context),
  };
}

describe("make-verity", () => {
  it("writes digests that vouch for its data, and hands the root hash on in memory", async () => {
    const { make, plan, file, said, machine, write } = bench();
    await make();
    const hash = readFileSync(file, "utf8").trim();
    expect(hash).toMatch(/^[0-9a-f]{64}$/);
    expect(lstatSync(dirname(file)).mode & 0o777).toBe(0o700);
    expect(said).toEqual([`info root hash ${hash}`]);
    const problem = async () =>
      await withBoth(plan, machine, "r", (data, tree) => verityProblem(verityOf(plan), hash, data, tree));
    expect(await problem()).toBeUndefined();
    write(1, 100, "!");
    expect(await problem()).toBeDefined();
  });

  it("takes a partition that is just large enough, and refuses a smaller one before it writes", async () => {
    const small = bench(verityBytes(dataBytes) - 512);
    await expect(small.make()).rejects.toThrow(
      `the digests of the root take ${verityBytes(dataBytes)} bytes; their partition has ${verityBytes(dataBytes) - 512}`,
    );
    expect(readFileSync(small.path(2)).every((byte) => byte === 0)).toBe(true);
  });

  it("refuses data that cannot be read to its end", async () => {
    const { make, plan, path } = bench();
    truncateSync(path(1), dataBytes - 4096);
    await expect(make()).rejects.toThrow(/^only \d+ of \d+ bytes could be read at \d+$/);
    expect(verityOf({ ...plan, data: { ...plan.data, sizeBytes: 4096 * 3 + 100 } }).dataBlocks).toBe(3);
  });

  it("does not write where it only looks", async () => {
    const { plan, machine } = bench();
    const write = withBoth(plan, machine, "r", async (_data, tree) => await tree.write(0, Buffer.from("x")));
    await expect(write).rejects.toThrow("EBADF");
    const data = withBoth(plan, machine, "r+", async (from) => await from.write(0, Buffer.from("x")));
    await expect(data).rejects.toThrow("EBADF");
  });
});
