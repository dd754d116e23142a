import { randomBytes } from "node:crypto";
import { readFile, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { treeMember, writeTreeArchive } from "../../archive/tree-archive.ts";
import { Order } from "../../schema/base/deploy.ts";
import { provision } from "../../steps/tree/provision.ts";
import { fileDigest } from "../../system/files/file-digest.ts";
import { hold } from "../../system/files/file-lock.ts";
import { inOnePiece } from "../../system/files/one-piece.ts";
import { inWorkDirectory } from "../../system/files/work-directory.ts";
import { digestOf, parsedJson } from "../../util/digest.ts";
import { Fail } from "../../util/fail.ts";
import { baseTreeDigest } from "../base/base.ts";
import { sourceDigest } from "../base/source-digest.ts";
import { type BuildInputs, type BuildOptions, buildOf } from "../build/build.ts";
import { dropOld, type TreePlan } from "../build/layers.ts";
import { frame } from "../takeover/base-cpio.ts";
import type { FileInfo } from "../takeover/takeover.ts";
import { packFinished } from "./pack-finished.ts";

/** The cache keeps so many packed trees, the latest. */
const kept = 6;

/** A finished tree in the cache, as an archive for an initramfs; and what the base has to find in it. */
export interface PackedTree {
  readonly archive: FileInfo;
  /** The byte of the archive at which the tree itself begins. */
  readonly start: number;
  readonly tree: NonNullable<Order["tree"]>;
}

const Known = z.strictObject({
  archive: z.strictObject({ size: z.int().positive(), sha256: z.string() }),
  tree: Order.shape.tree.unwrap(),
});
const names = { archive: "tree.cpio", known: "tree.json" };

/** The packed tree at a place of the cache, if it is there; it stays until this process ends. */
export async function findPackedTree(place: string): Promise<PackedTree | undefined> {
  return (await hold(place)) ? await read(place) : undefined;
}

/** Makes the packed tree of a plan at its place, unless it is there. */
export async function makePackedTree(
  inputs: BuildInputs,
  made: TreePlan,
  place: string,
  options: BuildOptions,
): Promise<void> {
  // Steps run side by side, so the umask is set for all of them.
  const own = process.umask(0o022);
  try {
    await inOnePiece(place, (into) =>
      inWorkDirectory(join(into, "build"), (work) => make(inputs, made, { into, work, options })),
    );
  } finally {
    process.umask(own);
  }
  await dropOld({ directory: dirname(place), tree: "" }, "", kept);
}

async function make(
  inputs: BuildInputs,
  made: TreePlan,
  to: { readonly into: string; readonly work: string; readonly options: BuildOptions },
): Promise<void> {
  const path = join(to.into, "tree.tar.zst");
  const contentBytes = await packFinished(await buildOf(inputs, made, to.work, to.options), path);
  const { size } = await stat(path);
  const archive = join(to.into, names.archive);
  await writeTreeArchive(path, size, archive);
  const known: z.output<typeof Known> = {
    archive: { size: (await stat(archive)).size, sha256: await fileDigest(archive) },
    tree: { size, sha256: await fileDigest(path), contentBytes },
  };
  await rm(path);
  await writeFile(join(to.into, names.known), JSON.stringify(known));
}

async function read(place: string): Promise<PackedTree> {
  const known = Known.safeParse(parsedJson(await readFile(join(place, names.known), "utf8")));
  if (!known.success)
    throw new Fail(`${place} does not hold a packed tree`, { hint: `remove it: rm -r ${place}` });
  const { archive, tree } = known.data;
  const { length: start } = (await frame(treeMember, 1)).before;
  return { archive: { path: join(place, names.archive), ...archive }, start, tree };
}

/**
 * Where the packed tree of a plan is in a cache: named by all that it is made of. A script that reaches the network may find something
 * else each time, so its tree gets a name of its own.
 */
export async function packedPlace({ tree, epoch, filesystems }: TreePlan, cache: string): Promise<string> {
  const all = [...tree.packages, ...tree.system, ...tree.initramfs, ...tree.finish];
  const isOpen = all.some(({ kind, network }) => kind === provision.kind && network === true);
  const parts = [all, epoch, filesystems, await baseTreeDigest(), await sourceDigest()];
  const digest = digestOf(isOpen ? [...parts, randomBytes(16).toString("hex")] : parts);
  return join(cache, "packed", digest.slice(0, 32));
}
