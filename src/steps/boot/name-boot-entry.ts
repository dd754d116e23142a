import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { DiskPartition, partitionPath, writableDisk } from "../../disks/target.ts";
import { messageOf } from "../../util/fail.ts";
import { defineStep } from "../step/step.ts";

const timeoutMs = 60_000;

/**
 * The firmware's own boot entry, first in its order. Not every kernel started by kexec can write it, and not every firmware
 * keeps it: the removable path, which is there in any case, is what a boot relies on.
 */
export const nameBootEntry = defineStep({
  kind: "name-boot-entry",
  summary: "enter the new system in the firmware's boot list",
  schema: z.strictObject({
    partition: DiskPartition,
    label: z.string(),
    /** As the firmware writes it: "\\EFI\\systemd\\systemd-bootx64.efi". */
    loader: z.string().startsWith("\\"),
  }),
  run: async ({ partition, label, loader }, { tool, log, machine }) => {
    await partitionPath(partition, machine);
    const { path } = await writableDisk(partition.disk, machine);
    if ((await readdir(join(machine.sys, "firmware/efi/efivars")).catch(() => [])).length === 0) {
      log.info("the firmware's variables are out of reach after kexec; it will find the removable path");
      return;
    }
    try {
      const { stdout } = await tool(["efibootmgr"], { timeoutMs });
      for (const number of entriesOf(stdout, label))
        await tool(["efibootmgr", "--quiet", "--bootnum", number, "--delete-bootnum"], { timeoutMs });
      const where = ["--disk", path, "--part", String(partition.number)];
      await tool(["efibootmgr", "--quiet", "--create", ...where, "--label", label, "--loader", loader], {
        timeoutMs,
      });
      const kept = await tool(["efibootmgr", "--verbose"], { timeoutMs });
      const problem = entryProblem(kept.stdout, label, loader);
      if (problem !== undefined) log.warn(`${problem}; the firmware will find the removable path`);
    } catch (error) {
      log.warn(
        `the firmware does not take a boot entry; it will find the removable path: ${messageOf(error)}`,
      );
    }
  },
});

/** What is wrong with the list of a firmware that was given an entry, and may have kept another. */
export function entryProblem(printed: string, label: string, loader: string): string | undefined {
  const [number, ...more] = entriesOf(printed, label);
  if (number === undefined) return `the firmware did not keep the boot entry ${label}`;
  if (more.length > 0) return `the firmware has ${more.length + 1} boot entries named ${label}`;
  const line = printed.split("\n").find((text) => text.startsWith(`Boot${number}`)) ?? "";
  if (!line.toLowerCase().includes(loader.toLowerCase()))
    return `the boot entry ${label} does not start ${loader}`;
  const order = /^BootOrder: ([0-9A-F,]*)$/m.exec(printed)?.[1]?.split(",") ?? [];
  return order[0] === number ? undefined : `the boot entry ${label} is not the first in the firmware's order`;
}

/** Numbers of the entries with that label, in what efibootmgr prints: "Boot0003* web\tHD(…)". */
export function entriesOf(printed: string, label: string): string[] {
  return printed.split("\n").flatMap((line) => {
    const match = /^Boot([0-9A-F]{4})[* ] (.*?)(?:\t.*)?$/.exec(line);
    return match?.[2] === label ? [match[1]!] : [];
  });
}
