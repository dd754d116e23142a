import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { beginDatabase, registerUnpacked } from "../../../src/debian/unpack/dpkg-db.ts";
import { readRules } from "../../../src/debian/unpack/dpkg-rules.ts";
import { placePackage } from "../../../src/debian/unpack/place.ts";
import { type StagedPackage, stagePackages } from "../../../src/debian/unpack/stage.ts";
import { tempDir } from "../temp-dir.ts";
import { makeDeb } from "./deb.ts";

/** A tree with dpkg's database in which nothing is installed. */
export function emptyTree(): string {
  const root = join(tempDir(), "tree");
  mkdirSync(root);
  beginDatabase(root);
  return root;
}

/** A package of that content, unpacked beside a tree. */
export async function stage(name: string, content: Parameters<typeof makeDeb>[1]): Promise<StagedPackage> {
  const { file, locked } = makeDeb(name, content);
  const filter = () => Promise.reject(new Error("not used"));
  const [staged] = await stagePackages([locked], {
    directory: tempDir(),
    lanes: 1,
    filter,
    pathOf: () => file,
  });
  return staged!;
}

/** Places packages in order and registers them; gives back why one is left to dpkg. */
export function place(
  root: string,
  packages: readonly StagedPackage[],
  options: { readonly bootstrap?: boolean; readonly owners?: Map<string, string> } = {},
): (string | undefined)[] {
  const rules = readRules(root);
  const bootstrap = options.bootstrap ?? false;
  const tree = { root, rules, directories: new Map(), owners: options.owners ?? new Map<string, string>() };
  return packages.map((staged) => {
    const reason = placePackage(staged, tree, { bootstrap });
    if (reason === undefined) registerUnpacked(root, staged, rules, { bootstrap });
    return reason;
  });
}
