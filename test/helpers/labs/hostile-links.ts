// A program, in a mount namespace of its own: puts a link that leads out of a tree at every path that works on a tree ask for, and
// prints a line of JSON for each work; or for one that is named, at the paths that are. As an ordinary user it is root of a user namespace, as builds are.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { exitCodeOf, ownMaps, spawnAsRoot } from "../../../src/system/user/user-namespace.ts";
import { watchTrees } from "../../../src/tree/walk.ts";
import { canary, fillTree, leaks, plant, plants, uuid, watchState } from "../builders/hostile-tree.ts";
import { makeMachineDisk } from "../builders/machine-disk.ts";
import { everywhere, type Place, type Work, works } from "../builders/tree-works.ts";

/** What came of one work. */
export interface Tried {
  readonly name: string;
  /** Those that it asked for. */
  readonly paths: readonly string[];
  /** Links that were put into its way. */
  readonly planted: number;
  /** What was read or changed outside, and by which link. */
  readonly wrong: readonly string[];
}

/** Thousands of small trees are made and thrown away. */
const memory = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
const walked = ["absolute", "to a file"] as const;

async function main(name?: string, ...paths: string[]): Promise<void> {
  if (process.getuid?.() !== 0) {
    const maps = await ownMaps();
    if (maps === undefined) throw new Error("this user has no subordinate ids");
    const argv = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
    const env = { ...process.env, TSX_DISABLE_CACHE: "1" };
    const child = await spawnAsRoot(argv, maps, { env, stdio: ["ignore", "inherit", "inherit"] });
    process.exitCode = await exitCodeOf(child);
    return;
  }
  // It mounts over /sys and /dev, which must not be those of all others.
  if (mountsOf("self") === mountsOf(String(process.ppid)))
    throw new Error("run it in a mount namespace of its own: unshare --mount --propagation private …");
  const machine = mkdtempSync(join(memory, "imgbuild-machine-"));
  try {
    makeMachineDisk(machine);
    for (const one of name === undefined ? Object.keys(works) : [name])
      console.log(JSON.stringify(await tryLinks(one, works[one]!, paths)));
  } finally {
    rmSync(machine, { recursive: true, force: true });
  }
}

/** The mount namespace of a process; undefined where it is not for us to see, as it is not ours then. */
function mountsOf(process: string): string | undefined {
  try {
    return readlinkSync(`/proc/${process}/ns/mnt`);
  } catch {
    return undefined;
  }
}

async function tryLinks(name: string, work: Work, given: readonly string[]): Promise<Tried> {
  const all = everywhere.includes(name);
  const wrong: string[] = [];
  let planted = 0;
  const paths = given.length > 0 ? given : all ? allPaths() : await asked(work);
  for (const path of paths)
    for (const how of all ? walked : plants) {
      const place = prepared();
      if (plant(place.root, path, place.outside, how)) {
        planted += 1;
        wrong.push(...(await wrongIn(place, work)).map((what) => `${path} ${how}: ${what}`));
      }
      forget(place);
      // Who names paths asks only whether anything goes wrong.
      if (given.length > 0 && wrong.length > 0) return { name, paths, planted, wrong };
    }
  return { name, paths, planted, wrong };
}

async function wrongIn(place: Place, work: Work): Promise<string[]> {
  const { before, now } = watchState(place.outside);
  let said = "";
  // Most refuse.
  await Promise.resolve()
    .then(() => work(place))
    .catch((error: unknown) => {
      said = String(error);
    });
  const changed = JSON.stringify(now()) !== JSON.stringify(before);
  const leaked = leaks(place.dir);
  return [
    ...(changed ? ["something is changed or read outside"] : []),
    ...(said.includes("is given") ? [said] : []),
    ...(leaked.length > 0 ? [`${canary} in ${leaked.join(", ")}`] : []),
  ];
}

function prepared(): Place {
  const dir = join(mkdtempSync(join(memory, "imgbuild-links-")), "work");
  const [root, outside] = [join(dir, "tree"), join(dirname(dir), "outside")];
  for (const path of [root, outside, join(dir, "esp"), join(dir, "files/etc/deep")])
    mkdirSync(path, { recursive: true });
  writeFileSync(join(dir, "files/etc/deep/placed"), "placed");
  fillTree(root);
  const superblock = Buffer.alloc(2 ** 20);
  superblock.writeUInt16LE(0xef53, 1024 + 0x38);
  Buffer.from(uuid.replaceAll("-", ""), "hex").copy(superblock, 1024 + 0x68);
  writeFileSync(join(dir, "disk"), superblock);
  return { dir, root, outside };
}

/** Every path of the tree that the work asks for, with the directories in which each lies. */
async function asked(work: Work): Promise<string[]> {
  const place = prepared();
  const paths = new Set<string>();
  const end = watchTrees((root, path) => {
    let at = relative(place.root, join(root, path));
    for (; at !== "" && at !== "." && !at.startsWith(".."); at = dirname(at)) paths.add(at);
  });
  try {
    await work(place);
  } finally {
    end();
    forget(place);
  }
  return [...paths].sort();
}

function allPaths(): string[] {
  const place = prepared();
  const paths = readdirSync(place.root, { recursive: true, encoding: "utf8" });
  forget(place);
  return paths.sort();
}

function forget({ dir }: Place): void {
  rmSync(dirname(dir), { recursive: true, force: true });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) await main(...process.argv.slice(2));
