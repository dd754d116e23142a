import { z } from "zod";
import { plainEnv } from "../../system/run/run.ts";
import { onlyArchitecture } from "../../tables/architecture.ts";
import { Tree } from "../../tree/tree.ts";
import { Fail } from "../../util/fail.ts";
import { defineStep } from "../step/step.ts";

const { packages } = onlyArchitecture;
/** Where the processor is emulated, packing alone takes minutes. */
const timeoutMs = 3_600_000;

/** One initramfs for each kernel of the tree, by initramfs-tools. */
export const makeInitramfs = defineStep({
  kind: "make-initramfs",
  summary: "make the initramfs of each kernel",
  schema: z.strictObject({ epoch: z.int().positive() }),
  run: async ({ epoch }, context) => {
    const versions = kernelVersions(context.root);
    if (versions.length === 0)
      throw new Fail("the tree has no kernel in /boot", {
        hint: `install ${packages.kernel} or ${packages.cloudKernel}`,
      });
    for (const version of versions) {
      await context.chroot(["update-initramfs", "-c", "-k", version], {
        env: { ...plainEnv, SOURCE_DATE_EPOCH: String(epoch) },
        timeoutMs,
        signal: context.signal,
        hint: "is initramfs-tools among the packages?",
      });
      // The kernel's own script made /vmlinuz, and left out /initrd.img, which was not there yet.
      await context.chroot(["linux-update-symlinks", "install", version, `/boot/vmlinuz-${version}`]);
    }
  },
});

/** Kernel versions in /boot, the newest last. */
export function kernelVersions(root: string): string[] {
  return new Tree(root)
    .list("/boot")
    .filter((name) => name.startsWith("vmlinuz-"))
    .map((name) => name.slice("vmlinuz-".length))
    .sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
}
