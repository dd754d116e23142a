import { open, rm, stat, truncate } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { fixedTimeEnv } from "../../disks/filesystem/mkfs.ts";
import type { StepContext } from "../../steps/step/step.ts";
import { eatmydata } from "../../system/door/chroot.ts";
import { Fail } from "../../util/fail.ts";

/** Moving a few GiB on a slow disk. */
const toolMs = 3_600_000;
const mib = 2 ** 20;
const sector = 512;
/** As mke2fs is told. */
const blockBytes = 4096;
/** Left free: what a system writes before it has grown. */
const slackMib = 16;
/** What resize2fs calls the smallest size is an estimate, better once files have moved. */
const attempts = 4;
/** Boot code, the part of the first sector that is not the table's (UEFI 2.10, table 5-2). */
const bootCodeBytes = 440;

const Table = z.object({
  partitiontable: z.object({
    label: z.literal("gpt"),
    id: z.string(),
    firstlba: z.int(),
    sectorsize: z.literal(sector),
    partitions: z.array(
      z.object({
        start: z.int().positive(),
        size: z.int().positive(),
        type: z.string(),
        uuid: z.string(),
        name: z.string().optional(),
        attrs: z.string().optional(),
      }),
    ),
  }),
});
type Table = z.output<typeof Table>["partitiontable"];
type Tool = (argv: readonly string[], stdin?: string) => Promise<{ readonly stdout: string }>;

/**
 * Makes a disk as small as its files allow: the ext4 of its last partition is shrunk, and table and file with it. Everything else
 * keeps its place and its identity, boot code too. The filesystem is worked upon in a file of its own, since resize2fs cuts the file
 * that it works on; e2image copies what is in use, so what files have moved away from leaves no traces.
 */
export async function minimizeDisk(
  image: string,
  context: StepContext,
  { work, epoch }: { readonly work: string; readonly epoch: number },
): Promise<void> {
  const tool: Tool = (argv, stdin) =>
    context.tool(["env", `LD_PRELOAD=/${eatmydata}`, ...argv], {
      ...{ timeoutMs: toolMs, signal: context.signal, shown: argv },
      // e2fsck has a clock of its own.
      env: { ...fixedTimeEnv(epoch), E2FSCK_TIME: String(epoch) },
      // e2fsck exits 1 where it has mended something, as a count that was of another size.
      ...(argv[0] === "e2fsck" ? { accept: [0, 1] } : {}),
      ...(stdin === undefined ? {} : { stdin }),
    });
  const { partitiontable: table } = Table.parse(JSON.parse((await tool(["sfdisk", "--json", image])).stdout));
  const last = table.partitions.reduce((a, b) => (b.start > a.start ? b : a));
  const offset = last.start * sector;
  await ext4Bytes(image, offset);
  const alone = join(work, "last.ext4");
  await tool(["e2image", "-r", "-a", "-o", String(offset), image, alone]);
  await truncate(alone, last.size * sector);
  const bytes = await shrink(alone, tool);
  // After the last partition there is room for the second table, and nothing else.
  await truncate(image, offset);
  await truncate(image, offset + bytes + mib);
  await tool(["e2image", "-r", "-a", "-O", String(offset), alone, image]);
  await truncate(image, offset + bytes + mib);
  await rm(alone);
  await tool(["e2fsck", "-f", "-n", `${image}?offset=${offset}`]);
  await writeTable(image, scriptOf(table, last.start, bytes / sector), tool);
}

/** Gives the size of the smallest ext4 with a little room, a multiple of a MiB. */
async function shrink(file: string, tool: Tool): Promise<number> {
  const whole = (await stat(file)).size;
  await tool(["e2fsck", "-f", "-p", file]);
  let before = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    await tool(["resize2fs", "-M", file]);
    const now = await ext4Bytes(file, 0);
    if (now >= before) break;
    before = now;
  }
  // It refuses sizes below its estimate, even to grow to them.
  const { stdout } = await tool(["resize2fs", "-P", file]);
  const estimate = Number(/: (\d+)\s*$/.exec(stdout)?.[1] ?? 0) * blockBytes;
  const wanted = Math.max(Math.ceil(before / mib) + slackMib, Math.ceil(estimate / mib));
  const made = Math.min(wanted, Math.floor(whole / mib));
  await tool(["resize2fs", file, `${made}M`]);
  await truncate(file, made * mib);
  return made * mib;
}

/** sfdisk clears the first sector when it makes a table. */
async function writeTable(image: string, script: string, tool: Tool): Promise<void> {
  const code = Buffer.alloc(bootCodeBytes);
  const file = await open(image, "r+");
  try {
    await file.read(code, 0, bootCodeBytes, 0);
    const argv = ["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", "--wipe", "never"];
    await tool([...argv, "--wipe-partitions", "never", image], script);
    await file.write(code, 0, bootCodeBytes, 0);
  } finally {
    await file.close();
  }
}

/** By its superblock: 1024 bytes in, the count of blocks at 4, the magic number at 56 (ext4's disk layout in the kernel's documentation). */
async function ext4Bytes(image: string, offset: number): Promise<number> {
  const block = Buffer.alloc(1024);
  const file = await open(image, "r");
  try {
    await file.read(block, 0, block.length, offset + 1024);
  } finally {
    await file.close();
  }
  if (block.readUInt16LE(56) !== 0xef53) throw new Fail("the last partition of the disk holds no ext4");
  return block.readUInt32LE(4) * blockBytes;
}

function scriptOf(table: Table, lastStart: number, lastSize: number): string {
  const lines = table.partitions.map(({ start, size, type, uuid, name, attrs }, index) =>
    [
      `${index + 1} : start=${start}`,
      `size=${start === lastStart ? lastSize : size}`,
      `type=${type}`,
      `uuid=${uuid}`,
      ...(name === undefined ? [] : [`name="${name}"`]),
      ...(attrs === undefined ? [] : [`attrs="${attrs}"`]),
    ].join(", "),
  );
  const head = ["label: gpt", `label-id: ${table.id}`, "unit: sectors", `first-lba: ${table.firstlba}`];
  return `${[...head, `sector-size: ${sector}`, "", ...lines].join("\n")}\n`;
}
