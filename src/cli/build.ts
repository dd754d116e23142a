import { join } from "node:path";
import { identityFiles, type RevealOptions } from "../operator/deploy-inputs.ts";
import { readFiles } from "../operator/files.ts";
import { buildImage, definitionDigest, type ImageFormat, imageFormats } from "../operator/image.ts";
import { loadDefinition } from "../operator/load.ts";
import { mirrorsFor, readLockFor } from "../operator/lock.ts";
import { revealSecrets, signingSecret } from "../operator/secrets.ts";
import { vendoredMirrors, vendorUrl } from "../operator/vendor.ts";
import { idsAreMapped } from "../system/user-namespace.ts";
import { exitCodes, Fail } from "../util/fail.ts";
import type { AddCommand } from "./commands.ts";
import { secretOptions } from "./options.ts";

interface Options extends RevealOptions {
  output: string;
  format: string;
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
    .option("--format <FORMAT>", imageFormats.join(", "), "raw")
    .option("--in-vm", "have a virtual machine make the disks: any layout, none of this kernel's modules")
    .option("--vendor <DIR>", "take packages from what `imgbuild vendor` collected, before any mirror")
    .option("--with-secrets", "put the secrets in: the image must then be kept like them");
  secretOptions(command).action((path: string, options: Options) =>
    act(async (cli) => {
      const format = imageFormats.find((one) => one === options.format);
      if (format === undefined)
        throw new Fail(`--format ${options.format}: ${imageFormats.join(", ")} are accepted`, {
          exitCode: exitCodes.usage,
        });
      const definition = await loadDefinition(path);
      const { spec, filesDir } = definition;
      const { lock } = await readLockFor(definition);
      const files = readFiles(filesDir);
      const ask = () => cli.askSecret("Passphrase of the secrets: ");
      const keys = { identityFiles: identityFiles(options, cli.env), passphrase: ask };
      const secrets = options.withSecrets ? await revealSecrets(definition, keys) : undefined;
      const own = signingSecret(spec);
      const signing =
        secrets === undefined && own !== undefined ? await revealSecrets(definition, keys, [own]) : undefined;
      const left = Object.keys(spec.secrets).filter((name) => name !== own || spec.secrets[name]?.path);
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
        buildImage(
          {
            spec,
            lock,
            definition: digest,
            files,
            filesDir,
            mirrors,
            secrets,
            signing,
          },
          options.output,
          format satisfies ImageFormat,
          { ...cli, env, log, inVm: options.inVm },
        ),
      );
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
