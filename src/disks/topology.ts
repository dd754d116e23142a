import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { readIfThere } from "../system/files/read-if-there.ts";
import { Fail } from "../util/fail.ts";
import type { MountEntry } from "./mountinfo.ts";

/** A block device and what it lies on, as the kernel tells it. */
export interface Block {
  /** "vda1", "dm-0", "md127". */
  readonly name: string;
  /** "major:minor". */
  readonly device: string;
  /** What it lies on: of a partition its disk. */
  readonly on: readonly string[];
  readonly mapping?: string;
  readonly array?: true;
}

/** One thing to do before a disk is free. */
export type Closing =
  | { readonly do: "unmount"; readonly point: string }
  | { readonly do: "swapoff"; readonly path: string }
  | { readonly do: "remove-mapping"; readonly name: string }
  | { readonly do: "stop-array"; readonly path: string };

/** All block devices of this machine. */
export async function readBlocks(sys = "/sys"): Promise<Block[]> {
  const blocks: Block[] = [];
  const directory = join(sys, "block");
  for (const name of await readdir(directory)) {
    const at = join(directory, name);
    const read = (path: string) => readIfThere(join(at, path))?.trim();
    const mapping = read("dm/name");
    const array = read("md/level");
    blocks.push({
      name,
      device: read("dev") ?? "",
      on: await readdir(join(at, "slaves")).catch(() => []),
      ...(mapping === undefined ? {} : { mapping }),
      ...(array === undefined ? {} : { array: true as const }),
    });
    for (const part of await readdir(at))
      if (read(`${part}/partition`) !== undefined)
        blocks.push({ name: part, device: read(`${part}/dev`) ?? "", on: [name] });
  }
  return blocks;
}

/**
 * What has to be done, in this order, before nothing is open on the disks. A mapping or an array that also lies on another disk is a
 * refusal: to close it would take that one apart as well.
 */
export function closings(
  blocks: readonly Block[],
  disks: ReadonlySet<string>,
  now: { readonly mounts: readonly MountEntry[]; readonly swaps: readonly string[] },
): Closing[] {
  const above = stackedOn(blocks, disks);
  for (const one of above)
    for (const root of rootsOf(one, blocks))
      if (!disks.has(root))
        throw new Fail(
          `${one.mapping ?? one.name} lies on a disk of the plan and on ${root}, which is not written`,
          {
            hint: "take the disk out of it first, or name all its disks in the definition",
          },
        );
  const concerned = new Set([...disks, ...above.map(({ name }) => name)]);
  const devices = new Set(blocks.filter(({ name }) => concerned.has(name)).map(({ device }) => device));
  const paths = new Set(
    blocks
      .filter(({ name }) => concerned.has(name))
      .flatMap(({ name, mapping }) => [
        `/dev/${name}`,
        ...(mapping === undefined ? [] : [`/dev/mapper/${mapping}`]),
      ]),
  );
  // The last mounted first: it may lie on another. A btrfs has a device number of its own, and is known by its source.
  const mounts = now.mounts
    .filter(({ device, source }) => devices.has(device) || paths.has(source))
    .reverse();
  const points = new Set(mounts.map(({ point }) => point));
  const swapFiles = now.swaps.filter(
    (path) =>
      paths.has(path) || [...points].some((point) => path.startsWith(point === "/" ? "/" : `${point}/`)),
  );
  return [
    ...swapFiles.map((path): Closing => ({ do: "swapoff", path })),
    ...mounts.map(({ point }): Closing => ({ do: "unmount", point })),
    ...above.flatMap(({ name, mapping, array }): Closing[] => {
      if (mapping !== undefined) return [{ do: "remove-mapping", name: mapping }];
      return array === true ? [{ do: "stop-array", path: `/dev/${name}` }] : [];
    }),
  ];
}

/** What lies on the disks at any height, the highest first. */
function stackedOn(blocks: readonly Block[], disks: ReadonlySet<string>): Block[] {
  const height = new Map<string, number>([...disks].map((name) => [name, 0]));
  // As often as there are devices: no stack is higher.
  for (const _ of blocks)
    for (const { name, on } of blocks) {
      const below = on.flatMap((name) => height.get(name) ?? []);
      if (below.length > 0) height.set(name, Math.max(...below) + 1);
    }
  return blocks
    .filter(({ name }) => (height.get(name) ?? 0) > 0)
    .sort((a, b) => height.get(b.name)! - height.get(a.name)! || (a.name < b.name ? -1 : 1));
}

/** The disks on which something lies in the end. */
function rootsOf(block: Block, blocks: readonly Block[]): string[] {
  if (block.on.length === 0) return [block.name];
  return block.on.flatMap((name) => {
    const one = blocks.find((other) => other.name === name);
    return one === undefined ? [name] : rootsOf(one, blocks);
  });
}
