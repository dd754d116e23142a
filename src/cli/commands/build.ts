import { Option } from "commander";
import type { ImageOptions } from "../../operator/build/build-definition.ts";
import { imageCompressions, imageFormats } from "../../operator/output/output.ts";
import type { AddCommand } from "../terminal/context.ts";
import { defHelp, present, secretOptions } from "../terminal/options.ts";

export const buildCommand: AddCommand = (program, act) => {
  const command = program
    .command("build")
    .description("an offline disk image")
    .argument("<DEF>", defHelp)
    .requiredOption("-o, --output <FILE>", "where the image goes")
    .addOption(
      new Option("--format <FORMAT>", "form of the image (default: by FILE's ending, else raw)").choices(
        imageFormats,
      ),
    )
    .option("--size <SIZE>", "size of the disk, as 8GiB, instead of the definition's `imageSize`")
    .option("--minimize", "as small as its files allow; the system grows to its disk when it starts")
    .addOption(
      new Option("--compress <KIND>", "FILE ends in .zst, .gz or .xz then").choices(imageCompressions),
    )
    .option("--checksum", "write FILE.sha256 too, for `sha256sum -c`")
    .option(
      "--report <FILE>",
      "write times, disks, packages and files as JSON, and beside it a page to look at",
    )
    .option("--in-vm", "have a virtual machine make the disks: any layout, none of this kernel's modules")
    .option(
      "--vendor <DIR>",
      "take packages from what `imgbuild vendor` collected, before any mirror",
      present,
    )
    .option(
      "--store <DIR>",
      "a store that has what mirrors have dropped, and is filled with what was used (or IMGBUILD_STORE)",
      present,
    )
    .option("--with-secrets", "put the secrets in: the image must then be kept like them");
  secretOptions(command).action((path: string, options: ImageOptions) =>
    act(async (cli) => {
      const { buildDefinition } = await import("../../operator/build/build-definition.ts");
      const { files, disks, ...image } = await buildDefinition(path, options, cli);
      for (const file of files) cli.print(file);
      const more = disks.length === 0 ? {} : { disks };
      cli.emit({ event: "done", file: options.output, ...image, ...more });
    }),
  );
};
