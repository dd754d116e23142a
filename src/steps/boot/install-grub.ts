import { mkdir, open, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { bootCode, grubModules, placedCore } from "../../boot/grub.ts";
import type { MachinePaths } from "../../disks/find-disk.ts";
import { Target, writablePath } from "../../disks/target.ts";
import { onlyArchitecture } from "../../tables/architecture.ts";
import { defineActions } from "../step/actions.ts";

/** GRUB's modules, of the base: the core image does not depend on what the new system has installed. */
const platform = onlyArchitecture.grub.bios;
const directory = `/usr/lib/grub/${platform}`;

/** GRUB for BIOS: core image before or in a partition of its own, boot code in the first sector; written last, in this order. */
export const installGrub = defineActions({
  kind: "install-grub",
  schema: z.strictObject({
    target: Target,
    /** The bios-boot partition; or, on an MBR disk, the gap before the first partition. */
    startBytes: z.int().positive(),
    sizeBytes: z.int().positive(),
    /** Embedded: leads to the menu. */
    config: z.string(),
    /** What its menu needs besides. */
    modules: z.array(z.string()).optional(),
    /** Directory for files on their way; both the tools and we see it. */
    scratch: z.string().startsWith("/"),
  }),
  actions: ({ target, startBytes, sizeBytes, config: text, modules = [], scratch }) => {
    const [config, coreFile, bootFile] = ["embedded.cfg", "core.img", "boot.img"].map((name) =>
      join(scratch, `grub-${name}`),
    ) as [string, string, string];
    const place = { target, startBytes, sizeBytes };
    return [
      {
        does: `write what leads to the menu to ${config}`,
        run: async () => {
          await mkdir(scratch, { recursive: true });
          await writeFile(config, text);
        },
        undo: {
          does: `remove the files of ${scratch}`,
          run: async () => {
            for (const file of [config, coreFile, bootFile]) await rm(file, { force: true });
          },
        },
      },
      {
        argv: [
          ...["grub-mkimage", "--format", platform, "--directory", directory, "--prefix", "/boot/grub"],
          ...["--config", config, "--output", coreFile, ...grubModules, ...modules],
        ],
      },
      { argv: ["cp", "--", `${directory}/boot.img`, bootFile] },
      {
        does: "write them to the disk, the first sector last",
        run: async ({ machine }) =>
          await embed(await readFile(coreFile), await readFile(bootFile), place, machine),
      },
    ];
  },
});

async function embed(
  coreImage: Uint8Array,
  bootImage: Uint8Array,
  place: { readonly target: Target; readonly startBytes: number; readonly sizeBytes: number },
  machine: MachinePaths,
): Promise<void> {
  const { target, startBytes, sizeBytes } = place;
  const core = placedCore(coreImage, startBytes, sizeBytes);
  const code = bootCode(bootImage, startBytes);
  const disk = await open(await writablePath(target, machine), "r+");
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
}
