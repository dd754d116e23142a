import { mountedAt, parseMountinfo } from "./mountinfo.ts";

/** What a rescue or live system has as its root: memory, an image, or a server's directory. */
const liveRoots: readonly string[] = [
  "tmpfs",
  "ramfs",
  "rootfs",
  "overlay",
  "aufs",
  "squashfs",
  "nfs",
  "nfs4",
];

/** Whether a root is on no disk of the machine, by /proc/self/mountinfo. An overlay is where its lowest layer is. */
export function isLive(mountinfo: string): boolean {
  const mounts = parseMountinfo(mountinfo);
  const root = mountedAt(mounts, "/");
  if (root === undefined || !liveRoots.includes(root.type)) return false;
  if (root.type !== "overlay") return true;
  const lowest = root.options
    .find((one) => one.startsWith("lowerdir="))
    ?.slice("lowerdir=".length)
    .split(":")
    .at(-1);
  const isIn = (point: string) =>
    point === "/" || lowest === point || lowest?.startsWith(`${point}/`) === true;
  const [place] = mounts.filter(({ point }) => isIn(point)).sort((a, b) => b.point.length - a.point.length);
  return place === undefined || liveRoots.includes(place.type) || place.type === "iso9660";
}
