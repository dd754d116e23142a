import { verityBytes } from "../../disks/verity.ts";
import type { Storage } from "../../schema/storage.ts";
import { filesystemOf, mountsOf } from "../graph/check-storage.ts";
import { graphOf, isKept } from "../graph/graph.ts";
import type { StorageProblem } from "../graph/storage-problem.ts";

/** What is wrong with a root that is verified, its digests, and the directories of it that can be written. */
export function verityProblems(storage: Storage): StorageProblem[] {
  const problems: StorageProblem[] = [];
  const contents = graphOf(storage).nodes.flatMap((node) => (node.kind === "content" ? [node] : []));
  const roots = contents.filter(({ content }) => "verity" in content && content.verity === true);
  const trees = contents.filter(({ content }) => content.type === "verity-hash");
  for (const { content, place, path } of roots) {
    const say = (message: string) => problems.push({ path: [...path, "verity"], message });
    if (!("mount" in content) || content.mount !== "/") say("is for the filesystem mounted at `/` alone");
    if (place.on !== "partition" || place.partition.type !== "linux-root" || !inGpt(storage, place.disk))
      say("needs a `linux-root` partition in a GPT for the filesystem");
    if (isKept(content)) say("cannot be had of a filesystem that is kept");
    if (trees.length !== 1)
      say(`needs one partition for its digests, and there are ${trees.length}; \`rootVerity()\` makes one`);
  }
  for (const { place, path } of trees) {
    if (roots.length === 0) problems.push({ path, message: "holds digests of a root with `verity: true`" });
    if (place.on !== "partition" || place.partition.type !== "linux-root-verity")
      problems.push({ path, message: "lies in a `linux-root-verity` partition" });
  }
  const [root, tree] = [roots[0]?.place, trees[0]?.place];
  if (root?.on === "partition" && tree?.on === "partition") {
    const [has, of] = [tree.partition.size, root.partition.size];
    if (typeof has === "number" && typeof of === "number" && has < verityBytes(of))
      problems.push({ path: [...trees[0]!.path.slice(0, -1), "size"], message: tooSmall(has, of) });
  }
  if (roots.length > 0) problems.push(...readOnlyProblems(storage));
  return [...problems, ...overlayProblems(storage, roots.length > 0)];
}

/** Of a partition for digests. */
export function tooSmall(sizeBytes: number, dataBytes: number): string {
  return `${sizeBytes} bytes are too few for the digests of the root: they take ${verityBytes(dataBytes)}`;
}

function inGpt({ disks }: Storage, name: string): boolean {
  const disk = disks[name];
  return disk !== undefined && "table" in disk && disk.table.type === "gpt";
}

/** What a system writes wherever it is, and has to be able to. */
function readOnlyProblems(storage: Storage): StorageProblem[] {
  const problems: StorageProblem[] = [];
  if (!mountsOf(storage).some(({ mount, kept }) => mount === "/var" && !kept))
    problems.push({
      path: ["storage"],
      message: "a root with `verity` cannot be written; needs a filesystem for /var that is made anew",
    });
  if (storage.overlays?.["/etc"] === undefined)
    problems.push({
      path: ["storage", "overlays"],
      message:
        'a root with `verity` cannot be written; needs `"/etc": { upper: … }`, where a system keeps what it is told',
    });
  if (storage.swapFile !== undefined)
    problems.push({
      path: ["storage", "swapFile"],
      message: "lies on a root that cannot be written; add a swap partition",
    });
  return problems;
}

function overlayProblems(storage: Storage, verified: boolean): StorageProblem[] {
  const mounts = mountsOf(storage);
  if (!mounts.some(({ mount }) => mount === "/")) return [];
  const overlays = Object.entries(storage.overlays ?? {});
  return overlays.flatMap(([path, { upper }]) => {
    const at = ["storage", "overlays", path];
    if (!verified) return [{ path: at, message: "is for a root with `verity`; any other can be written" }];
    const taken = [
      ...mounts.map(({ mount }) => mount),
      ...Object.keys(storage.tmpfs),
      ...Object.keys(storage.binds),
      ...overlays.flatMap(([one]) => (one === path ? [] : [one])),
    ];
    if (
      path === "/" ||
      taken.some((one) => one === path || inside(one, path) || (one !== "/" && inside(path, one)))
    )
      return [{ path: at, message: "is a directory of the root in which nothing else is mounted" }];
    if (upper === "memory") return [];
    const { on } = filesystemOf(storage, upper);
    const fits = on.type === "ext4" && on.place.on === "partition" && on.mount !== "/" && upper !== on.mount;
    return fits
      ? []
      : [
          {
            path: [...at, "upper"],
            message: `${upper} is no directory of another ext4 in a partition, as one mounted at /var`,
          },
        ];
  });
}

function inside(path: string, other: string): boolean {
  return path.startsWith(other === "/" ? "/" : `${other}/`);
}
