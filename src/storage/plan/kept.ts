import type { DeviceRef } from "../../disks/device.ts";
import type { StepData } from "../../schema/plan.ts";
import type { Content } from "../../schema/storage-content.ts";
import { checkKept } from "../../steps/disk/check-kept.ts";
import { openLuks } from "../../steps/disk/open-storage.ts";
import { stepData } from "../../steps/step/step.ts";
import {
  type ContentNode,
  type Graph,
  type GraphNode,
  isKept,
  type Keep,
  keepOf,
  type Place,
  scopeOf,
  showPlace,
} from "../graph/graph.ts";
import { contentType } from "../nodes/content-types.ts";
import { isTrimmed } from "../nodes/luks.ts";
import { lvmGroup } from "../nodes/lvm.ts";

/** What blkid calls a content that can be kept. */
const blkidTypes: Readonly<Partial<Record<Content["type"], string>>> = {
  luks: "crypto_LUKS",
  "lvm-pv": "LVM2_member",
};

/**
 * Looks at everything that is kept, from the disk up: what lies in a container is looked at with the container open, and then all is
 * closed again; not a byte is written. `refOf` names partitions as they are now, before there is a new table.
 */
export function keptChecks(graph: Graph, refOf: (place: Place) => DeviceRef, seed: string): StepData[] {
  const checks: StepData[] = [];
  const closings: StepData[] = [];
  for (const node of graph.nodes) {
    const keep = node.kind === "content" ? keepOf(node.content) : undefined;
    if (node.kind === "content" && keep !== undefined) checks.push(checkOf(node, keep, refOf));
    if (!hasKeptInside(node, graph)) continue;
    if (node.kind === "content") {
      const type = contentType(node.content);
      const site = {
        device: refOf(node.place),
        scope: scopeOf(node.place),
        what: showPlace(node.place),
        seed,
        epoch: 1,
      };
      checks.push(...(type.open?.(node.content, site) ?? []).map(readOnly));
      closings.unshift(...(type.close?.(node.content, site) ?? []));
    } else if (node.kind === "group") {
      const members = node.members.map(refOf);
      checks.push(...lvmGroup.look(node.name, members));
      closings.unshift(...lvmGroup.leave(node.name, members));
    }
  }
  return [...checks, ...closings];
}

function readOnly(step: StepData): StepData {
  return step.kind === openLuks.kind ? { ...step, readOnly: true } : step;
}

function checkOf(
  { content, place }: ContentNode,
  { uuid, size }: Keep,
  refOf: (place: Place) => DeviceRef,
): StepData {
  const subvolumes =
    "subvolumes" in content
      ? Object.entries(content.subvolumes).flatMap(([name, one]) => (one.keep === true ? [name] : []))
      : [];
  return stepData(checkKept, `looking at ${showPlace(place)}, which is kept`, {
    device: refOf(place),
    type: blkidTypes[content.type] ?? content.type,
    uuid,
    ...(size === undefined ? {} : { sizeBytes: size }),
    ...(content.type === "luks" ? { key: { secret: content.key, trim: isTrimmed(content) } } : {}),
    subvolumes,
  });
}

function hasKeptInside(node: GraphNode, graph: Graph): boolean {
  return graph.nodes.some(
    (one) =>
      one.requires.includes(node.id) &&
      ((one.kind === "content" && isKept(one.content)) || hasKeptInside(one, graph)),
  );
}
