import { open } from "node:fs/promises";
import { Fail } from "../../util/fail.ts";
import { bootCodeBytes, coreStartOf, restOfCore } from "../grub.ts";

const sectorBytes = 512;
const hint = "a machine with BIOS firmware would not start from this disk";

/** Reads back what the firmware will: boot code, the core image's first sector, and whether the rest is there and in its room. */
export async function checkEmbeddedGrub(
  path: string,
  { startBytes, sizeBytes }: { readonly startBytes: number; readonly sizeBytes: number },
): Promise<void> {
  const file = await open(path, "r");
  try {
    const read = async (at: number, length: number) => {
      const bytes = Buffer.alloc(length);
      await file.read(bytes, 0, length, at);
      return bytes;
    };
    const first = await read(0, sectorBytes);
    if (first.subarray(0, bootCodeBytes).every((byte) => byte === 0) || first.readUInt16LE(510) !== 0xaa55)
      throw new Fail("the disk's first sector holds no boot code", { hint });
    if (coreStartOf(first) !== startBytes)
      throw new Fail(
        `the boot code looks for GRUB's core image at byte ${coreStartOf(first)}, and it was to be at ${startBytes}`,
        { hint },
      );
    const rest = restOfCore(await read(startBytes, sectorBytes));
    if (rest.startBytes !== startBytes + sectorBytes || rest.sizeBytes === 0)
      throw new Fail("GRUB's core image does not say where the rest of it is", { hint });
    if (rest.startBytes + rest.sizeBytes > startBytes + sizeBytes)
      throw new Fail("GRUB's core image does not end within its room", { hint });
    const body = await read(rest.startBytes, rest.sizeBytes);
    const hole = firstHole(body);
    if (hole !== undefined)
      throw new Fail(`GRUB's core image is missing from byte ${rest.startBytes + hole} on`, { hint });
  } finally {
    await file.close();
  }
}

/** The image is packed: a whole empty sector in it, but for the last, was never written. */
function firstHole(body: Buffer): number | undefined {
  for (let at = 0; at + 2 * sectorBytes <= body.length; at += sectorBytes)
    if (body.subarray(at, at + sectorBytes).every((byte) => byte === 0)) return at;
  return undefined;
}
