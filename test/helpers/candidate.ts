import type { Candidate } from "../../src/debian/index.ts";
import { sha256 } from "../../src/util/digest.ts";

/** A package of the archive as the resolver sees it: version 1.0, optional, without relations unless told otherwise. */
export function candidate(name: string, fields: Partial<Candidate> = {}): Candidate {
  const version = fields.version ?? "1.0";
  return {
    name,
    version,
    architecture: "amd64",
    archive: "debian",
    path: `pool/main/${name[0]}/${name}/${name}_${version}_amd64.deb`,
    size: 1000,
    sha256: sha256(`${name} ${version}`),
    essential: false,
    priority: "optional",
    depends: "",
    preDepends: "",
    recommends: "",
    conflicts: "",
    breaks: "",
    provides: "",
    ...fields,
  };
}
