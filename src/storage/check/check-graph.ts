import type { Storage } from "../../schema/storage.ts";
import type { Luks } from "../../schema/storage-content.ts";
import { notAmong, type Problem } from "../../util/problem.ts";
import { mountsOf } from "../graph/check-storage.ts";
import {
  type ContentNode,
  contentsOf,
  type FieldPath,
  type Graph,
  type GraphNode,
  graphOf,
  isKept,
  showPlace,
} from "../graph/graph.ts";
import { leastMembers } from "../nodes/md.ts";
import { declaredMisfits } from "../size/fit.ts";
import { placeKey } from "../size/room.ts";
import { mountProblems } from "./check-mounts.ts";
import { tablesProblems } from "./check-table.ts";
import { verityProblems } from "./check-verity.ts";

type Node<Kind extends GraphNode["kind"]> = Extract<GraphNode, { kind: Kind }>;

/** What a schema cannot say of storage: names that lead nowhere, things in two places, sizes that do not fit. */
export function storageProblems(storage: Storage): Problem[] {
  const graph = graphOf(storage);
  const problems = [
    ...tablesProblems(storage),
    ...twins(storage),
    ...graph.nodes.flatMap((node) => [...nodeProblems(node, graph, storage)]),
    ...sameNames(graph),
    ...mountProblems(storage),
    ...verityProblems(storage),
    ...declaredMisfits(storage),
  ];
  if (graph.cycle !== undefined)
    problems.push({
      path: ["storage"],
      message: `is in itself: ${graph.cycle.join(" needs ")}; needs one that is on a partition`,
    });
  return problems;
}

function nodeProblems(node: GraphNode, graph: Graph, storage: Storage): Iterable<Problem> {
  switch (node.kind) {
    case "content":
      return contentProblems(node, graph, storage);
    case "array":
      return arrayProblems(node);
    case "group":
      return groupProblems(node, graph);
    case "pool":
      return poolProblems(node, storage);
    case "volume":
      return volumeProblems(node, graph, storage);
  }
}

function* arrayProblems({ path, name, array, members }: Node<"array">): Iterable<Problem> {
  const { level, content } = array;
  const least = leastMembers[level];
  if (members.length < least)
    yield {
      path,
      message: `has ${members.length} members; level ${level} needs ${least}, each an \`md-member\` of the array \`${name}\``,
    };
  if (content.type === "md-member")
    yield {
      path: [...path, "content"],
      message: "an array is no member of an array; use another type of content",
    };
  if (isKept(content))
    yield {
      path: [...path, "content"],
      message: "an array is made anew, so nothing in it is kept; leave `keep` out",
    };
}

function* groupProblems({ path, name, requires }: Node<"group">, { nodes }: Graph): Iterable<Problem> {
  const own = nodes.flatMap((node) =>
    node.kind === "content" && requires.includes(node.id) ? [isKept(node.content)] : [],
  );
  if (own.length === 0)
    yield { path, message: `has no members; needs an \`lvm-pv\` of the group \`${name}\`` };
  if (own.includes(true) && own.includes(false))
    yield { path, message: "is kept in one member and made anew in another; keep all or none" };
}

function* poolProblems({ id, path, name, pool, members }: Node<"pool">, storage: Storage): Iterable<Problem> {
  if (members.length < (pool.data === "single" ? 1 : 2))
    yield {
      path,
      message: `has ${members.length} members; needs two, each a \`btrfs-member\` of the pool \`${name}\``,
    };
  if (pool.startDegraded === undefined) return;
  const at = [...path, "startDegraded"];
  if (![pool.data, pool.metadata].every((profile) => profile === "raid1" || profile === "raid10"))
    yield {
      path: at,
      message: "needs `data` and `metadata` that are each on two disks: raid1 or raid10",
    };
  const [root] = mountsOf(storage);
  if (root === undefined || placeKey(root.place) !== id)
    yield {
      path: at,
      message: "is only for the pool that holds `/`; others are mounted when all of their disks are there",
    };
}

function* contentProblems(node: ContentNode, graph: Graph, storage: Storage): Iterable<Problem> {
  const { content, path } = node;
  if (content.type === "md-member" && !Object.hasOwn(storage.arrays, content.array))
    yield leadsNowhere([...path, "array"], content.array, storage.arrays, "storage.arrays");
  if (content.type === "lvm-pv" && !Object.hasOwn(storage.volumeGroups, content.group))
    yield leadsNowhere([...path, "group"], content.group, storage.volumeGroups, "storage.volumeGroups");
  if (content.type === "btrfs-member" && !Object.hasOwn(storage.pools, content.pool))
    yield leadsNowhere([...path, "pool"], content.pool, storage.pools, "storage.pools");
  if (content.type === "luks-header") {
    const volume = contentsOf(graph, "luks").find((node) => node.content.name === content.volume);
    if (volume?.content.detachedHeader !== true)
      yield {
        path: [...path, "volume"],
        message: `\`${content.volume}\` is no LUKS volume with \`detachedHeader: true\`; use the name of one`,
      };
    if (node.place.on !== "partition")
      yield { path, message: "a header needs to be the content of a partition" };
  }
  if (content.type === "luks") yield* luksProblems(content, path, graph);
  if ("subvolumes" in content)
    for (const [name, { keep }] of Object.entries(content.subvolumes))
      if (keep === true && content.keep === undefined)
        yield {
          path: [...path, "subvolumes", name, "keep"],
          message: "cannot be kept: its filesystem is made anew; say `keep` there too",
        };
  if (!isKept(content)) return;
  const inside = graph.nodes.find(({ id }) => node.requires.includes(id));
  if (inside?.kind === "content" && !isKept(inside.content))
    yield {
      path: [...path, "keep"],
      message: "cannot be kept: what it is in is made anew; say `keep` there too",
    };
}

function leadsNowhere(path: FieldPath, name: string, known: object, where: string): Problem {
  return { path, message: notAmong(name, Object.keys(known), where) };
}

function* luksProblems(
  { name, unlock, detachedHeader, keep }: Luks,
  path: FieldPath,
  graph: Graph,
): Iterable<Problem> {
  if (!detachedHeader) return;
  const headers = contentsOf(graph, "luks-header").filter(({ content }) => content.volume === name);
  if (headers.length !== 1)
    yield {
      path: [...path, "detachedHeader"],
      message: `needs one partition with the content \`luks-header\` of the volume \`${name}\`; there are ${headers.length}`,
    };
  if (unlock.type === "tpm2" || unlock.type === "tang")
    yield {
      path: [...path, "unlock"],
      message:
        "clevis knows no header that is apart; use `passphrase` or `key-file`, or leave `detachedHeader` out",
    };
  if (keep !== undefined)
    yield {
      path: [...path, "keep"],
      message: "a volume with its header apart is not kept; leave out `keep` or `detachedHeader`",
    };
}

function* volumeProblems(node: Node<"volume">, graph: Graph, storage: Storage): Iterable<Problem> {
  const { path, volume, group, name } = node;
  const at = (key: string, message: string): Problem => ({ path: [...path, key], message });
  const siblings = storage.volumeGroups[group]?.volumes ?? {};
  if (volume.size === undefined && !node.kept)
    yield at("size", 'is missing; needs one as "20GiB" or "rest"; only what is kept has a size already');
  if (node.kept && !graph.nodes.some((other) => other.kind === "group" && other.name === group && other.kept))
    yield at(
      "content",
      `cannot be kept: the group \`${group}\` is made anew; say \`keep\` in its members too`,
    );
  const after = Object.entries(siblings).slice(Object.keys(siblings).indexOf(name) + 1);
  if (volume.size === "rest" && after.some(([, other]) => other.kind !== "thin"))
    yield at("size", '"rest" is only for the last volume of a group');
  if (volume.kind === "thin") {
    if (typeof volume.size !== "number" && !node.kept)
      yield at("size", 'a thin volume needs an absolute size, as "20GiB"');
    const pool = volume.pool === undefined ? undefined : siblings[volume.pool];
    if (pool?.kind !== "thin-pool")
      yield at("pool", `needs the name of a volume of the group \`${group}\` whose kind is \`thin-pool\``);
  } else if (volume.pool !== undefined) yield at("pool", "is only for volumes of the kind `thin`");
  if (volume.kind === "thin-pool" && volume.content !== undefined)
    yield at("content", "a thin-pool holds thin volumes and no content of its own; leave it out");
  if (volume.over !== undefined && volume.kind !== "striped" && volume.kind !== "raid1")
    yield at("over", "is only for volumes of the kinds `striped` and `raid1`");
}

/** /dev/mapper and crypttab have one name for one thing. */
function* sameNames({ nodes }: Graph): Iterable<Problem> {
  const known = new Map<string, string>();
  for (const node of nodes) {
    if (node.kind !== "content") continue;
    const { content, place, path } = node;
    // Volumes have a name of two words, which no other mapping has.
    const name =
      content.type === "luks" ? content.name : content.type === "swap" ? content.randomKey : undefined;
    if (name === undefined) continue;
    const other = known.get(name);
    known.set(name, showPlace(place));
    if (other !== undefined)
      yield {
        path: [...path, content.type === "luks" ? "name" : "randomKey"],
        message: `would be /dev/mapper/${name}, and so would ${other}; needs a name of its own`,
      };
  }
}

/** Two disks of a definition that any machine could only have as one. */
function* twins(storage: Storage): Iterable<Problem> {
  const known = new Map<string, string>();
  const tables = new Map<string, string>();
  for (const [name, { match, alternatives = [] }] of Object.entries(storage.disks)) {
    const { tableUuid } = match;
    const at = ["storage", "disks", name, "match"];
    let other: string | undefined;
    for (const [index, one] of [match, ...alternatives].entries()) {
      const identity = JSON.stringify([one.serial, one.wwn, one.byId, one.path, one.tableUuid]);
      other ??= known.get(identity);
      if (known.has(identity))
        yield {
          path: index === 0 ? at : ["storage", "disks", name, "alternatives", index - 1],
          message: `matches the same disk as \`${known.get(identity)}\`; needs a serial or WWN of its own`,
        };
      known.set(identity, name);
    }
    if (tableUuid === undefined) continue;
    const same = tables.get(tableUuid);
    if (same !== undefined && other === undefined)
      yield {
        path: [...at, "tableUuid"],
        message: `is that of \`${same}\` too, and each of them would keep it; needs one of its own`,
      };
    tables.set(tableUuid, name);
  }
}
