import { digestOf } from "../../util/digest.ts";

/** `count` ids of a user namespace from `inside` on are those from `outside` on where the namespace was made. */
interface IdRange {
  readonly inside: number;
  readonly outside: number;
  readonly count: number;
}

export interface IdMaps {
  readonly uids: readonly IdRange[];
  readonly gids: readonly IdRange[];
}

/** Debian's files are owned by ids from 0 to nobody's 65534; 65536 is what useradd gives to every user. */
export const wantedIds = 65_536;
export const neededIds = 65_535;

/** Every id there is but the invalid last one: nothing is mapped. */
const allIds = 4_294_967_295;

/** A user's subordinate ids by /etc/subuid or /etc/subgid, in the file's order; skips lines that are no entries, as newuidmap does. */
export function subordinateIds(
  text: string,
  user: { readonly name: string; readonly id: number },
): { start: number; count: number }[] {
  return text.split("\n").flatMap((line) => {
    const match = /^([^:]+):(\d+):(\d+)$/.exec(line.trim());
    if (match === null) return [];
    const [, owner, start, count] = match;
    if (owner !== user.name && owner !== String(user.id)) return [];
    return Number(count) > 0 ? [{ start: Number(start), count: Number(count) }] : [];
  });
}

/**
 * A namespace's ids: 0 is the user, 1 and up are the subordinate ids, as many as asked for. Ids that are
 * mapped already are left out, because the kernel refuses an id that is mapped twice.
 */
export function mapIds(
  own: number,
  subordinate: readonly { readonly start: number; readonly count: number }[],
): IdRange[] {
  const map: IdRange[] = [{ inside: 0, outside: own, count: 1 }];
  let inside = 1;
  for (const { start, count } of subordinate) {
    const taken = Math.min(count, wantedIds - inside);
    const clash = map.some((range) => start < range.outside + range.count && range.outside < start + taken);
    if (taken <= 0 || clash) continue;
    map.push({ inside, outside: start, count: taken });
    inside += taken;
  }
  return map;
}

export function countIds(map: readonly IdRange[]): number {
  return map.reduce((sum, { count }) => sum + count, 0);
}

/** /proc/<pid>/uid_map or gid_map, see user_namespaces(7). */
export function parseIdMap(text: string): IdRange[] {
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => {
      const [inside, outside, count] = line.trim().split(/\s+/).map(Number);
      return { inside: inside!, outside: outside!, count: count! };
    });
}

/** What an id of the namespace is outside; undefined for one that is not mapped. */
export function outsideOf(map: readonly IdRange[], id: number): number | undefined {
  const range = map.find(({ inside, count }) => id >= inside && id < inside + count);
  return range === undefined ? undefined : range.outside + id - range.inside;
}

/** The words newuidmap(1) takes after the process. */
export function mapWords(map: readonly IdRange[]): string[] {
  return map.flatMap(({ inside, outside, count }) => [inside, outside, count].map(String));
}

/** A short name for the maps: files made under one of them have other owners under the next. Undefined where nothing is mapped. */
export function mapsName({ uids, gids }: IdMaps): string | undefined {
  const plain = (map: readonly IdRange[]) =>
    map.length === 1 && map[0]!.inside === 0 && map[0]!.outside === 0 && map[0]!.count === allIds;
  return plain(uids) && plain(gids) ? undefined : digestOf([uids, gids]).slice(0, 12);
}
