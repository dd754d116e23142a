import { cpSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { minimizeDisk } from "../../src/operator/output/minimize.ts";
import { run } from "../../src/system/run/run.ts";
import { sha256 } from "../../src/util/digest.ts";
import { workshop } from "../helpers/labs/native.ts";

const mib = 2 ** 20;
const epoch = 1_750_000_000;

/** A disk of 1 GiB with boot code, something in its first partition, and an ext4 with files in its last. */
async function disk(work: string): Promise<string> {
  const image = join(work, "disk.raw");
  const tree = join(work, "content");
  mkdirSync(tree);
  for (const [name, size] of [
    ["one", 30],
    ["two", 5],
  ] as const)
    writeFileSync(join(tree, name), Buffer.alloc(size * mib, name));
  await run(["truncate", "--size", "1G", image]);
  const script =
    "label: gpt\nlabel-id: 11111111-2222-8333-8444-555555555555\nfirst-lba: 2048\n1: start=2048 size=2048 type=21686148-6449-6E6F-744E-656564454649 name=bios\n2: start=4096 type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709 uuid=99999999-2222-8333-8444-555555555555 name=root\n";
  await run(["sfdisk", "--quiet", image], { stdin: script });
  const options = [
    "-U",
    "33333333-2222-4333-8444-555555555555",
    "-E",
    "offset=2097152,hash_seed=33333333-2222-4333-8444-555555555556",
  ];
  const env = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", E2FSPROGS_FAKE_TIME: String(epoch) };
  await run(["mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", ...options, "-d", tree, image, "1020m"], {
    env,
  });
  const file = await open(image, "r+");
  await file.write(Buffer.alloc(440, 0x90), 0, 440, 0);
  await file.write(Buffer.alloc(512, "core"), 0, 512, mib);
  await file.close();
  return image;
}

describe("a minimized disk", () => {
  it("is little larger than its files, sound, the same twice, and has everything else where it was", async () => {
    const { work, context } = await workshop();
    const image = await disk(work);
    const again = join(work, "again.raw");
    cpSync(image, again);
    const before = await run(["sfdisk", "--json", image]);
    for (const one of [image, again]) await minimizeDisk(one, context, { work, epoch });
    const { size } = statSync(image);
    // 35 MiB of files, a journal, and room for the filesystem's own.
    expect(size).toBeGreaterThan(40 * mib);
    expect(size).toBeLessThan(110 * mib);
    expect(size % mib).toBe(0);
    expect((await run(["sfdisk", "--verify", image])).stdout).toContain("No errors detected");
    const parts = (text: string) =>
      (JSON.parse(text) as { partitiontable: { id: string; partitions: Record<string, unknown>[] } })
        .partitiontable;
    const [was, is] = [parts(before.stdout), parts((await run(["sfdisk", "--json", image])).stdout)];
    expect(is.id).toBe(was.id);
    const rest = ({ size: _, node: __, ...one }: Record<string, unknown>) => one;
    expect(is.partitions.map(rest)).toEqual(was.partitions.map(rest));
    const at = `${image}?offset=${2 * mib}`;
    await run(["e2fsck", "-f", "-n", at]);
    const { bytes } = await run(["debugfs", "-R", "cat /two", at]);
    expect(sha256(bytes)).toBe(sha256(Buffer.alloc(5 * mib, "two")));
    const content = readFileSync(image);
    expect(content.subarray(0, 440)).toEqual(Buffer.alloc(440, 0x90));
    expect(content.subarray(mib, mib + 512)).toEqual(Buffer.alloc(512, "core"));
    expect(sha256(readFileSync(again))).toBe(sha256(content));
  });

  it("that has no ext4 at its end is refused as it is", async () => {
    const { work, context } = await workshop();
    const image = await disk(work);
    const file = await open(image, "r+");
    await file.write(Buffer.alloc(2048), 0, 2048, 2 * mib);
    await file.close();
    const digest = sha256(readFileSync(image));
    await expect(minimizeDisk(image, context, { work, epoch })).rejects.toThrow(/holds no ext4/);
    expect(sha256(readFileSync(image))).toBe(digest);
  });
});
