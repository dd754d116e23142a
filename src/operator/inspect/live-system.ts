import { mountedAt, parseMountinfo } from "../../disks/mountinfo.ts";
import type { Facts } from "../../schema/facts.ts";
import type { Spec } from "../../schema/spec.ts";
import { type Finding, noGo, warn } from "./finding.ts";

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

/** What is different where no installed system is left behind: there is none to return to, and nothing of it to keep. */
export function liveFindings(
  { hostKeys, host }: Pick<Spec, "hostKeys" | "host">,
  { live }: Facts,
): Finding[] {
  if (live !== true) return [];
  const keeps = [
    ...(hostKeys === "keep" ? ['`hostKeys: "keep"`'] : []),
    ...(host?.machineId === undefined ? [] : ["`host.machineId`"]),
    ...(host?.sshHostKey === undefined ? [] : ["`host.sshHostKey`"]),
  ];
  return [
    warn(
      "live system",
      "the host runs from memory or the network, as a rescue system does: where a deploy returns before its first write, the firmware decides what starts",
      "see that the provider starts its rescue system again if you may need it",
    ),
    ...(keeps.length === 0
      ? []
      : [
          noGo(
            "identity",
            `${keeps.join(" and ")} would be of the rescue system, not of the machine`,
            'say hostKeys: "new" or name a secret, and bind the definition by `host.dmiUuid`; a rescue medium brings kept keys back',
          ),
        ]),
  ];
}
