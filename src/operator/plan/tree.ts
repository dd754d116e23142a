import { bootFiles, certificateFiles } from "../../boot/packages.ts";
import { epochOf } from "../../debian/lock/lock-date.ts";
import type { Lock } from "../../schema/lock.ts";
import type { StepData } from "../../schema/plan.ts";
import type { Spec } from "../../schema/spec.ts";
import { makeInitramfs } from "../../steps/boot/make-initramfs.ts";
import { placeInitramfsKey } from "../../steps/boot/place-initramfs-key.ts";
import { bootstrapTree } from "../../steps/packages/bootstrap-tree.ts";
import { installPackages } from "../../steps/packages/install-packages.ts";
import { stepData } from "../../steps/step/step.ts";
import { finishTree } from "../../steps/tree/finish-tree.ts";
import { type FileToWrite, writeFiles } from "../../steps/tree/write-files.ts";
import { everywhereModules } from "../../tables/filesystem/filesystems.ts";
import { hasOwnBoot } from "../check/boot-place.ts";
import { unlockBySsh } from "../unlock/by-ssh.ts";
import { unlockPlaceholders } from "../unlock/unlock-files.ts";
import { signSteps } from "./boot-steps.ts";
import { type ConfigureOptions, configureSteps } from "./configure.ts";

/** Drivers every initramfs carries, so that a disk moved to another machine still boots there. */
const initramfsModules = [
  "virtio_pci virtio_blk virtio_scsi virtio_mmio",
  "nvme ahci ata_piix sd_mod sr_mod",
  "xen-blkfront hv_storvsc vmw_pvscsi mptspi mptsas",
  "megaraid_sas mpt3sas smartpqi hpsa aacraid 3w-9xxx",
  "xhci_pci ehci_pci uhci_hcd ohci_pci usb_storage uas usbhid hid_generic",
  "mmc_block sdhci_pci",
  ...everywhereModules,
  "crc32c",
].flatMap((line) => line.split(" "));

type TreeOptions = Omit<ConfigureOptions, "epoch"> & {
  readonly cmdline: readonly string[];
  readonly definition: string;
};

/** The making of a tree, in parts that can be kept: each depends on what it says and on those before it. */
export interface TreeLayers {
  /** Packages, configured; the same for all definitions that lock the same. */
  readonly packages: StepData[];
  /** What the definition says beyond them. */
  readonly system: StepData[];
  /** Made of both, of the little of them that it reads. */
  readonly initramfs: StepData[];
  readonly finish: StepData[];
}

/** The whole root filesystem: packages, configuration, initramfs; everything but disks and bootloader. */
export function treeSteps(spec: Spec, lock: Lock, options: TreeOptions): StepData[] {
  const { packages, system, initramfs, finish } = treeLayers(spec, lock, options);
  return [...packages, ...system, ...initramfs, ...finish];
}

export function treeLayers(spec: Spec, lock: Lock, options: TreeOptions): TreeLayers {
  const epoch = epochOf(lock);
  const essential = lock.packages.filter((locked) => locked.bootstrap);
  const before: FileToWrite[] = [];
  const certificate = certificateFiles(spec);
  before.push(...bootFiles(spec, options.cmdline));
  // On a filesystem of its own the kernels' links are beside them, where GRUB finds them.
  if (hasOwnBoot(spec)) before.push({ path: "/etc/kernel-img.conf", content: "link_in_boot = yes\n" });
  before.push(...unlockPlaceholders(spec));
  if (options.packages.has("initramfs-tools"))
    before.push(
      { path: "/etc/initramfs-tools/conf.d/imgbuild", content: "MODULES=list\n" },
      {
        path: "/usr/share/initramfs-tools/modules.d/imgbuild",
        content: initramfsModules.map((name) => `${name}\n`).join(""),
      },
    );
  return {
    packages: [
      stepData(bootstrapTree, `unpacking ${essential.length} essential packages`, { packages: essential }),
      ...(before.length === 0 ? [] : [stepData(writeFiles, "preparing kernel updates", { files: before })]),
      stepData(installPackages, `installing ${lock.packages.length} packages`, {
        packages: lock.packages,
      }),
    ],
    system: [
      ...configureSteps(spec, { ...options, epoch }),
      ...(certificate.length === 0
        ? []
        : [stepData(writeFiles, "writing the Secure Boot certificate", { files: certificate })]),
      ...signSteps(spec, epoch),
    ],
    initramfs: spec.boot === undefined ? [] : [stepData(makeInitramfs, "making the initramfs", { epoch })],
    finish: [
      ...(unlockBySsh(spec) === undefined
        ? []
        : [
            stepData(placeInitramfsKey, "giving the initramfs its SSH host key", {
              expected: options.identity !== "image",
            }),
          ]),
      stepData(finishTree, "clearing up", {
        ...{ definition: options.definition, epoch },
        ...(spec.host?.machineId === undefined ? {} : { machineId: spec.host.machineId }),
      }),
    ],
  };
}
