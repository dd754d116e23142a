import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { StepContext } from "../../steps/step/step.ts";
import { plainEnv, run } from "../../system/run/run.ts";
import { Tree } from "../../tree/tree.ts";
import { uuidFrom } from "../../util/digest.ts";
import { ociLayout } from "./oci.ts";
import type { Compression, ImageFormat } from "./output.ts";

/** Packing a few GiB on a slow disk. */
const packMs = 3_600_000;

interface PackOptions {
  /** Whose tools pack; `root` is the tree, with settled times. */
  readonly context: StepContext;
  readonly work: string;
  readonly epoch: number;
  /** Of an OCI image's layer. */
  readonly compress: Compression | undefined;
  /** Digest of the definition. */
  readonly definition: string;
  readonly hostname: string;
  /** The tree may be moved instead of copied. */
  readonly moveable: boolean;
}

/** A finished tree as the file or directory that is wanted; gives its path in `work`. */
export async function packTree(format: ImageFormat, options: PackOptions): Promise<string> {
  const { context, work, epoch } = options;
  const { root } = context;
  const made = join(work, `made.${format}`);
  const tool = (argv: readonly string[]) =>
    context.tool(argv, {
      timeoutMs: packMs,
      env: { ...plainEnv, TZ: "UTC", SOURCE_DATE_EPOCH: String(epoch) },
    });
  switch (format) {
    case "tar":
      await tool(tarArgv(root, made));
      return made;
    case "squashfs":
      await tool(squashfsArgv(root, made));
      return made;
    case "erofs":
      await tool(erofsArgv(root, made, { epoch, uuid: uuidFrom(options.definition, "erofs") }));
      return made;
    case "oci":
    case "oci-tar": {
      const layer = join(work, "layer.tar");
      await tool(tarArgv(root, layer));
      await ociLayout(layer, made, { ...options, tool, single: format === "oci-tar" });
      return made;
    }
    default: {
      new Tree(root).chmod("/", 0o755);
      if (options.moveable) return root;
      await mkdir(made);
      const cp = ["cp", "--archive", "--reflink=auto", "--", `${root}/.`, made];
      await run(cp, { timeoutMs: packMs, signal: context.signal });
      return made;
    }
  }
}

/** Names sorted, owners as numbers, and nothing of the process in the headers (GNU tar's manual, "Reproducibility"). */
function tarArgv(tree: string, made: string): string[] {
  return [
    ...[
      "tar",
      "--create",
      "--format=posix",
      "--sort=name",
      "--numeric-owner",
      "--one-file-system",
      "--xattrs",
    ],
    "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime",
    ...["--file", made, "-C", tree, "."],
  ];
}

/** Its own times come of SOURCE_DATE_EPOCH. */
function squashfsArgv(tree: string, made: string): string[] {
  return [
    ...["mksquashfs", tree, made, "-noappend", "-quiet", "-no-progress"],
    ...["-comp", "zstd", "-Xcompression-level", "15", "-b", "256K"],
  ];
}

/** LZ4, which every kernel that knows EROFS can read. */
function erofsArgv(
  tree: string,
  made: string,
  { epoch, uuid }: { readonly epoch: number; readonly uuid: string },
): string[] {
  return [
    ...["mkfs.erofs", "--quiet", "-zlz4hc,9", "-C65536", "--mkfs-time", `-T${epoch}`, "-U", uuid],
    ...[made, tree],
  ];
}
