const sectorBytes = 512;

export type Logged =
  | { readonly type: "write"; readonly offset: number; readonly data: Buffer }
  | { readonly type: "discard"; readonly offset: number; readonly length: number }
  | { readonly type: "flush" }
  | { readonly type: "mark"; readonly text: string };

/** A log of writes as QEMU and dm-log-writes make it. */
export function writeLog(logged: readonly Logged[]): Buffer {
  return Buffer.concat([superblockOf({ entries: BigInt(logged.length) }), ...logged.flatMap(partsOf)]);
}

function partsOf(one: Logged): Buffer[] {
  if (one.type === "flush") return [entryOf({ flags: 1n })];
  if (one.type === "mark") {
    const padded = Buffer.alloc(sectorBytes);
    padded.write(one.text);
    return [entryOf({ flags: 8n, data: BigInt(one.text.length) }), padded];
  }
  const length = one.type === "write" ? one.data.length : one.length;
  const place = { sector: BigInt(one.offset / sectorBytes), sectors: BigInt(length / sectorBytes) };
  return one.type === "write" ? [entryOf(place), one.data] : [entryOf({ ...place, flags: 4n })];
}

export function superblockOf({
  magic = 0x6a736677736872n,
  version = 1n,
  entries = 0n,
  sector = sectorBytes,
}): Buffer {
  const made = Buffer.alloc(sectorBytes);
  made.writeBigUInt64LE(magic, 0);
  made.writeBigUInt64LE(version, 8);
  made.writeBigUInt64LE(entries, 16);
  made.writeUInt32LE(sector, 24);
  return made;
}

export function entryOf({ sector = 0n, sectors = 0n, flags = 0n, data = 0n }): Buffer {
  const made = Buffer.alloc(sectorBytes);
  for (const [index, value] of [sector, sectors, flags, data].entries())
    made.writeBigUInt64LE(value, index * 8);
  return made;
}
