import type { DeviceRef } from "../../disks/device.ts";
import type { StepData } from "../../schema/plan.ts";
import type { StorageCommand } from "../../steps/disk/make-storage.ts";

/** What a node is told when it makes its steps. */
export interface Site {
  readonly device: DeviceRef;
  /** What its identifiers derive from: `scopeOf` of its place. */
  readonly scope: readonly [scope: string, name: string];
  /** For messages: "root", "vg0/home". */
  readonly what: string;
  readonly seed: string;
  readonly epoch: number;
  /** Of a LUKS volume whose header lies apart. */
  readonly header?: DeviceRef;
}

/** What a system needs of a node. `early`: the root or /usr lies in it, so the initramfs has to reach it. */
export interface Needs {
  /** Debian packages of the new system. */
  readonly packages?: readonly string[];
  /** Kernel modules of its initramfs. */
  readonly modules?: readonly string[];
}

/** A kind of content: one file of `nodes/` each. Pure: data in, steps and lines out. */
export interface ContentType<C> {
  needs(content: C, early: boolean): Needs;
  /** Makes it anew; what lies in it can be reached afterwards. */
  create(content: C, site: Site): StepData[];
  /** Where it has to be opened before what lies in it is there. */
  open?(content: C, site: Site): StepData[];
  close?(content: C, site: Site): StepData[];
}

export type Commands = StorageCommand[];
