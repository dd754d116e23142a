import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { z } from "zod";
import { checkKept } from "../../../../src/steps/disk/check-kept.ts";
import { fakeMachine } from "../../../helpers/fakes/fake-machine.ts";
import { type Answers, stepBench } from "../../../helpers/fakes/step-bench.ts";

const uuid = "2f6c1a34-8e0d-4b57-9a21-c3d4e5f60718";
const sizeBytes = 2 ** 20;

/** A disk that holds what blkid says, and what the step asks of it. */
function kept(fields: Readonly<Record<string, string>>, answers: Answers = {}) {
  const made = fakeMachine();
  const disk = made.disk("vdb", sizeBytes);
  const path = join(made.machine.dev, "vdb");
  const text = Object.entries({ DEVNAME: path, ...fields })
    .map(([key, value]) => `${key}=${value}\n`)
    .join("");
  const { context, asked, options } = stepBench({
    machine: made.machine,
    answers: { "blkid -p -o export": { stdout: text }, ...answers },
    secrets: { typed: "open sesame\n" },
  });
  const check = async (more: Partial<z.input<typeof checkKept.schema>> = {}) =>
    await checkKept.run(checkKept.schema.parse({ device: { disk }, type: "ext4", uuid, ...more }), context);
  return { ...made, path, check, asked, options };
}

describe("check-kept", () => {
  it("takes what has the type and the UUID, however its letters are written, and only looks", async () => {
    const { check, asked, path } = kept({ TYPE: "ext4", UUID: uuid.toUpperCase() });
    await check({ sizeBytes });
    expect(asked).toEqual([`blkid -p -o export ${path}`]);
  });

  it.each([
    ["another type", { TYPE: "xfs", UUID: uuid }, {}, "should hold ext4; it holds xfs"],
    ["no known type", {}, {}, "should hold ext4; it holds nothing known"],
    ["another UUID", { TYPE: "ext4", UUID: "1-2" }, {}, `should have the UUID ${uuid}; it has 1-2`],
    ["no UUID", { TYPE: "ext4" }, {}, `should have the UUID ${uuid}; it has none`],
    [
      "another size",
      { TYPE: "ext4", UUID: uuid },
      { sizeBytes: sizeBytes - 512 },
      `should have ${sizeBytes - 512} bytes; it has ${sizeBytes}`,
    ],
  ])("refuses %s", async (_what, fields, more, message) => {
    await expect(kept(fields).check(more)).rejects.toMatchObject({
      message: `disk the-vdb is kept and ${message}`,
      hint: expect.stringMatching(/^nothing was written/),
    });
  });

  it("takes blkid's word that nothing is there for an answer, and no other failure", async () => {
    const nothing = kept({}, { "blkid -p": { code: 2 } });
    await expect(nothing.check()).rejects.toThrow("it holds nothing known");
    await expect(kept({}, { "blkid -p": { code: 4 } }).check()).rejects.toThrow("exited 4");
  });

  it("opens a LUKS volume by its secret, as typed or as it is, without leaving it open", async () => {
    const key = { secret: "typed", trim: true };
    const { check, asked, options, path } = kept({ TYPE: "crypto_LUKS", UUID: uuid });
    await check({ type: "crypto_LUKS", key });
    await check({ type: "crypto_LUKS", key: { ...key, trim: false } });
    const line = `cryptsetup open --test-passphrase --batch-mode --key-file=- ${path}`;
    expect([asked[1], asked[3]]).toEqual([line, line]);
    const given = [options[1], options[3]].map((one) => Buffer.from(one!.stdin!).toString());
    expect(given).toEqual(["open sesame", "open sesame\n"]);
  });

  it("refuses a secret that opens no key slot, or is not at hand", async () => {
    const fields = { TYPE: "crypto_LUKS", UUID: uuid };
    const key = { secret: "typed", trim: true };
    const wrong = kept(fields, { cryptsetup: { code: 2 } });
    await expect(wrong.check({ type: "crypto_LUKS", key })).rejects.toMatchObject({
      message: "disk the-vdb is kept, and the secret typed does not open it",
      hint: expect.stringMatching(/^nothing was written/),
    });
    await expect(
      kept(fields).check({ type: "crypto_LUKS", key: { ...key, secret: "other" } }),
    ).rejects.toThrow("the secret other is not at hand");
  });

  describe("with subvolumes", () => {
    const list = "ID 256 gen 9 top level 5 path @home\nID 257 gen 9 top level 256 path @home/nested\n";
    const pool = (answers: Answers = {}) =>
      kept({ TYPE: "btrfs", UUID: uuid }, { "btrfs subvolume list": { stdout: list }, ...answers });
    const want = (...subvolumes: string[]) => ({ type: "btrfs", subvolumes });

    it("finds them on the filesystem, mounted without a write, and unmounts it", async () => {
      const { check, asked, path, machine, options } = pool();
      await check(want("@home", "@home/nested"));
      const where = asked[1]!.split(" ").at(-1)!;
      expect(where.startsWith(join(machine.run, "imgbuild/kept-"))).toBe(true);
      expect(asked.slice(1)).toEqual([
        `mount -t btrfs -o ro,rescue=nologreplay,subvolid=5 ${path} ${where}`,
        `btrfs subvolume list ${where}`,
        `umount ${where}`,
      ]);
      expect(options.map(({ timeoutMs }) => timeoutMs)).toEqual(Array(4).fill(300_000));
      expect(readdirSync(join(machine.run, "imgbuild"))).toEqual([]);
    });

    it.each(["@srv", "nested", "home", "@home/other"])("refuses a pool without %s", async (name) => {
      const { check, asked, machine } = pool();
      await expect(check(want("@home", name))).rejects.toMatchObject({
        message: `disk the-vdb has no subvolume ${name}, which is to be kept`,
        hint: expect.stringMatching(/^nothing was written/),
      });
      expect(asked.at(-1)).toMatch(/^umount /);
      expect(readdirSync(join(machine.run, "imgbuild"))).toEqual([]);
    });
  });
});
