/** A partition of a GPT as a firmware names it. */
export interface GptPartition {
  readonly number: number;
  /** As in /dev/disk/by-partuuid. */
  readonly uuid: string;
  readonly startSector: number;
  readonly sectors: number;
}

/** UEFI 2.10, section 3.1.3: the option may be started. */
const active = 1;
/** Sections 10.3.5.1, 10.3.5.4 and 10.3.1. */
const [hardDrive, filePath, end] = [
  [4, 1],
  [4, 4],
  [0x7f, 0xff],
] as const;

/** The value of a variable Boot####: a program on a partition, and the words that it gets. */
export function loadOption(option: {
  readonly title: string;
  readonly partition: GptPartition;
  /** With backslashes, from the partition's root. */
  readonly path: string;
  readonly words: string;
}): Buffer {
  const { title, partition, path, words } = option;
  const devicePath = Buffer.concat([
    node(hardDrive, driveOf(partition)),
    node(filePath, text(path)),
    node(end, Buffer.alloc(0)),
  ]);
  const head = Buffer.alloc(6);
  head.writeUInt32LE(active, 0);
  head.writeUInt16LE(devicePath.length, 4);
  return Buffer.concat([head, text(title), devicePath, text(words)]);
}

function node([type, subtype]: readonly [number, number], data: Buffer): Buffer {
  const head = Buffer.from([type, subtype, 0, 0]);
  head.writeUInt16LE(head.length + data.length, 2);
  return Buffer.concat([head, data]);
}

function driveOf({ number, uuid, startSector, sectors }: GptPartition): Buffer {
  const data = Buffer.alloc(20);
  data.writeUInt32LE(number, 0);
  data.writeBigUInt64LE(BigInt(startSector), 4);
  data.writeBigUInt64LE(BigInt(sectors), 12);
  const [gpt, byGuid] = [2, 2];
  return Buffer.concat([data, guid(uuid), Buffer.from([gpt, byGuid])]);
}

/** The first three parts are numbers, little-endian. */
function guid(uuid: string): Buffer {
  const parts = uuid.split("-").map((part) => Buffer.from(part, "hex"));
  return Buffer.concat(parts.map((part, index) => (index < 3 ? part.reverse() : part)));
}

function text(value: string): Buffer {
  return Buffer.from(`${value}\0`, "utf16le");
}
