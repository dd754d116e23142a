const pageBytes = 4096;

/** The first page of a swap area as mkswap writes it: version 1, no bad pages (include/linux/swap.h, union swap_header). */
export function swapHeader(sizeBytes: number, uuid: string, label = ""): Buffer {
  const header = Buffer.alloc(pageBytes);
  header.writeUInt32LE(1, 1024);
  header.writeUInt32LE(sizeBytes / pageBytes - 1, 1028);
  Buffer.from(uuid.replaceAll("-", ""), "hex").copy(header, 1036);
  header.write(label, 1052, 15, "latin1");
  header.write("SWAPSPACE2", pageBytes - 10);
  return header;
}
