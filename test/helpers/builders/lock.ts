import { Lock } from "../../../src/schema/lock.ts";

const sha = (digit: string) => digit.repeat(64);

/** A package as a lock has it: of trixie, not asked for. */
export function lockedPackage(name: string, version: string, more: object = {}) {
  return {
    name,
    version,
    architecture: "amd64",
    archive: "debian",
    path: `pool/main/${name}_${version}.deb`,
    size: 100,
    sha256: sha("a"),
    ...more,
  };
}

/** A lock of these packages that answers a request for nothing but trixie. */
export function lockOf(packages: readonly object[], request: object = {}): Lock {
  return Lock.parse({
    version: 2,
    request: {
      distribution: "debian",
      suite: "trixie",
      architecture: "amd64",
      components: ["main"],
      recommends: false,
      install: [],
      ...request,
    },
    indices: [
      {
        archive: "debian",
        suite: "trixie",
        codename: "trixie",
        date: "2024-06-01T00:00:00.000Z",
        inRelease: sha("2"),
        signedBy: ["A".repeat(40)],
      },
    ],
    packages,
  });
}
