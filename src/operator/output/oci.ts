import { mkdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileDigest } from "../../system/files/file-digest.ts";
import type { RunResult } from "../../system/run/run.ts";
import { onlyArchitecture } from "../../tables/architecture.ts";
import { sha256 } from "../../util/digest.ts";
import type { Compression } from "./output.ts";

/** As the platform of an image has it (OCI Image Format Specification 1.1, image-index). */
const platform = { architecture: onlyArchitecture.oci, os: "linux" } as const;
const mediaTypes = {
  index: "application/vnd.oci.image.index.v1+json",
  manifest: "application/vnd.oci.image.manifest.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  layer: "application/vnd.oci.image.layer.v1.tar",
} as const;

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

interface OciOptions {
  /** Of the layer; gzip, which every reader knows, unless said otherwise. */
  readonly compress: Compression | undefined;
  readonly epoch: number;
  readonly hostname: string;
  /** One tar of the layout instead of a directory. */
  readonly single: boolean;
  readonly work: string;
  /** Runs a tool of the base. */
  readonly tool: (argv: readonly string[]) => Promise<RunResult>;
}

/** An OCI image layout of one layer, whose tar is used up. The same tree gives the same bytes, digests and all. */
export async function ociLayout(layer: string, to: string, options: OciOptions): Promise<void> {
  const layout = options.single ? join(options.work, "layout") : to;
  await mkdir(join(layout, "blobs/sha256"), { recursive: true });
  const diffId = `sha256:${await fileDigest(layer)}`;
  const compression = options.compress === "zstd" ? "zstd" : "gzip";
  const packed = `${layer}.packed`;
  if (compression === "gzip") {
    await options.tool(["gzip", "--no-name", layer]);
    await rename(`${layer}.gz`, packed);
  } else await options.tool(["zstd", "--quiet", "-9", "--threads=0", "--rm", "-o", packed, layer]);
  const size = (await stat(packed)).size;
  const digest = await fileDigest(packed);
  await rename(packed, join(layout, "blobs/sha256", digest));
  const blob = { mediaType: `${mediaTypes.layer}+${compression}`, digest: `sha256:${digest}`, size };
  const config = await writeBlob(layout, mediaTypes.config, imageConfig(diffId, options));
  const manifest = await writeBlob(layout, mediaTypes.manifest, {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config,
    layers: [blob],
  });
  await writeJson(join(layout, "index.json"), {
    schemaVersion: 2,
    mediaType: mediaTypes.index,
    manifests: [{ ...manifest, platform, annotations: { "org.opencontainers.image.ref.name": "latest" } }],
  });
  await writeJson(join(layout, "oci-layout"), { imageLayoutVersion: "1.0.0" });
  if (!options.single) return;
  const plain = ["--sort=name", `--mtime=@${options.epoch}`, "--owner=0", "--group=0", "--numeric-owner"];
  const names = ["blobs", "index.json", "oci-layout"];
  await options.tool(["tar", "--create", "--format=ustar", ...plain, "--file", to, "-C", layout, ...names]);
  await rm(layout, { recursive: true });
}

/** The whole system is in it, so what starts is its init. */
function imageConfig(diffId: string, { epoch, hostname }: OciOptions): object {
  const created = new Date(epoch * 1000).toISOString();
  return {
    created,
    ...platform,
    config: {
      Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"],
      Cmd: ["/sbin/init"],
      StopSignal: "SIGRTMIN+3",
    },
    rootfs: { type: "layers", diff_ids: [diffId] },
    history: [{ created, created_by: "imgbuild", comment: hostname }],
  };
}

async function writeBlob(layout: string, mediaType: string, value: object): Promise<Descriptor> {
  const text = JSON.stringify(value);
  const digest = sha256(text);
  await writeFile(join(layout, "blobs/sha256", digest), text);
  return { mediaType, digest: `sha256:${digest}`, size: Buffer.byteLength(text) };
}

async function writeJson(path: string, value: object): Promise<void> {
  await writeFile(path, JSON.stringify(value));
}
