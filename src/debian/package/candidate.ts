import type { ArchitectureName } from "../../tables/architecture.ts";

/** A suite of an archive, with what its Release says about it. */
export interface Origin {
  /** Names the mirrors that serve it: "debian", "debian-security", or a repository of the definition. */
  readonly archive: string;
  /** As in dists/<suite>. */
  readonly suite: string;
  readonly codename: string;
  /** The Release's `Suite`: "stable", "stable-backports". */
  readonly release: string;
  /** The Release's `Origin` and `Label`. */
  readonly vendor: string;
  readonly label: string;
  readonly notAutomatic: boolean;
  readonly butAutomaticUpgrades: boolean;
}

/** What the resolver needs of one version of one package; relations as in the control file. */
export interface Candidate {
  readonly name: string;
  readonly version: string;
  readonly architecture: ArchitectureName | "all";
  readonly origin: Origin;
  readonly path: string;
  readonly size: number;
  readonly sha256: string;
  /** The `Source` field: "gcc-14" or "gcc-defaults (1.220)"; empty when it is the package's own name and version. */
  readonly source: string;
  readonly essential: boolean;
  /** `Important: yes` or `Protected: yes`: never removed without being asked. */
  readonly important: boolean;
  readonly priority: string;
  /** "same", "foreign", "allowed" or empty. */
  readonly multiArch: string;
  readonly preDepends: string;
  readonly depends: string;
  readonly recommends: string;
  readonly suggests: string;
  readonly conflicts: string;
  readonly breaks: string;
  readonly provides: string;
}

/** The name of the source package that it was built from. */
export function sourceOf({ name, source }: Pick<Candidate, "name" | "source">): string {
  return source === "" ? name : source.replace(/ .*$/, "");
}
