import { hash } from "node:crypto";

/** The mapping by which a root with verity is read; systemd gives it this name too. */
export const verityRoot = "/dev/mapper/root";

/**
 * The format of dm-verity, version 1, with SHA-256 and blocks of 4096 bytes, as veritysetup(8) makes it: a superblock, then a tree of
 * digests, its top first. https://docs.kernel.org/admin-guide/device-mapper/verity.html
 */

export const verityBlock = 4096;
const digestBytes = 32;
const perBlock = verityBlock / digestBytes;
const saltBytes = 32;
const signature = "verity\0\0";
/** Data is read by this much. */
const chunkBytes = 1024 * verityBlock;

export interface Verity {
  readonly dataBlocks: number;
  /** As blkid shows it. */
  readonly uuid: string;
  /** 64 hexadecimal digits. */
  readonly salt: string;
}

/** A device or file, by byte offsets. */
export interface Bytes {
  read(at: number, length: number): Promise<Buffer>;
  write(at: number, bytes: Uint8Array): Promise<void>;
}

/** Bytes that the superblock and the tree take. */
export function verityBytes(dataBytes: number): number {
  const { firsts, blocks } = levelsOf(Math.floor(dataBytes / verityBlock));
  return (firsts[0]! + blocks[0]!) * verityBlock;
}

/** Writes superblock and tree of `data` to `tree`; the root hash, 64 hexadecimal digits, vouches for every byte of `data`. */
export async function writeVerity(
  verity: Verity,
  data: Pick<Bytes, "read">,
  tree: Pick<Bytes, "write">,
): Promise<string> {
  const { firsts, blocks } = levelsOf(verity.dataBlocks);
  const digest = digester(verity.salt);
  const open = blocks.map(() => ({ block: Buffer.alloc(verityBlock), used: 0, written: 0 }));
  let root = "";
  const close = async (level: number): Promise<void> => {
    const here = open[level]!;
    if (here.used === 0) return;
    await tree.write((firsts[level]! + here.written) * verityBlock, here.block);
    const own = digest(here.block);
    open[level] = { block: Buffer.alloc(verityBlock), used: 0, written: here.written + 1 };
    if (level === blocks.length - 1) root = own.toString("hex");
    else await add(level + 1, own);
  };
  const add = async (level: number, one: Buffer): Promise<void> => {
    const here = open[level]!;
    one.copy(here.block, here.used * digestBytes);
    here.used += 1;
    if (here.used === perBlock) await close(level);
  };
  const end = verity.dataBlocks * verityBlock;
  for (let at = 0; at < end; at += chunkBytes) {
    const chunk = await data.read(at, Math.min(chunkBytes, end - at));
    for (let from = 0; from < chunk.length; from += verityBlock)
      await add(0, digest(chunk.subarray(from, from + verityBlock)));
  }
  for (const level of blocks.keys()) await close(level);
  await tree.write(0, superblock(verity));
  return root;
}

/**
 * What is wrong with a tree, its superblock and the first block of its data; undefined when the root hash vouches for them. All other
 * blocks are judged by the kernel when they are read.
 */
export async function verityProblem(
  verity: Verity,
  rootHash: string,
  data: Pick<Bytes, "read">,
  tree: Pick<Bytes, "read">,
): Promise<string | undefined> {
  const found = await tree.read(0, verityBlock);
  if (!found.equals(superblock(verity))) return "its superblock is not the one that was made";
  const { firsts } = levelsOf(verity.dataBlocks);
  const digest = digester(verity.salt);
  let wanted: Buffer = Buffer.from(rootHash, "hex");
  for (const first of [...firsts].reverse()) {
    const block = await tree.read(first * verityBlock, verityBlock);
    if (!digest(block).equals(wanted)) return "its tree is not that of the root hash";
    wanted = block.subarray(0, digestBytes);
  }
  return digest(await data.read(0, verityBlock)).equals(wanted)
    ? undefined
    : "the filesystem has changed since its tree was made";
}

/** Of each level, the leaves' first: how many blocks, and where the first of them lies. (Data of a single block would have none.) */
function levelsOf(dataBlocks: number): { readonly firsts: number[]; readonly blocks: number[] } {
  const blocks: number[] = [];
  for (let count = dataBlocks; blocks.length === 0 || count > 1; ) {
    count = Math.ceil(count / perBlock);
    blocks.push(count);
  }
  const firsts: number[] = [];
  let next = 1;
  for (const [index, count] of [...blocks.entries()].reverse()) {
    firsts[index] = next;
    next += count;
  }
  return { firsts, blocks };
}

function superblock({ dataBlocks, uuid, salt }: Verity): Buffer {
  const block = Buffer.alloc(verityBlock);
  block.write(signature, 0);
  block.writeUInt32LE(1, 8);
  block.writeUInt32LE(1, 12);
  Buffer.from(uuid.replaceAll("-", ""), "hex").copy(block, 16);
  block.write("sha256", 32);
  block.writeUInt32LE(verityBlock, 64);
  block.writeUInt32LE(verityBlock, 68);
  block.writeBigUInt64LE(BigInt(dataBlocks), 72);
  block.writeUInt16LE(saltBytes, 80);
  Buffer.from(salt, "hex").copy(block, 88);
  return block;
}

/** The salt comes first. A disk has many blocks of nothing, whose digest is always the same. */
function digester(salt: string): (block: Buffer) => Buffer {
  const input = Buffer.alloc(saltBytes + verityBlock);
  Buffer.from(salt, "hex").copy(input);
  const of = (block: Buffer): Buffer => {
    block.copy(input, saltBytes);
    return hash("sha256", input, "buffer") as Buffer;
  };
  const nothing = Buffer.alloc(verityBlock);
  const ofNothing = of(nothing);
  return (block) => (block.equals(nothing) ? ofNothing : of(block));
}
