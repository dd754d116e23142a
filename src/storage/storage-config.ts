import type { Storage } from "../schema/storage.ts";
import { Fail } from "../util/fail.ts";
import { mountsOf } from "./check-storage.ts";
import { fstab, uuidOf } from "./fstab.ts";

/** What the new system is told of its disks; of the definition and a seed alone, so an image and a deploy say the same. */
export interface StorageConfig {
  /** /etc/fstab, /etc/crypttab, /etc/mdadm/mdadm.conf …, whole; without those that would be empty. */
  readonly files: readonly { readonly path: string; readonly content: string }[];
  readonly fstab: string;
  readonly crypttab: string;
  readonly mdadmConf: string;
  /** Words for the kernel's command line: root= and what goes with it. */
  readonly cmdline: readonly string[];
  readonly rootUuid: string;
  /** Debian packages that the new system needs to start from it and to keep it. */
  readonly packages: readonly string[];
  /** Kernel modules without which its initramfs does not reach the root. */
  readonly modules: readonly string[];
}

export function storageConfig(storage: Storage, seed: string): StorageConfig {
  const root = mountsOf(storage)[0];
  if (root?.mount !== "/") throw new Fail("the definition has no root filesystem");
  const table = fstab(storage, seed);
  const rootUuid = uuidOf(root, seed);
  return {
    files: [{ path: "/etc/fstab", content: table }],
    fstab: table,
    crypttab: "",
    mdadmConf: "",
    cmdline: [`root=UUID=${rootUuid}`],
    rootUuid,
    packages: [],
    modules: [],
  };
}
