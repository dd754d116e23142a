import { lstat, readdir, readFile } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import type { TarEntry } from "../../archive/tar.ts";
import { run } from "../../system/run/run.ts";
import { installHint } from "../../tables/distribution.ts";
import { Fail } from "../../util/fail.ts";
import { repositoryAbove } from "../definition/imports.ts";
import type { Definition } from "../definition/load.ts";
import { places } from "./manifest.ts";

const gitMs = 60_000;
const maxBytes = 64 * 2 ** 20;
const maxFiles = 20_000;

/** The files that a definition is made from. */
interface RepositoryFiles {
  readonly entries: readonly TarEntry[];
  /** Path of the definition's directory below the top. */
  readonly place: string;
  /** What git would not find in a clone: changed or new files. */
  readonly uncommitted: readonly string[];
}

/**
 * The whole repository, as a definition may import all of it; what git ignores is left out. Without git, the definition's directory
 * and its secrets.
 */
export async function repositoryFiles(
  definition: Pick<Definition, "dir" | "spec">,
): Promise<RepositoryFiles> {
  const { dir } = definition;
  const top = repositoryAbove(dir);
  const listed = top === undefined ? await filesOf(definition) : await filesInGit(top);
  const root = top ?? commonRoot(dir, listed.paths);
  if (listed.paths.length > maxFiles) throw tooMuch(`${listed.paths.length} files`);
  const entries: TarEntry[] = [];
  let bytes = 0;
  for (const path of [...new Set(listed.paths)].sort()) {
    const kind = await lstat(path).catch(() => undefined);
    if (kind?.isFile() !== true) continue;
    bytes += kind.size;
    if (bytes > maxBytes) throw tooMuch(`more than ${maxBytes / 2 ** 20} MiB`);
    entries.push({
      name: `${places.repository}${relative(root, path)}`,
      content: await readFile(path),
      mode: kind.mode & 0o100 ? 0o700 : 0o600,
    });
  }
  return { entries, place: relative(root, dir), uncommitted: listed.uncommitted };
}

function tooMuch(what: string): Fail {
  return new Fail(`the repository has ${what}, which is too much for an escrow`, {
    hint: "let git ignore what is made and not written",
  });
}

interface Listed {
  readonly paths: readonly string[];
  readonly uncommitted: readonly string[];
}

async function filesInGit(top: string): Promise<Listed> {
  const git = async (...args: readonly string[]) => {
    const { stdout } = await run(["git", "-C", top, ...args], { timeoutMs: gitMs, hint: installHint("git") });
    return stdout.split("\0").filter((word) => word !== "");
  };
  const paths = await git("ls-files", "-z", "--cached", "--others", "--exclude-standard");
  return {
    paths: paths.map((path) => join(top, path)),
    uncommitted: (await git("status", "--porcelain", "-z", "--no-renames")).map((line) => line.slice(3)),
  };
}

async function filesOf({ dir, spec }: Pick<Definition, "dir" | "spec">): Promise<Listed> {
  const secrets = Object.values(spec.secrets).map(({ file }) => join(dir, file));
  const own: string[] = [];
  for (const entry of await readdir(dir, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile() && !relative(dir, path).split(sep).includes("node_modules")) own.push(path);
  }
  const recipients = [...new Set(secrets.map((path) => join(dirname(path), "recipients")))];
  return { paths: [...own, ...secrets, ...recipients], uncommitted: [] };
}

function commonRoot(dir: string, paths: readonly string[]): string {
  let root = dir;
  while (!paths.every((path) => path.startsWith(root + sep))) root = dirname(root);
  return root;
}
