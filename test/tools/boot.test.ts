import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { readPe } from "../../src/boot/efi/pe.ts";
import { throwawaySigner } from "../../src/boot/efi/self-signed.ts";
import { signatureProblem, signEfi } from "../../src/boot/efi/sign-efi.ts";
import { ukiPath } from "../../src/boot/loader.ts";
import { buildImage } from "../../src/operator/build/image.ts";
import { definitionDigest } from "../../src/operator/definition/digest.ts";
import { readFiles } from "../../src/operator/definition/files.ts";
import { makeLockFor, mirrorsFor } from "../../src/operator/lock/lock.ts";
import type { Lock } from "../../src/schema/lock.ts";
import { Spec } from "../../src/schema/spec.ts";
import { cacheRoot } from "../../src/system/files/cache.ts";
import { run } from "../../src/system/run/run.ts";
import { sha256 } from "../../src/util/digest.ts";
import { silentLog } from "../../src/util/log.ts";
import { Secret } from "../../src/util/secret.ts";
import { esp, mib, root } from "../helpers/builders/storage.ts";
import { readFromVfat } from "../helpers/checks/vfat.ts";
import { theBase, workshop } from "../helpers/labs/native.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const mine = throwawaySigner("mine");

/** The key and certificate as files, for tools that want them so. */
function keyFiles() {
  const dir = tempDir();
  const files = { dir, key: join(dir, "key"), certificate: join(dir, "certificate") };
  writeFileSync(files.key, mine.keyPem, { mode: 0o600 });
  writeFileSync(files.certificate, mine.certificate.toString());
  return files;
}

describe("a signature of an EFI program", () => {
  const programs = ["systemd-bootx64.efi", "linuxx64.efi.stub"];

  it.each(programs)("of ours is one to sbverify: %s", async (name) => {
    const { dir, certificate } = keyFiles();
    const signed = join(dir, "signed.efi");
    const program = readFileSync(join(await theBase(), "usr/lib/systemd/boot/efi", name));
    writeFileSync(signed, signEfi(program, mine, name));
    const { stdout } = await run(["sbverify", "--cert", certificate, signed]);
    expect(stdout).toContain("Signature verification OK");
    const changed = Buffer.from(readFileSync(signed));
    changed.writeUInt8(changed[0x1000]! ^ 1, 0x1000);
    writeFileSync(signed, changed);
    await expect(run(["sbverify", "--cert", certificate, signed])).rejects.toThrow(/fails hash check/);
  });

  it.each(programs)("of sbsign is one to us: %s", async (name) => {
    const { dir, key, certificate } = keyFiles();
    const signed = join(dir, "signed.efi");
    const program = join(await theBase(), "usr/lib/systemd/boot/efi", name);
    await run(["sbsign", "--key", key, "--cert", certificate, "--output", signed, program]);
    const pe = readPe(readFileSync(signed), name);
    expect(signatureProblem(pe, mine.certificate)).toBeUndefined();
    expect(signatureProblem(pe, throwawaySigner("other").certificate)).toBe("is signed by another key");
  });
});

describe("an image signed by one's own key", () => {
  const cache = cacheRoot(process.env);
  const options = { env: process.env, log: silentLog, signal: new AbortController().signal };
  const spec = Spec.parse({
    hostname: "signed",
    packages: {
      install: [
        "apt",
        "e2fsprogs",
        "initramfs-tools",
        "linux-image-cloud-amd64",
        "systemd-sysv",
        "udev",
        "zstd",
      ],
    },
    storage: {
      disks: {
        system: {
          match: { serial: "S" },
          imageSize: "1536MiB",
          table: { type: "gpt", partitions: [esp, root] },
        },
      },
    },
    boot: {
      firmware: ["uefi"],
      loader: "uki",
      secureBoot: { key: "db", certificate: mine.certificate.toString() },
    },
    secrets: { db: { file: "db.age" } },
  });
  let lock: Lock;
  beforeAll(async () => {
    lock = await makeLockFor(spec, { cache, ...options });
  });

  /** Builds with nothing of an earlier build at hand but packages and base. */
  async function build(
    keys: ReadonlyMap<string, Secret> | undefined,
  ): Promise<{ image: string; cache: string }> {
    const own = tempDir();
    for (const name of ["packages", "index", "base"]) symlinkSync(join(cache, name), join(own, name));
    const output = join(tempDir(), "disk.raw");
    mkdirSync(join(own, "x"));
    const files = readFiles(undefined);
    const definition = definitionDigest(spec, lock, files);
    const mirrors = await mirrorsFor(spec, process.env);
    const inputs = {
      spec,
      lock,
      definition,
      files,
      filesDir: undefined,
      mirrors,
      secrets: undefined,
      keys,
    };
    await buildImage(inputs, output, "raw", { ...options, cache: own });
    return { image: output, cache: own };
  }

  const key = () => new Map([["db", new Secret("db", Buffer.from(mine.keyPem))]]);

  it("is the same each time, verifies, and leaves the key neither in it nor in the cache", async () => {
    const first = await build(key());
    const { context, work } = await workshop();
    const versions = await run(
      ["grep", "-rhoaE", "linux-image-6[0-9a-z.+-]*-cloud-amd64", join(first.cache, "tree")],
      {
        accept: [0, 1, 2],
      },
    );
    const version = /linux-image-(\S+)/.exec(versions.stdout)?.[1] ?? "";
    const alone = join(work, "image.raw");
    await run(["cp", "--sparse=always", first.image, alone]);
    const uki = await readFromVfat(context, alone, mib, ukiPath(version), join(work, "uki.efi"));
    const { certificate } = keyFiles();
    const { stdout } = await run(["sbverify", "--cert", certificate, join(work, "uki.efi")]);
    expect(stdout).toContain("Signature verification OK");
    expect(uki!.length).toBeGreaterThan(10 * mib);
    // A line of the key's PEM, and its private exponent as bytes.
    const line = mine.keyPem.split("\n")[5]!;
    for (const place of [first.image, join(first.cache, "tree")]) {
      const found = await run(["grep", "-rlaF", "-e", line, "-e", "BEGIN PRIVATE KEY", place], {
        accept: [0, 1, 2],
      });
      expect(
        found.stdout.split("\n").filter((path) => readFileSync(path || "/dev/null").includes(line)),
      ).toEqual([]);
    }
    const second = await build(key());
    expect(sha256(readFileSync(second.image))).toBe(sha256(readFileSync(first.image)));
  });

  it("is not made without the key, or with another", async () => {
    await expect(build(undefined)).rejects.toThrow("the Secure Boot key db is not at hand");
    const other = new Map([["db", new Secret("db", Buffer.from(throwawaySigner("other").keyPem))]]);
    await expect(build(other)).rejects.toThrow(
      "the certificate of boot.secureBoot is not that of the key db",
    );
  });
});
