import { plain } from "../system/health/fstab-mounts.ts";

/** One line of /proc/self/mountinfo (proc(5)), its octal escapes undone. */
export interface MountEntry {
  /** "major:minor". */
  readonly device: string;
  readonly root: string;
  readonly point: string;
  readonly type: string;
  readonly source: string;
  /** Of the filesystem, as words: "rw", "lowerdir=/a:/b" … */
  readonly options: readonly string[];
}

export function parseMountinfo(text: string): MountEntry[] {
  return text.split("\n").flatMap((line) => {
    const [before, after] = line.split(" - ");
    const [, , device, root, point] = before?.split(" ") ?? [];
    const [type, source, options = ""] = after?.split(" ") ?? [];
    if (device === undefined || root === undefined || point === undefined) return [];
    return [
      {
        ...{ device, root: plain(root), point: plain(point), type: type ?? "", source: plain(source ?? "") },
        options: options.split(",").filter(Boolean).map(plain),
      },
    ];
  });
}

/** What is seen at a path: the last one mounted there. */
export function mountedAt(mounts: readonly MountEntry[], path: string): MountEntry | undefined {
  const place = path.length > 1 ? path.replace(/\/+$/, "") : path;
  return mounts.findLast(({ point }) => point === place);
}
