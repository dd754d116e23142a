import { mkdirSync, readdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { btrfsSubvolumes } from "../../../../src/steps/disk/btrfs-subvolumes.ts";
import { fakeMachine } from "../../../helpers/fakes/fake-machine.ts";
import { type Answers, stepBench } from "../../../helpers/fakes/step-bench.ts";

/** A btrfs on two disks, in which `there` are the names that it has. */
function bench(there: readonly string[] = [], answers: Answers = {}) {
  const made = fakeMachine();
  const [device, other] = ["vda", "vdb"].map((name) => ({ disk: made.disk(name, 2 ** 20) }));
  let where = "";
  const { context, asked, options } = stepBench({
    machine: made.machine,
    answers: {
      mount: (argv) => {
        where = argv.at(-1)!;
        for (const name of there) mkdirSync(join(where, name));
      },
      umount: () => {
        for (const name of there) rmdirSync(join(where, name));
      },
      ...answers,
    },
  });
  const run = async (names: string[]) =>
    await btrfsSubvolumes.run({ device: device!, others: [other!], names }, context);
  return { ...made, asked, options, run, where: () => where };
}

describe("btrfs-subvolumes", () => {
  it("makes them on the filesystem's top, with all its members, and unmounts it", async () => {
    const { run, asked, options, machine, where } = bench();
    await run(["@", "@home"]);
    const [vda, vdb] = ["vda", "vdb"].map((name) => join(machine.dev, name));
    expect(asked).toEqual([
      `mount -t btrfs -o subvolid=5,device=${vdb} ${vda} ${where()}`,
      `btrfs subvolume create ${where()}/@`,
      `btrfs subvolume create ${where()}/@home`,
      `umount ${where()}`,
    ]);
    expect(where()).toBe(join(machine.run, "imgbuild/btrfs-subvolumes"));
    expect(readdirSync(join(machine.run, "imgbuild"))).toEqual([]);
    expect(options).toEqual(Array(4).fill({ timeoutMs: 600_000 }));
  });

  it("makes those that are there anew, and leaves the others", async () => {
    const { run, asked, where, options } = bench(["@", "@kept"]);
    await run(["@"]);
    expect(asked.slice(1, -1)).toEqual([
      `btrfs subvolume delete --recursive --commit-after ${where()}/@`,
      `btrfs subvolume create ${where()}/@`,
    ]);
    expect(options).toEqual(Array(4).fill({ timeoutMs: 600_000 }));
  });

  it("unmounts it when one cannot be made", async () => {
    const { run, asked, machine } = bench([], { "btrfs subvolume create": new Error("no space") });
    await expect(run(["@"])).rejects.toThrow("no space");
    expect(asked.at(-1)).toMatch(/^umount /);
    expect(readdirSync(join(machine.run, "imgbuild"))).toEqual([]);
  });

  it.each(["", ".", "..", "a/b", "../x", "@/x", "a b"])("takes %j for no name", (name) => {
    const device = { disk: { name: "d", serial: "s", sizeBytes: 1 } };
    expect(btrfsSubvolumes.schema.safeParse({ device, names: [name] }).success).toBe(false);
  });
});
