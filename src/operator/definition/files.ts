import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { Fail } from "../../util/fail.ts";

/** All of `files/` together; it travels with every deploy. */
const maxBytes = 16 * 1024 * 1024;

/** What lies in a definition's `files/`; paths as on the new system, with the leading slash. */
export interface DefinitionFiles {
  readonly files: ReadonlyMap<string, { readonly bytes: Uint8Array; readonly mode: number }>;
  readonly links: readonly { readonly path: string; readonly link: string }[];
}

/** Reads `files/`. Of a file's mode only "executable" counts: the rest differs from one checkout to the next. */
export function readFiles(directory: string | undefined): DefinitionFiles {
  const files = new Map<string, { bytes: Uint8Array; mode: number }>();
  const links: { path: string; link: string }[] = [];
  let total = 0;
  const visit = (below: string) => {
    for (const name of readdirSync(join(directory!, below)).sort()) {
      const path = `${below}/${name}`;
      const full = join(directory!, path);
      const found = lstatSync(full);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
      if (/[\x00-\x1f\x7f]/.test(name)) throw new Fail(`${full}: a name with control characters`);
      if (found.isDirectory()) visit(path);
      else if (found.isSymbolicLink()) links.push({ path, link: readlinkSync(full) });
      else if (found.isFile()) {
        total += found.size;
        if (total > maxBytes)
          throw new Fail(`files/ holds more than ${maxBytes / 2 ** 20} MiB`, {
            hint: "ship large data by other means: everything in it goes to the host with each deploy",
          });
        files.set(path, { bytes: readFileSync(full), mode: (found.mode & 0o111) === 0 ? 0o644 : 0o755 });
      } else throw new Fail(`${full} is neither a file, a directory nor a symbolic link`);
    }
  };
  if (directory !== undefined) visit("");
  return { files, links };
}
