import type { DeviceRef } from "../../disks/device.ts";
import type { StepData } from "../../schema/plan.ts";
import type { Mounted } from "../graph/check-storage.ts";
import {
  type ContentNode,
  contentsOf,
  type Graph,
  type GraphNode,
  headerOf,
  isKept,
  type Place,
  scopeOf,
  showPlace,
} from "../graph/graph.ts";
import { btrfsPool } from "../nodes/btrfs.ts";
import { contentType } from "../nodes/content-types.ts";
import { enrollSteps, luksUuid, tangSteps } from "../nodes/luks.ts";
import { lvmGroup, lvmVolume } from "../nodes/lvm.ts";
import { mdArray, mdUuid } from "../nodes/md.ts";
import type { Site } from "../nodes/node.ts";

export interface NodeSteps {
  readonly create: StepData[];
  readonly open: StepData[];
  readonly close: StepData[];
  readonly enroll: StepData[];
  /** What `enroll` has to know before the first write. */
  readonly ask: StepData[];
  /** By what a mounted filesystem's place is found; of a pool all members. */
  deviceOf(place: Mounted["place"]): DeviceRef[];
}

interface World {
  readonly refOf: (place: Place) => DeviceRef;
  readonly seed: string;
  readonly epoch: number;
}

/** What is made, opened and closed beyond partitions, in the order of the graph; closing in the opposite one. */
export function nodeSteps(graph: Graph, world: World): NodeSteps {
  const create: StepData[] = [];
  const open: StepData[] = [];
  const close: StepData[] = [];
  const enroll: StepData[] = [];
  const ask: StepData[] = [];
  for (const node of graph.nodes) {
    const one = stepsOf(node, graph, world);
    create.push(...one.create);
    open.push(...one.open);
    close.unshift(...one.close);
    enroll.push(...one.enroll);
    ask.push(...one.ask);
  }
  const deviceOf = (place: Mounted["place"]): DeviceRef[] => {
    if (place.on !== "pool") return [world.refOf(place)];
    const pool = graph.nodes.find((node) => node.kind === "pool" && node.name === place.name);
    return pool?.kind === "pool" ? pool.members.map(world.refOf) : [];
  };
  return { create, open, close, enroll, ask, deviceOf };
}

/** What a mapping, an array or a volume is found by. */
export function madeReference(
  place: Exclude<Place, { on: "partition" | "kept-disk" }>,
  graph: Graph,
  seed: string,
): DeviceRef {
  switch (place.on) {
    case "luks": {
      const node = contentsOf(graph, "luks").find(({ content }) => content.name === place.name)!;
      return { luks: { name: place.name, uuid: luksUuid(seed, node.content) } };
    }
    case "array":
      return { array: { name: place.name, uuid: mdUuid(seed, place.name) } };
    case "volume":
      return { volume: { group: place.group, name: place.name } };
  }
}

type Own = Record<"create" | "open" | "close" | "enroll" | "ask", readonly StepData[]>;
const nothing: Own = { create: [], open: [], close: [], enroll: [], ask: [] };

function stepsOf(node: GraphNode, graph: Graph, world: World): Own {
  const { refOf, seed, epoch } = world;
  switch (node.kind) {
    case "content":
      return contentSteps(node, graph, world);
    case "array": {
      const members = node.members.map(refOf);
      return {
        ...nothing,
        create: mdArray.create(node.name, node.array, members, { seed, epoch }),
        open: mdArray.open(node.name, members, seed),
        close: mdArray.close(node.name, seed),
      };
    }
    case "group": {
      const members = node.members.map(refOf);
      const open = lvmGroup.open(node.name, members);
      return {
        ...nothing,
        create: node.kept
          ? needsOpening(node, graph)
            ? open
            : []
          : lvmGroup.create(node.name, members, epoch),
        open,
        close: lvmGroup.close(node.name),
      };
    }
    case "volume": {
      if (node.kept) return nothing;
      const group = graph.nodes.find((other) => other.kind === "group" && other.name === node.group);
      if (group?.kind !== "group") return nothing;
      const site = { members: group.members.map(refOf), epoch, groupIsKept: group.kept };
      return { ...nothing, create: lvmVolume.create(node.group, node.name, node.volume, site) };
    }
    case "pool":
      return { ...nothing, create: btrfsPool.create(node.name, node.pool, node.members.map(refOf), world) };
  }
}

function contentSteps(node: ContentNode, graph: Graph, { refOf, seed, epoch }: World): Own {
  const { content, place } = node;
  // A kept container is opened only where something in it is made anew; else nobody touches it.
  if (isKept(content) && !needsOpening(node, graph)) return nothing;
  const type = contentType(content);
  const apart = content.type === "luks" ? headerOf(graph, content.name) : undefined;
  const site: Site = {
    device: refOf(place),
    scope: scopeOf(place),
    what: showPlace(place).replace(/^\w+ [^/]*\//, ""),
    seed,
    epoch,
    ...(apart === undefined ? {} : { header: refOf(apart.place) }),
  };
  const enrolled = content.type === "luks" && content.keep === undefined;
  return {
    create: type.create(content, site),
    open: type.open?.(content, site) ?? [],
    close: type.close?.(content, site) ?? [],
    enroll: enrolled ? enrollSteps(content, site) : [],
    ask: enrolled ? tangSteps(content) : [],
  };
}

/** Whether something that is not kept lies, at any depth, in a node. */
function needsOpening(node: GraphNode, graph: Graph): boolean {
  if (node.kind === "content" && "subvolumes" in node.content)
    return Object.values(node.content.subvolumes).some(({ keep }) => keep !== true);
  const inside = graph.nodes.filter(({ requires }) => requires.includes(node.id));
  return inside.some((one) => {
    const kept = one.kind === "content" ? isKept(one.content) : "kept" in one && one.kept;
    return !kept || needsOpening(one, graph);
  });
}
