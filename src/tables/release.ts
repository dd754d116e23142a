/** What differs between Debian's releases; no other file of src knows any of it (test/unit/tidy/tables.test.ts). */
interface Release {
  /** By which scanners know it. */
  readonly number: string;
  /** The keyring that signs it, in debian/archive/keyrings. What is not released yet is signed by the newest. */
  readonly keyring: string;
  /** systemd-repart and systemd-cryptsetup are packages of their own. */
  readonly systemdInParts: boolean;
  readonly signedSystemdBoot: boolean;
}

/** What a definition may be made of, the oldest first. */
export const releases = {
  bookworm: { number: "12", keyring: "bookworm.asc", systemdInParts: false, signedSystemdBoot: false },
  trixie: { number: "13", keyring: "trixie.asc", systemdInParts: true, signedSystemdBoot: true },
  forky: { number: "14", keyring: "trixie.asc", systemdInParts: true, signedSystemdBoot: true },
} as const satisfies Record<string, Release>;

export type ReleaseName = keyof typeof releases;
export const releaseNames = Object.keys(releases) as ReleaseName[];

/** What a definition gets that names none. */
export const usualRelease = "trixie";
/** What a rehearsal's host runs: the oldest, as hosts that are taken over are old. */
export const stockRelease = "bookworm";
/** The suite that becomes no release. */
export const unreleased = "sid";

/** All suites of the archive that machines' own sources may name, without what follows a dash. */
export const archiveSuites: readonly string[] = [
  ...["buster", "bullseye", ...releaseNames, "duke", unreleased],
  ...["experimental", "stable", "testing", "unstable", "oldstable"],
];

/** The release that a suite belongs to, as "trixie-backports" to trixie. */
export function releaseOf(suite: string): Release | undefined {
  const [name = ""] = suite.split("-");
  return Object.hasOwn(releases, name) ? releases[name as ReleaseName] : undefined;
}
