/** A small 64-bit ELF file that needs these libraries: one segment with the dynamic section and its strings. */
export function elf(needed: readonly string[]): Buffer {
  const [header, programs, entries] = [64, 2 * 56, (needed.length + 2) * 16];
  const dynamicAt = header + programs;
  const stringsAt = dynamicAt + entries;
  const strings = Buffer.from(`\0${needed.map((name) => `${name}\0`).join("")}`, "latin1");
  const file = Buffer.alloc(stringsAt + strings.length);
  const address = 0x400000n;
  file.write("\x7fELF\x02\x01\x01", 0, "latin1");
  file.writeBigUInt64LE(64n, 32);
  file.writeUInt16LE(56, 54);
  file.writeUInt16LE(2, 56);
  const segment = (index: number, type: number, offset: number, size: number) => {
    const at = header + index * 56;
    file.writeUInt32LE(type, at);
    file.writeBigUInt64LE(BigInt(offset), at + 8);
    file.writeBigUInt64LE(address + BigInt(offset), at + 16);
    file.writeBigUInt64LE(BigInt(size), at + 32);
  };
  segment(0, 1, 0, file.length);
  segment(1, 2, dynamicAt, entries);
  let at = dynamicAt;
  const entry = (tag: bigint, value: bigint) => {
    file.writeBigInt64LE(tag, at);
    file.writeBigUInt64LE(value, at + 8);
    at += 16;
  };
  let name = 1;
  for (const one of needed) {
    entry(1n, BigInt(name));
    name += one.length + 1;
  }
  entry(5n, address + BigInt(stringsAt));
  entry(0n, 0n);
  strings.copy(file, stringsAt);
  return file;
}
