import { verityBytes } from "../../disks/verity.ts";
import type { Storage } from "../../schema/storage.ts";
import type { Problem } from "../../util/problem.ts";
import { filesystemOf, mountsOf } from "../graph/check-storage.ts";
import { contentsOf, graphOf, isKept } from "../graph/graph.ts";

/** What is wrong with a root that is verified, its digests, and the directories of it that can be written. */
export function* verityProblems(storage: Storage): Iterable<Problem> {
  const graph = graphOf(storage);
  const roots = contentsOf(graph, "ext4").filter(({ content }) => content.verity === true);
  const trees = contentsOf(graph, "verity-hash");
  for (const { content, place, path } of roots) {
    const problem = (message: string): Problem => ({ path: [...path, "verity"], message });
    if (content.mount !== "/") yield problem("is only for the filesystem mounted at `/`");
    if (place.on !== "partition" || place.partition.type !== "linux-root" || !inGpt(storage, place.disk))
      yield problem("needs a `linux-root` partition in a GPT for the filesystem");
    if (isKept(content))
      yield problem("cannot be had of a filesystem that is kept; leave out `verity` or `keep`");
    if (trees.length !== 1)
      yield problem(
        `needs one partition for its digests, and there are ${trees.length}; \`rootVerity()\` makes one`,
      );
  }
  for (const { place, path } of trees) {
    if (roots.length === 0)
      yield { path, message: "is only for digests of a root with `verity: true`, and there is none" };
    if (place.on !== "partition" || place.partition.type !== "linux-root-verity")
      yield { path, message: "needs a partition of the type `linux-root-verity`" };
  }
  const [root, tree] = [roots[0]?.place, trees[0]?.place];
  if (root?.on === "partition" && tree?.on === "partition") {
    const [has, of] = [tree.partition.size, root.partition.size];
    if (typeof has === "number" && typeof of === "number" && has < verityBytes(of))
      yield { path: [...trees[0]!.path.slice(0, -1), "size"], message: tooSmall(has, of) };
  }
  if (roots.length > 0) yield* readOnlyProblems(storage);
  yield* overlayProblems(storage, roots.length > 0);
}

/** Of a partition for digests. */
export function tooSmall(sizeBytes: number, dataBytes: number): string {
  return `${sizeBytes} bytes are too few; needs ${verityBytes(dataBytes)} for the digests of the root`;
}

function inGpt({ disks }: Storage, name: string): boolean {
  const disk = disks[name];
  return disk !== undefined && "table" in disk && disk.table.type === "gpt";
}

/** What a system writes wherever it is, and has to be able to. */
function* readOnlyProblems(storage: Storage): Iterable<Problem> {
  if (!mountsOf(storage).some(({ mount, kept }) => mount === "/var" && !kept))
    yield {
      path: ["storage"],
      message: "a root with `verity` cannot be written; needs a filesystem for /var that is made anew",
    };
  if (storage.overlays?.["/etc"] === undefined)
    yield {
      path: ["storage", "overlays"],
      message:
        'a root with `verity` cannot be written; needs `"/etc": { upper: … }`, where a system keeps what it is told',
    };
  if (storage.swapFile !== undefined)
    yield {
      path: ["storage", "swapFile"],
      message: "lies on a root that cannot be written; add a swap partition",
    };
}

function* overlayProblems(storage: Storage, verified: boolean): Iterable<Problem> {
  const mounts = mountsOf(storage);
  if (!mounts.some(({ mount }) => mount === "/")) return;
  const overlays = Object.entries(storage.overlays ?? {});
  for (const [path, { upper }] of overlays) {
    const at = ["storage", "overlays", path];
    if (!verified) {
      yield { path: at, message: "is only for a root with `verity`; any other can be written" };
      continue;
    }
    const taken = [
      ...mounts.map(({ mount }) => mount),
      ...Object.keys(storage.tmpfs),
      ...Object.keys(storage.binds),
      ...overlays.flatMap(([other]) => (other === path ? [] : [other])),
    ];
    const collides = (other: string) =>
      other === path || inside(other, path) || (other !== "/" && inside(path, other));
    if (path === "/" || taken.some(collides))
      yield { path: at, message: "needs to be a directory of the root in which nothing else is mounted" };
    else if (upper !== "memory") {
      const { on } = filesystemOf(storage, upper);
      if (on.type !== "ext4" || on.place.on !== "partition" || on.mount === "/" || upper === on.mount)
        yield {
          path: [...at, "upper"],
          message: `${upper} is not accepted; needs a directory of another ext4 in a partition, as one mounted at /var, or "memory"`,
        };
    }
  }
}

function inside(path: string, other: string): boolean {
  return path.startsWith(other === "/" ? "/" : `${other}/`);
}
