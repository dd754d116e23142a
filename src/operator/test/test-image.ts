import { readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { throwawaySigner } from "../../boot/efi/self-signed.ts";
import { keepersFor, withStores } from "../../debian/archive/keepers.ts";
import { mke2fs } from "../../disks/filesystem/mkfs.ts";
import type { Spec } from "../../schema/spec.ts";
import { hostKeyPrefix } from "../../steps/tree/write-secrets.ts";
import { writtenDisks } from "../../storage/graph/check-storage.ts";
import { toolRun } from "../../system/door/chroot.ts";
import { inOnePiece } from "../../system/files/one-piece.ts";
import { generateSshKey } from "../../transport/keys.ts";
import { digestOf, sha256, uuidFrom } from "../../util/digest.ts";
import { Fail } from "../../util/fail.ts";
import { Secret } from "../../util/secret.ts";
import { baseTree } from "../base/base.ts";
import { sourceDigest } from "../base/source-digest.ts";
import { buildImage } from "../build/image.ts";
import { needsVm } from "../build/image-plan.ts";
import { definitionDigest } from "../definition/digest.ts";
import type { DefinitionFiles } from "../definition/files.ts";
import { withLines } from "../definition/load.ts";
import { mirrorsFor } from "../lock/lock.ts";
import type { OpenDefinition } from "../lock/open-definition.ts";
import { networkFiles } from "../plan/network-files.ts";
import { noteTried } from "../records/rehearsal-record.ts";
import { initramfsKey } from "../secrets/initramfs-key.ts";
import { rescueKey } from "../secrets/rescue-key.ts";
import { signingSecret } from "../secrets/secrets.ts";
import { testSecrets } from "../secrets/test-secrets.ts";
import type { VmOptions } from "../vm-runner/vm-run.ts";

/** A kept disk of the definition, for a machine that never had one. */
const keptBytes = 512 * 2 ** 20;

interface TestDisk {
  readonly file: string;
  readonly serial: string;
}

export interface TestImage {
  readonly spec: Spec;
  /** Raw files, never to be written: machines boot overlays of them. */
  readonly system: TestDisk;
  /** Other written disks; the firmware looks at the system's first. */
  readonly others: readonly TestDisk[];
  readonly kept: readonly TestDisk[];
  /** The public host key that it answers with. */
  readonly hostKey: string;
  /** Paths of the definition's `files/`. */
  readonly placed: readonly string[];
  /** systemd-networkd's files, by their paths. */
  readonly networkd: ReadonlyMap<string, string>;
}

/**
 * The definition's image to be tried in a VM, as it would be deployed, but with a host key of its own and with the secrets
 * of a test; kept disks are empty filesystems with the right UUID. Found in the cache when nothing it depends on has changed.
 * With real `secrets` it is made in `directory` and cached nowhere.
 */
export async function testImage(
  definition: OpenDefinition,
  given: VmOptions,
  real?: { readonly secrets: ReadonlyMap<string, Secret>; readonly directory: string },
): Promise<TestImage> {
  const { spec } = definition;
  const options = { ...given, env: withStores(keepersFor(definition, given.env), given.env) };
  if (spec.storage === undefined || spec.boot === undefined)
    throw new Fail(`${definition.file} has no storage or no boot, so there is nothing to start`);
  if (real !== undefined) {
    await make(definition, real.directory, real.secrets, options);
    return await read(definition, real.directory);
  }
  const base = await baseTree(options);
  const secrets = await testSecrets(definition);
  const own = [...secrets].map(([name, secret]) => [name, sha256(secret.expose())]);
  const digest = digestOf([definition.digest, own, base.digest, await sourceDigest()]).slice(0, 32);
  const directory = join(options.cache, "image", digest);
  await inOnePiece(directory, (work) =>
    options.log.task(`building ${spec.hostname}`, (log) =>
      make(definition, work, secrets, { ...options, log }),
    ),
  );
  await noteTried(options.env, definition.digest);
  return await read(definition, directory);
}

/** What is in the directory of an image. */
const files = {
  /** One disk; or a directory of several, each by its name. */
  system: "system.raw",
  hostKey: "host-key.pub",
  kept: (name: string) => `kept-${name}.raw`,
};

async function make(
  definition: OpenDefinition,
  directory: string,
  secrets: ReadonlyMap<string, Secret>,
  options: VmOptions,
): Promise<void> {
  const { filesDir, lock } = definition;
  const { spec, secrets: given } = withTestKey(definition.spec, secrets);
  const host = generateSshKey("imgbuild-test-host");
  if (lock.packages.some(({ name }) => name === "openssh-server"))
    given.set(`${hostKeyPrefix}ssh_host_ed25519_key`, new Secret("host key", Buffer.from(host.private)));
  for (const made of [initramfsKey(spec, given), rescueKey(spec, given)])
    for (const [name, key] of made?.secrets ?? []) given.set(name, key);
  await writeFile(join(directory, files.hostKey), host.public);
  const inputs = {
    spec,
    lock,
    definition: definitionDigest(spec, lock, definition),
    files: definition,
    filesDir,
    mirrors: await mirrorsFor(spec, options.env, definition.dir),
    keepers: keepersFor(definition, options.env),
    secrets: given,
  };
  const inVm = needsVm(inputs);
  await withLines(definition, () =>
    buildImage(inputs, join(directory, files.system), "raw", { ...options, inVm }),
  );
  for (const [name, disk] of Object.entries(spec.storage?.disks ?? {})) {
    if (!("keep" in disk)) continue;
    const [kept, ...more] = disk.keep;
    if (kept === undefined || more.length > 0)
      throw new Fail(`disk ${name} keeps ${disk.keep.length} filesystems; a test makes one`);
    if (kept.type !== "ext4")
      throw new Fail(`disk ${name} keeps ${kept.type}; a test makes ext4 for a kept disk`);
    const file = join(directory, files.kept(name));
    await writeFile(file, "");
    await truncate(file, keptBytes);
    const { tree } = await baseTree(options);
    const argv = mke2fs(file, { uuid: kept.uuid, hashSeed: uuidFrom(kept.uuid, "hash seed") });
    await toolRun(tree, argv, { binds: [{ from: directory, to: directory }], signal: options.signal });
  }
}

async function read(definition: OpenDefinition, directory: string): Promise<TestImage> {
  const { spec, files: placed, links } = definition;
  const disks = Object.entries(spec.storage?.disks ?? {});
  const serial = (name: string, given: string | undefined) => (given ?? name).slice(0, 20);
  const written = spec.storage === undefined ? [] : bootFirst(writtenDisks(spec.storage));
  const [system, ...others] = written.map(([name, disk]) => ({
    file: join(directory, files.system, ...(written.length === 1 ? [] : [`${name}.raw`])),
    serial: serial(name, disk.match.serial),
  }));
  if (system === undefined) throw new Fail("the definition writes no disk, so there is nothing to start");
  return {
    spec,
    system,
    others,
    kept: disks
      .filter(([, disk]) => "keep" in disk)
      .map(([name, disk]) => ({
        file: join(directory, files.kept(name)),
        serial: serial(name, disk.match.serial),
      })),
    hostKey: (await readFile(join(directory, files.hostKey), "utf8")).trim(),
    placed: [...placed.keys(), ...links.map(({ path }) => path)],
    networkd: networkdFiles(spec, placed),
  };
}

/** What the definition's network comes to: files of its own may add to it, or stand in the place of what it declares. */
export function networkdFiles(spec: Spec, placed: DefinitionFiles["files"]): ReadonlyMap<string, string> {
  const isOf = (path: string) => path.startsWith("/etc/systemd/network/");
  return new Map([
    ...networkFiles(spec).map(({ path, content }) => [path, content] as const),
    ...[...placed]
      .filter(([path]) => isOf(path))
      .map(([path, { bytes }]) => [path, Buffer.from(bytes).toString("utf8")] as const),
    ...Object.entries(spec.files)
      .filter(([path]) => isOf(path))
      .map(([path, { content }]) => [path, content] as const),
  ]);
}

/** The disks that firmware starts from, then the others. */
function bootFirst(written: ReturnType<typeof writtenDisks>): ReturnType<typeof writtenDisks> {
  const boots = ([, { table }]: (typeof written)[number]) =>
    table.partitions.some(({ type }) => type === "esp" || type === "bios-boot");
  return [...written.filter(boots), ...written.filter((disk) => !boots(disk))];
}

/** Where the Secure Boot key is a made-up one, a key made now takes its place, with its certificate: the way of booting is the same. */
export function withTestKey(
  spec: Spec,
  secrets: ReadonlyMap<string, Secret>,
): { readonly spec: Spec; readonly secrets: Map<string, Secret> } {
  const all = new Map(secrets);
  const name = signingSecret(spec);
  const { boot } = spec;
  if (name === undefined || typeof boot?.secureBoot !== "object") return { spec, secrets: all };
  if (Buffer.from(secrets.get(name)?.expose() ?? []).includes("PRIVATE KEY")) return { spec, secrets: all };
  const { keyPem, certificate } = throwawaySigner("imgbuild test");
  return {
    spec: {
      ...spec,
      boot: { ...boot, secureBoot: { ...boot.secureBoot, certificate: certificate.toString() } },
    },
    secrets: all.set(name, new Secret(name, Buffer.from(keyPem))),
  };
}
