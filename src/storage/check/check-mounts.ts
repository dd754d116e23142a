import type { Storage } from "../../schema/storage.ts";
import { filesystems, systemTypes } from "../../tables/filesystem/filesystems.ts";
import { type Problem, showPath } from "../../util/problem.ts";
import { type Mounted, mountsOf } from "../graph/check-storage.ts";
import { contentsOf } from "../graph/graph.ts";
import { stackOf } from "../system/storage-config.ts";

const bootMounts = ["/efi", "/xbootldr"];

/** What is wrong with where things are mounted. */
export function* mountProblems(storage: Storage): Iterable<Problem> {
  const mounts = mountsOf(storage);
  const points = [
    ...mounts.map(({ mount, path }) => ({ mount, path })),
    ...Object.keys(storage.tmpfs).map((mount) => ({ mount, path: ["storage", "tmpfs", mount] })),
    ...Object.keys(storage.binds).map((mount) => ({ mount, path: ["storage", "binds", mount] })),
  ];
  for (const [index, { mount, path }] of points.entries()) {
    const first = points.findIndex((point) => point.mount === mount);
    const other = showPath(points[first]!.path);
    if (first < index)
      yield { path, message: `${mount} is mounted twice, by ${other} too; needs a place of its own` };
  }
  const root = mounts.find(({ mount }) => mount === "/");
  if (root === undefined || root.kept || filesystems[root.type].firmware)
    yield {
      path: root?.path ?? ["storage", "disks"],
      message: `needs one ${listed(systemTypes)} mounted at \`/\` that is made anew; \`root()\` makes one`,
    };
  else {
    const volumes = contentsOf({ nodes: stackOf(storage, "/") }, "luks");
    const key = volumes.find(({ content }) => content.unlock.type === "key-file");
    if (key !== undefined)
      yield {
        path: [...key.path, "unlock"],
        message: "the root's key cannot be on the root; use `passphrase`, `ssh`, `tpm2` or `tang`",
      };
  }
  for (const mounted of mounts) if (filesystems[mounted.type].firmware) yield* firmwareProblems(mounted);
  const { swapFile } = storage;
  if (swapFile !== undefined && root !== undefined) {
    const on = mounts.findLast(
      ({ mount }) => mount === "/" || swapFile.path.startsWith(`${mount}/`) || swapFile.path === mount,
    );
    if (on?.mount !== "/" || swapFile.path === "/")
      yield {
        path: ["storage", "swapFile", "path"],
        message: `${swapFile.path} is not a file of the root filesystem; use a path such as /swapfile`,
      };
    if (filesystems[root.type].noSwapFile)
      yield {
        path: ["storage", "swapFile"],
        message: `a swap file on ${root.type} is not supported; add a swap partition`,
      };
  }
  for (const [mount, { from }] of Object.entries(storage.binds))
    if (from === mount || from === "/" || mount === "/")
      yield {
        path: ["storage", "binds", mount],
        message: "a directory needs to be bound to another, and neither may be `/`",
      };
}

function* firmwareProblems({ type, mount, path, place }: Mounted): Iterable<Problem> {
  const partition = place.on === "partition" ? place.partition.type : undefined;
  if (partition !== undefined && partition !== "esp" && partition !== "xbootldr")
    yield { path, message: `${type} is only for an ESP or an extended boot loader partition` };
  // dpkg cannot replace a kernel on FAT, so its /boot is another filesystem's.
  const places = partition === "xbootldr" ? ["/xbootldr"] : partition === "esp" ? ["/efi"] : bootMounts;
  if (!places.includes(mount))
    yield {
      path,
      message: `${mount} is not accepted; an ESP needs /efi, an extended boot loader partition /xbootldr`,
    };
}

/** "ext4, xfs or btrfs". */
function listed(names: readonly string[]): string {
  return names.join(", ").replace(/, ([^,]*)$/, " or $1");
}
