import {
  chmodSync,
  chownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compressed, type Finish } from "../../src/operator/build/finish-output.ts";
import { buildImage } from "../../src/operator/build/image.ts";
import { definitionDigest } from "../../src/operator/definition/digest.ts";
import { readFiles } from "../../src/operator/definition/files.ts";
import { makeLockFor, mirrorsFor } from "../../src/operator/lock/lock.ts";
import { convertDisk } from "../../src/operator/output/disk-output.ts";
import type { Compression, ImageFormat } from "../../src/operator/output/output.ts";
import { packTree } from "../../src/operator/output/tree-output.ts";
import type { Lock } from "../../src/schema/lock.ts";
import { Spec } from "../../src/schema/spec.ts";
import { cacheRoot } from "../../src/system/files/cache.ts";
import { run } from "../../src/system/run/run.ts";
import { sha256 } from "../../src/util/digest.ts";
import { silentLog } from "../../src/util/log.ts";
import { root } from "../helpers/builders/storage.ts";
import { workshop } from "../helpers/labs/native.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const options = {
  cache: cacheRoot(process.env),
  env: process.env,
  log: silentLog,
  signal: new AbortController().signal,
};
const epoch = 1_750_000_000;
const digest = (file: string) => sha256(readFileSync(file));

/** A tree with all that a packed one must keep. */
function oddTree(): string {
  const tree = tempDir();
  mkdirSync(join(tree, "usr/bin"), { recursive: true });
  mkdirSync(join(tree, "tmp"));
  writeFileSync(join(tree, "usr/bin/su"), "su\n".repeat(5_000));
  chownSync(join(tree, "usr/bin/su"), 0, 42);
  linkSync(join(tree, "usr/bin/su"), join(tree, "usr/bin/su-too"));
  symlinkSync("usr/bin", join(tree, "bin"));
  writeFileSync(join(tree, `usr/${"long-".repeat(40)}name`), "");
  writeFileSync(join(tree, "usr/Größe und Maß"), "utf-8\n");
  chmodSync(join(tree, "usr/bin/su"), 0o4750);
  chmodSync(join(tree, "tmp"), 0o1777);
  chmodSync(tree, 0o755);
  const settle = (path: string) => {
    const names = readdirSync(path, { withFileTypes: true });
    for (const one of names) {
      const full = join(path, one.name);
      if (one.isDirectory()) settle(full);
      else if (one.isSymbolicLink()) lutimesSync(full, epoch, epoch);
      else utimesSync(full, epoch - 86_400, epoch - 86_400);
    }
    utimesSync(path, epoch, epoch);
  };
  settle(tree);
  return tree;
}

async function packed(tree: string, format: ImageFormat, compress?: Compression): Promise<string> {
  const { work, context } = await workshop({ root: tree });
  // A tool sees its directories only; the tree lies elsewhere.
  const inside = join(work, "copy");
  await run(["cp", "--archive", "--", tree, inside]);
  return await packTree(format, {
    ...{ context: { ...context, root: inside }, work, epoch, compress },
    ...{ definition: "d".repeat(64), hostname: "odd", moveable: false },
  });
}

describe("a packed tree", () => {
  it.each<[ImageFormat, (file: string, to: string) => Promise<unknown>]>([
    ["tar", (file, to) => untar(file, to)],
    ["squashfs", (file, to) => run(["unsquashfs", "-quiet", "-no-progress", "-force", "-dest", to, file])],
    ["erofs", (file, to) => copyMounted(file, to)],
    ["oci", (file, to) => umoci(file, to)],
    [
      "oci-tar",
      async (file, to) => {
        const layout = tempDir();
        await untar(file, layout);
        await umoci(layout, to);
      },
    ],
    ["dir", (file, to) => run(["cp", "--archive", "--", `${file}/.`, to])],
  ])("as %s is what it was, by the word of another program, and the same twice", async (format, open) => {
    const tree = oddTree();
    const [one, two] = [await packed(tree, format), await packed(oddTree(), format)];
    await run(["diff", "--recursive", "--brief", "--no-dereference", one, two]);
    const to = tempDir();
    await open(one, to);
    expect(await listing(to)).toEqual(await listing(tree));
  });

  it("as an OCI layout names every byte by its digest, and starts the system's init", async () => {
    const layout = await packed(oddTree(), "oci", "zstd");
    const read = (path: string) => JSON.parse(readFileSync(join(layout, path), "utf8"));
    const blob = ({ digest: name }: { digest: string }) => `blobs/${name.replace(":", "/")}`;
    expect(readdirSync(layout).sort()).toEqual(["blobs", "index.json", "oci-layout"]);
    expect(read("oci-layout")).toEqual({ imageLayoutVersion: "1.0.0" });
    const names = readdirSync(join(layout, "blobs/sha256"));
    for (const name of names) expect(digest(join(layout, "blobs/sha256", name))).toBe(name);
    const [about] = read("index.json").manifests;
    expect(about.platform).toEqual({ architecture: "amd64", os: "linux" });
    const manifest = read(blob(about));
    const [layer] = manifest.layers;
    expect(layer.mediaType).toBe("application/vnd.oci.image.layer.v1.tar+zstd");
    expect(names.sort()).toEqual(
      [about, manifest.config, layer].map((one) => one.digest.slice("sha256:".length)).sort(),
    );
    const config = read(blob(manifest.config));
    expect(config).toMatchObject({ architecture: "amd64", os: "linux", created: "2025-06-15T15:06:40.000Z" });
    expect(config.config.Cmd).toEqual(["/sbin/init"]);
    const script = 'zstd --quiet --decompress --stdout "$1" | sha256sum';
    const { stdout } = await run(["sh", "-c", script, "sh", join(layout, blob(layer))]);
    expect(config.rootfs.diff_ids).toEqual([`sha256:${stdout.slice(0, 64)}`]);
  });
});

describe("a disk of another format", () => {
  it("holds the same, and its bytes are the same twice but for VHDX' random ids", async () => {
    const dir = tempDir();
    const raw = join(dir, "disk.raw");
    await run(["mke2fs", "-q", "-d", "src", raw, "64m"]);
    for (const format of ["qcow2", "vmdk", "vhdx"] as const) {
      const works = [tempDir(), tempDir()];
      const made = works.map((work) => convertDisk(raw, { format, work, name: "disk" }, options.signal));
      const [one, two] = (await Promise.all(made)) as [string, string];
      await run(["qemu-img", "compare", "-f", "raw", "-F", format, raw, one]);
      await run(["qemu-img", "check", "-f", format, one]);
      if (format !== "vhdx") expect(digest(one), format).toBe(digest(two));
    }
  });

  it.each(["zstd", "gzip", "xz"] as const)("by %s is the raw disk when it is opened again", async (by) => {
    const { work, context } = await workshop();
    const raw = join(work, "disk.raw");
    await run(["mke2fs", "-q", "-d", "src", raw, "16m"]);
    const before = digest(raw);
    const made = await compressed(raw, by, context);
    const { stdout } = await run(["sh", "-c", `${by} -dc < "$1" | sha256sum`, "sh", made]);
    expect(stdout.slice(0, 64)).toBe(before);
  });
});

describe("an output for which there is no room", () => {
  it("fails with what to do, in every way in which it is made", async () => {
    const { work, context } = await workshop();
    const raw = join(work, "disk.raw");
    await run(["mke2fs", "-q", "-d", "src", raw, "16m"]);
    const small = join(work, "small");
    const tree = join(work, "content");
    await run(["cp", "--archive", "src", tree]);
    mkdirSync(small);
    await run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", small]);
    try {
      for (const format of ["qcow2", "vmdk", "vhdx"] as const)
        await expect(
          convertDisk(raw, { format, work: join(small, "."), name: "x" }, options.signal),
          format,
        ).rejects.toMatchObject({
          message: expect.stringMatching(/^qemu-img convert .* exited 1/),
          hint: expect.stringMatching(/free some|disk is full/),
        });
      for (const format of ["tar", "squashfs", "erofs", "oci"] as const)
        await expect(
          packTree(format, {
            ...{ context: { ...context, root: tree }, work: small, epoch, compress: undefined },
            ...{ definition: "d".repeat(64), hostname: "odd", moveable: false },
          }),
          format,
        ).rejects.toThrow(/no space left on device|failed/i);
    } finally {
      await run(["umount", small]);
    }
  });
});

describe("a small definition", () => {
  const system = { match: { serial: "S" }, imageSize: "1GiB", table: { type: "gpt", partitions: [root] } };
  const spec = Spec.parse({
    hostname: "small",
    packages: { install: ["apt", "systemd-sysv"] },
    storage: { disks: { system } },
    files: { "/etc/motd": { content: "small\n" } },
  });
  let dir: string;
  let lock: Lock;
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), "imgbuild-outputs-"));
    for (const one of ["packages", "index", "base"]) {
      mkdirSync(join(options.cache, one), { recursive: true });
      symlinkSync(join(options.cache, one), join(dir, one));
    }
    lock = await makeLockFor(spec, options);
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  const built = async (name: string, format: ImageFormat, finish: Finish = {}) => {
    const files = readFiles(undefined);
    const to = join(tempDir(), name);
    const inputs = {
      ...{ spec, lock, files, filesDir: undefined, secrets: undefined },
      definition: definitionDigest(spec, lock, files),
      mirrors: await mirrorsFor(spec, process.env),
    };
    await buildImage(inputs, to, format, { ...options, cache: dir, ...finish });
    return to;
  };

  it("has one tree whether its packages are in the cache or not, and leaves outputs alone beside their checksums", async () => {
    const cold = await built("small.tar", "tar");
    const raw = await built("small.raw", "raw", { checksum: true });
    const warm = await built("small.tar", "tar");
    expect(readdirSync(join(dir, "tree"))).toHaveLength(1);
    expect(digest(warm)).toBe(digest(cold));
    expect(readdirSync(join(raw, "..")).sort()).toEqual(["small.raw", "small.raw.sha256"]);
    await run(["sha256sum", "--check", "--strict", "small.raw.sha256"], { cwd: join(raw, "..") });
    const listed = (await run(["tar", "--list", "--verbose", "--numeric-owner", "--file", warm])).stdout;
    expect(listed).toMatch(/^-rw-r----- 0\/42 .* \.\/etc\/shadow$/m);
    expect(readdirSync(join(warm, ".."))).toEqual(["small.tar"]);
  });
});

async function untar(file: string, to: string): Promise<void> {
  const keep = ["--xattrs", "--xattrs-include=*", "--numeric-owner", "--preserve-permissions"];
  await run(["tar", "--extract", ...keep, "--file", file, "-C", to]);
}

async function copyMounted(file: string, to: string): Promise<void> {
  const at = tempDir();
  await run(["mount", "-t", "erofs", "-o", "ro,loop", file, at]);
  try {
    await run(["cp", "--archive", "--", `${at}/.`, to]);
  } finally {
    await run(["umount", at]);
  }
}

async function umoci(layout: string, to: string): Promise<void> {
  const bundle = join(tempDir(), "bundle");
  await run(["umoci", "unpack", "--image", `${layout}:latest`, bundle]);
  await run(["cp", "--archive", "--", `${bundle}/rootfs/.`, to]);
}

/** Everything that makes a tree, a line a path. */
async function listing(tree: string): Promise<string[]> {
  const { stdout } = await run(["find", tree, "-printf", "%P %y %m %U:%G %T@ %l %y%n\\n"]);
  const sums = await run(["sh", "-c", 'cd "$1" && find . -type f -print0 | xargs -0 sha256sum', "sh", tree]);
  // A directory's count of links is its filesystem's own affair.
  const lines = stdout.split("\n").map((line) => line.replace(/ d\d+$/, ""));
  return [...lines, ...sums.stdout.split("\n")].sort();
}
