import { chmod, mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { basename, join } from "node:path";
import type { StepContext } from "../../steps/step/step.ts";
import { fileDigest } from "../../system/files/file-digest.ts";
import type { Log } from "../../util/log.ts";
import { convertDisk } from "../output/disk-output.ts";
import { minimizeDisk } from "../output/minimize.ts";
import { type Compression, endingOf, type ImageFormat, isDirectory } from "../output/output.ts";
import type { MadeDisk } from "./vm-image.ts";

/** Compressing a few GiB on a slow machine. */
const compressMs = 4 * 3_600_000;

/** How an output is finished, as the command line says. */
export interface Finish {
  /** Of the file, whose name says so; of an OCI image's layer. */
  readonly compress?: Compression | undefined;
  /** A file beside it, as sha256sum(1) reads them. */
  readonly checksum?: boolean | undefined;
  /** A disk as small as its files allow. */
  readonly minimize?: boolean | undefined;
}

type Placing = Finish & {
  /** There are secrets in it: it is for this user alone. */
  readonly secret: boolean;
  readonly format: ImageFormat;
  readonly to: string;
  readonly work: string;
  readonly log: Log;
  readonly epoch: number;
};

/** One disk is the output; several are files of a directory, which comes to its place in one piece, and whose names are given. */
export async function placeDisks(
  disks: readonly MadeDisk[],
  context: StepContext,
  { format, compress, checksum = false, minimize = false, secret, to, work, log, epoch }: Placing,
): Promise<readonly string[]> {
  const finished = async (file: string, name: string) => {
    if (minimize) await log.task("minimizing the disk", () => minimizeDisk(file, context, { work, epoch }));
    const converted = await convertDisk(file, { format, work, name }, context.signal);
    return compress === undefined ? converted : await compressed(converted, compress, context);
  };
  return await log.task(`writing ${to}`, async () => {
    const [one, ...more] = disks;
    if (one !== undefined && more.length === 0) {
      await putInPlace(await finished(one.file, basename(to)), to, { checksum, secret, work });
      return [];
    }
    const directory = join(work, "disks");
    await mkdir(directory, secret ? { mode: 0o700 } : {});
    const names: string[] = [];
    for (const { name, file } of disks) {
      const full = `${name}${endingOf({ format, compress })}`;
      await putInPlace(await finished(file, full), join(directory, full), { checksum, secret, work });
      names.push(full);
    }
    await rename(directory, to);
    return names;
  });
}

/** A packed tree. */
export async function placeTree(
  made: string,
  context: StepContext,
  { format, compress, checksum = false, secret, to, work, log }: Placing,
): Promise<readonly string[]> {
  const isFile = !isDirectory(format);
  const by = isFile && format !== "oci-tar" ? compress : undefined;
  return await log.task(`writing ${to}`, async () => {
    const whole = by === undefined ? made : await compressed(made, by, context);
    await putInPlace(whole, to, { checksum: checksum && isFile, secret, work });
    return [];
  });
}

/** A file, compressed by the base's tools, which take it away; the same bytes for any number of processors. */
export async function compressed(file: string, by: Compression, context: StepContext): Promise<string> {
  await context.tool(compressArgv(file, by), { timeoutMs: compressMs });
  return `${file}.packed`;
}

/** zstd's and xz's output is one for all numbers of threads but for a single one, which works in another way. */
export function compressArgv(file: string, by: Compression, threads = availableParallelism()): string[] {
  const many = `--threads=${Math.max(2, threads)}`;
  switch (by) {
    case "zstd":
      return ["zstd", "--quiet", "-9", many, "--rm", "-o", `${file}.packed`, file];
    case "xz":
      return ["xz", "--quiet", "-6", many, "--no-adjust", "--suffix=.packed", file];
    case "gzip":
      return ["gzip", "--quiet", "--no-name", "--suffix=.packed", file];
  }
}

/**
 * Brings what was made to its place; with `checksum` a file beside it that `sha256sum -c` accepts. One that an earlier build has
 * left there says nothing of this file, so it goes first.
 */
export async function putInPlace(
  made: string,
  to: string,
  options: { readonly checksum: boolean; readonly secret?: boolean; readonly work: string },
): Promise<void> {
  const beside = `${to}.sha256`;
  const own = join(options.work, "checksum");
  // Until now it was in a directory of our own.
  if (options.secret) await chmod(made, (await stat(made)).isDirectory() ? 0o700 : 0o600);
  if (options.checksum) await writeFile(own, checksumLine(await fileDigest(made), to));
  if (await isChecksumOf(beside, to)) await rm(beside);
  await rename(made, to);
  if (options.checksum) await rename(own, beside);
}

/** A line of sha256sum(1); a name with odd characters is escaped, which a leading backslash shows. */
export function checksumLine(digest: string, file: string): string {
  const name = basename(file);
  const escaped = name.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll("\r", "\\r");
  return `${escaped === name ? "" : "\\"}${digest}  ${escaped}\n`;
}

async function isChecksumOf(beside: string, to: string): Promise<boolean> {
  const text = await readFile(beside, "utf8").catch(() => "");
  const [digest = ""] = /[0-9a-f]{64}/.exec(text.slice(0, 65)) ?? [];
  return digest !== "" && text === checksumLine(digest, to);
}
