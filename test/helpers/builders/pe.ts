/** A program for UEFI firmware in all that readers look at; it does nothing. */
export function efiProgram(
  sections: Readonly<Record<string, Uint8Array>> = { ".text": Buffer.alloc(700, 0x90) },
  options: { readonly machine?: number; readonly nxCompat?: boolean } = {},
): Buffer {
  const [pe, headers, align, fileAlign] = [0x40, 0x600, 0x1000, 0x200];
  const header = Buffer.alloc(headers);
  header.write("MZ");
  header.writeUInt32LE(pe, 60);
  header.write("PE\0\0", pe, "latin1");
  header.writeUInt16LE(options.machine ?? 0x8664, pe + 4);
  const entries = Object.entries(sections);
  header.writeUInt16LE(entries.length, pe + 6);
  header.writeUInt16LE(240, pe + 20);
  const optional = pe + 24;
  header.writeUInt16LE(0x20b, optional);
  header.writeUInt32LE(align, optional + 32);
  header.writeUInt32LE(fileAlign, optional + 36);
  header.writeUInt32LE(headers, optional + 60);
  header.writeUInt16LE(options.nxCompat === false ? 0 : 0x100, optional + 70);
  header.writeUInt32LE(16, optional + 108);
  const parts: Buffer[] = [header];
  let [virtual, raw] = [align, headers];
  for (const [index, [name, content]] of entries.entries()) {
    const at = optional + 240 + index * 40;
    const size = Math.ceil(content.length / fileAlign) * fileAlign;
    header.write(name, at, "latin1");
    for (const [offset, value] of [content.length, virtual, size, raw].entries())
      header.writeUInt32LE(value, at + 8 + offset * 4);
    header.writeUInt32LE(0x40000040, at + 36);
    parts.push(Buffer.concat([content, Buffer.alloc(size - content.length)]));
    virtual += Math.ceil(content.length / align) * align;
    raw += size;
  }
  header.writeUInt32LE(virtual, optional + 56);
  return Buffer.concat(parts);
}
