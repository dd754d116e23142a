import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { z } from "zod";
import { fixedTimeEnv } from "../../../../src/disks/filesystem/mkfs.ts";
import { makeStorage } from "../../../../src/steps/disk/make-storage.ts";
import { mkfsExt4, mkfsVfatDisk } from "../../../../src/steps/disk/mkfs-disk.ts";
import { removeVolumes } from "../../../../src/steps/disk/remove-volumes.ts";
import { trimmed } from "../../../../src/steps/step/secret-input.ts";
import { fakeMachine } from "../../../helpers/fakes/fake-machine.ts";
import { type Answers, stepBench } from "../../../helpers/fakes/step-bench.ts";

const mib = 2 ** 20;
const part = { number: 1, startBytes: mib, sizeBytes: 512 * mib };

function bench(answers: Answers = {}) {
  const made = fakeMachine();
  const disk = made.disk("vda", 1024 * mib, [part]);
  const secrets = { first: "one\n", second: "two\n" };
  const { context, asked, options } = stepBench({ machine: made.machine, answers, secrets });
  return { ...made, disk, device: { partition: made.part(disk, part) }, context, asked, options };
}

describe("make-storage", () => {
  const settle = "udevadm settle --timeout=60";
  type Commands = z.input<typeof makeStorage.schema>["commands"];
  const make = async ({ context }: ReturnType<typeof bench>, commands: Commands) =>
    await makeStorage.run(makeStorage.schema.parse({ commands, epoch: 7 }), context);

  it("loads what the programs need, runs them in order with each device's path, and waits for udev", async () => {
    const one = bench();
    await make(one, [
      { program: "wipefs", args: ["--all", { device: one.device }] },
      { program: "lvm", args: ["pvcreate", { device: { disk: one.disk } }, "--quiet"] },
      { program: "cryptsetup", args: ["open"] },
    ]);
    const { dev } = one.machine;
    expect(one.asked).toEqual([
      "modprobe --all dm-crypt dm-mod",
      `wipefs --all ${join(dev, "vda1")}`,
      `lvm pvcreate ${join(dev, "vda")} --quiet`,
      "cryptsetup open",
      settle,
    ]);
    expect(one.options.slice(1, 4)).toEqual(Array(3).fill({ timeoutMs: 3_600_000, env: fixedTimeEnv(7) }));
    expect(one.options[4]).toEqual({ timeoutMs: 90_000 });
  });

  it("loads nothing for programs that need nothing", async () => {
    const one = bench();
    await make(one, [{ program: "mkswap", args: [] }]);
    expect(one.asked).toEqual(["mkswap", settle]);
  });

  it("gives secrets on stdin alone, one after the other, and says how long the first is", async () => {
    const one = bench();
    const secrets = [
      { name: "first", trim: true },
      { name: "second", trim: false },
    ];
    await make(one, [
      { program: "cryptsetup", args: ["--keyfile-size=FIRST", "--key-file=-"], secrets },
      { program: "cryptsetup", args: ["--keyfile-size=FIRST"] },
    ]);
    expect(one.asked.slice(1, 3)).toEqual([
      "cryptsetup --keyfile-size=3 --key-file=-",
      "cryptsetup --keyfile-size=0",
    ]);
    expect(Buffer.from(one.options[1]!.stdin!).toString()).toBe("onetwo\n");
    expect(one.options[2]).not.toHaveProperty("stdin");
  });

  it("runs no program whose secret is not at hand, or whose device is not there", async () => {
    const one = bench();
    const secrets = [{ name: "none", trim: true }];
    await expect(make(one, [{ program: "mkswap", args: [], secrets }])).rejects.toThrow(
      "the secret none is not at hand",
    );
    const luks = { luks: { name: "crypt", uuid: "u" } };
    await expect(make(one, [{ program: "mkswap", args: [{ device: luks }] }])).rejects.toThrow(
      "LUKS volume crypt (u) is not there",
    );
    expect(one.asked).toEqual([]);
  });

  it("stops at the first command that fails", async () => {
    const one = bench({ wipefs: new Error("busy") });
    const commands = (["wipefs", "mkswap"] as const).map((program) => ({ program, args: [] }));
    await expect(make(one, commands)).rejects.toThrow("busy");
    expect(one.asked).toEqual(["wipefs"]);
  });
});

describe("trimmed", () => {
  it.each([
    ["a passphrase\n", "a passphrase"],
    ["two lines\n\n", "two lines\n"],
    ["none", "none"],
    ["\n", ""],
    ["", ""],
  ])("makes of %j %j", (text, is) => {
    expect(Buffer.from(trimmed(Buffer.from(text))).toString()).toBe(is);
  });
});

describe("mkfs-ext4", () => {
  it("makes it on the partition's own node, within its bound", async () => {
    const { context, asked, options, machine, device } = bench();
    const uuid = "2f6c1a34-8e0d-4b57-9a21-c3d4e5f60718";
    await mkfsExt4.run({ device, uuid, hashSeed: "seed", label: "data" }, context);
    expect(asked).toHaveLength(1);
    expect(asked[0]).toMatch(new RegExp(`^mke2fs .*${uuid}.* ${join(machine.dev, "vda1")}$`));
    expect(asked[0]).toContain("data");
    expect(options).toEqual([{ timeoutMs: 3_600_000 }]);
  });
});

describe("mkfs-vfat", () => {
  it("makes it with clusters that fit its size, and a time that is given", async () => {
    const { context, asked, options, machine, device } = bench();
    await mkfsVfatDisk.run({ device, volumeId: "1234abcd", epoch: 7 }, context);
    expect(asked[0]).toMatch(new RegExp(`^mkfs.vfat .*1234abcd .*-s 8 ${join(machine.dev, "vda1")}$`));
    expect(options).toEqual([{ timeoutMs: 3_600_000, env: fixedTimeEnv(7) }]);
  });
});

describe("remove-volumes", () => {
  it("removes those of the names that are there, on the group's own members alone", async () => {
    const { context, asked, options, machine, device, disk } = bench({
      "lvm lvs": { stdout: "  root\n  home\n  rooted\n" },
    });
    const members = [device, { disk }];
    await removeVolumes.run({ group: "vg", names: ["root", "gone", "home"], members }, context);
    const devices = `--devices ${join(machine.dev, "vda1")} --devices ${join(machine.dev, "vda")}`;
    expect(asked).toEqual([
      `lvm lvs --noheadings -o lv_name ${devices} vg`,
      `lvm lvremove --quiet --yes ${devices} vg/root`,
      `lvm lvremove --quiet --yes ${devices} vg/home`,
    ]);
    expect(options).toEqual(Array(3).fill({ timeoutMs: 600_000 }));
  });
});
