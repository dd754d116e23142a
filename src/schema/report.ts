import { z } from "zod";

const MadePart = z.strictObject({ name: z.string(), sizeBytes: z.int(), holds: z.string() });

const CheckResult = z.strictObject({
  check: z.string(),
  ok: z.boolean(),
  seconds: z.number(),
  detail: z.string(),
});

/** A partition, or a whole disk: as in the plan that was confirmed. */
const Part = MadePart.extend({ fate: z.enum(["lost", "kept", "made"]) });

/** What every report begins with. */
const Heading = z.strictObject({
  version: z.literal(1),
  outcome: z.enum(["done", "failed"]),
  message: z.string().optional(),
  hint: z.string().optional(),
  hostname: z.string(),
  /** Digest of spec, lock and files. */
  definition: z.string(),
  started: z.string(),
});

/** `report.json`: the outcome of one deploy. Times are seconds, sizes bytes unless the name says otherwise. */
export const Report = Heading.extend({
  /** "done": the new system is proven. "refused": nothing was started. "old-system": failed before any write and the old
   * system answers again. "failed": none of these; `message` says what is known. */
  outcome: z.enum(["done", "refused", "old-system", "failed"]),
  host: z.string(),
  planDigest: z.string(),
  seconds: z.strictObject({
    total: z.number(),
    /** Last answer of the old system to first answer of the new one; null when there was no takeover. */
    downtime: z.number().nullable(),
    phases: z.array(z.strictObject({ phase: z.string(), seconds: z.number() })),
    steps: z.array(z.strictObject({ doing: z.string(), seconds: z.number() })),
  }),
  /** Sent by the operator: the base (0 when the host had it) and everything else that makes up the deploy. */
  bytes: z.strictObject({
    base: z.int(),
    payload: z.int(),
    /** The finished tree, where it was made on the operator's machine. */
    tree: z.int().optional(),
  }),
  /** Pulled by the target itself from its mirror. */
  fetched: z.strictObject({ packages: z.int(), bytes: z.int(), mirror: z.string() }).optional(),
  /** Of the lock; `security`: those from Debian's security archive. */
  packages: z.strictObject({ count: z.int(), security: z.int() }).optional(),
  peakMemoryMib: z.number().nullable(),
  bootIds: z.strictObject({
    old: z.string(),
    base: z.string().nullable(),
    new: z.string().nullable(),
  }),
  os: z.strictObject({ old: z.string(), new: z.string().nullable() }),
  disks: z.array(
    z.strictObject({
      name: z.string(),
      serial: z.string().nullable(),
      /** Only where a disk has no serial, or one in addition. */
      wwn: z.string().nullable().optional(),
      /** Of a disk that has neither. */
      path: z.string().optional(),
      model: z.string().nullable(),
      sizeBytes: z.int(),
      /** Of the table that the deploy makes: `match: { tableUuid }` finds the disk by it the next time. */
      tableUuid: z.string().optional(),
      action: z.enum(["written", "kept"]),
      /** What was found on it, and what the plan makes of it. */
      before: z.array(Part).optional(),
      after: z.array(Part).optional(),
    }),
  ),
  preflight: z.array(
    z.strictObject({
      check: z.string(),
      verdict: z.enum(["go", "warn", "no-go"]),
      detail: z.string(),
      hint: z.string().optional(),
    }),
  ),
  health: z.array(CheckResult),
});

export type Report = z.output<typeof Report>;

/** What has come of one build: the JSON of `build --report`. Times are seconds. */
export const BuildReport = Heading.extend({
  format: z.string(),
  seconds: z.strictObject({
    total: z.number(),
    /** In the order in which they began; `depth` counts the steps that it is a part of. */
    steps: z.array(
      z.strictObject({
        doing: z.string(),
        depth: z.int(),
        from: z.number(),
        seconds: z.number(),
        ok: z.boolean(),
      }),
    ),
  }),
  /** As the definition lays them out. */
  disks: z.array(z.strictObject({ name: z.string(), sizeBytes: z.int(), partitions: z.array(MadePart) })),
  /** The last partition, and the disk with it, was then made as small as its files allow. */
  minimized: z.boolean(),
  /** Of the lock; `security`: those from Debian's security archive. */
  packages: z.strictObject({
    count: z.int(),
    security: z.array(z.strictObject({ name: z.string(), version: z.string() })),
  }),
  /** What was made; a directory has neither size nor digest. */
  files: z.array(
    z.strictObject({ path: z.string(), sizeBytes: z.int().optional(), sha256: z.string().optional() }),
  ),
});

export type BuildReport = z.output<typeof BuildReport>;

/** What has come of one drill: the JSON of `rescue --test --report`. Times are seconds. */
export const RecoveryReport = Heading.extend({
  firmware: z.enum(["bios", "uefi"]),
  /** How the machine ran; undefined where none was started. */
  accelerator: z.string().optional(),
  /** Made for the drill; undefined where it could not be made. */
  medium: z
    .strictObject({
      label: z.string(),
      sizeBytes: z.int(),
      sha256: z.string(),
      /** The finished system is on it; otherwise packages came over the network. */
      offline: z.boolean(),
    })
    .optional(),
  seconds: z.strictObject({
    total: z.number(),
    /** From switching on to the system; null where it did not come up. */
    recover: z.number().nullable(),
    phases: z.array(z.strictObject({ phase: z.string(), seconds: z.number() })),
  }),
  /** Whether the machine has the host keys of before; undefined where it did not come so far. */
  hostKeys: z.enum(["of before", "new"]).optional(),
  /** Where the definition has `data`. */
  restored: z
    .strictObject({
      by: z.enum(["restic", "borg", "rsync", "command"]),
      /** As found in the new system, before its tests ran; null where it could not be counted. */
      paths: z.array(
        z.strictObject({ path: z.string(), files: z.int().nullable(), sizeBytes: z.int().nullable() }),
      ),
      databases: z.array(z.strictObject({ name: z.string(), loaded: z.boolean() })),
      /** Lines of the program that restored. */
      said: z.array(z.string()),
    })
    .optional(),
  /** Those of every system, and the definition's own tests. */
  checks: z.array(CheckResult),
  tests: z.array(CheckResult),
});

export type RecoveryReport = z.output<typeof RecoveryReport>;
