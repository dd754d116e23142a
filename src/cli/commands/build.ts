import { join } from "node:path";
import { buildImage, definitionDigest, readyToBuild } from "../../operator/build/image.ts";
import { vendoredMirrors, vendorUrl } from "../../operator/cache/vendor.ts";
import { withGrowth } from "../../operator/check/growth.ts";
import { withImageSize } from "../../operator/check/image-size.ts";
import { readFiles } from "../../operator/definition/files.ts";
import { loadDefinition, withLines } from "../../operator/definition/load.ts";
import { identityFiles, type RevealOptions } from "../../operator/deploy/inputs.ts";
import { mirrorsFor, readLockFor } from "../../operator/lock/lock.ts";
import {
  imageCompressions,
  imageFormats,
  isDirectory,
  isDisk,
  outputOf,
} from "../../operator/output/output.ts";
import { noteTried } from "../../operator/records/rehearsal-record.ts";
import { buildKeyNames } from "../../operator/secrets/build-keys.ts";
import { revealSecrets } from "../../operator/secrets/secrets.ts";
import { idsAreMapped } from "../../system/user/user-namespace.ts";
import { exitCodes, Fail } from "../../util/fail.ts";
import type { AddCommand } from "../terminal/context.ts";
import { present, secretOptions } from "../terminal/options.ts";

interface Options extends RevealOptions {
  output: string;
  format?: string;
  size?: string;
  compress?: string;
  checksum?: boolean;
  minimize?: boolean;
  inVm?: boolean;
  withSecrets?: boolean;
  vendor?: string;
}

export const buildCommand: AddCommand = (program, act) => {
  const command = program
    .command("build")
    .description("an offline disk image")
    .argument("<DEF>", "the definition: a directory with an IMGBUILD.ts, or the file")
    .requiredOption("-o, --output <FILE>", "where the image goes")
    .option("--format <FORMAT>", `${imageFormats.join(", ")} (default: by FILE's ending, else raw)`)
    .option("--size <SIZE>", "size of the disk, as 8GiB, instead of the definition's `imageSize`")
    .option("--minimize", "as small as its files allow; the system grows to its disk when it starts")
    .option("--compress <KIND>", `${imageCompressions.join(", ")}; FILE ends in .zst, .gz or .xz then`)
    .option("--checksum", "write FILE.sha256 too, for `sha256sum -c`")
    .option("--in-vm", "have a virtual machine make the disks: any layout, none of this kernel's modules")
    .option(
      "--vendor <DIR>",
      "take packages from what `imgbuild vendor` collected, before any mirror",
      present,
    )
    .option("--with-secrets", "put the secrets in: the image must then be kept like them");
  secretOptions(command).action((path: string, options: Options) =>
    act(async (cli) => {
      const { format, compress } = outputOf(options.output, options);
      if (options.checksum && isDirectory(format))
        throw new Fail("--checksum: a directory has none", { exitCode: exitCodes.usage });
      if (options.size !== undefined && !isDisk(format))
        throw new Fail(`--size ${options.size}: ${format} holds no disk`, { exitCode: exitCodes.usage });
      if (options.inVm && !isDisk(format))
        throw new Fail(`--in-vm: ${format} holds no disks`, { exitCode: exitCodes.usage });
      if (options.minimize && !isDisk(format))
        throw new Fail(`--minimize: ${format} holds no disk`, { exitCode: exitCodes.usage });
      const definition = await loadDefinition(path);
      for (const line of definition.unfinished) cli.log.warn(line);
      const { filesDir } = definition;
      await readyToBuild(definition.spec, options.output, format, options);
      const { lock } = await readLockFor(definition);
      const sized =
        options.size === undefined ? definition.spec : withImageSize(definition.spec, options.size);
      const spec = options.minimize ? withGrowth(sized, lock) : sized;
      const files = readFiles(filesDir);
      const ask = () => cli.askSecret("Passphrase of the secrets: ");
      const openers = { identityFiles: identityFiles(options, cli.env), passphrase: ask };
      const needed = buildKeyNames(spec);
      const secrets = options.withSecrets ? await revealSecrets(definition, openers) : undefined;
      const keys = secrets === undefined ? await revealSecrets(definition, openers, needed) : undefined;
      const left = Object.keys(spec.secrets).filter(
        (name) => !needed.includes(name) || spec.secrets[name]?.path,
      );
      if (secrets === undefined && left.length > 0)
        cli.log.warn(`the image goes without its secrets (${left.join(", ")}); --with-secrets puts them in`);
      const digest = definitionDigest(spec, lock, files);
      const usual = await mirrorsFor(spec, cli.env, definition.dir);
      const { vendor } = options;
      const mirrors = vendor === undefined ? usual : vendoredMirrors(vendor, spec, usual);
      // The base is made of the same directory.
      const env =
        vendor === undefined ? cli.env : { ...cli.env, IMGBUILD_MIRROR: vendorUrl(vendor, "debian") };
      const disks = await cli.log.task(`building ${spec.hostname}`, async (log) =>
        withLines(definition, () =>
          buildImage(
            {
              spec,
              lock,
              definition: digest,
              files,
              filesDir,
              mirrors,
              secrets,
              keys,
            },
            options.output,
            format,
            {
              ...cli,
              env,
              log,
              inVm: options.inVm,
              compress,
              checksum: options.checksum,
              minimize: options.minimize,
            },
          ),
        ),
      );
      await noteTried(cli.env, definitionDigest(definition.spec, lock, files));
      if (format === "dir" && (await idsAreMapped()))
        cli.log.warn("the files have their owners inside of `unshare --map-root-user --map-auto` only");
      for (const file of disks.length === 0
        ? [options.output]
        : disks.map((name) => join(options.output, name)))
        cli.print(file);
      const more = disks.length === 0 ? {} : { disks };
      cli.emit({ event: "done", file: options.output, format, definition: digest, ...more });
    }),
  );
};
