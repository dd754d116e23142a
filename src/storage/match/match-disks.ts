import { refuseSpanning } from "../../disks/membership.ts";
import { showMib } from "../../disks/place-partitions.ts";
import type { DiskFacts } from "../../schema/facts.ts";
import type { KeptDisk, Storage, WrittenDisk } from "../../schema/storage.ts";
import { Fail } from "../../util/fail.ts";
import { writtenDisks } from "../graph/check-storage.ts";
import { keepOf } from "../graph/graph.ts";
import { refuseMisfit } from "../size/fit.ts";
import { suggestedMatch } from "../table/disk-names.ts";
import { layoutOf } from "../table/gpt.ts";
import { foundBy, showMatch, showMatches } from "./disk-match.ts";

/**
 * The machine's disk for each disk of a definition. Exactly one disk must match each; whatever leaves room for a
 * doubt is a refusal that shows what the machine has.
 */
export function matchDisks(storage: Storage, disks: readonly DiskFacts[]): Record<string, DiskFacts> {
  const matched: Record<string, DiskFacts> = {};
  for (const [name, declaration] of Object.entries(storage.disks)) {
    const { match, found } = foundBy(declaration, disks);
    const [one] = found;
    if (one === undefined)
      throw new Fail(`no disk of the machine matches disk ${name} (${showMatches(declaration)})`, {
        hint: `the machine has ${showChoices(disks)}`,
      });
    refusePaths(name, one, disks);
    if (found.length > 1)
      throw new Fail(`${found.length} disks match disk ${name} (${showMatch(match)}): ${showDisks(found)}`, {
        hint: `name one of them: ${showChoices(found, disks)}`,
      });
    refuseTwin(name, one, disks);
    const other = Object.entries(matched).find(([, disk]) => disk.name === one.name);
    if (other !== undefined)
      throw new Fail(`disks ${other[0]} and ${name} of the definition are the same disk: ${showDisk(one)}`);
    matched[name] = one;
  }
  for (const [name, declaration] of Object.entries(storage.disks)) {
    const disk = matched[name]!;
    if ("table" in declaration) {
      if (disk.readOnly) throw new Fail(`disk ${name} is read-only: ${showDisk(disk)}`);
      refuseKeptContent(name, disk, storage);
      layoutOf(declaration, disk.sizeBytes, disk.sectorSize, { seed: "", name }, disk.partitions);
      checkKeptPartitions(name, declaration, disk);
    } else checkKept(name, declaration, disk);
    if (!known(disk) && disk.byPath === undefined)
      throw new Fail(
        `disk ${name} has neither serial nor wwn nor a path to be found by again: ${showDisk(disk)}`,
        {
          hint: "the base could not tell it from another disk",
        },
      );
  }
  refuseShared(storage, matched, disks);
  refuseMisfit(storage, matched);
  return matched;
}

/** The same, with the refusal as data: one of several things that speak against a machine. */
export function matchOrProblem(
  storage: Storage | undefined,
  disks: readonly DiskFacts[],
): { matched: Record<string, DiskFacts> } | { problem: { message: string; hint?: string } } {
  if (storage === undefined) return { problem: { message: "the definition has no storage" } };
  try {
    return { matched: matchDisks(storage, disks) };
  } catch (error) {
    if (!(error instanceof Fail)) throw error;
    return { problem: { message: error.message, ...(error.hint === undefined ? {} : { hint: error.hint }) } };
  }
}

/** "QEMU HARDDISK, serial disk-a, 4096 MiB (vda)", for messages. */
export function showDisk(disk: DiskFacts): string {
  const parts = [
    ...(disk.model?.trim() ? [disk.model.trim()] : []),
    disk.serial === undefined ? "no serial" : `serial ${disk.serial}`,
    ...(disk.wwn === undefined ? [] : [`wwn ${disk.wwn}`]),
    showMib(disk.sizeBytes),
    ...(disk.removable ? ["removable"] : []),
    ...(disk.readOnly ? ["read-only"] : []),
  ];
  return `${parts.join(", ")} (${disk.name})`;
}

function showDisks(disks: readonly DiskFacts[]): string {
  return disks.map(showDisk).join("; ");
}

/** Disks with what a definition can say to mean each. */
function showChoices(chosen: readonly DiskFacts[], disks: readonly DiskFacts[] = chosen): string {
  const choices = chosen.map((disk) => {
    const match = suggestedMatch(disk, disks);
    return match === undefined ? showDisk(disk) : `${showDisk(disk)}, \`${match}\``;
  });
  return choices.length === 0 ? "no disks" : choices.join("; ");
}

/**
 * Several paths to one disk, as a storage network has them: each is a disk of its own to the kernel, with the same WWN and size. The base
 * and the new system know nothing of paths, and would write by one of them what the other shows as it was.
 */
function refusePaths(name: string, disk: DiskFacts, disks: readonly DiskFacts[]): void {
  const { multipath, wwn, serial, sizeBytes } = disk;
  const paths = disks.filter((other) =>
    multipath === undefined
      ? wwn !== undefined && other.wwn === wwn && other.serial === serial && other.sizeBytes === sizeBytes
      : other.multipath === multipath,
  );
  if (paths.length < 2) return;
  const names = paths.map((disk) => disk.name).join(", ");
  const why = multipath === undefined ? `have the WWN ${wwn}` : `are held by the multipath map ${multipath}`;
  throw new Fail(`disk ${name} is seen by ${paths.length} paths to one disk: ${names} ${why}`, {
    hint: "imgbuild does not deploy to multipath disks yet: leave the machine one path to it (by zoning, the mapping of its LUN or a cable) until it is deployed",
  });
}

/** The base finds the disk again by serial, wwn, model and size, or by its port: a second disk alike in all of them would be a guess. */
function refuseTwin(name: string, disk: DiskFacts, disks: readonly DiskFacts[]): void {
  const twin = disks.find(
    (other) =>
      other.name !== disk.name &&
      other.serial === disk.serial &&
      other.wwn === disk.wwn &&
      other.model === disk.model &&
      other.sizeBytes === disk.sizeBytes &&
      (known(disk) || other.byPath?.[0] === disk.byPath?.[0]),
  );
  if (twin !== undefined)
    throw new Fail(`disk ${name} cannot be told apart from another one: ${showDisks([disk, twin])}`, {
      hint: "unplug the other one; serial, wwn, model and size are all the same",
    });
}

/** By something of its own; without it the port decides. */
function known({ serial, wwn }: DiskFacts): boolean {
  return serial !== undefined || wwn !== undefined;
}

function checkKept(name: string, declaration: KeptDisk, disk: DiskFacts): void {
  const holders = [{ fsType: disk.fsType, uuid: disk.uuid, name: disk.name }, ...disk.partitions];
  for (const kept of declaration.keep) {
    const found = holders.find((holder) => holder.uuid?.toLowerCase() === kept.uuid);
    const list = holders
      .filter((holder) => holder.fsType !== undefined)
      .map((holder) => `${holder.name}: ${holder.fsType} ${holder.uuid ?? "without UUID"}`);
    if (found === undefined)
      throw new Fail(`kept disk ${name} (${showDisk(disk)}) has no filesystem with the UUID ${kept.uuid}`, {
        hint: list.length === 0 ? "no known filesystem was seen on it" : `it has ${list.join("; ")}`,
      });
    const type = keptTypes[kept.type] ?? kept.type;
    if (found.fsType !== type)
      throw new Fail(
        `the filesystem ${kept.uuid} of kept disk ${name} is ${found.fsType ?? "unknown"}, not ${type}`,
      );
  }
}

/** Types as the definition calls them; their places were found by UUID. */
function checkKeptPartitions(name: string, declaration: WrittenDisk, disk: DiskFacts): void {
  for (const { name: part, content } of declaration.table.partitions) {
    const keep = keepOf(content);
    if (content === undefined || keep === undefined) continue;
    const holder = disk.partitions.find((part) => part.uuid?.toLowerCase() === keep.uuid.toLowerCase());
    const type = keptTypes[content.type] ?? content.type;
    if (holder?.fsType !== type)
      throw new Fail(
        `partition ${part} of disk ${name} is kept as ${type}, but ${keep.uuid} is ${holder?.fsType ?? "unknown"}`,
      );
  }
}

/** As blkid calls them. */
const keptTypes: Readonly<Record<string, string>> = { luks: "crypto_LUKS", "lvm-pv": "LVM2_member" };

/** What lies on a disk to be written and on another one that is not would be broken by half. */
function refuseShared(
  storage: Storage,
  matched: Readonly<Record<string, DiskFacts>>,
  disks: readonly DiskFacts[],
): void {
  const written = new Set(writtenDisks(storage).map(([name]) => matched[name]!.name));
  refuseSpanning(
    disks.flatMap((disk) => [
      { disk: disk.name, device: disk.name, fsType: disk.fsType, uuid: disk.uuid, group: disk.group },
      ...disk.partitions.map(({ name, fsType, uuid, group }) => ({
        disk: disk.name,
        device: name,
        fsType,
        uuid,
        group,
      })),
    ]),
    written,
  );
  for (const disk of disks.filter(({ name }) => written.has(name)))
    for (const holder of disk.holders) {
      const other = disks.find((one) => !written.has(one.name) && one.holders.includes(holder));
      if (other !== undefined)
        throw new Fail(
          `${holder} lies on ${disk.name}, which would be written, and on ${other.name}, which is not`,
          {
            hint: "take the disk out of it first, or name all its disks in the definition",
          },
        );
    }
}

/** A disk that is about to be written must not carry what the definition promises to keep. */
function refuseKeptContent(name: string, disk: DiskFacts, storage: Storage): void {
  const uuids = new Map<string, string>();
  for (const [keeper, kept] of Object.entries(storage.disks))
    if ("keep" in kept) for (const { uuid } of kept.keep) uuids.set(uuid, keeper);
  for (const { uuid } of [disk, ...disk.partitions]) {
    const keeper = uuid === undefined ? undefined : uuids.get(uuid.toLowerCase());
    if (keeper !== undefined)
      throw new Fail(
        `disk ${name} would be written, but carries the filesystem ${uuid} kept as part of disk ${keeper}: ${showDisk(disk)}`,
      );
  }
}
