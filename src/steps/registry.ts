import { askMachine } from "./boot/ask-machine.ts";
import { installGrub } from "./boot/install-grub.ts";
import { installGrubEfi } from "./boot/install-grub-efi.ts";
import { installSystemdBoot } from "./boot/install-systemd-boot.ts";
import { keepBase } from "./boot/keep-base.ts";
import { keepRescue } from "./boot/keep-rescue.ts";
import { makeInitramfs } from "./boot/make-initramfs.ts";
import { makeVerity } from "./boot/make-verity.ts";
import { nameBootEntry } from "./boot/name-boot-entry.ts";
import { placeInitramfsKey } from "./boot/place-initramfs-key.ts";
import { signLoader } from "./boot/sign-loader.ts";
import { switchEntry } from "./boot/switch-entry.ts";
import { verifyBoot } from "./boot/verify-boot.ts";
import { writeRescue } from "./boot/write-rescue.ts";
import { askBackup } from "./data/ask-backup.ts";
import { restoreData } from "./data/restore-data.ts";
import { askTang } from "./disk/ask-tang.ts";
import { btrfsSubvolumes } from "./disk/btrfs-subvolumes.ts";
import { checkKept } from "./disk/check-kept.ts";
import { closeDisks } from "./disk/close-disks.ts";
import { enrollClevis } from "./disk/enroll-clevis.ts";
import { leaveGroup, lookAtGroup } from "./disk/look-at-group.ts";
import { makeStorage } from "./disk/make-storage.ts";
import { mkfsExt4, mkfsVfatDisk } from "./disk/mkfs-disk.ts";
import { flushTree, mountDevice, swapFile, unmountTree } from "./disk/mount.ts";
import { closeArray, closeGroup, closeLuks, openArray, openGroup, openLuks } from "./disk/open-storage.ts";
import { partitionDisk } from "./disk/partition-disk.ts";
import { removeVolumes } from "./disk/remove-volumes.ts";
import { mkfsExt4Image } from "./image/mkfs-ext4-image.ts";
import { mkfsVfatImage } from "./image/mkfs-vfat-image.ts";
import { partitionImage } from "./image/partition-image.ts";
import { patchExt4Image } from "./image/patch-ext4-image.ts";
import { swapFileImage } from "./image/swap-file-image.ts";
import { swapPartitionImage } from "./image/swap-partition-image.ts";
import { bootstrapTree } from "./packages/bootstrap-tree.ts";
import { installLeaves } from "./packages/install-leaves.ts";
import { installPackages } from "./packages/install-packages.ts";
import type { Step } from "./step/step.ts";
import { checkTree } from "./tree/check-tree.ts";
import { finishTree } from "./tree/finish-tree.ts";
import { makeLocale } from "./tree/make-locale.ts";
import { makeSystemUsers } from "./tree/make-system-users.ts";
import { makeUsers } from "./tree/make-users.ts";
import { patchFiles } from "./tree/patch-files.ts";
import { placeFiles } from "./tree/place-files.ts";
import { placeHostKeys } from "./tree/place-host-keys.ts";
import { provision } from "./tree/provision.ts";
import { setServices } from "./tree/set-services.ts";
import { unpackTree } from "./tree/unpack-tree.ts";
import { writeFiles } from "./tree/write-files.ts";
import { writeSecrets } from "./tree/write-secrets.ts";

/** Every step by its kind: what a plan may hold. */
export const allSteps: ReadonlyMap<string, Step> = new Map(
  [
    askBackup,
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
    flushTree,
    finishTree,
    installGrub,
    installGrubEfi,
    installPackages,
    installLeaves,
    installSystemdBoot,
    keepBase,
    keepRescue,
    makeInitramfs,
    makeLocale,
    makeStorage,
    makeSystemUsers,
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
    placeInitramfsKey,
    provision,
    removeVolumes,
    restoreData,
    setServices,
    signLoader,
    swapFile,
    switchEntry,
    swapFileImage,
    swapPartitionImage,
    unmountTree,
    unpackTree,
    verifyBoot,
    writeFiles,
    writeRescue,
    writeSecrets,
  ].map((step) => [step.kind, step as unknown as Step]),
);
