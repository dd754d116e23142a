import type { Lock, LockedPackage } from "../../schema/lock.ts";
import { digestOf, uuidFrom } from "../../util/digest.ts";
import { sourceOf } from "../package/candidate.ts";
import { purlOf } from "./purl.ts";

const image = "SPDXRef-Image";

/** The packages of a lock as an SPDX 2.3 document (spdx.github.io/spdx-spec/v2.3); the same lock gives the same document. */
export function spdxOf(lock: Lock, about: { readonly name: string; readonly tool: string }): object {
  const { suite } = lock.request;
  const packages = [...lock.packages].sort((a, b) => (a.name < b.name ? -1 : 1));
  const relationship = (spdxElementId: string, relationshipType: string, relatedSpdxElement: string) => ({
    spdxElementId,
    relationshipType,
    relatedSpdxElement,
  });
  return {
    spdxVersion: "SPDX-2.3",
    dataLicense: "CC0-1.0",
    SPDXID: "SPDXRef-DOCUMENT",
    name: about.name,
    documentNamespace: `urn:uuid:${uuidFrom(digestOf(lock), `spdx ${about.name}`)}`,
    creationInfo: { created: madeAt(lock), creators: [`Tool: ${about.tool}`] },
    packages: [
      {
        SPDXID: image,
        name: about.name,
        downloadLocation: "NOASSERTION",
        filesAnalyzed: false,
        ...unknownLicense,
      },
      ...packages.map((locked) => packageOf(locked, suite)),
    ],
    relationships: [
      relationship("SPDXRef-DOCUMENT", "DESCRIBES", image),
      ...packages.map((locked) => relationship(image, "CONTAINS", idOf(locked.name))),
      ...packages.flatMap((one) =>
        (one.depends ?? []).map((other) => relationship(idOf(one.name), "DEPENDS_ON", idOf(other))),
      ),
    ],
  };
}

/** When the newest of the indices was made: a lock has no other time. Whole seconds. */
export function madeAt({ indices }: Lock): string {
  const newest =
    indices
      .map(({ date }) => date)
      .sort()
      .at(-1) ?? "1970-01-01T00:00:00Z";
  return newest.replace(/\.\d+Z$/, "Z");
}

const unknownLicense = {
  licenseConcluded: "NOASSERTION",
  licenseDeclared: "NOASSERTION",
  copyrightText: "NOASSERTION",
};

function packageOf(locked: LockedPackage, suite: string): object {
  const { name, version, path, sha256, source, archive } = locked;
  const debian = archive === "debian" || archive === "debian-security";
  return {
    SPDXID: idOf(name),
    name,
    versionInfo: version,
    packageFileName: path.replace(/^.*\//, ""),
    supplier: debian ? "Organization: Debian" : "NOASSERTION",
    // Mirrors serve it; none of them is its place.
    downloadLocation: "NOASSERTION",
    filesAnalyzed: false,
    checksums: [{ algorithm: "SHA256", checksumValue: sha256 }],
    sourceInfo: `built from the source package ${sourceOf({ name, source: source ?? "" })}`,
    ...unknownLicense,
    externalRefs: [
      {
        referenceCategory: "PACKAGE-MANAGER",
        referenceType: "purl",
        referenceLocator: purlOf(locked, suite),
      },
    ],
  };
}

/** An identifier may hold letters, digits, dots and hyphens only. */
function idOf(name: string): string {
  return `SPDXRef-Package-${name.replaceAll("+", ".plus")}`;
}
