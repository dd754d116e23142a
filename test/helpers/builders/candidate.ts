import type { Candidate, Origin } from "../../../src/debian/package/candidate.ts";
import { PackageTable } from "../../../src/debian/package/package-table.ts";
import { tabulate } from "../../../src/debian/package/packages-file.ts";
import type { Policy } from "../../../src/debian/resolve/policy.ts";
import { Pool } from "../../../src/debian/resolve/pool.ts";
import { sha256 } from "../../../src/util/digest.ts";

/** A suite as its Release tells of it. */
export function originOf(suite: string, fields: Partial<Origin> = {}): Origin {
  return {
    archive: suite.endsWith("-security") ? "debian-security" : "debian",
    suite,
    codename: suite,
    release: suite.replace("trixie", "stable"),
    vendor: "Debian",
    label: "Debian",
    notAutomatic: suite.endsWith("-backports"),
    butAutomaticUpgrades: suite.endsWith("-backports"),
    ...fields,
  };
}

export const trixie = originOf("trixie");
export const security = originOf("trixie-security");
export const backports = originOf("trixie-backports");

/** A package of the archive as the resolver sees it: version 1.0, optional, without relations unless told otherwise. */
export function candidate(name: string, fields: Partial<Candidate> = {}): Candidate {
  const version = fields.version ?? "1.0";
  return {
    name,
    version,
    architecture: "amd64",
    origin: trixie,
    path: `pool/main/${name[0]}/${name}/${name}_${version}_amd64.deb`,
    size: 1000,
    sha256: sha256(`${name} ${version}`),
    source: "",
    essential: false,
    important: false,
    priority: "optional",
    multiArch: "",
    preDepends: "",
    depends: "",
    recommends: "",
    suggests: "",
    conflicts: "",
    breaks: "",
    provides: "",
    ...fields,
  };
}

/** The indices that hold these packages, read from a Packages file for each of their suites. */
export function poolOf(candidates: readonly Candidate[], policy: Partial<Policy> = {}): Pool {
  const origins = [...new Set(candidates.map((one) => one.origin))];
  const tables = origins.map((origin) => {
    const own = candidates.filter((one) => one.origin === origin);
    return new PackageTable(tabulate(packagesText(own), "amd64"), origin);
  });
  return new Pool(tables, { pins: [], target: [], ...policy });
}

/** A Packages file. */
export function packagesText(candidates: readonly Candidate[]): string {
  return candidates.map(stanzaOf).join("\n");
}

function stanzaOf(one: Candidate): string {
  const fields: [string, string][] = [
    ["Package", one.name],
    ["Version", one.version],
    ["Source", one.source],
    ["Architecture", one.architecture],
    ["Essential", one.essential ? "yes" : ""],
    ["Protected", one.important ? "yes" : ""],
    ["Multi-Arch", one.multiArch],
    ["Pre-Depends", one.preDepends],
    ["Depends", one.depends],
    ["Recommends", one.recommends],
    ["Suggests", one.suggests],
    ["Conflicts", one.conflicts],
    ["Breaks", one.breaks],
    ["Provides", one.provides],
    ["Priority", one.priority],
    ["Filename", one.path],
    ["Size", String(one.size)],
    ["SHA256", one.sha256],
  ];
  return fields
    .filter(([, value]) => value !== "")
    .map(([name, value]) => `${name}: ${value}\n`)
    .join("");
}
