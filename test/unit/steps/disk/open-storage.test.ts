import { existsSync, lstatSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { z } from "zod";
import { leaveGroup, lookAtGroup } from "../../../../src/steps/disk/look-at-group.ts";
import {
  closeArray,
  closeGroup,
  closeLuks,
  hasMapping,
  openArray,
  openGroup,
  openLuks,
} from "../../../../src/steps/disk/open-storage.ts";
import { fakeMachine } from "../../../helpers/fakes/fake-machine.ts";
import { type Answers, stepBench } from "../../../helpers/fakes/step-bench.ts";

const mib = 2 ** 20;
const part = { number: 1, startBytes: mib, sizeBytes: mib };
const uuid = "2f6c1a34-8e0d-4b57-9a21-c3d4e5f60718";
const settle = "udevadm settle --timeout=60";

function bench(answers: Answers = {}) {
  const made = fakeMachine();
  const disk = made.disk("vda", 4 * mib, [part]);
  const bench = stepBench({ machine: made.machine, answers, secrets: { typed: "open\n" } });
  const device = { partition: made.part(disk, part) };
  const [vda, vda1] = ["vda", "vda1"].map((name) => join(made.machine.dev, name)) as [string, string];
  return { ...made, ...bench, device, disk, vda, vda1, members: [device, { disk }] };
}

/** The bounds of what was asked, in minutes. */
const minutes = ({ options }: ReturnType<typeof bench>) =>
  options.map(({ timeoutMs }) => timeoutMs! / 60_000);

describe("open-luks", () => {
  type Input = z.input<typeof openLuks.schema>;
  const open = async (one: ReturnType<typeof bench>, more: Partial<Input> = {}) => {
    const about = { device: one.device, name: "crypt", uuid, secret: "typed", trim: true, discard: false };
    await openLuks.run(openLuks.schema.parse({ ...about, ...more }), one.context);
  };
  const line = "cryptsetup open --type=luks2 --batch-mode --key-file=-";

  it("opens it by its secret, which comes on stdin, and waits until udev is done", async () => {
    const one = bench();
    await open(one);
    expect(one.asked).toEqual(["modprobe --all dm-crypt", `${line} ${one.vda1} crypt`, settle]);
    expect(Buffer.from(one.options[1]!.stdin!).toString()).toBe("open");
    expect(one.options[1]!.hint).toBe("does the secret typed open it?");
    expect(minutes(one)).toEqual([2, 10, 1.5]);
  });

  it.each<[Partial<Input>, (one: ReturnType<typeof bench>) => string]>([
    [{ discard: true }, ({ vda1 }) => `${line} --allow-discards ${vda1} crypt`],
    [{ readOnly: true }, ({ vda1 }) => `${line} --readonly ${vda1} crypt`],
  ])("opens it as %j says", async (more, expected) => {
    const one = bench();
    await open(one, more);
    expect(one.asked[1]).toBe(expected(one));
  });

  it("takes a header that lies elsewhere, and a key as it is", async () => {
    const one = bench();
    await open(one, { header: { disk: one.disk }, trim: false });
    expect(one.asked[1]).toBe(`${line} --header=${one.vda} ${one.vda1} crypt`);
    expect(Buffer.from(one.options[1]!.stdin!).toString()).toBe("open\n");
  });

  it("leaves it as it is where it is open, and refuses another volume of that name", async () => {
    const one = bench();
    one.block("dm-0", { "dm/name": "crypt", "dm/uuid": `CRYPT-LUKS2-${uuid.replaceAll("-", "")}-crypt` });
    await open(one);
    expect(one.asked).toEqual([]);
    await expect(open(one, { uuid: "0" })).rejects.toThrow("is there, and is not LUKS volume crypt");
  });

  it("refuses to open without its secret", async () => {
    const one = bench();
    await expect(open(one, { secret: "gone" })).rejects.toThrow("the secret gone is not at hand");
    expect(one.asked).toEqual([]);
  });
});

describe("close-luks", () => {
  it("closes it when udev has let go, and does nothing where it is not open", async () => {
    const one = bench();
    await closeLuks.run({ name: "crypt", uuid }, one.context);
    expect(one.asked).toEqual([]);
    one.block("dm-0", { "dm/name": "crypt", "dm/uuid": `CRYPT-LUKS2-${uuid.replaceAll("-", "")}-crypt` });
    await closeLuks.run({ name: "crypt", uuid }, one.context);
    expect(one.asked).toEqual([settle, "cryptsetup close crypt"]);
    expect(minutes(one)).toEqual([1.5, 10]);
  });
});

describe("open-group and close-group", () => {
  it("activates the volumes by its members alone", async () => {
    const one = bench();
    await openGroup.run({ name: "vg", members: one.members }, one.context);
    expect(one.asked).toEqual([
      "modprobe --all dm-mod",
      `lvm vgchange --quiet --activate y --devices ${one.vda1},${one.vda} vg`,
      settle,
    ]);
    expect(minutes(one)).toEqual([2, 10, 1.5]);
  });

  it("deactivates them where one is active, of this group and no other", async () => {
    const one = bench();
    one.block("dm-0", { "dm/name": "vgother" });
    await closeGroup.run({ name: "vg" }, one.context);
    expect(one.asked).toEqual([]);
    one.block("dm-1", { "dm/name": "vg-root" });
    await closeGroup.run({ name: "vg" }, one.context);
    expect(one.asked).toEqual([settle, "lvm vgchange --quiet --activate n vg"]);
    expect(minutes(one)).toEqual([1.5, 10]);
  });
});

describe("open-array and close-array", () => {
  const array = { name: "root", uuid };

  it("assembles an array of its members alone", async () => {
    const one = bench();
    await openArray.run({ ...array, members: one.members }, one.context);
    expect(one.asked).toEqual([
      "modprobe --all md-mod",
      `mdadm --assemble --uuid=${uuid} /dev/md/root ${one.vda1} ${one.vda}`,
      settle,
    ]);
    expect(minutes(one)).toEqual([2, 10, 1.5]);
  });

  it("leaves one that runs, and stops only that", async () => {
    const one = bench();
    await closeArray.run(array, one.context);
    one.block("md127", { "md/uuid": uuid });
    await openArray.run({ ...array, members: one.members }, one.context);
    expect(one.asked).toEqual([]);
    await closeArray.run(array, one.context);
    expect(one.asked).toEqual([settle, `mdadm --stop ${join(one.machine.dev, "md127")}`]);
    expect(minutes(one)).toEqual([1.5, 10]);
  });
});

describe("hasMapping", () => {
  it("looks at names of mappings, and at nothing else", async () => {
    const { block, machine } = bench();
    block("dm-0", { "dm/name": "vg-root" });
    expect(await hasMapping(machine.sys, (name) => name === "vg-root")).toBe(true);
    expect(await hasMapping(machine.sys, (name) => name === "vda")).toBe(false);
  });
});

describe("look-at-group and leave-group", () => {
  const look = (index: number) => `imgbuild-look-${index}-vg`;

  it("activates the volumes on snapshots of the members, whose changes go to memory", async () => {
    const one = bench({ losetup: { stdout: "/dev/loop7\n" } });
    await lookAtGroup.run({ name: "vg", members: one.members }, one.context);
    const member = (index: number, path: string, bytes: number) => [
      `losetup --find --show ${one.machine.run}/imgbuild/${look(index)}`,
      `dmsetup create ${look(index)} --table 0 ${bytes / 512} snapshot ${path} /dev/loop7 N 8`,
      "losetup --detach /dev/loop7",
    ];
    const devices = [0, 1].map((index) => `/dev/mapper/${look(index)}`).join(",");
    expect(one.asked).toEqual([
      "modprobe --all dm-mod dm-snapshot loop",
      ...member(0, one.vda1, mib),
      ...member(1, one.vda, 4 * mib),
      `lvm vgchange --quiet --activate y --devices ${devices} vg`,
      settle,
    ]);
    expect(one.options.every(({ timeoutMs }) => timeoutMs !== undefined)).toBe(true);
  });

  it("gives each snapshot a file of 64 MiB of its owner alone, which is gone when the snapshot has it", async () => {
    const seen: unknown[] = [];
    const files: string[] = [];
    const one = bench({
      "losetup --find": (argv) => {
        const { size, mode } = lstatSync(argv.at(-1)!);
        seen.push([size, mode & 0o777, lstatSync(join(argv.at(-1)!, "..")).mode & 0o777]);
        files.push(argv.at(-1)!);
      },
    });
    await lookAtGroup.run({ name: "vg", members: one.members }, one.context);
    expect(seen).toEqual(Array(2).fill([64 * mib, 0o600, 0o700]));
    expect(files.map((file) => existsSync(file))).toEqual([false, false]);
  });

  it("takes all of it away again, and does nothing where nothing was looked at", async () => {
    const one = bench();
    const leave = async () => await leaveGroup.run({ name: "vg", members: one.members }, one.context);
    one.block("dm-0", { "dm/name": look(1) });
    await leave();
    expect(one.asked).toEqual([]);
    one.block("dm-0", { "dm/name": look(0) });
    await leave();
    const devices = [0, 1].map((index) => `/dev/mapper/${look(index)}`).join(",");
    expect(one.asked).toEqual([
      settle,
      `lvm vgchange --quiet --activate n --devices ${devices} vg`,
      settle,
      `dmsetup remove --retry ${look(0)}`,
      `dmsetup remove --retry ${look(1)}`,
    ]);
    expect(minutes(one)).toEqual([1.5, 10, 1.5, 10, 10]);
  });
});
