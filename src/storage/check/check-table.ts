import { leastOf, mib } from "../../disks/place-partitions.ts";
import type { Partition, WrittenDisk } from "../../schema/storage.ts";
import { traitsOf } from "../../tables/filesystem/filesystems.ts";
import type { Problem } from "../../util/problem.ts";
import { type FieldPath, isKept } from "../graph/graph.ts";

/** Room that a table and the alignment of its partitions take on a disk. */
const tableBytes = 2 * mib;

/** What is wrong with the partitions of one disk. */
export function* tableProblems({ table, imageSize }: WrittenDisk, path: FieldPath): Iterable<Problem> {
  const { partitions } = table;
  let sum = tableBytes;
  for (const [index, partition] of partitions.entries()) {
    const { name, size, content } = partition;
    const at = (key: string) => [...path, "table", "partitions", index, key];
    const kept = content !== undefined && isKept(content);
    if (partitions.findIndex((other) => other.name === name) < index)
      yield { path: at("name"), message: `${name} names another partition of this table too` };
    const next = partitions[index + 1]?.content;
    if (size === "rest" && index < partitions.length - 1 && !(next !== undefined && isKept(next)))
      yield { path: at("size"), message: '"rest" is only for the last partition of a table' };
    if (size === undefined && !kept)
      yield { path: at("size"), message: "is missing; only what is kept has a size already" };
    for (const [key, message] of typeProblems(partition, table.type)) yield { path: at(key), message };
    sum += leastOn(size, imageSize);
  }
  const rest = partitions.some(({ size }) => size === "rest") ? 1 : 0;
  if (!Number.isSafeInteger(sum) || sum + rest > imageSize)
    yield {
      path: [...path, "imageSize"],
      message: `${imageSize / mib} MiB is too small: the partitions and their table take ${Math.ceil(sum / mib)} MiB${rest ? " and the rest" : ""}`,
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
    yield ["content", "a bios-boot partition holds no filesystem"];
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
    yield ["type", "swap lies in a `linux-swap` partition"];
  if (table === "gpt") {
    if (active !== undefined) yield ["active", "is a mark of an MBR; a GPT has the attribute `legacy-boot`"];
    return;
  }
  if (type === "bios-boot")
    yield ["type", "an MBR has no bios-boot partition: GRUB lies in the gap before the first one"];
  if (type === "xbootldr")
    yield ["type", "an MBR has no extended boot loader partition: systemd-boot looks for one in a GPT"];
  if (attributes !== undefined) yield ["attributes", "an MBR has none; `active` marks a partition"];
  if (typeGuid !== undefined) yield ["typeGuid", "an MBR has no GUIDs"];
}
