import { lstatSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { verityBytes } from "../../../../src/disks/verity.ts";
import { makeVerity, verityProblem } from "../../../../src/steps/boot/make-verity.ts";
import { fakeMachine } from "../../../helpers/fakes/fake-machine.ts";
import { type Answers, stepBench } from "../../../helpers/fakes/step-bench.ts";

const mib = 2 ** 20;
const dataBytes = 2 * mib;
const hash = "0f".repeat(32);
const says = { "veritysetup format": { stdout: `UUID:            \t2f6c\nRoot hash:      \t${hash}\n` } };

function bench(answers: Answers = says, treeBytes = verityBytes(dataBytes)) {
  const made = fakeMachine();
  const parts = [
    { number: 1, startBytes: mib, sizeBytes: dataBytes },
    { number: 2, startBytes: 4 * mib, sizeBytes: treeBytes },
  ] as const;
  const disk = made.disk("vda", 8 * mib, parts);
  const file = join(made.dir, "run/deep/root-hash");
  const plan = {
    ...{ data: made.part(disk, parts[0]), tree: made.part(disk, parts[1]) },
    ...{ uuid: "2f6c1a34-8e0d-4b57-9a21-c3d4e5f60718", salt: "ab".repeat(32), file },
  };
  const step = stepBench({ machine: made.machine, answers });
  const at = (number: number) => join(made.machine.dev, `vda${number}`);
  return {
    ...step,
    plan,
    file,
    at,
    devices: `${at(1)} ${at(2)}`,
    make: async () => await makeVerity.run(plan, step.context),
  };
}

describe("make-verity", () => {
  it("has veritysetup write the digests, and hands the root hash on in memory", async () => {
    const { make, file, said, asked, plan, devices } = bench();
    await make();
    expect(asked).toEqual([
      `veritysetup format --format=1 --hash=sha256 --salt=${plan.salt} --uuid=${plan.uuid} --data-block-size=4096 --hash-block-size=4096 --data-blocks=512 ${devices}`,
    ]);
    expect(readFileSync(file, "utf8")).toBe(`${hash}\n`);
    expect(lstatSync(dirname(file)).mode & 0o777).toBe(0o700);
    expect(said).toEqual([`info root hash ${hash}`]);
  });

  it("refuses a partition that is too small before it writes", async () => {
    const { make, asked } = bench(says, verityBytes(dataBytes) - 512);
    await expect(make()).rejects.toThrow(
      `the digests of the root take ${verityBytes(dataBytes)} bytes; their partition has ${verityBytes(dataBytes) - 512}`,
    );
    expect(asked).toEqual([]);
  });

  it("hands on nothing where no root hash is named", async () => {
    const { make, file } = bench({ "veritysetup format": { stdout: "Root hash: none\n" } });
    await expect(make()).rejects.toThrow("veritysetup names no root hash:\nRoot hash: none");
    expect(() => readFileSync(file)).toThrow("ENOENT");
  });
});

describe("verityProblem", () => {
  it.each<[string, (at: (number: number) => string, file: string) => void]>([
    ["a filesystem that was mounted to be written", (at) => change(at(1), 1100)],
    ["a superblock of another making", (at) => change(at(2), 17)],
    ["digests that were changed", (at) => change(at(2), 2 * 4096)],
    ["another root hash", (_at, file) => writeFileSync(file, `${"00".repeat(32)}\n`)],
  ])("tells %s", async (_what, damage) => {
    const { make, plan, file, context, at } = bench();
    await make();
    expect(await verityProblem(plan, context.machine)).toBeUndefined();
    damage(at, file);
    expect(await verityProblem(plan, context.machine)).toMatch(/has changed since/);
  });
});

function change(path: string, position: number): void {
  const bytes = readFileSync(path);
  bytes[position]! ^= 1;
  writeFileSync(path, bytes);
}
