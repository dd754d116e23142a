import { showMib } from "../../disks/place-partitions.ts";
import type { DiskFacts } from "../../schema/facts.ts";
import type { DiskMatch, KeptDisk, WrittenDisk } from "../../schema/storage.ts";
import { tableId } from "../graph/ids.ts";

type Declared = WrittenDisk | KeptDisk;

/** The disks that a declaration means, and by which match: the first that finds any, even if it finds too many. */
export function foundBy(
  declaration: Declared,
  disks: readonly DiskFacts[],
): { readonly match: DiskMatch; readonly found: readonly DiskFacts[] } {
  for (const match of matchesOf(declaration)) {
    const found = disks.filter((disk) => matches(match, declaration, disk));
    if (found.length > 0) return { match, found };
  }
  return { match: declaration.match, found: [] };
}

/** In the order in which they are tried. */
function matchesOf({ match, alternatives = [] }: Pick<Declared, "match" | "alternatives">): DiskMatch[] {
  return [match, ...alternatives];
}

/** "serial S3Z8NB0K, minSize 1024 MiB", for messages. */
export function showMatch(match: DiskMatch): string {
  return Object.entries(match)
    .map(([key, value]) => `${key} ${typeof value === "number" ? showMib(value) : value}`)
    .join(", ");
}

export function showMatches(declaration: Declared): string {
  return matchesOf(declaration).map(showMatch).join("; or ");
}

function matches(match: DiskMatch, declaration: Declared, disk: DiskFacts): boolean {
  // The table that the definition found, or that its own deploy has made since.
  const tables = "table" in declaration ? [match.tableUuid, tableId(declaration, "", "")] : [match.tableUuid];
  const same = (one: string | undefined, found: string | undefined) =>
    one === undefined || one.trim() === found?.trim();
  return (
    same(match.serial, disk.serial) &&
    same(match.wwn, disk.wwn) &&
    same(match.model, disk.model) &&
    (match.byId === undefined || disk.byId?.includes(match.byId) === true) &&
    (match.path === undefined || disk.byPath?.includes(match.path) === true) &&
    (match.tableUuid === undefined || tables.includes(disk.tableUuid?.toLowerCase())) &&
    disk.sizeBytes >= (match.minSize ?? 0) &&
    disk.sizeBytes <= (match.maxSize ?? Number.MAX_SAFE_INTEGER)
  );
}
