import { randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Spec } from "../schema/spec.ts";
import { hostKeyPrefix } from "../steps/write-secrets.ts";
import { mke2fs } from "../storage/mkfs.ts";
import { toolRun } from "../system/chroot.ts";
import { connect, type Host } from "../transport/host.ts";
import { generateSshKey } from "../transport/keys.ts";
import { uuidFrom } from "../util/digest.ts";
import { Fail, messageOf } from "../util/fail.ts";
import { Secret } from "../util/secret.ts";
import { accelerator } from "../vm/accelerator.ts";
import { createBlank, createOverlay } from "../vm/disk-image.ts";
import { type Machine, startMachine } from "../vm/machine.ts";
import { type BaseOptions, baseTree } from "./base.ts";
import { readFiles } from "./files.ts";
import { buildImage, definitionDigest } from "./image.ts";
import type { Definition } from "./load.ts";
import { mirrorsFor, readLockFor } from "./lock.ts";

/** From power-on to the first login on ordinary hardware; an emulated machine gets more. */
const bootMs = 60_000;
const tryEveryMs = 1_000;
const connectMs = 20_000;
const keptBytes = 512 * 2 ** 20;

export interface TestImage {
  readonly file: string;
  readonly directory: string;
  readonly spec: Spec;
  readonly user: string;
  /** Private key that opens `user`; made for this image. */
  readonly key: string;
  readonly hostKey: string;
  /** Files of the kept disks, by serial. */
  readonly kept: readonly { readonly file: string; readonly serial: string }[];
}

/**
 * An image of the definition to be tried in a VM: with host keys and a login of its own, and with secrets made up unless
 * real ones are given. Kept disks are empty filesystems with the right UUID.
 */
export async function makeTestImage(
  definition: Definition,
  directory: string,
  secrets: ReadonlyMap<string, Secret> | undefined,
  options: BaseOptions,
): Promise<TestImage> {
  await mkdir(directory, { recursive: true });
  const { lock } = await readLockFor(definition);
  if (!lock.packages.some(({ name }) => name === "openssh-server"))
    throw new Fail("the definition has no openssh-server, by which a test looks inside");
  const login = generateSshKey("imgbuild-test");
  const host = generateSshKey("imgbuild-test-host");
  const { spec, user } = withLogin(definition.spec, login.public);
  const files = readFiles(definition.filesDir);
  const given = new Map(secrets ?? standIns(spec));
  given.set(`${hostKeyPrefix}ssh_host_ed25519_key`, new Secret("host key", Buffer.from(host.private)));
  const file = join(directory, "disk.raw");
  await buildImage(
    {
      spec,
      lock,
      definition: definitionDigest(spec, lock, files),
      files,
      filesDir: definition.filesDir,
      mirrors: await mirrorsFor(spec, options.env),
      secrets: given,
    },
    file,
    "raw",
    options,
  );
  return {
    file,
    directory,
    spec,
    user,
    key: login.private,
    hostKey: host.public,
    kept: await keptDisks(spec, directory, options),
  };
}

/** Starts the image; its disk is an overlay, so every start finds the image as it was built. */
export async function startTestImage(
  image: TestImage,
  firmware: "bios" | "uefi",
  options: BaseOptions & {
    readonly forwards?: readonly number[];
    readonly lock?: string;
    readonly memoryMib?: number;
  },
): Promise<Machine> {
  const directory = join(image.directory, `${firmware}-${randomBytes(4).toString("hex")}`);
  await mkdir(directory);
  const system = join(directory, "system.qcow2");
  await createOverlay({ file: image.file, format: "raw" }, system);
  const disks = [{ file: system, format: "qcow2" as const, serial: serialOf(image.spec) }];
  const kept = await Promise.all(
    image.kept.map(async ({ file, serial }, index) => {
      const overlay = join(directory, `kept${index}.qcow2`);
      await createOverlay({ file, format: "raw" }, overlay);
      return { file: overlay, format: "qcow2" as const, serial };
    }),
  );
  const accel = await accelerator({
    cache: options.cache,
    override: options.env.IMGBUILD_ACCEL,
    log: options.log,
  });
  return await startMachine({
    name: image.spec.hostname,
    memoryMib: options.memoryMib ?? 1024,
    cpus: 2,
    firmware,
    disks: [...disks, ...kept],
    forwards: [22, ...(options.forwards ?? [])],
    directory,
    accelerator: accel,
    log: options.log,
    signal: options.signal,
    ...(options.lock === undefined ? {} : { lock: options.lock }),
  });
}

/** Logs in as soon as the machine lets us; a machine that never does is told with the end of its console. */
export async function loginTo(image: TestImage, machine: Machine, options: BaseOptions): Promise<Host> {
  const boundMs = bootMs * machine.scale;
  const until = Date.now() + boundMs;
  let last: unknown;
  while (Date.now() < until && machine.isRunning) {
    options.signal.throwIfAborted();
    try {
      const host = await connect(`${image.user}@127.0.0.1:${machine.port(22)}`, {
        home: image.directory,
        pins: [image.hostKey],
        key: image.key,
        timeoutMs: connectMs,
        log: options.log,
        signal: options.signal,
      });
      await host.becomeRoot({});
      return host;
    } catch (error) {
      if (!(error instanceof Fail)) throw error;
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, tryEveryMs));
  }
  await writeFile(join(image.directory, "console.txt"), machine.console.text);
  throw new Fail(
    `the machine did not let us in within ${Math.round(boundMs / 1000)} s: ${messageOf(last)}\n${machine.console.tail()}`,
    { hint: `its whole console is in ${machine.consoleFile}` },
  );
}

function serialOf(spec: Spec): string {
  const written = Object.values(spec.storage?.disks ?? {}).find((disk) => "table" in disk);
  return (written?.match.serial ?? "system").slice(0, 20);
}

/** A key of the test's own for a user with root's rights. */
function withLogin(spec: Spec, key: string): { spec: Spec; user: string } {
  const found = Object.entries(spec.users).find(([name, user]) => name === "root" || user.sudo);
  const [name, user] = found ?? [
    "root",
    { comment: "", shell: "/bin/bash", groups: [], sudo: false, keys: [] } satisfies Spec["users"][string],
  ];
  return {
    user: name,
    spec: { ...spec, users: { ...spec.users, [name]: { ...user, keys: [...user.keys, key] } } },
  };
}

function standIns(spec: Spec): Map<string, Secret> {
  const hashes = new Set(Object.values(spec.users).map((user) => user.hashedPasswordSecret));
  return new Map(
    Object.keys(spec.secrets).map((name) => {
      const text = randomBytes(24).toString("hex");
      // A well-formed hash that no password has.
      const value = hashes.has(name) ? `$y$j9T$${text.slice(0, 22)}$${text.slice(0, 43)}` : `${text}\n`;
      return [name, new Secret(name, Buffer.from(value))];
    }),
  );
}

async function keptDisks(
  spec: Spec,
  directory: string,
  options: BaseOptions,
): Promise<{ file: string; serial: string }[]> {
  const made: { file: string; serial: string }[] = [];
  for (const [name, disk] of Object.entries(spec.storage?.disks ?? {})) {
    if (!("keep" in disk)) continue;
    const [kept, ...more] = disk.keep;
    if (kept === undefined || more.length > 0)
      throw new Fail(`disk ${name} keeps ${disk.keep.length} filesystems; a test makes one`);
    const file = join(directory, `kept-${name}.raw`);
    await createBlank(file, keptBytes);
    const { tree } = await baseTree(options);
    const argv = mke2fs(file, { uuid: kept.uuid, hashSeed: uuidFrom(kept.uuid, "hash seed") });
    await toolRun(tree, argv, { binds: [{ from: directory, to: directory }], signal: options.signal });
    made.push({ file, serial: (disk.match.serial ?? name).slice(0, 20) });
  }
  return made;
}
