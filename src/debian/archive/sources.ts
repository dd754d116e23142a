import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { releaseOf, releases, unreleased, usualRelease } from "../../tables/release.ts";

/** A suite whose packages are looked at, and who must have signed for it. */
export interface Source {
  /** Names the mirrors that serve it. */
  readonly archive: string;
  /** As in dists/<suite>. */
  readonly suite: string;
  readonly components: readonly string[];
  /** Armored public keys; the signature of one of them is enough. */
  readonly keyring: string;
  /** The one of them that counts, where it is named. */
  readonly fingerprint?: string;
  /** Not Debian's: its suite may be meant by `Suite` as well as by its codename. */
  readonly byRelease?: boolean;
}

/** A release comes with its updates and its security suite; in this order apt lists them, too. */
export async function debianSources(
  suites: readonly string[],
  components: readonly string[],
): Promise<Source[]> {
  const sources = await Promise.all(
    suites.map(async (suite) => {
      const keyring = await debianKeyring(suite);
      return partsOf(suite).map((part) => ({ ...part, components, keyring }));
    }),
  );
  return sources.flat();
}

/** The suites that make a release what its users run. */
export function partsOf(suite: string): { readonly archive: string; readonly suite: string }[] {
  if (suite.includes("-") || suite === unreleased) return [{ archive: "debian", suite }];
  return [
    { archive: "debian", suite },
    { archive: "debian", suite: `${suite}-updates` },
    { archive: "debian-security", suite: `${suite}-security` },
  ];
}

/** Armored public keys of Debian's archive, as shipped with imgbuild. What is not released yet is signed by the newest. */
export async function debianKeyring(suite: string): Promise<string> {
  const { keyring } = releaseOf(suite) ?? releases[usualRelease];
  return await readFile(join(dirname(fileURLToPath(import.meta.url)), "keyrings", keyring), "utf8");
}
