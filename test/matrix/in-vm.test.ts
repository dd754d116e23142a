import { mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { baseTree } from "../../src/operator/base/base.ts";
import type { ImageInputs } from "../../src/operator/build/build.ts";
import { buildImage } from "../../src/operator/build/image.ts";
import { mirrorsFor } from "../../src/operator/lock/lock.ts";
import { openDefinition } from "../../src/operator/lock/open-definition.ts";
import { standIns } from "../../src/operator/secrets/test-secrets.ts";
import { type TestImage, testImage } from "../../src/operator/test/test-image.ts";
import { hostKeyPrefix } from "../../src/steps/tree/write-secrets.ts";
import { toolRun } from "../../src/system/door/chroot.ts";
import { cacheRoot } from "../../src/system/files/cache.ts";
import { run } from "../../src/system/run/run.ts";
import { generateSshKey } from "../../src/transport/keys.ts";
import { silentLog } from "../../src/util/log.ts";
import { Secret } from "../../src/util/secret.ts";
import { treeDifferences } from "../helpers/checks/same-tree.ts";
import { booted } from "../helpers/labs/booted.ts";

const options = {
  cache: cacheRoot(process.env),
  env: process.env,
  log: silentLog,
  signal: new AbortController().signal,
};
const mib = 2 ** 20;

/** Where the partitions of an image lie, in bytes. */
async function partitionsOf(image: string): Promise<{ name: string; start: number; size: number }[]> {
  const { stdout } = await run(["sfdisk", "--json", image]);
  const { partitiontable } = JSON.parse(stdout) as {
    partitiontable: { partitions: { name: string; start: number; size: number }[] };
  };
  return partitiontable.partitions.map(({ name, start, size }) => ({
    name,
    start: start * 512,
    size: size * 512,
  }));
}

async function rootOf<T>(image: string, work: (tree: string) => Promise<T> | T): Promise<T> {
  const root = (await partitionsOf(image)).find(({ name }) => name === "root")!;
  const at = mkdtempSync(join(tmpdir(), "imgbuild-root-"));
  await run(["mount", "-o", `ro,loop,offset=${root.start},sizelimit=${root.size}`, "--", image, at]);
  try {
    return await work(at);
  } finally {
    await run(["umount", at]);
    rmSync(at, { recursive: true });
  }
}

async function espOf(image: string, into: string): Promise<string> {
  const esp = (await partitionsOf(image)).find(({ name }) => name === "esp")!;
  mkdirSync(into);
  const { tree } = await baseTree(options);
  const binds = [{ from: join(image, ".."), to: join(image, "..") }];
  await toolRun(tree, ["mcopy", "-s", "-n", "-i", `${image}@@${esp.start}`, "::*", into], { binds });
  return into;
}

describe("in-vm: imgbuild/web built in a virtual machine", () => {
  let directory: string;
  let native: string;
  let vm: string;
  let image: TestImage;
  const host = generateSshKey("imgbuild-in-vm");

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "imgbuild-in-vm-"));
    [native, vm] = ["native.raw", "vm.raw"].map((name) => join(directory, name)) as [string, string];
    const definition = await openDefinition("imgbuild/web");
    const { spec, lock, filesDir, digest } = definition;
    const secrets = standIns(spec);
    secrets.set(`${hostKeyPrefix}ssh_host_ed25519_key`, new Secret("host key", Buffer.from(host.private)));
    const inputs: ImageInputs = {
      ...{ spec, lock, definition: digest, files: definition, filesDir, secrets },
      mirrors: await mirrorsFor(spec, options.env),
    };
    await buildImage(inputs, native, "raw", options);
    await buildImage(inputs, vm, "raw", { ...options, inVm: true });
    const tested = await testImage(definition, options);
    image = { ...tested, system: { ...tested.system, file: vm }, hostKey: host.public.trim() };
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it("has the same partitions, and sound filesystems", async () => {
    expect(await partitionsOf(vm)).toEqual(await partitionsOf(native));
    await run(["sfdisk", "--verify", vm]);
    const uuids = async (file: string) =>
      await Promise.all(
        (await partitionsOf(file)).map(
          async ({ start }) =>
            (
              await run(["blkid", "--probe", "--offset", String(start), "-o", "export", file], {
                accept: [0, 2],
              })
            ).stdout,
        ),
      );
    const plain = (texts: readonly string[]) => texts.map((text) => text.replace(/^DEVNAME=.*\n/m, ""));
    expect(plain(await uuids(vm))).toEqual(plain(await uuids(native)));
    const root = (await partitionsOf(vm)).find(({ name }) => name === "root")!;
    const { stdout, stderr } = await run(["e2fsck", "-fn", `${vm}?offset=${root.start}`]);
    expect(stdout + stderr).not.toMatch(/warning|error/i);
  });

  it("holds the tree of a native build, file for file", async () => {
    const differences = await rootOf(vm, (ours) => rootOf(native, (peer) => treeDifferences(ours, peer, [])));
    expect(differences).toEqual([]);
    const [ours, peer] = [
      await espOf(vm, join(directory, "esp-vm")),
      await espOf(native, join(directory, "esp")),
    ];
    expect(treeDifferences(ours, peer, [])).toEqual([]);
  });

  it("takes the room of what is in it, not of the disk", () => {
    const [ours, peer] = [vm, native].map((file) => statSync(file).blocks * 512);
    expect(ours).toBeLessThan(peer! + 128 * mib);
  });

  for (const firmware of ["bios", "uefi"] as const)
    it(`boots under ${firmware} and passes its checks`, () => booted(image, firmware, options));
});
