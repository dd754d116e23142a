import { join } from "node:path";
import { keepersFor, withStore, withStores } from "../../debian/archive/keepers.ts";
import type { Mirrors } from "../../debian/archive/mirrors.ts";
import type { Spec } from "../../schema/spec.ts";
import { idsAreMapped } from "../../system/user/user-namespace.ts";
import { fingerprintOf } from "../../transport/known-hosts.ts";
import { exitCodes, Fail } from "../../util/fail.ts";
import type { Log } from "../../util/log.ts";
import type { Secret } from "../../util/secret.ts";
import { vendoredMirrors, vendorUrl } from "../cache/vendor.ts";
import { withGrowth } from "../check/growth.ts";
import { withImageSize } from "../check/image-size.ts";
import { definitionDigest } from "../definition/digest.ts";
import { withLines } from "../definition/load.ts";
import { mirrorsFor } from "../lock/lock.ts";
import { type OpenDefinition, openDefinition } from "../lock/open-definition.ts";
import { type ImageFormat, isDirectory, isDisk, type Output, outputOf } from "../output/output.ts";
import { noteTried } from "../records/rehearsal-record.ts";
import { withBuildReport } from "../report/build-report.ts";
import { placeForReport } from "../report/write-report.ts";
import { buildKeyNames } from "../secrets/build-keys.ts";
import { initramfsKey } from "../secrets/initramfs-key.ts";
import { rescueKey } from "../secrets/rescue-key.ts";
import { identityFiles, type RevealOptions, revealSecrets } from "../secrets/secrets.ts";
import { fillStores } from "../store/fill-store.ts";
import type { VmOptions } from "../vm-runner/vm-run.ts";
import type { ImageInputs } from "./build.ts";
import { buildImage, readyToBuild } from "./image.ts";

/** What is to be made, as the command line says it. */
export interface ImageOptions extends RevealOptions {
  readonly output: string;
  readonly format?: string;
  readonly size?: string;
  readonly compress?: string;
  readonly checksum?: boolean;
  readonly minimize?: boolean;
  readonly inVm?: boolean;
  readonly withSecrets?: boolean;
  /** A directory that `vendor` filled. */
  readonly vendor?: string;
  /** A store's directory, which is asked first and filled. */
  readonly store?: string;
  /** A JSON file, beside which its page is written. */
  readonly report?: string;
}

interface Outside extends VmOptions {
  askSecret(question: string): Promise<Secret>;
}

interface Image {
  readonly format: ImageFormat;
  /** Of what was built: size and growth of the disk are of it. */
  readonly definition: string;
  /** Names of several disks, whose files are in the output. */
  readonly disks: readonly string[];
  readonly files: readonly string[];
}

/** Builds a definition's image with its lock and secrets, and notes that it could be built. */
export async function buildDefinition(path: string, options: ImageOptions, given: Outside): Promise<Image> {
  const outside = { ...given, env: withStore(given.env, options.store) };
  const { log } = outside;
  const { format, compress } = checkedOutput(options);
  if (options.report !== undefined) await placeForReport(options.report, true, options.output);
  const definition = await openDefinition(path, {
    log,
    check: ({ spec }) => readyToBuild(spec, options.output, format, options),
  });
  const spec = specOf(definition, options);
  const secrets = withMadeKeys(await secretsOf(definition, spec, options, outside), spec, log);
  const digest = definitionDigest(spec, definition.lock, definition);
  const { mirrors, env } = await sourcesOf(definition, spec, options, outside);
  const { lock, filesDir } = definition;
  const keepers = keepersFor({ ...definition, spec }, env);
  const inputs = {
    spec,
    lock,
    definition: digest,
    files: definition,
    filesDir,
    mirrors,
    keepers,
    ...secrets,
  };
  const build = async (to: Log): Promise<Image> => {
    const { inVm, checksum, minimize } = options;
    const finish = { inVm, compress, checksum, minimize };
    const disks = await withLines(definition, () =>
      buildImage(inputs, options.output, format, {
        ...{ ...outside, env: withStores(keepers, env), log: to, ...finish },
      }),
    );
    const files = disks.length === 0 ? [options.output] : disks.map((name) => join(options.output, name));
    return { format, definition: digest, disks, files };
  };
  const { report, minimize: minimized = false } = options;
  const begun = { spec, lock, definition: digest, format, minimized, isDisk: isDisk(format) };
  const image = await log.task(`building ${spec.hostname}`, (inner) =>
    report === undefined ? build(inner) : withBuildReport(report, begun, inner, build),
  );
  await noteTried(outside.env, definition.digest);
  await fillStores({ ...definition, stores: keepers.stores }, outside);
  if (format === "dir" && (await idsAreMapped()))
    log.warn("the files have their owners inside of `unshare --map-root-user --map-auto` only");
  return image;
}

function checkedOutput(options: ImageOptions): Output {
  const output = outputOf(options.output, options);
  const { format } = output;
  const refuse = (message: string): never => {
    throw new Fail(message, { exitCode: exitCodes.usage });
  };
  if (options.checksum && isDirectory(format)) refuse("--checksum: a directory has none");
  if (isDisk(format)) return output;
  if (options.size !== undefined) refuse(`--size ${options.size}: ${format} holds no disk`);
  if (options.inVm) refuse(`--in-vm: ${format} holds no disks`);
  if (options.minimize) refuse(`--minimize: ${format} holds no disk`);
  return output;
}

function specOf({ spec, lock }: OpenDefinition, { size, minimize }: ImageOptions): Spec {
  const sized = size === undefined ? spec : withImageSize(spec, size);
  return minimize ? withGrowth(sized, lock) : sized;
}

/** All of its secrets where they are to be put in, else those without which nothing can be made. */
async function secretsOf(
  definition: OpenDefinition,
  spec: Spec,
  options: ImageOptions,
  outside: Outside,
): Promise<Pick<ImageInputs, "secrets" | "keys">> {
  const passphrase = (of: string) => outside.askSecret(`Passphrase of ${of}: `);
  const openers = { identityFiles: identityFiles(options, outside.env), passphrase };
  if (options.withSecrets) return { secrets: await revealSecrets(definition, openers), keys: undefined };
  const needed = buildKeyNames(spec);
  const keys = await revealSecrets(definition, openers, needed);
  const left = Object.keys(spec.secrets).filter((name) => !needed.includes(name) || spec.secrets[name]?.path);
  if (left.length > 0)
    outside.log.warn(`the image goes without its secrets (${left.join(", ")}); --with-secrets puts them in`);
  return { secrets: undefined, keys };
}

/** What is reached over SSH besides the system has a host key, whether or not secrets are put in: initramfs and rescue system. */
function withMadeKeys(
  { secrets, keys }: Pick<ImageInputs, "secrets" | "keys">,
  spec: Spec,
  log: Outside["log"],
): Pick<ImageInputs, "secrets" | "keys"> {
  const from = secrets ?? keys ?? new Map();
  const made = { initramfs: initramfsKey(spec, from), "rescue system": rescueKey(spec, from) };
  for (const [what, key] of Object.entries(made))
    if (key?.isNew) log.info(`the host key of its ${what} is ${fingerprintOf(key.pin)}`);
  const own = Object.values(made).flatMap((key) => [...(key?.secrets ?? [])]);
  const more = (to: ImageInputs["secrets"]) => to && new Map([...to, ...own]);
  return own.length === 0 ? { secrets, keys } : { secrets: more(secrets), keys: more(keys) };
}

/** Where packages come from: those of the image by its mirrors, those of the base, which is made beside it, by the environment. */
async function sourcesOf(
  { dir }: OpenDefinition,
  spec: Spec,
  { vendor }: ImageOptions,
  { env }: Outside,
): Promise<{ readonly mirrors: Mirrors; readonly env: Outside["env"] }> {
  const usual = await mirrorsFor(spec, env, dir);
  if (vendor === undefined) return { mirrors: usual, env };
  return {
    mirrors: vendoredMirrors(vendor, spec, usual),
    env: { ...env, IMGBUILD_MIRROR: vendorUrl(vendor, "debian") },
  };
}
