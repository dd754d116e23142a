import { leastOf, mib } from "../../disks/place-partitions.ts";
import type { Partition, Storage, WrittenDisk } from "../../schema/storage.ts";
import { traitsOf } from "../../tables/filesystem/filesystems.ts";
import { Fail } from "../../util/fail.ts";
import type { Problem } from "../../util/problem.ts";
import { writtenDisks } from "../graph/check-storage.ts";
import { type FieldPath, isKept } from "../graph/graph.ts";
import { leastBytes, tooSmall } from "../size/room.ts";
import { firstInstall } from "../table/first-install.ts";
import { layoutOf } from "../table/gpt.ts";

/** Room that a table and the alignment of its partitions take on a disk. */
const tableBytes = 2 * mib;

/** What is wrong with the tables of all disks, and with where their partitions would be in an image. */
export function* tablesProblems(storage: Storage): Iterable<Problem> {
  const first = firstInstall(storage).disks;
  for (const [name, disk] of writtenDisks(storage)) {
    const path = ["storage", "disks", name];
    const problems = [...tableProblems(disk, path)];
    yield* problems;
    const made = first[name];
    if (problems.length > 0 || made === undefined || !("table" in made)) continue;
    try {
      layoutOf(made, disk.imageSize, 512, { seed: "", name });
    } catch (error) {
      if (!(error instanceof Fail)) throw error;
      const { message, hint } = error;
      yield { path: [...path, "table"], message: hint === undefined ? message : `${message}; ${hint}` };
    }
  }
}

/** What is wrong with the partitions of one disk. */
export function* tableProblems({ table, imageSize }: WrittenDisk, path: FieldPath): Iterable<Problem> {
  const { partitions } = table;
  let sum = tableBytes;
  for (const [index, partition] of partitions.entries()) {
    const { name, size, content } = partition;
    const at = (key: string) => [...path, "table", "partitions", index, key];
    const kept = content !== undefined && isKept(content);
    if (partitions.findIndex((other) => other.name === name) < index)
      yield {
        path: at("name"),
        message: `${name} names another partition of this table too; needs a name of its own`,
      };
    const next = partitions[index + 1]?.content;
    if (size === "rest" && index < partitions.length - 1 && !(next !== undefined && isKept(next)))
      yield { path: at("size"), message: '"rest" is only for the last partition of a table' };
    if (size === undefined && !kept)
      yield {
        path: at("size"),
        message: 'is missing; needs one as "20GiB" or "rest"; only what is kept has a size already',
      };
    const least = kept ? 0 : leastBytes(content?.type);
    if (typeof size === "number" && size < least)
      yield { path: at("size"), message: tooSmall(size, content!.type, least) };
    for (const [key, message] of typeProblems(partition, table.type)) yield { path: at(key), message };
    sum += leastOn(size, imageSize);
  }
  const rest = partitions.some(({ size }) => size === "rest") ? 1 : 0;
  if (!Number.isSafeInteger(sum) || sum + rest > imageSize)
    yield {
      path: [...path, "imageSize"],
      message: `${imageSize / mib} MiB is too small; needs ${Math.ceil(sum / mib)} MiB for the partitions and their table${rest ? ", and more for the rest" : ""}`,
    };
}

/** What a partition takes at least of an image. */
function leastOn(size: Partition["size"], imageSize: number): number {
  if (typeof size === "number" || typeof size === "object") return leastOf(size);
  if (size === undefined || !size.endsWith("%")) return 0;
  return Math.floor((imageSize * Number.parseInt(size, 10)) / 100 / mib) * mib;
}

function* typeProblems(
  { type, content, attributes, typeGuid, active }: Partition,
  table: "gpt" | "mbr",
): Iterable<[key: string, message: string]> {
  if (type === "bios-boot" && content !== undefined)
    yield ["content", "a bios-boot partition holds no filesystem; leave `content` out"];
  const isForFirmware = content?.type === "md-member" || traitsOf(content?.type).firmware;
  if (type === "esp" && !isForFirmware)
    yield [
      "content",
      "an ESP needs vfat content, or to be a member of an array that holds it; `esp()` makes one",
    ];
  if (type === "xbootldr" && !isForFirmware)
    yield [
      "content",
      "an extended boot loader partition needs vfat content, which firmware can read, or to be a member of an array that holds it; `xbootldr()` makes one",
    ];
  if (content?.type === "swap" && !["linux-swap", "linux"].includes(type))
    yield ["type", "swap needs the type `linux-swap`"];
  if (table === "gpt") {
    if (active !== undefined) yield ["active", "is a mark of an MBR; a GPT has the attribute `legacy-boot`"];
    return;
  }
  if (type === "bios-boot")
    yield [
      "type",
      "an MBR has no bios-boot partition: GRUB is in the gap before the first one; leave it out",
    ];
  if (type === "xbootldr")
    yield [
      "type",
      "an MBR has no extended boot loader partition: systemd-boot looks for one in a GPT; use `gpt()`",
    ];
  if (attributes !== undefined) yield ["attributes", "an MBR has none; `active` marks a partition"];
  if (typeGuid !== undefined) yield ["typeGuid", "an MBR has no GUIDs; leave it out"];
}
