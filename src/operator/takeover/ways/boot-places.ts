import { mountedAt, parseMountinfo } from "../../../disks/mountinfo.ts";
import type { BootPlace } from "../../../schema/facts.ts";

/** Places for a boot entry from the probe's sections: each begins with "LOADER DIRECTORY", and what is known of it follows. */
export function parseBootPlaces(
  text: string,
  { mountinfo, disks }: { readonly mountinfo: string; readonly disks: string },
): BootPlace[] {
  const mounts = parseMountinfo(mountinfo);
  const plain = new Set([...disks.matchAll(/^(?:part-)?dev (\S+)$/gm)].map(([, device]) => device!));
  const places: BootPlace[] = [];
  for (const line of text.split("\n")) {
    const [word = "", ...values] = line.trim().split(/\s+/);
    if (word === "grub" || word === "systemd-boot" || word === "firmware") {
      places.push({
        loader: word,
        directory: values[0] ?? "",
        fsType: "",
        plain: false,
        freeMib: 0,
        reads: [],
      });
      continue;
    }
    const place = places.at(-1);
    if (place === undefined) continue;
    if (word === "df") {
      const mount = mountedAt(mounts, values[5] ?? "");
      place.freeMib += toMib(values[3]);
      place.fsType = mount?.type ?? "";
      place.plain = mount !== undefined && plain.has(mount.device);
    }
    // What a deploy that was lost has left makes room when the next one comes.
    if (word === "left") place.freeMib += toMib(values[0]);
    if (word === "reads" && values[0] !== undefined) place.reads.push(values[0]);
  }
  return places;
}

function toMib(kib: string | undefined): number {
  return Math.floor(Number(kib ?? 0) / 1024) || 0;
}
