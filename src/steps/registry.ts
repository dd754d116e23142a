import { askMachine } from "./ask-machine.ts";
import { askTang } from "./ask-tang.ts";
import { bootstrapTree } from "./bootstrap-tree.ts";
import { btrfsSubvolumes } from "./btrfs-subvolumes.ts";
import { checkKept } from "./check-kept.ts";
import { checkTree } from "./check-tree.ts";
import { closeDisks } from "./close-disks.ts";
import { enrollClevis } from "./enroll-clevis.ts";
import { finishTree } from "./finish-tree.ts";
import { installGrub } from "./install-grub.ts";
import { installGrubEfi } from "./install-grub-efi.ts";
import { installLeaves } from "./install-leaves.ts";
import { installPackages } from "./install-packages.ts";
import { installSystemdBoot } from "./install-systemd-boot.ts";
import { keepBase } from "./keep-base.ts";
import { leaveGroup, lookAtGroup } from "./look-at-group.ts";
import { makeInitramfs } from "./make-initramfs.ts";
import { makeLocale } from "./make-locale.ts";
import { makeStorage } from "./make-storage.ts";
import { makeUsers } from "./make-users.ts";
import { makeVerity } from "./make-verity.ts";
import { mkfsExt4, mkfsVfatDisk } from "./mkfs-disk.ts";
import { mkfsExt4Image } from "./mkfs-ext4-image.ts";
import { mkfsVfatImage } from "./mkfs-vfat-image.ts";
import { mountDevice, swapFile, unmountTree } from "./mount.ts";
import { nameBootEntry } from "./name-boot-entry.ts";
import { closeArray, closeGroup, closeLuks, openArray, openGroup, openLuks } from "./open-storage.ts";
import { partitionDisk } from "./partition-disk.ts";
import { partitionImage } from "./partition-image.ts";
import { patchExt4Image } from "./patch-ext4-image.ts";
import { patchFiles } from "./patch-files.ts";
import { placeFiles } from "./place-files.ts";
import { placeHostKeys } from "./place-host-keys.ts";
import { provision } from "./provision.ts";
import { removeVolumes } from "./remove-volumes.ts";
import { setServices } from "./set-services.ts";
import { signLoader } from "./sign-loader.ts";
import type { Step } from "./step.ts";
import { swapFileImage } from "./swap-file-image.ts";
import { swapPartitionImage } from "./swap-partition-image.ts";
import { unpackTree } from "./unpack-tree.ts";
import { verifyBoot } from "./verify-boot.ts";
import { writeFiles } from "./write-files.ts";
import { writeSecrets } from "./write-secrets.ts";

/** Every step by its kind: what a plan may hold. */
export const allSteps: ReadonlyMap<string, Step> = new Map(
  [
    askMachine,
    askTang,
    bootstrapTree,
    btrfsSubvolumes,
    checkKept,
    checkTree,
    closeArray,
    closeDisks,
    closeGroup,
    closeLuks,
    enrollClevis,
    finishTree,
    installGrub,
    installGrubEfi,
    installPackages,
    installLeaves,
    installSystemdBoot,
    keepBase,
    makeInitramfs,
    makeLocale,
    makeStorage,
    makeUsers,
    makeVerity,
    mkfsExt4,
    mkfsExt4Image,
    mkfsVfatDisk,
    mkfsVfatImage,
    mountDevice,
    nameBootEntry,
    openArray,
    openGroup,
    lookAtGroup,
    leaveGroup,
    openLuks,
    partitionDisk,
    partitionImage,
    patchExt4Image,
    patchFiles,
    placeFiles,
    placeHostKeys,
    provision,
    removeVolumes,
    setServices,
    signLoader,
    swapFile,
    swapFileImage,
    swapPartitionImage,
    unmountTree,
    unpackTree,
    verifyBoot,
    writeFiles,
    writeSecrets,
  ].map((step) => [step.kind, step as unknown as Step]),
);
