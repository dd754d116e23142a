import { Fail } from "../../util/fail.ts";

/** What the dynamic linker is asked for by an ELF file: `undefined` for a file that is none, `[]` for a static one. */
export function neededLibraries(file: Uint8Array): readonly string[] | undefined {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length < 64 || view.getUint32(0) !== 0x7f454c46) return undefined;
  // 64 bit, little endian: amd64 and arm64 alike. Boot code for other modes is no library.
  if (file[4] !== 2 || file[5] !== 1) return undefined;
  const segments = programHeaders(view);
  const dynamic = segments.find((segment) => segment.type === segmentDynamic);
  if (dynamic === undefined) return [];
  const entries: { tag: bigint; value: bigint }[] = [];
  for (let at = dynamic.offset; at + 16 <= dynamic.offset + dynamic.size; at += 16) {
    const tag = view.getBigInt64(at, true);
    if (tag === 0n) break;
    entries.push({ tag, value: view.getBigUint64(at + 8, true) });
  }
  const strings = entries.find((entry) => entry.tag === tagStringTable);
  if (strings === undefined) return [];
  const table = fileOffset(segments, strings.value);
  return entries
    .filter((entry) => entry.tag === tagNeeded)
    .map((entry) => text(file, table + Number(entry.value)));
}

// Numbers of the System V ABI, chapter 5.
const segmentLoad = 1;
const segmentDynamic = 2;
const tagNeeded = 1n;
const tagStringTable = 5n;

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: bigint;
  readonly size: number;
}

function programHeaders(view: DataView): Segment[] {
  const start = Number(view.getBigUint64(32, true));
  const bytes = view.getUint16(54, true);
  const count = view.getUint16(56, true);
  return Array.from({ length: count }, (_, index) => {
    const at = start + index * bytes;
    return {
      type: view.getUint32(at, true),
      offset: Number(view.getBigUint64(at + 8, true)),
      address: view.getBigUint64(at + 16, true),
      size: Number(view.getBigUint64(at + 32, true)),
    };
  });
}

function fileOffset(segments: readonly Segment[], address: bigint): number {
  const segment = segments.find(
    (each) =>
      each.type === segmentLoad && address >= each.address && address < each.address + BigInt(each.size),
  );
  if (segment === undefined) throw new Fail("an ELF file whose string table is in no segment");
  return segment.offset + Number(address - segment.address);
}

function text(file: Uint8Array, start: number): string {
  return Buffer.from(file.subarray(start, file.indexOf(0, start))).toString("latin1");
}
