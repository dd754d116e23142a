import { execFileSync } from "node:child_process";
import { gzipSync } from "node:zlib";
import type { ArchiveOptions } from "../../../src/debian/archive/release-file.ts";
import { partsOf, type Source } from "../../../src/debian/archive/sources.ts";
import { sha256 } from "../../../src/util/digest.ts";
import { silentLog } from "../../../src/util/log.ts";
import { releaseText, type SigningKey } from "./signing.ts";

export const now = new Date("2024-06-02T00:00:00Z");
export const bounds = { windowMs: 5_000, leastBytes: 1, pauseMs: 1 };

const stanza = (name: string, more = "") =>
  `Package: ${name}\nVersion: 1.0\nArchitecture: amd64\nFilename: pool/main/${name}.deb\nSize: 10\n` +
  `SHA256: ${sha256(name)}\n${more}\n`;

/** Packages files of the three suites that make trixie. */
export const packagesOf: Readonly<Record<string, string>> = {
  trixie: `${stanza("bash", "Essential: yes\n")}${stanza("app", "Depends: lib (>= 1),\n lib2\n")}`,
  "trixie-updates": stanza("tzdata"),
  "trixie-security": stanza("lib"),
};

export interface ArchiveShape {
  /** Packages files by suite, in place of those above. */
  readonly packages?: Readonly<Record<string, string>>;
  readonly xz?: boolean;
  readonly byHash?: boolean;
  /** Release and Release.gpg in place of InRelease. */
  readonly detached?: boolean;
  readonly validUntil?: string;
  readonly date?: string;
  /** What the mirror serves instead of an index, of an InRelease. */
  readonly spoil?: (packed: Buffer) => Buffer;
  readonly spoilRelease?: (text: string) => string | Promise<string>;
}

/** Files of a mirror that serves all three suites below one base. */
export async function archiveOf(
  key: SigningKey,
  shape: ArchiveShape = {},
): Promise<Map<string, string | Buffer>> {
  const files = new Map<string, string | Buffer>();
  for (const [suite, text] of Object.entries(shape.packages ?? packagesOf)) {
    const packed = shape.xz ? execFileSync("xz", ["-c"], { input: text }) : gzipSync(text);
    const name = `main/binary-amd64/Packages.${shape.xz ? "xz" : "gz"}`;
    const sums = [
      ` ${sha256(packed)} ${packed.length} ${name}`,
      ` ${sha256(text)} ${Buffer.byteLength(text)} main/binary-amd64/Packages`,
    ];
    const { validUntil, date } = shape;
    const release = releaseText({
      codename: suite,
      sums,
      ...(validUntil === undefined ? {} : { validUntil }),
      ...(date === undefined ? {} : { date }),
    });
    if (shape.detached) {
      files.set(`dists/${suite}/Release`, release);
      files.set(`dists/${suite}/Release.gpg`, await key.signDetached(release));
    } else {
      const signed = await key.sign(release);
      files.set(`dists/${suite}/InRelease`, (await shape.spoilRelease?.(signed)) ?? signed);
    }
    const path = shape.byHash === false ? name : `main/binary-amd64/by-hash/SHA256/${sha256(packed)}`;
    files.set(`dists/${suite}/${path}`, shape.spoil?.(packed) ?? packed);
  }
  return files;
}

/** The three suites, signed by that key. */
export function trixieSources(key: SigningKey): Source[] {
  return partsOf("trixie").map((part) => ({ ...part, components: ["main"], keyring: key.armored }));
}

export function archiveOptions(
  mirrors: readonly string[],
  cache: string,
  more: Partial<ArchiveOptions> = {},
): ArchiveOptions {
  return {
    cache,
    mirrors: { debian: mirrors, "debian-security": mirrors },
    now,
    log: silentLog,
    bounds,
    ...more,
  };
}
