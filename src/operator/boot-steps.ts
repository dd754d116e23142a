import { grubMenu } from "../boot/grub.ts";
import type { StepData } from "../schema/plan.ts";
import type { Spec } from "../schema/spec.ts";
import { installGrub } from "../steps/install-grub.ts";
import { installSystemdBoot } from "../steps/install-systemd-boot.ts";
import { stepData } from "../steps/step.ts";
import { verifyBoot } from "../steps/verify-boot.ts";
import type { Layout } from "../storage/gpt.ts";
import { storageConfig } from "../storage/storage-config.ts";
import type { Target } from "../storage/target.ts";
import { Fail } from "../util/fail.ts";

/** UUID of the root filesystem. */
export function rootUuidOf(spec: Spec, seed: string): string {
  if (spec.storage === undefined) throw new Fail("the definition has no root filesystem");
  return storageConfig(spec.storage, seed).rootUuid;
}

/** The kernel's command line, the same for every bootloader. */
export function kernelCmdline(spec: Spec, seed: string, consoles: readonly string[]): string[] {
  return [
    ...(spec.storage === undefined ? [] : storageConfig(spec.storage, seed).cmdline),
    "ro",
    ...consoles.map((one) => `console=${one}`),
    ...(spec.boot?.cmdline ?? []),
  ];
}

/** Bootloaders for the firmware that the definition serves, and the check that they will find everything. */
export function bootSteps(
  spec: Spec,
  seed: string,
  options: {
    readonly cmdline: readonly string[];
    readonly consoles: readonly string[];
    readonly esp: string;
    readonly scratch: string;
    readonly disks: readonly { readonly layout: Layout; readonly target: Target }[];
  },
): { readonly filesystem: StepData[]; readonly grub: StepData[]; readonly verify: StepData[] } {
  const { boot } = spec;
  if (boot === undefined) return { filesystem: [], grub: [], verify: [] };
  const rootUuid = rootUuidOf(spec, seed);
  const title = `${spec.hostname} (Debian ${spec.system.suite})`;
  const uefi = boot.firmware.includes("uefi");
  const bios = boot.firmware.includes("bios");
  const { cmdline, consoles, esp } = options;
  const timeoutSeconds = boot.menuTimeoutSeconds;
  return {
    filesystem: uefi
      ? [
          stepData(installSystemdBoot, "filling the ESP", {
            esp,
            cmdline: [...cmdline],
            title,
            timeoutSeconds,
          }),
        ]
      : [],
    grub: bios
      ? options.disks.flatMap(({ layout, target }) =>
          layout.partitions
            .filter((one) => one.type === "bios-boot")
            .map(({ startBytes, sizeBytes }) =>
              stepData(installGrub, "embedding GRUB", {
                target,
                startBytes,
                sizeBytes,
                rootUuid,
                menu: grubMenu({ rootUuid, cmdline, consoles, timeoutSeconds, title }),
                scratch: options.scratch,
              }),
            ),
        )
      : [],
    verify: [
      stepData(verifyBoot, "checking that it will boot", { ...(uefi ? { esp } : {}), grub: bios, rootUuid }),
    ],
  };
}
