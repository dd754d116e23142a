import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { readArchives } from "../../../../src/debian/package/archives.ts";
import { filterRun } from "../../../../src/system/run/filter.ts";
import { tarOf } from "../../../helpers/builders/deb.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

/** The names that come out of archives which are each a file of their own, in lanes of gzip. */
async function read(archives: Record<string, Buffer>, lanes: number): Promise<Record<string, string[]>> {
  const directory = tempDir();
  const found: Record<string, string[]> = {};
  await readArchives(
    Object.entries(archives).map(([name, bytes]) => {
      const file = join(directory, name);
      writeFileSync(file, bytes);
      return { of: name, file, member: { name: "data.tar.gz", offset: 0, size: bytes.length } };
    }),
    {
      lanes,
      filter: (argv, io) => filterRun(argv, { ...io, timeoutMs: 20_000 }),
      open: (of) => ({
        member: ({ name }) => {
          found[of] = [...(found[of] ?? []), name];
          return undefined;
        },
        end: () => {},
      }),
    },
  );
  return found;
}

const archive = (name: string) =>
  gzipSync(tarOf([{ name: "./" }, { name: `./${name}`, content: "x".repeat(900) }]));

describe("readArchives", () => {
  it("tells apart what many packages hold, with one unpacking program for several", async () => {
    const names = Array.from({ length: 12 }, (_, index) => `p${index}`);
    const archives = Object.fromEntries(names.map((name) => [name, archive(name)]));
    for (const lanes of [1, 3, 40]) {
      const found = await read(archives, lanes);
      expect(found).toEqual(Object.fromEntries(names.map((name) => [name, ["./", `./${name}`]])));
    }
  });

  it("refuses a damaged, an empty and a doubled archive", async () => {
    const damaged = Buffer.from(archive("x"));
    damaged[40] = damaged[40]! ^ 0xff;
    await expect(read({ a: archive("a"), damaged }, 1)).rejects.toThrow(/gzip .*exited 1|is damaged/s);
    await expect(read({ empty: gzipSync(Buffer.alloc(1024)) }, 1)).rejects.toThrow("holds an empty archive");
    const doubled = Buffer.concat([archive("a"), archive("b")]);
    await expect(read({ doubled }, 1)).rejects.toThrow("more archives than it says");
  });
});
