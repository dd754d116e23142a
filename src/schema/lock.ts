import { z } from "zod";
import { architectureNames } from "../tables/architecture.ts";
import { Pin } from "./spec.ts";

const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);
/** Relative to the mirror's base URL; never absolute, never upwards. */
const PoolPath = z
  .string()
  .regex(/^[A-Za-z0-9+.~_%:/-]+\.deb$/)
  // `%2e` is a dot to a URL parser.
  .refine(
    (path) => !path.split("/").some((part) => ["", ".", ".."].includes(part.replace(/%2e/gi, "."))),
    "a path without empty parts, `.` or `..`",
  );
const Name = z.string().regex(/^[a-z0-9][a-z0-9+.-]+$/);

/**
 * What is served from a base URL of its own: "debian", "debian-security", a repository that the definition names, or "local" for
 * files beside the definition.
 */
const Archive = z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, "the name of an archive");

export const LockedPackage = z.strictObject({
  name: Name,
  version: z.string().regex(/^[A-Za-z0-9.+:~-]+$/),
  architecture: z.enum([...architectureNames, "all"]),
  archive: Archive,
  /** Whose index it comes from. */
  suite: z.string().optional(),
  /** What it was built from, where that has another name or version: "gcc-defaults (1.220)". */
  source: z
    .string()
    .regex(/^[a-z0-9][a-z0-9+.-]+( \([A-Za-z0-9.+:~-]+\))?$/)
    .optional(),
  path: PoolPath,
  /** Bytes of the .deb. */
  size: z.int().positive(),
  sha256: Sha256,
  /** Packages of this lock that it depends on, Pre-Depends first; each is unpacked before it where there is no cycle. */
  depends: z.array(Name).optional(),
  /** Named by the definition, as opposed to pulled in; becomes apt's "manual" mark. */
  requested: z.boolean().default(false),
  /** Extracted before dpkg exists in the tree: the Essential and required set with what it pre-depends on. */
  bootstrap: z.boolean().default(false),
});

export const LockedIndex = z.strictObject({
  archive: Archive,
  suite: z.string(),
  codename: z.string(),
  /** `Date` of the signed Release, ISO 8601. */
  date: z.string(),
  /** SHA-256 of the InRelease file that was verified. */
  inRelease: Sha256,
  /** Fingerprints of the keys whose signatures verified. */
  signedBy: z.array(z.string().regex(/^[0-9A-F]{40,64}$/)).min(1),
});

/** What was asked for, so that a lock that no longer fits is noticed, and why. */
export const LockRequest = z.strictObject({
  distribution: z.string(),
  suite: z.string(),
  architecture: z.string(),
  components: z.array(z.string()),
  suites: z.array(z.string()).optional(),
  repositories: z
    .record(
      Archive,
      z.strictObject({ suite: z.string(), components: z.array(z.string()), fingerprint: z.string() }),
    )
    .optional(),
  recommends: z.boolean(),
  install: z.array(z.string()),
  debs: z.array(z.string()).optional(),
  pins: z.array(Pin).optional(),
});

/** `imgbuild.lock.yaml`: exact packages of one definition, chained to the distribution's signature. */
export const Lock = z.strictObject({
  version: z.literal(2),
  request: LockRequest,
  indices: z.array(LockedIndex).min(1),
  /** What counts as now in a build, where it is not the newest index's date: the date of the lock to which packages were added. */
  date: z.iso.datetime().optional(),
  /** In the order in which they can be unpacked: dependencies first where there is no cycle. In the file they are sorted by name. */
  packages: z.array(LockedPackage).min(1),
});

export type LockRequest = z.output<typeof LockRequest>;
export type Lock = z.output<typeof Lock>;
export type LockedIndex = z.output<typeof LockedIndex>;
export type LockedPackage = z.output<typeof LockedPackage>;
