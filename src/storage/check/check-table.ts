import { leastOf, mib } from "../../disks/place-partitions.ts";
import type { Partition, WrittenDisk } from "../../schema/storage.ts";
import { traitsOf } from "../../tables/filesystem/filesystems.ts";
import { type FieldPath, isKept } from "../graph/graph.ts";
import type { StorageProblem } from "../graph/storage-problem.ts";

/** Room that a table and the alignment of its partitions take on a disk. */
const tableBytes = 2 * mib;

/** What is wrong with the partitions of one disk. */
export function tableProblems({ table, imageSize }: WrittenDisk, path: FieldPath): StorageProblem[] {
  const problems: StorageProblem[] = [];
  const { partitions } = table;
  let sum = tableBytes;
  for (const [index, partition] of partitions.entries()) {
    const { name, size, content } = partition;
    const say = (key: string, message: string) =>
      problems.push({ path: [...path, "table", "partitions", index, key], message });
    const kept = content !== undefined && isKept(content);
    if (partitions.findIndex((one) => one.name === name) < index)
      say("name", `${name} names another partition of this table too`);
    const next = partitions[index + 1]?.content;
    if (size === "rest" && index < partitions.length - 1 && !(next !== undefined && isKept(next)))
      say("size", '"rest" is only for the last partition of a table');
    if (size === undefined && !kept) say("size", "is missing; only what is kept has a size already");
    for (const [key, message] of typeProblems(partition, table.type)) say(key, message);
    sum +=
      typeof size === "string" && size.endsWith("%")
        ? Math.floor((imageSize * Number.parseInt(size, 10)) / 100 / mib) * mib
        : typeof size === "number"
          ? size
          : typeof size === "object"
            ? leastOf(size)
            : 0;
  }
  const rest = partitions.some(({ size }) => size === "rest") ? 1 : 0;
  if (!Number.isSafeInteger(sum) || sum + rest > imageSize)
    problems.push({
      path: [...path, "imageSize"],
      message: `${imageSize / mib} MiB is too small: the partitions and their table take ${Math.ceil(sum / mib)} MiB${rest ? " and the rest" : ""}`,
    });
  return problems;
}

function typeProblems(partition: Partition, table: "gpt" | "mbr"): [key: string, message: string][] {
  const { type, content, attributes, typeGuid, active } = partition;
  const problems: [string, string][] = [];
  if (type === "bios-boot" && content !== undefined)
    problems.push(["content", "a bios-boot partition holds no filesystem"]);
  const isForFirmware = content?.type === "md-member" || traitsOf(content?.type).firmware;
  if (type === "esp" && !isForFirmware)
    problems.push([
      "content",
      "an ESP needs vfat content, or to be a member of an array that holds it; `esp()` makes one",
    ]);
  if (type === "xbootldr" && !isForFirmware)
    problems.push([
      "content",
      "an extended boot loader partition needs vfat content, which firmware can read, or to be a member of an array that holds it; `xbootldr()` makes one",
    ]);
  if (content?.type === "swap" && !["linux-swap", "linux"].includes(type))
    problems.push(["type", "swap lies in a `linux-swap` partition"]);
  if (table === "mbr") {
    if (type === "bios-boot")
      problems.push(["type", "an MBR has no bios-boot partition: GRUB lies in the gap before the first one"]);
    if (type === "xbootldr")
      problems.push([
        "type",
        "an MBR has no extended boot loader partition: systemd-boot looks for one in a GPT",
      ]);
    if (attributes !== undefined)
      problems.push(["attributes", "an MBR has none; `active` marks a partition"]);
    if (typeGuid !== undefined) problems.push(["typeGuid", "an MBR has no GUIDs"]);
  } else if (active !== undefined)
    problems.push(["active", "is a mark of an MBR; a GPT has the attribute `legacy-boot`"]);
  return problems;
}
