import { basename } from "node:path";
import { exitCodes, Fail } from "../../util/fail.ts";

/** What a build can make, and the endings of names by which each is known. `disk`: all of a disk, else the tree alone. */
const formats = {
  raw: { disk: true, endings: [".raw", ".img"], packed: false },
  qcow2: { disk: true, endings: [".qcow2"], packed: true },
  vmdk: { disk: true, endings: [".vmdk"], packed: true },
  vhdx: { disk: true, endings: [".vhdx"], packed: false },
  tar: { disk: false, endings: [".tar"], packed: false },
  dir: { disk: false, endings: [], packed: false },
  squashfs: { disk: false, endings: [".squashfs", ".sqfs"], packed: true },
  erofs: { disk: false, endings: [".erofs"], packed: true },
  oci: { disk: false, endings: [".oci"], packed: false },
  "oci-tar": { disk: false, endings: [".oci.tar"], packed: false },
} as const;
const compressions = { zstd: ".zst", gzip: ".gz", xz: ".xz" } as const;
/** Two endings in one. */
const shortened: Readonly<Record<string, string>> = {
  ".tgz": ".tar.gz",
  ".txz": ".tar.xz",
  ".tzst": ".tar.zst",
};
/** Formats of others: a raw disk under such a name would only confuse whoever opens it. */
const foreign = [".vdi", ".vhd", ".ova", ".iso", ".qcow", ".qed", ".dmg", ".zip", ".bz2", ".7z", ".lz4"];

export type ImageFormat = keyof typeof formats;
export type Compression = keyof typeof compressions;
export const imageFormats = Object.keys(formats) as readonly ImageFormat[];
export const imageCompressions = Object.keys(compressions) as readonly Compression[];

/** How the output is made. */
export interface Output {
  readonly format: ImageFormat;
  /** Of the whole file; of the layer where it is an OCI layout. */
  readonly compress: Compression | undefined;
}

/** Whether it holds a whole disk; the others hold the tree. */
export function isDisk(format: ImageFormat): boolean {
  return formats[format].disk;
}

/** A directory, not a file. */
export function isDirectory(format: ImageFormat): boolean {
  return format === "dir" || format === "oci";
}

/** The ending of a file's name by which its format is known again. */
export function endingOf({ format, compress }: Output): string {
  return `.${format}${compress === undefined ? "" : compressions[compress]}`;
}

/**
 * What is to be made, from the options and the output's name: what the options leave open follows from the name, and else
 * it is a raw disk. An option and a name that contradict each other are refused.
 */
export function outputOf(
  file: string,
  options: { readonly format?: string | undefined; readonly compress?: string | undefined },
): Output {
  const format = oneOf("--format", options.format, imageFormats);
  const compress = oneOf("--compress", options.compress, imageCompressions);
  const name = longName(basename(file));
  const compression = imageCompressions.find((way) => name.endsWith(compressions[way]));
  const inner = compression === undefined ? name : name.slice(0, -compressions[compression].length);
  const named = formatNamed(inner);
  if (format === undefined && named === undefined) {
    const odd = foreign.find((ending) => inner.endsWith(ending));
    if (odd !== undefined)
      throw usage(`${file}: ${odd} is no format that can be made; ${imageFormats.join(", ")} are`);
  }
  if (format !== undefined && named !== undefined && format !== named)
    throw usage(`--format ${format}: the name ${basename(file)} is that of a ${named} file`);
  const made = format ?? named ?? "raw";
  return { format: made, compress: compressionOf(file, made, compress, compression) };
}

function compressionOf(
  file: string,
  format: ImageFormat,
  asked: Compression | undefined,
  named: Compression | undefined,
): Compression | undefined {
  const name = basename(file);
  if (asked !== undefined && named !== undefined && asked !== named)
    throw usage(`--compress ${asked}: the name ${name} is that of a ${named} file`);
  // Here it is the layer that is compressed, and the name says nothing of that.
  if (format === "oci" || format === "oci-tar") {
    if (named !== undefined) throw usage(`${name}: an OCI layout is not compressed as a whole; its layer is`);
    if (asked === "xz") throw usage("--compress xz: the layers of an OCI image are gzip or zstd");
    return asked;
  }
  const compress = asked ?? named;
  if (compress === undefined) return undefined;
  if (format === "dir")
    throw usage(`--compress ${compress}: a directory cannot be compressed; --format tar can`);
  if (formats[format].packed)
    throw usage(`--compress ${compress}: ${format} is compressed inside; nothing would be gained`);
  if (named === undefined)
    throw usage(
      `--compress ${compress}: the name ${name} does not say so; name it ${name}${compressions[compress]}`,
    );
  return compress;
}

function oneOf<T extends string>(
  option: string,
  given: string | undefined,
  all: readonly T[],
): T | undefined {
  if (given === undefined) return undefined;
  const found = all.find((value) => value === given);
  if (found === undefined) throw usage(`${option} ${given}: ${all.join(", ")} are accepted`);
  return found;
}

/** The longest ending counts: `.oci.tar` is no `.tar`. */
function formatNamed(name: string): ImageFormat | undefined {
  const fitting = imageFormats.flatMap((format) =>
    formats[format].endings.filter((ending) => name.endsWith(ending)).map((ending) => ({ format, ending })),
  );
  return fitting.sort((a, b) => b.ending.length - a.ending.length)[0]?.format;
}

function longName(name: string): string {
  const short = Object.keys(shortened).find((ending) => name.endsWith(ending));
  return short === undefined ? name : name.slice(0, -short.length) + shortened[short]!;
}

function usage(message: string): Fail {
  return new Fail(message, { exitCode: exitCodes.usage });
}
