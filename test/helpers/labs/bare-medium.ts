import { join } from "node:path";
import { expect } from "vitest";
import type { Machine, MachineOptions, TestLab } from "../../../src/testing/index.ts";
import { imgbuild } from "../imgbuild.ts";

export const definition = "imgbuild/layouts/bios-gpt";
export const isUp = /imgbuild: the base is up after/;
/** The kernel's stub, its start and its lockdown each say it. */
export const isLocked =
  /UEFI Secure Boot is enabled|secureboot: Secure boot enabled|locked down from EFI Secure Boot/;
export const blank = { serial: "BIOS-GPT-1", sizeBytes: 4 * 2 ** 30 };
/** Firmware, GRUB, and 110 MiB from an emulated drive or network. */
export const bootSeconds = 120;

/** A rescue medium of the definition, in the lab's directory. */
export async function madeMedium(lab: TestLab, format: "iso" | "pxe"): Promise<string> {
  const output = join(lab.directory, `medium.${format}`);
  const { code, stderr } = await imgbuild(["rescue", definition, "-o", output, "--format", format], {
    env: process.env,
    timeoutMs: 600_000,
  });
  expect(code, stderr).toBe(0);
  return output;
}

/** The base of the medium is up in a machine whose own disk is blank. */
export async function mediumComesUp(lab: TestLab, how: Omit<MachineOptions, "name">): Promise<Machine> {
  const machine = await lab.machine({ name: "rescue", memoryMib: 1024, shell: false, ...how });
  await machine.start();
  await machine.waitForConsole(isUp, { withinSeconds: bootSeconds });
  return machine;
}
