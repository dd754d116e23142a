import type { Storage } from "../../schema/storage.ts";
import type { Btrfs, Content } from "../../schema/storage-content.ts";
import { mountsOf } from "../graph/check-storage.ts";
import {
  type ContentNode,
  type FieldPath,
  type Graph,
  type GraphNode,
  graphOf,
  isKept,
  showPlace,
} from "../graph/graph.ts";
import type { StorageProblem } from "../graph/storage-problem.ts";
import { leastMembers } from "../nodes/md.ts";
import { declaredMisfits } from "../size/fit.ts";
import { placeKey } from "../size/room.ts";
import { mountProblems } from "./check-mounts.ts";
import { tableProblems } from "./check-table.ts";
import { verityProblems } from "./check-verity.ts";

/** What a schema cannot say of storage: names that lead nowhere, things in two places, sizes that do not fit. */
export function storageProblems(storage: Storage): StorageProblem[] {
  const graph = graphOf(storage);
  const problems = [
    ...Object.entries(storage.disks).flatMap(([name, disk]) =>
      "table" in disk ? tableProblems(disk, ["storage", "disks", name]) : [],
    ),
    ...twins(storage),
    ...graph.nodes.flatMap((node) => nodeProblems(node, graph, storage)),
    ...sameNames(graph),
    ...mountProblems(storage),
    ...verityProblems(storage),
    ...declaredMisfits(storage),
  ];
  if (graph.cycle !== undefined)
    problems.push({
      path: ["storage"],
      message: `lies in itself: ${graph.cycle.join(" needs ")}`,
    });
  return problems;
}

function nodeProblems(node: GraphNode, graph: Graph, storage: Storage): StorageProblem[] {
  const { path } = node;
  switch (node.kind) {
    case "content":
      return contentProblems(node, graph, storage);
    case "array": {
      const least = leastMembers[node.array.level];
      const count = node.members.length;
      const problems: StorageProblem[] = [];
      if (count < least)
        problems.push({
          path,
          message: `has ${count} members; level ${node.array.level} needs ${least}, each an \`md-member\` of the array \`${node.name}\``,
        });
      if (node.array.content.type === "md-member")
        problems.push({ path: [...path, "content"], message: "an array is no member of an array" });
      if (isKept(node.array.content))
        problems.push({
          path: [...path, "content"],
          message: "an array is made anew, so nothing in it is kept",
        });
      return problems;
    }
    case "group": {
      const own = graph.nodes.filter((one) => one.kind === "content" && node.requires.includes(one.id));
      const kept = own.filter((one) => one.kind === "content" && isKept(one.content)).length;
      if (own.length === 0)
        return [{ path, message: `has no members; needs an \`lvm-pv\` of the group \`${node.name}\`` }];
      return kept > 0 && kept < own.length
        ? [{ path, message: "is kept in one member and made anew in another; keep all or none" }]
        : [];
    }
    case "pool":
      return poolProblems(node, storage);
    case "volume":
      return volumeProblems(node, graph, storage);
  }
}

function poolProblems(
  { id, path, name, pool, members }: Extract<GraphNode, { kind: "pool" }>,
  storage: Storage,
): StorageProblem[] {
  const problems: StorageProblem[] = [];
  if (members.length < (pool.data === "single" ? 1 : 2))
    problems.push({
      path,
      message: `has ${members.length} members; needs two, each a \`btrfs-member\` of the pool \`${name}\``,
    });
  if (pool.startDegraded === undefined) return problems;
  const say = (message: string) => problems.push({ path: [...path, "startDegraded"], message });
  if (![pool.data, pool.metadata].every((profile) => profile === "raid1" || profile === "raid10"))
    say("needs `data` and `metadata` that are each on two disks: raid1 or raid10");
  const [root] = mountsOf(storage);
  if (root === undefined || placeKey(root.place) !== id)
    say("is only for the pool that holds `/`; others are mounted when all of their disks are there");
  return problems;
}

function contentProblems(node: ContentNode, graph: Graph, storage: Storage): StorageProblem[] {
  const { content, path } = node;
  const problems: StorageProblem[] = [];
  const named = (key: string, name: string, known: object, where: string) => {
    if (!Object.hasOwn(known, name))
      problems.push({
        path: [...path, key],
        message: `\`${name}\` is not among the ${where}${Object.keys(known).length === 0 ? "" : `: ${Object.keys(known).join(", ")}`}`,
      });
  };
  if (content.type === "md-member") named("array", content.array, storage.arrays, "storage.arrays");
  if (content.type === "lvm-pv") named("group", content.group, storage.volumeGroups, "storage.volumeGroups");
  if (content.type === "btrfs-member") named("pool", content.pool, storage.pools, "storage.pools");
  const luks = (name: string) =>
    graph.nodes.find(
      (one): one is ContentNode =>
        one.kind === "content" && one.content.type === "luks" && one.content.name === name,
    );
  if (content.type === "luks-header") {
    const volume = luks(content.volume)?.content;
    if (volume?.type !== "luks" || !volume.detachedHeader)
      problems.push({
        path: [...path, "volume"],
        message: `\`${content.volume}\` is no LUKS volume with \`detachedHeader: true\``,
      });
    if (node.place.on !== "partition") problems.push({ path, message: "a header lies on a partition" });
  }
  if (content.type === "luks") problems.push(...luksProblems(content, path, graph));
  if ("subvolumes" in content) problems.push(...subvolumeProblems(content, path));
  if (isKept(content)) {
    const inside = graph.nodes.find((one) => node.requires.includes(one.id));
    if (inside?.kind === "content" && !isKept(inside.content))
      problems.push({ path: [...path, "keep"], message: "cannot be kept: what it lies in is made anew" });
  }
  return problems;
}

function luksProblems(
  content: Extract<Content, { type: "luks" }>,
  path: FieldPath,
  graph: Graph,
): StorageProblem[] {
  const problems: StorageProblem[] = [];
  const headers = graph.nodes.filter(
    (one) =>
      one.kind === "content" && one.content.type === "luks-header" && one.content.volume === content.name,
  );
  if (content.detachedHeader && headers.length !== 1)
    problems.push({
      path: [...path, "detachedHeader"],
      message: `needs one partition with the content \`luks-header\` of the volume \`${content.name}\`; there are ${headers.length}`,
    });
  if (content.detachedHeader && (content.unlock.type === "tpm2" || content.unlock.type === "tang"))
    problems.push({ path: [...path, "unlock"], message: "clevis knows no header that lies apart" });
  if (content.detachedHeader && content.keep !== undefined)
    problems.push({ path: [...path, "keep"], message: "a volume with its header apart is not kept" });
  return problems;
}

function subvolumeProblems(content: Btrfs, path: FieldPath): StorageProblem[] {
  return Object.entries(content.subvolumes).flatMap(([name, { keep }]) =>
    keep === true && content.keep === undefined
      ? [
          {
            path: [...path, "subvolumes", name, "keep"],
            message: "cannot be kept: its filesystem is made anew; say `keep` there too",
          },
        ]
      : [],
  );
}

function volumeProblems(
  node: Extract<GraphNode, { kind: "volume" }>,
  graph: Graph,
  storage: Storage,
): StorageProblem[] {
  const { path, volume, group, name } = node;
  const problems: StorageProblem[] = [];
  const say = (key: string, message: string) => problems.push({ path: [...path, key], message });
  const siblings = storage.volumeGroups[group]?.volumes ?? {};
  if (volume.size === undefined && !node.kept)
    say("size", "is missing; only what is kept has a size already");
  if (node.kept && !groupIsKept(graph, group))
    say("content", `cannot be kept: the group \`${group}\` is made anew`);
  const after = Object.entries(siblings).slice(Object.keys(siblings).indexOf(name) + 1);
  if (volume.size === "rest" && after.some(([, one]) => one.kind !== "thin"))
    say("size", '"rest" is only for the last volume of a group');
  if (volume.kind === "thin") {
    if (typeof volume.size !== "number" && !node.kept) say("size", "a thin volume has an absolute size");
    const pool = volume.pool === undefined ? undefined : siblings[volume.pool];
    if (pool?.kind !== "thin-pool")
      say("pool", `needs the name of a volume of the group \`${group}\` whose kind is \`thin-pool\``);
  } else if (volume.pool !== undefined) say("pool", "is only for volumes of the kind `thin`");
  if (volume.kind === "thin-pool" && volume.content !== undefined)
    say("content", "a thin-pool holds thin volumes and no content of its own");
  if (volume.over !== undefined && volume.kind !== "striped" && volume.kind !== "raid1")
    say("over", "is only for volumes of the kinds `striped` and `raid1`");
  return problems;
}

function groupIsKept(graph: Graph, name: string): boolean {
  return graph.nodes.some((one) => one.kind === "group" && one.name === name && one.kept);
}

/** /dev/mapper and crypttab have one name for one thing. */
function sameNames(graph: Graph): StorageProblem[] {
  const seen = new Map<string, string>();
  return graph.nodes.flatMap((node): StorageProblem[] => {
    if (node.kind !== "content") return [];
    // Volumes have a name of two words, which no other mapping has.
    const name = mappingOf(node.content);
    if (name === undefined) return [];
    const what = showPlace(node.place);
    const other = seen.get(name);
    seen.set(name, what);
    return other === undefined
      ? []
      : [{ path: node.path, message: `would be /dev/mapper/${name}, and so would ${other}` }];
  });
}

function mappingOf(content: Content): string | undefined {
  if (content.type === "luks") return content.name;
  return content.type === "swap" ? content.randomKey : undefined;
}

/** Two disks of a definition that any machine could only have as one. */
function twins(storage: Storage): StorageProblem[] {
  const problems: StorageProblem[] = [];
  const known = new Map<string, string>();
  const tables = new Map<string, string>();
  for (const [name, { match }] of Object.entries(storage.disks)) {
    const { serial, wwn, byId, path, tableUuid } = match;
    const identity = JSON.stringify([serial, wwn, byId, path, tableUuid]);
    const other = known.get(identity);
    if (other !== undefined)
      problems.push({
        path: ["storage", "disks", name, "match"],
        message: `matches the same disk as \`${other}\`; needs a serial or WWN of its own`,
      });
    known.set(identity, name);
    if (tableUuid === undefined) continue;
    const same = tables.get(tableUuid);
    if (same !== undefined && other === undefined)
      problems.push({
        path: ["storage", "disks", name, "match", "tableUuid"],
        message: `is that of \`${same}\` too, and each of them would keep it`,
      });
    tables.set(tableUuid, name);
  }
  return problems;
}
