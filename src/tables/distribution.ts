/**
 * What files outside of `debian` and `steps/packages` know of dpkg and apt: where a system has its records and settings, and the
 * commands by which it is asked (test/unit/tidy/tables.test.ts).
 */
export const distribution = {
  /** dpkg's records. */
  database: "/var/lib/dpkg",
  /** What apt has fetched. */
  archives: "/var/cache/apt/archives",
  /** apt's settings, below them what it reads of each kind. */
  settings: "/etc/apt",
  /** The keys of the distribution's own archive. */
  keyring: "/usr/share/keyrings/debian-archive-keyring.gpg",
  /** What was in its archives at any moment: below it the archive's name and the moment, as debian/20260131T000000Z. */
  snapshots: "http://snapshot.debian.org/archive",
  /** Prints what is wrong with the records, and nothing if all is well. */
  audit: ["dpkg", "--audit"],
  /** Holds every packaged file against its checksum. */
  verify: ["dpkg", "--verify"],
  /** Logs of what the making has installed. */
  logs: ["dpkg.log", "alternatives.log", "bootstrap.log"],
} as const;

/** Learns of newer packages. */
export const refreshArgv: readonly string[] = ["apt-get", "update"];

/** What to type for a package that is missing. */
export function installHint(...packages: readonly string[]): string {
  return ["apt-get", "install", ...packages].join(" ");
}

/** The same for a script. */
export function installArgv(...packages: readonly string[]): string[] {
  return ["apt-get", "install", "--yes", ...packages];
}
