import type { MdArray, Partition, Storage, Volume, VolumeGroup } from "../../schema/storage.ts";
import { Content, type Pool } from "../../schema/storage-content.ts";

/** Where a content lies. */
export type Place =
  | { readonly on: "partition"; readonly disk: string; readonly partition: Partition }
  /** Somewhere on a kept disk; found by its UUID. */
  | { readonly on: "kept-disk"; readonly disk: string; readonly uuid: string }
  | { readonly on: "luks"; readonly name: string }
  | { readonly on: "array"; readonly name: string }
  | { readonly on: "volume"; readonly group: string; readonly name: string };

export type Keep = NonNullable<Extract<Content, { keep?: unknown }>["keep"]>;
export type FieldPath = readonly (string | number)[];

interface Common {
  /** Unique, and as a person would call it: "partition system/root", "volume vg0/home". */
  readonly id: string;
  /** Of the definition's field that made it. */
  readonly path: FieldPath;
  /** Ids of what must be there before. */
  readonly requires: readonly string[];
}
export interface ContentNode extends Common {
  readonly kind: "content";
  readonly place: Place;
  readonly content: Content;
}
interface ArrayNode extends Common {
  readonly kind: "array";
  readonly name: string;
  readonly array: MdArray;
  readonly members: readonly Place[];
}
interface GroupNode extends Common {
  readonly kind: "group";
  readonly name: string;
  readonly group: VolumeGroup;
  readonly members: readonly Place[];
  /** Its members are kept, and so is it; single volumes may be made anew. */
  readonly kept: boolean;
}
interface VolumeNode extends Common {
  readonly kind: "volume";
  readonly group: string;
  readonly name: string;
  readonly volume: Volume;
  readonly kept: boolean;
}
interface PoolNode extends Common {
  readonly kind: "pool";
  readonly name: string;
  readonly pool: Pool;
  readonly members: readonly Place[];
}
export type GraphNode = ContentNode | ArrayNode | GroupNode | VolumeNode | PoolNode;

export interface Graph {
  /** What others lie in comes first. */
  readonly nodes: readonly GraphNode[];
  /** Ids along a circle, which has no first; then `nodes` is without order. */
  readonly cycle: readonly string[] | undefined;
}

/** Everything that lies on the definition's disks, as a list in which parents come first. Pure. */
export function graphOf(storage: Storage): Graph {
  const contents: ContentNode[] = [];
  const add = (place: Place, content: Content, path: FieldPath, requires: readonly string[]) => {
    contents.push({ kind: "content", id: contentId(place), place, content, path, requires });
    if (content.type === "luks")
      add({ on: "luks", name: content.name }, content.content, [...path, "content"], [contentId(place)]);
  };
  for (const [disk, one] of Object.entries(storage.disks)) {
    const path = ["storage", "disks", disk];
    if ("table" in one)
      for (const [index, partition] of one.table.partitions.entries()) {
        const at = [...path, "table", "partitions", index, "content"];
        if (partition.content !== undefined)
          add({ on: "partition", disk, partition }, partition.content, at, []);
      }
    else
      for (const [index, entry] of one.keep.entries())
        add({ on: "kept-disk", disk, uuid: entry.uuid }, keptContent(entry), [...path, "keep", index], []);
  }
  for (const [name, array] of Object.entries(storage.arrays))
    add({ on: "array", name }, array.content, ["storage", "arrays", name, "content"], [`array ${name}`]);
  const volumes: VolumeNode[] = [];
  for (const [name, group] of Object.entries(storage.volumeGroups)) {
    const path = ["storage", "volumeGroups", name];
    for (const [one, volume] of Object.entries(group.volumes)) {
      const id = `volume ${name}/${one}`;
      const inPool = volume.pool === undefined ? [] : [`volume ${name}/${volume.pool}`];
      const requires = [`group ${name}`, ...inPool];
      const at = [...path, "volumes", one];
      const kept = keepOf(volume.content) !== undefined;
      volumes.push({ kind: "volume", id, path: at, requires, group: name, name: one, volume, kept });
      if (volume.content !== undefined)
        add({ on: "volume", group: name, name: one }, volume.content, [...at, "content"], [id]);
    }
  }
  const membersOf = (is: (content: Content) => boolean) => {
    const found = contents.filter(({ content }) => is(content));
    return { members: found.map(({ place }) => place), requires: found.map(({ id }) => id), found };
  };
  return inOrder([
    ...Object.entries(storage.arrays).map(([name, array]): ArrayNode => {
      const { members, requires } = membersOf((one) => one.type === "md-member" && one.array === name);
      const path = ["storage", "arrays", name];
      return { kind: "array", id: `array ${name}`, path, requires, name, array, members };
    }),
    ...Object.entries(storage.volumeGroups).map(([name, group]): GroupNode => {
      const { found, members, requires } = membersOf((one) => one.type === "lvm-pv" && one.group === name);
      const path = ["storage", "volumeGroups", name];
      const kept = found.some(({ content }) => isKept(content));
      return { kind: "group", id: `group ${name}`, path, requires, name, group, members, kept };
    }),
    // In the order in which they share the group's room, of which thin ones take none.
    ...volumes.filter(({ volume }) => volume.kind !== "thin"),
    ...volumes.filter(({ volume }) => volume.kind === "thin"),
    ...Object.entries(storage.pools).map(([name, pool]): PoolNode => {
      const { members, requires } = membersOf((one) => one.type === "btrfs-member" && one.pool === name);
      return {
        kind: "pool",
        id: `pool ${name}`,
        path: ["storage", "pools", name],
        requires,
        name,
        pool,
        members,
      };
    }),
    ...contents.map((node) => withHeader(node, contents)),
  ]);
}

/** The same as the definition's words for it. */
export function showPlace(place: Place): string {
  switch (place.on) {
    case "partition":
      return `partition ${place.disk}/${place.partition.name}`;
    case "kept-disk":
      return `kept disk ${place.disk}/${place.uuid}`;
    case "volume":
      return `volume ${place.group}/${place.name}`;
    default:
      return `${place.on} ${place.name}`;
  }
}

/** What the identifiers of a content derive from; of a partition what they always did. */
export function scopeOf(place: Place): readonly [scope: string, name: string] {
  switch (place.on) {
    case "partition":
      return [place.disk, place.partition.name];
    case "kept-disk":
      return [place.disk, place.uuid];
    case "volume":
      return [`volume:${place.group}`, place.name];
    default:
      return [`${place.on}:`, place.name];
  }
}

/** Whether a content stays as it is on the disk. */
export function isKept(content: Content): boolean {
  return keepOf(content) !== undefined;
}

/** The nodes with a content of that type. */
export function contentsOf<T extends Content["type"]>({ nodes }: Pick<Graph, "nodes">, type: T) {
  type Found = ContentNode & { readonly content: Extract<Content, { type: T }> };
  return nodes.filter((node): node is Found => node.kind === "content" && node.content.type === type);
}

/** Where the header of a LUKS volume is, if it is apart from its data. */
export function headerOf(graph: Pick<Graph, "nodes">, volume: string): ContentNode | undefined {
  return contentsOf(graph, "luks-header").find(({ content }) => content.volume === volume);
}

/** By what a content that stays is known. */
export function keepOf(content: Content | undefined): Keep | undefined {
  return content !== undefined && "keep" in content ? content.keep : undefined;
}

function contentId(place: Place): string {
  return place.on === "luks"
    ? `in luks ${place.name}`
    : showPlace(place) + (place.on === "partition" ? "" : " content");
}

type KeptEntry = Extract<Storage["disks"][string], { keep: unknown }>["keep"][number];

function keptContent(entry: KeptEntry): Content {
  const { uuid, ...rest } = entry;
  return Content.parse(
    "content" in rest
      ? { ...rest, options: ["nofail"], keep: { uuid }, content: keptContent(rest.content) }
      : { ...rest, keep: { uuid } },
  );
}

/** A volume with a header apart cannot be made before there is a place for that. */
function withHeader(node: ContentNode, contents: readonly ContentNode[]): ContentNode {
  const { content } = node;
  if (content.type !== "luks" || !content.detachedHeader) return node;
  const header = headerOf({ nodes: contents }, content.name);
  return header === undefined ? node : { ...node, requires: [...node.requires, header.id] };
}

/** Depth first, in the definition's order where nothing else decides. */
function inOrder(nodes: readonly GraphNode[]): Graph {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const done = new Set<string>();
  const ordered: GraphNode[] = [];
  let cycle: string[] | undefined;
  const visit = (node: GraphNode, above: readonly string[]) => {
    if (done.has(node.id) || cycle !== undefined) return;
    const at = above.indexOf(node.id);
    if (at >= 0) {
      cycle = [...above.slice(at), node.id];
      return;
    }
    for (const id of node.requires) {
      const one = byId.get(id);
      if (one !== undefined) visit(one, [...above, node.id]);
    }
    done.add(node.id);
    ordered.push(node);
  };
  for (const node of nodes) visit(node, []);
  return cycle === undefined ? { nodes: ordered, cycle } : { nodes, cycle };
}
