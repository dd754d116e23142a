import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDefinition } from "../../../src/operator/lock/open-definition.ts";
import { testImage } from "../../../src/operator/test/test-image.ts";
import type { VmOptions } from "../../../src/operator/vm-runner/vm-run.ts";
import { buildStockHost } from "../../../src/testing/stock/stock-host.ts";
import { type Recording, recordDeploy } from "./record.ts";

/** A host of Debian's, or of ours: both start by BIOS and by UEFI, by GRUB and, ours, by systemd-boot. */
export type Host = "stock" | "own";

/** Both firmwares find a bootloader on its disk, so that one recording serves for either. */
const definition = "imgbuild/layouts/both-firmwares";

/** Such a host becomes the definition, under another name; what is done to its disk is recorded. */
export async function recordOver(
  host: Host,
  firmware: "bios" | "uefi",
  options: VmOptions,
): Promise<{ readonly recording: Recording; readonly directory: string; close(): Promise<void> }> {
  const directory = await mkdtemp(join(tmpdir(), "imgbuild-cut-"));
  const close = () => rm(directory, { recursive: true, force: true });
  try {
    const image =
      host === "stock"
        ? (await buildStockHost(options)).system.file
        : (await testImage(await openDefinition(definition), options)).system.file;
    const recording = await recordDeploy(
      { definition, hostname: "cut" },
      { image, serial: "IMGBUILD-SYSTEM", firmware },
      join(directory, "recording"),
      options,
    );
    return { recording, directory, close };
  } catch (error) {
    await close();
    throw error;
  }
}
