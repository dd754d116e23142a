import type { Lock, LockedPackage } from "../../schema/lock.ts";
import { releaseOf } from "../../tables/release.ts";
import { digestOf, uuidFrom } from "../../util/digest.ts";
import { purlOf } from "./purl.ts";
import { madeAt } from "./spdx.ts";

const image = "image";

/** The packages of a lock as a CycloneDX 1.6 document (ECMA-424); the same lock gives the same document. */
export function cycloneDxOf(
  lock: Lock,
  about: { readonly name: string; readonly tool: string; readonly version: string },
): object {
  const { suite } = lock.request;
  const packages = [...lock.packages].sort((a, b) => (a.name < b.name ? -1 : 1));
  const refs = new Map(packages.map((locked) => [locked.name, purlOf(locked, suite)]));
  const refsOf = (names: readonly string[]) => names.flatMap((name) => refs.get(name) ?? []);
  const needed = new Set(packages.flatMap(({ depends }) => depends ?? []));
  const direct = packages.filter(
    (locked) => locked.requested || locked.bootstrap || !needed.has(locked.name),
  );
  return {
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    serialNumber: `urn:uuid:${uuidFrom(digestOf(lock), `cyclonedx ${about.name}`)}`,
    version: 1,
    metadata: {
      timestamp: madeAt(lock),
      tools: { components: [{ type: "application", name: about.tool, version: about.version }] },
      component: { type: "operating-system", "bom-ref": image, name: about.name },
    },
    components: [
      {
        type: "operating-system",
        "bom-ref": "os",
        name: lock.request.distribution,
        version: releaseOf(suite)?.number ?? suite,
      },
      ...packages.map((locked) => componentOf(locked, refs.get(locked.name)!)),
    ],
    dependencies: [
      { ref: image, dependsOn: ["os", ...refsOf(direct.map(({ name }) => name))] },
      { ref: "os", dependsOn: [] },
      ...packages.map((locked) => ({ ref: refs.get(locked.name)!, dependsOn: refsOf(locked.depends ?? []) })),
    ],
  };
}

function componentOf(locked: LockedPackage, purl: string): object {
  const { name, version, sha256, source, archive, suite, path } = locked;
  const debian = archive === "debian" || archive === "debian-security";
  const properties = [
    ["imgbuild:archive", archive],
    ["imgbuild:suite", suite],
    ["imgbuild:path", path],
    ["imgbuild:source", source],
  ].flatMap(([key, value]) => (value === undefined ? [] : [{ name: key, value }]));
  return {
    type: "library",
    "bom-ref": purl,
    ...(debian ? { supplier: { name: "Debian" } } : {}),
    name,
    version,
    scope: "required",
    hashes: [{ alg: "SHA-256", content: sha256 }],
    purl,
    properties,
  };
}
