import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../../system/run/run.ts";
import { sha256 } from "../../util/digest.ts";
import { during, Fail } from "../../util/fail.ts";
import type { Origin } from "./candidate.ts";
import { bytesOfMember, membersOfDeb, unpacker } from "./deb.ts";
import { PackageTable } from "./package-table.ts";
import { tabulate } from "./packages-file.ts";

/** The archive of files beside the definition. */
export const localArchive = "local";

const unpackMs = 60_000;

const origin: Origin = {
  archive: localArchive,
  suite: localArchive,
  codename: localArchive,
  release: localArchive,
  vendor: localArchive,
  label: localArchive,
  notAutomatic: false,
  butAutomaticUpgrades: false,
};

/** Packages of .deb files, as if an archive had them; `asked` are their "name=version". */
export async function localPackages(
  dir: string,
  debs: readonly string[],
  architecture: string,
): Promise<{ readonly table: PackageTable; readonly asked: readonly string[] }> {
  const stanzas: string[] = [];
  for (const path of debs) stanzas.push(await during(`reading ${path}`, () => stanzaOf(dir, path)));
  const table = new PackageTable(tabulate(stanzas.join("\n"), architecture), origin);
  const asked = [...table.names()].flatMap((name) =>
    table.versions(name).map(({ version }) => `${name}=${version}`),
  );
  if (asked.length !== debs.length)
    throw new Fail(
      `of ${debs.join(", ")} only ${asked.join(", ") || "none"} can be installed on ${architecture}`,
      {
        hint: "each has to be a package of its own, for that architecture or for all",
      },
    );
  return { table, asked };
}

async function stanzaOf(dir: string, path: string): Promise<string> {
  const file = join(dir, path);
  const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
    throw new Fail("there is no such file", { hint: `put it into ${dir}, or take it out of \`debs\`` });
  });
  const control = (await controlOf(file)).trimEnd();
  return `${control}\nFilename: ${path}\nSize: ${bytes.length}\nSHA256: ${sha256(bytes)}\n`;
}

/** The control file of a .deb: its fields, as in a Packages file. */
async function controlOf(file: string): Promise<string> {
  const { control } = await membersOfDeb(file);
  const pieces: Uint8Array[] = [];
  for await (const piece of bytesOfMember(file, control)) pieces.push(piece);
  const program = unpacker(control.name);
  const packed = Buffer.concat(pieces);
  const tar =
    program === undefined ? packed : (await run(program, { stdin: packed, timeoutMs: unpackMs })).bytes;
  const argv = ["tar", "--extract", "--to-stdout", "--file=-", "--no-anchored", "--wildcards", "control"];
  return (await run(argv, { stdin: tar, timeoutMs: unpackMs })).stdout;
}
