import type { Storage } from "../../schema/storage.ts";
import { writtenDisks } from "../graph/check-storage.ts";
import { graphOf, showPlace } from "../graph/graph.ts";
import { contentType } from "../nodes/content-types.ts";

/** Why an image of that storage cannot be made in a file; undefined when it can. Names the first node that only a kernel makes. */
export function beyondFile(storage: Storage): string | undefined {
  const written = writtenDisks(storage);
  if (written.length !== 1) return `the definition writes ${written.length} disks; a native build makes one`;
  for (const node of graphOf(storage).nodes) {
    if (node.kind !== "content") return `${node.id} cannot be made in an image file`;
    const { content, place, path } = node;
    // What is on a kept disk is only named to the new system.
    if (path.includes("keep")) continue;
    if (contentType(content).image === undefined)
      return `${content.type} in ${showPlace(place)} cannot be made in an image file`;
  }
  return undefined;
}
