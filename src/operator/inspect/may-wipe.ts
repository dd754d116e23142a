import { identityOf } from "../../disks/find-disk.ts";
import type { DiskFacts } from "../../schema/facts.ts";
import type { Spec } from "../../schema/spec.ts";
import { type Finding, go, noGo } from "./finding.ts";

/** Whether the host's record lets every disk be written that the definition writes; nothing where it does not name any. */
export function wipeFindings(
  { storage }: Pick<Spec, "storage">,
  disks: Readonly<Record<string, DiskFacts>>,
  mayWipe: readonly string[] | undefined,
): Finding[] {
  if (mayWipe === undefined) return [];
  const written = Object.entries(disks)
    .filter(([name]) => "table" in (storage?.disks[name] ?? {}))
    .map(([name, disk]) => {
      const { serial, wwn, path = "a disk without a serial" } = identityOf(name, disk);
      return serial ?? wwn ?? path;
    });
  const others = written.filter((serial) => !mayWipe.includes(serial));
  const check = "may wipe";
  if (others.length === 0) return [go(check, `hosts.yaml names ${written.join(", ")}`)];
  const named = mayWipe.length === 0 ? "none" : mayWipe.join(", ");
  return [
    noGo(
      check,
      `${others.join(", ")} would be written, and hosts.yaml lets this host's deploys write ${named}`,
      "if the disk is meant, add it to `mayWipe` of the host",
    ),
  ];
}
