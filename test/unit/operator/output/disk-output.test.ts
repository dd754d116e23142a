import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { settleVmdk } from "../../../../src/operator/output/disk-output.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

/** A sparse VMDK's header, a descriptor of two sectors, and what comes then. */
function vmdk(descriptor: string): string {
  const file = join(tempDir(), "disk.vmdk");
  const bytes = Buffer.alloc(512 * 4, "x");
  bytes.fill(0, 0, 512 * 3);
  bytes.write("KDMV", 0, "latin1");
  bytes.writeBigUInt64LE(1n, 28);
  bytes.writeBigUInt64LE(2n, 36);
  bytes.write(descriptor, 512, "latin1");
  writeFileSync(file, bytes);
  return file;
}

describe("a VMDK", () => {
  it("has the same bytes whatever content id it was given, and however long that was", async () => {
    const text = (id: string) =>
      `# Disk DescriptorFile\nCID=${id}\nparentCID=ffffffff\nddb.adapterType = "x"\n`;
    // An id of seven digits written over one of eight.
    const files = [vmdk(text("1d13c324")), vmdk(`${text("d13c324")}\0\n`), vmdk(text("f"))];
    for (const file of files) await settleVmdk(file);
    const [one, ...others] = files.map((file) => readFileSync(file));
    for (const other of others) expect(other).toEqual(one);
    expect(one?.toString("latin1", 512, 1536)).toBe(text("00000001").padEnd(1024, "\0"));
    expect(one?.toString("latin1", 1536)).toBe("x".repeat(512));
  });

  it("is known by its magic", async () => {
    const file = join(tempDir(), "disk.raw");
    writeFileSync(file, Buffer.alloc(4096));
    await expect(settleVmdk(file)).rejects.toThrow(/is no VMDK/);
  });
});
