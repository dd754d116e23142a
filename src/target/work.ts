import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { checkAvailable } from "../debian/http/available.ts";
import type { Keepers } from "../debian/http/places.ts";
import { registryOf } from "../debian/http/registry-address.ts";
import { localArchive } from "../debian/package/local.ts";
import { findDisk } from "../disks/find-disk.ts";
import type { Order } from "../schema/base/deploy.ts";
import type { LockedPackage } from "../schema/lock.ts";
import { Plan, targetRoot } from "../schema/plan.ts";
import { type Identity, openWith } from "../secrets/seal.ts";
import { bootstrapTree } from "../steps/packages/bootstrap-tree.ts";
import { installPackages } from "../steps/packages/install-packages.ts";
import { allSteps } from "../steps/registry.ts";
import { executeSteps } from "../steps/step/execute.ts";
import { isSshHostKey } from "../steps/tree/write-secrets.ts";
import { run } from "../system/run/run.ts";
import { Fail } from "../util/fail.ts";
import type { Log } from "../util/log.ts";
import { Secret } from "../util/secret.ts";
import { baseContext, type Fetched } from "./context.ts";
import { availableMemory } from "./memory.ts";
import { prefetch } from "./prefetch.ts";
import { type beginTreeDigest, checkShippedTree, withTreeSize } from "./shipped-tree.ts";

/** Where the payload's files are in the base, in RAM: those of the definition's `files/`, and its own packages. */
const payloadDir = "/run/imgbuild";
/** Steps that need packages; without them no mirror is asked. */
const fetching: readonly string[] = [bootstrapTree.kind, installPackages.kind];
/** Flushing what an earlier attempt wrote. */
const unmountMs = 1_800_000;

/** Everything that GO starts: secrets, a last look at the disks, then the plan. Waits for `ponr` before the first write. */
export async function workThroughPlan(options: {
  readonly order: Order;
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly identity: Identity;
  /** What came with each GO, the newest last. */
  readonly sealed: readonly string[];
  readonly ponr: () => Promise<void> | void;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly fetched: Fetched;
  readonly nonce: string;
  /** Where the payload's files are written, in RAM; the base's own place by default. */
  readonly directory?: string;
  /** How long packages may be fetched before the first write; 0, as after it, fetches them as they are needed. */
  readonly prefetchMs?: number;
  /** Of the tree that came along, if it is being read already. */
  readonly treeDigest?: ReturnType<typeof beginTreeDigest>;
  /** Bytes of RAM that are available. */
  readonly memory?: () => number;
}): Promise<void> {
  const { order, log, signal } = options;
  const secrets = await openSecrets(options.identity, options.sealed, order.secrets);
  const plan = withTreeSize(Plan.parse(JSON.parse(text(options.files, "plan.json"))), order.tree);
  await releaseTarget(signal);
  await log.task("comparing the disks with those confirmed", () => compareDisks(order));
  await checkShippedTree(order.tree, log, { digest: options.treeDigest });
  const { files, mirrors, keepers } = await sourcesOf(options, secrets);
  const packages = await availablePackages(plan, { mirrors, keepers, signal, log });
  const { directory = payloadDir, prefetchMs = 0, memory = availableMemory, fetched } = options;
  const early =
    packages.length === 0 || prefetchMs === 0
      ? undefined
      : await prefetch(packages, {
          ...{ mirrors, keepers, signal, log, availableBytes: memory(), boundMs: prefetchMs },
          directory: join(directory, "packages"),
        });
  fetched.packages += early?.packages ?? 0;
  fetched.bytes += early?.bytes ?? 0;
  const context = baseContext({
    ...{ mirrors, keepers, files, secrets, log, signal, fetched },
    nonce: options.nonce,
    prefetched: early?.prefetched,
  });
  try {
    await executeSteps(plan.prepare, allSteps, context);
    await executeSteps(plan.steps, allSteps, context, options.ponr);
  } finally {
    for (const secret of secrets.values()) secret.wipe();
  }
}

/** What came with the payload, unpacked, and where packages come from. */
export async function sourcesOf(
  came: Parameters<typeof unpackFiles>[0] & { readonly order: Order },
  secrets: ReadonlyMap<string, Secret>,
): Promise<{
  readonly files: string | undefined;
  readonly mirrors: Readonly<Record<string, readonly string[]>>;
  readonly keepers: Keepers;
}> {
  const { order } = came;
  const files = await unpackFiles(came, "files");
  const debs = await unpackFiles(came, "debs");
  const own = debs === undefined ? {} : { [localArchive]: [pathToFileURL(debs).href] };
  return { files, mirrors: { ...order.mirrors, ...own }, keepers: keepersOf(order, debs, secrets) };
}

/** A dead mirror, a captive portal and missing packages must be known before anything is written. */
export async function availablePackages(
  plan: Plan,
  from: Parameters<typeof checkAvailable>[1],
): Promise<readonly LockedPackage[]> {
  const packages = packagesOf(plan);
  if (packages.length > 0)
    await from.log.task(`asking the mirrors for ${packages.length} packages`, (log) =>
      checkAvailable(packages, { ...from, log }),
    );
  return packages;
}

/** What only the operator's machine can reach came along, and is asked first. */
function keepersOf(
  { keepers }: Order,
  debs: string | undefined,
  secrets: ReadonlyMap<string, Secret>,
): Keepers {
  const { stores = [], snapshots = {}, loginSecrets = {} } = keepers ?? {};
  const logins = Object.entries(loginSecrets).flatMap(([url, name]) => {
    const { repository } = registryOf(url) ?? {};
    const login = secrets.get(name);
    return repository === undefined || login === undefined ? [] : [{ repository, login }];
  });
  return {
    stores: [...(debs === undefined ? [] : [pathToFileURL(debs).href]), ...stores],
    snapshots,
    logins,
  };
}

/** Unmounts what an earlier attempt left mounted; the disks could not be written otherwise. */
async function releaseTarget(signal: AbortSignal): Promise<void> {
  const mounts = await readFile("/proc/self/mounts", "utf8");
  if (mounts.split("\n").some((line) => line.split(" ")[1] === targetRoot))
    await run(["umount", "--recursive", targetRoot], { timeoutMs: unmountMs, signal });
}

/**
 * The secrets arrive as age files for this boot's identity, with name → base64. The newest has all, but after another definition
 * came, not the old system's host keys: they were in the first file.
 */
async function openSecrets(
  identity: Identity,
  sealed: readonly string[],
  expected: readonly string[],
): Promise<Map<string, Secret>> {
  const secrets = new Map<string, Secret>();
  for (const [index, one] of [...sealed].reverse().entries()) {
    const hasHostKeys = [...secrets.keys()].some(isSshHostKey);
    if (index > 0 && hasHostKeys) break;
    const bytes = await openWith(identity, Buffer.from(one, "base64"));
    const entries = Object.entries(JSON.parse(Buffer.from(bytes).toString("utf8")) as Record<string, string>);
    bytes.fill(0);
    for (const [name, value] of entries)
      if (index === 0 || isSshHostKey(name))
        secrets.set(name, new Secret(name, Buffer.from(value, "base64")));
  }
  for (const name of expected)
    if (!secrets.has(name))
      throw new Fail(`the secret ${name} did not come with GO`, { hint: "deploy again" });
  return secrets;
}

/** The base must see each confirmed disk exactly once and with the same size; else nothing is written. */
async function compareDisks(order: Order): Promise<void> {
  for (const identity of order.disks) await findDisk(identity);
}

/** What the plan will fetch, each once. */
function packagesOf(plan: Plan): LockedPackage[] {
  const bySum = new Map<string, LockedPackage>();
  for (const { kind, doing, ...data } of plan.steps)
    if (fetching.includes(kind))
      for (const one of installPackages.schema.parse(data).packages) bySum.set(one.sha256, one);
  return [...bySum.values()];
}

/** Writes what the payload has in a directory; undefined when that is nothing. */
async function unpackFiles(
  {
    files,
    directory = payloadDir,
  }: { readonly files: ReadonlyMap<string, Uint8Array>; readonly directory?: string },
  part: string,
): Promise<string | undefined> {
  const found = [...files].filter(([path]) => path.startsWith(`${part}/`));
  for (const [path, bytes] of found) {
    const to = join(directory, path);
    await mkdir(dirname(to), { recursive: true, mode: 0o700 });
    await writeFile(to, bytes, { mode: 0o600 });
  }
  return found.length === 0 ? undefined : join(directory, part);
}

function text(files: ReadonlyMap<string, Uint8Array>, path: string): string {
  const bytes = files.get(path);
  if (bytes === undefined) throw new Fail(`the payload has no ${path}`);
  return Buffer.from(bytes).toString("utf8");
}
