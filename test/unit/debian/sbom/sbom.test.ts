import { describe, expect, it } from "vitest";
import { cycloneDxOf } from "../../../../src/debian/sbom/cyclonedx.ts";
import { purlOf } from "../../../../src/debian/sbom/purl.ts";
import { spdxOf } from "../../../../src/debian/sbom/spdx.ts";
import type { LockedPackage } from "../../../../src/schema/lock.ts";
import { lockedPackage, lockOf } from "../../../helpers/builders/lock.ts";

const lock = lockOf([
  lockedPackage("libc6", "2.41-12+deb13u1", { bootstrap: true, source: "glibc" }),
  lockedPackage("g++", "4:14.2.0-1", { requested: true, source: "gcc-defaults (1.220)", depends: ["libc6"] }),
  lockedPackage("agent", "1.0~rc1", { archive: "vendor", suite: "stable", depends: ["g++", "libc6"] }),
]);
const purls = {
  agent: "pkg:deb/vendor/agent@1.0~rc1?arch=amd64&distro=trixie",
  "g++": "pkg:deb/debian/g%2B%2B@4:14.2.0-1?arch=amd64&distro=trixie&upstream=gcc-defaults%401.220",
  libc6: "pkg:deb/debian/libc6@2.41-12%2Bdeb13u1?arch=amd64&distro=trixie&upstream=glibc",
};

describe("purlOf", () => {
  it("names vendor, package, version, architecture, release and source, encoded", () => {
    expect(lock.packages.map((one: LockedPackage) => purlOf(one, "trixie")).sort()).toEqual(
      Object.values(purls).sort(),
    );
  });
});

interface Spdx {
  readonly documentNamespace: string;
  readonly packages: readonly {
    SPDXID: string;
    name: string;
    versionInfo?: string;
    checksums?: unknown;
    supplier?: string;
    sourceInfo?: string;
    externalRefs?: readonly { referenceLocator: string }[];
  }[];
  readonly relationships: readonly {
    spdxElementId: string;
    relationshipType: string;
    relatedSpdxElement: string;
  }[];
}

describe("spdxOf", () => {
  const document = spdxOf(lock, { name: "web", tool: "imgbuild-1.0" }) as Spdx;

  it("has what SPDX 2.3 asks of a document", () => {
    expect(document).toMatchObject({
      spdxVersion: "SPDX-2.3",
      dataLicense: "CC0-1.0",
      SPDXID: "SPDXRef-DOCUMENT",
      name: "web",
      documentNamespace: expect.stringMatching(/^urn:uuid:[0-9a-f-]{36}$/),
      creationInfo: { created: "2024-06-01T00:00:00Z", creators: ["Tool: imgbuild-1.0"] },
    });
  });

  it("has every package, with its sum, source and URL, and one for the whole", () => {
    expect(document.packages.map(({ name }) => name)).toEqual(["web", "agent", "g++", "libc6"]);
    expect(document.packages[2]).toMatchObject({
      SPDXID: "SPDXRef-Package-g.plus.plus",
      versionInfo: "4:14.2.0-1",
      packageFileName: "g++_4:14.2.0-1.deb",
      supplier: "Organization: Debian",
      checksums: [{ algorithm: "SHA256", checksumValue: "a".repeat(64) }],
      sourceInfo: "built from the source package gcc-defaults",
      externalRefs: [{ referenceType: "purl", referenceLocator: purls["g++"] }],
    });
    expect(document.packages[1]?.supplier).toBe("NOASSERTION");
  });

  it("relates only what it describes", () => {
    const ids = document.packages.map(({ SPDXID }) => SPDXID);
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids) expect(id).toMatch(/^SPDXRef-[a-zA-Z0-9.-]+$/);
    const known = new Set(["SPDXRef-DOCUMENT", ...ids]);
    for (const { spdxElementId, relatedSpdxElement } of document.relationships)
      expect([known.has(spdxElementId), known.has(relatedSpdxElement)]).toEqual([true, true]);
    const of = (type: string) => document.relationships.filter((one) => one.relationshipType === type).length;
    expect([of("DESCRIBES"), of("CONTAINS"), of("DEPENDS_ON")]).toEqual([1, 3, 3]);
  });

  it("is the same for the same lock, and another for another", () => {
    expect(spdxOf(lock, { name: "web", tool: "imgbuild-1.0" })).toEqual(document);
    const other = lockOf([lockedPackage("libc6", "2")]);
    expect((spdxOf(other, { name: "web", tool: "imgbuild-1.0" }) as Spdx).documentNamespace).not.toBe(
      document.documentNamespace,
    );
  });
});

interface CycloneDx {
  readonly serialNumber: string;
  readonly metadata: { readonly component: { readonly "bom-ref": string } };
  readonly components: readonly { "bom-ref": string; name: string; type: string }[];
  readonly dependencies: readonly { ref: string; dependsOn: readonly string[] }[];
}

describe("cycloneDxOf", () => {
  const document = cycloneDxOf(lock, { name: "web", tool: "imgbuild", version: "1.0" }) as CycloneDx;

  it("has what CycloneDX 1.6 asks of a document, and the release that scanners look for", () => {
    expect(document).toMatchObject({
      bomFormat: "CycloneDX",
      specVersion: "1.6",
      version: 1,
      serialNumber: expect.stringMatching(/^urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/),
      metadata: {
        timestamp: "2024-06-01T00:00:00Z",
        tools: { components: [{ type: "application", name: "imgbuild", version: "1.0" }] },
        component: { name: "web" },
      },
    });
    expect(document.components[0]).toMatchObject({ type: "operating-system", name: "debian", version: "13" });
  });

  it("has every package with its sum and URL, and what needs what", () => {
    expect(document.components.slice(1)).toMatchObject([
      { name: "agent", purl: purls.agent },
      {
        name: "g++",
        purl: purls["g++"],
        supplier: { name: "Debian" },
        hashes: [{ alg: "SHA-256", content: "a".repeat(64) }],
      },
      { name: "libc6", purl: purls.libc6 },
    ]);
    const refs = [document.metadata.component, ...document.components].map((one) => one["bom-ref"]);
    expect(new Set(refs).size).toBe(refs.length);
    expect(document.dependencies.map(({ ref }) => ref).sort()).toEqual([...refs].sort());
    for (const { dependsOn } of document.dependencies)
      for (const ref of dependsOn) expect(refs).toContain(ref);
    expect(document.dependencies).toContainEqual({
      ref: purls.agent,
      dependsOn: [purls["g++"], purls.libc6],
    });
    expect(document.dependencies[0]).toEqual({
      ref: "image",
      dependsOn: ["os", purls.agent, purls["g++"], purls.libc6],
    });
  });
});
