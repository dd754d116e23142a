import { mkdir, open, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { bootCode, grubModules, placedCore } from "../../boot/grub.ts";
import { Target, writablePath } from "../../disks/target.ts";
import { onlyArchitecture } from "../../tables/architecture.ts";
import { defineStep } from "../step/step.ts";

/** GRUB's modules, of the base: the core image does not depend on what the new system has installed. */
const platform = onlyArchitecture.grub.bios;
const directory = `/usr/lib/grub/${platform}`;

/** GRUB for BIOS: core image before or in a partition of its own, boot code in the first sector; written last, in this order. */
export const installGrub = defineStep({
  kind: "install-grub",
  summary: "embed GRUB for BIOS",
  schema: z.strictObject({
    target: Target,
    /** The bios-boot partition; or, on an MBR disk, the gap before the first partition. */
    startBytes: z.int().positive(),
    sizeBytes: z.int().positive(),
    /** Embedded: leads to the menu. */
    config: z.string(),
    /** Directory for files on their way; both the tools and we see it. */
    scratch: z.string().startsWith("/"),
  }),
  tools: ["grub-mkimage"],
  run: async ({ target, startBytes, sizeBytes, config: text, scratch }, context) => {
    await mkdir(scratch, { recursive: true });
    const config = join(scratch, "grub-embedded.cfg");
    const coreFile = join(scratch, "grub-core.img");
    const bootFile = join(scratch, "grub-boot.img");
    try {
      await writeFile(config, text);
      const format = ["--format", platform, "--directory", directory, "--prefix", "/boot/grub"];
      await context.tool([
        "grub-mkimage",
        ...format,
        "--config",
        config,
        "--output",
        coreFile,
        ...grubModules,
      ]);
      await context.tool(["cp", "--", `${directory}/boot.img`, bootFile]);
      const core = placedCore(await readFile(coreFile), startBytes, sizeBytes);
      const code = bootCode(await readFile(bootFile), startBytes);
      const disk = await open(await writablePath(target, context.machine), "r+");
      try {
        await disk.write(core, 0, core.length, startBytes);
        await disk.sync();
        // The rest of the first sector, with the partition table, is written back as it is: devices take whole sectors.
        const first = Buffer.alloc(512);
        await disk.read(first, 0, 512, 0);
        code.copy(first);
        await disk.write(first, 0, 512, 0);
        await disk.sync();
      } finally {
        await disk.close();
      }
    } finally {
      for (const file of [config, coreFile, bootFile]) await rm(file, { force: true });
    }
  },
});
