import type { CpioEntry } from "../../archive/cpio.ts";
import type { DiskIdentity } from "../../disks/find-disk.ts";
import type { Lock } from "../../schema/lock.ts";
import type { Plan } from "../../schema/plan.ts";
import type { Secret } from "../../util/secret.ts";

/** A disk of the machine: a raw file that is written as it is. */
export interface VmDisk {
  readonly identity: DiskIdentity;
  readonly file: string;
  readonly readOnly?: boolean;
  /** Default 512. */
  readonly sectorSize?: 512 | 4096;
  /** An empty file for a record of every write and flush. */
  readonly writeLog?: string;
}

export interface VmJob {
  readonly plan: Plan;
  readonly lock: Lock;
  readonly disks: readonly VmDisk[];
  readonly secrets: ReadonlyMap<string, Secret>;
  /** Seconds since the epoch that the machine's clock begins with: the result does not depend on when it was made. */
  readonly clock: number;
  /** What the base finds in /run/imgbuild besides, as after a takeover: below `imgbuild/`. */
  readonly more?: readonly CpioEntry[];
  /** For files on their way; the caller's to remove. */
  readonly directory: string;
}
