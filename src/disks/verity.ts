/** The mapping by which a root with verity is read; systemd gives it this name too. */
export const verityRoot = "/dev/mapper/root";

/** Of data and of digests. */
export const verityBlock = 4096;
/** SHA-256 digests that a block of them holds. */
const perBlock = verityBlock / 32;

/** The format of dm-verity as plans have it; the root hash vouches for every byte of `dataBytes`, less what is no whole block. */
interface Verity {
  readonly dataBytes: number;
  readonly uuid: string;
  /** 64 hexadecimal digits. */
  readonly salt: string;
}

/** Bytes that superblock and digests take: a level of digests for each block below, up to the level that is one block. */
export function verityBytes(dataBytes: number): number {
  let [total, count] = [1, blocksOf(dataBytes)];
  do {
    count = Math.ceil(count / perBlock);
    total += count;
  } while (count > 1);
  return total * verityBlock;
}

/** Writes superblock and digests of `data` to `tree`, and prints the root hash. Nothing is left to veritysetup's defaults. */
export function verityFormat<Word>(
  { dataBytes, uuid, salt }: Verity,
  data: Word,
  tree: Word,
): (string | Word)[] {
  return [
    ...["veritysetup", "format", "--format=1", "--hash=sha256", `--salt=${salt}`, `--uuid=${uuid}`],
    ...[`--data-block-size=${verityBlock}`, `--hash-block-size=${verityBlock}`],
    ...[`--data-blocks=${blocksOf(dataBytes)}`, data, tree],
  ];
}

function blocksOf(dataBytes: number): number {
  return Math.floor(dataBytes / verityBlock);
}
