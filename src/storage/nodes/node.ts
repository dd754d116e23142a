import type { DeviceRef } from "../../disks/device.ts";
import type { Change } from "../../disks/filesystem/tree-delta.ts";
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

/** Where a content is in an image file, and what it is to hold. */
interface ImageSite extends Pick<Site, "scope" | "seed" | "epoch"> {
  readonly image: string;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
  /** Of a filesystem: the directory whose files it holds, and the place in the tree at which it is mounted. */
  readonly directory: string;
  readonly mountPoint: string;
  /** Directories in `directory` on which others are mounted, the outermost only. */
  readonly without: readonly string[];
  /** Bytes to leave free. */
  readonly reservedBytes: number;
}

/** Names of devices that stay, for crypttab. */
interface StableNames {
  readonly device: string;
  /** Of a header that is apart. */
  readonly header: string | undefined;
  readonly keyFile: string | undefined;
  readonly early: boolean;
  readonly seed: string;
}

/** A line of fstab(5) for what is mounted nowhere. */
interface FstabLine {
  readonly source: string;
  readonly type: string;
  readonly options: readonly string[];
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
  /** Only of what can be made in an image file, without the kernel. */
  readonly image?: ImageSteps<C>;
  crypttab?(content: C, names: StableNames): string[];
  fstab?(content: C, site: Pick<Site, "seed" | "scope">): FstabLine;
}

interface ImageSteps<C> {
  make(content: C, site: ImageSite): StepData[];
  /** Changes to the files that it holds. */
  patch?(
    content: C,
    site: Pick<ImageSite, "image" | "offsetBytes" | "epoch">,
    changes: Change[],
    doing: string,
  ): StepData[];
  swapFile?(site: Pick<ImageSite, "image" | "offsetBytes" | "epoch">, file: SwapFile): StepData[];
}

interface SwapFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly uuid: string;
}

export type Commands = StorageCommand[];
