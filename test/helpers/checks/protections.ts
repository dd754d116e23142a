// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is source
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

/** What keeps a work from following a link out of a tree. */
export interface Protection {
  readonly what: string;
  /** What stands in the source, and what would stand there without it. */
  readonly without: readonly (readonly [file: string, from: string, to: string])[];
  /** A work in which its loss must be seen. */
  readonly seenIn: string;
}

const walk = "src/tree/walk.ts";
const tree = "src/tree/tree.ts";
const entries = "src/tree/entries.ts";

/**
 * Each of them is taken away in a copy of the source, to see that `hostile-links` notices. Where two stand one after the other, both go:
 * either alone is enough. What is only done to something just made, as Tree's chown and utimes, cannot meet a link that was there before.
 */
export const protections: readonly Protection[] = [
  {
    what: "the kernel follows no link on the way",
    without: [
      [walk, "O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;", "O_PATH | constants.O_DIRECTORY;"],
    ],
    seenIn: "finish-tree",
  },
  {
    what: "an absolute link begins at the tree's root",
    without: [
      [
        walk,
        'if (link.startsWith("/")) while (levels.length > 1) up();',
        'if (link.startsWith("/")) levels.push({ name: "", fd: openSync("/", directoryFlags) });',
      ],
    ],
    seenIn: "finish-tree",
  },
  {
    what: "`..` never leads above the root",
    without: [
      [
        walk,
        "if (levels.length > 1) closeSync(levels.pop()!.fd);",
        'levels.push({ name: "..", fd: openSync(`${pathOf(levels.at(-1)!.fd)}/..`, directoryFlags) });',
      ],
    ],
    seenIn: "finish-tree",
  },
  {
    what: "a new file is never what a link leads to",
    without: [
      [tree, "if (there !== undefined) unlinkSync(at);", ""],
      [tree, 'openSync(at, "wx", 0o600)', 'openSync(at, "w", 0o600)'],
    ],
    seenIn: "finish-tree",
  },
  {
    what: "a copy is never made over what a link leads to",
    without: [
      [tree, "if (there !== undefined) unlinkSync(at);", ""],
      [tree, "copyFileSync(pathOf(fd), place, constants.COPYFILE_EXCL)", "copyFileSync(pathOf(fd), place)"],
    ],
    seenIn: "install-systemd-boot, in the tree",
  },
  {
    what: "what is changed is no link",
    without: [[entries, "openSync(at, O_PATH | constants.O_NOFOLLOW)", "openSync(at, O_PATH)"]],
    seenIn: "bootstrap-tree",
  },
  {
    what: "a link gets no other mode",
    without: [
      [tree, "const fd = openSync(at, O_PATH | constants.O_NOFOLLOW);", "const fd = openSync(at, O_PATH);"],
    ],
    seenIn: "bootstrap-tree",
  },
  {
    what: "what goes is a link, and not what it leads to",
    without: [
      [entries, "const found = lstatSync(at,", "const found = statSync(at,"],
      [entries, "  lstatSync,\n", "  lstatSync,\n  statSync,\n"],
      [entries, "const fd = openDirectory(at);", "const fd = openSync(at, constants.O_RDONLY);"],
    ],
    seenIn: "finish-tree",
  },
  {
    what: "a directory that is cleared is no link",
    without: [
      [tree, "if (!this.stat(path)?.isDirectory()) return;", "if (this.stat(path) === undefined) return;"],
      [entries, "const fd = openDirectory(at);", "const fd = openSync(at, constants.O_RDONLY);"],
    ],
    seenIn: "finish-tree",
  },
  {
    what: "a package's files come into directories of the tree",
    without: [
      ["src/debian/unpack/tree-paths.ts", "new Tree(tree.root).directory(path);", "tree.root + path;"],
    ],
    seenIn: "install-leaves",
  },
  {
    what: "a package's link does not take the owner of what stands there",
    without: [
      [
        "src/debian/unpack/place.ts",
        "lchownSync(to, uid, gid);\n  lutimesSync",
        "chownSync(to, uid, gid);\n  lutimesSync",
      ],
      ["src/debian/unpack/place.ts", "  chmodSync,\n", "  chmodSync,\n  chownSync,\n"],
    ],
    seenIn: "install-packages",
  },
  {
    what: "times are settled of links themselves, before a filesystem is made",
    without: [
      [
        "src/disks/filesystem/tree-usage.ts",
        "const found = lstatSync(path);\n    if (found.dev",
        "const found = statSync(path);\n    if (found.dev",
      ],
      ["src/disks/filesystem/tree-usage.ts", "import { lstatSync,", "import { statSync, lstatSync,"],
    ],
    seenIn: "the settling of times",
  },
  {
    what: "times are settled of links themselves, in a layer",
    without: [
      [
        "src/disks/filesystem/tree-usage.ts",
        "const found = lstatSync(path);\n    if (found.isDirectory())",
        "const found = statSync(path);\n    if (found.isDirectory())",
      ],
      ["src/disks/filesystem/tree-usage.ts", "import { lstatSync,", "import { statSync, lstatSync,"],
    ],
    seenIn: "the settling of times",
  },
  {
    what: "a tree's changes are what is in it",
    without: [
      [
        "src/disks/filesystem/tree-delta.ts",
        "const found = lstatSync(join(merged, at));",
        "const found = statSync(join(merged, at));",
      ],
      ["src/disks/filesystem/tree-delta.ts", "import { lstatSync,", "import { statSync, lstatSync,"],
    ],
    seenIn: "the changes to a tree",
  },
  {
    what: "an archive has links as links",
    without: [
      [
        "src/operator/output/tree-output.ts",
        '"--numeric-owner",\n      "--one',
        '"--dereference",\n      "--numeric-owner",\n      "--one',
      ],
    ],
    seenIn: "the packing of the tree",
  },
  {
    what: "a copy has links as links",
    without: [
      [
        "src/operator/output/tree-output.ts",
        '"--archive", "--reflink',
        '"--archive", "--dereference", "--reflink',
      ],
    ],
    seenIn: "the copy of the tree",
  },
  {
    what: "an archive is unpacked over a link, and not through it",
    without: [
      [
        "src/steps/tree/unpack-tree.ts",
        '"--numeric-owner", "--same-owner", "--preserve',
        '"--numeric-owner", "--keep-directory-symlink", "--preserve',
      ],
    ],
    seenIn: "unpack-tree",
  },
  {
    what: "a filesystem is mounted in the tree",
    without: [["src/steps/step/actions.ts", "new Tree(root).directory(path)", "root + path"]],
    seenIn: "mount",
  },
  {
    what: "what is unmounted is in the tree",
    without: [
      [
        "src/steps/disk/mount.ts",
        "if (!tree.find(path)?.isDirectory()) return false;",
        'const { realpath } = await import("node:fs/promises");',
      ],
      ["src/steps/disk/mount.ts", "tree.directory(path)) !==", "await realpath(tree.root + path)) !=="],
      ["src/steps/step/actions.ts", "new Tree(root).directory(path)", "root + path"],
    ],
    seenIn: "unmount",
  },
  {
    what: "the machine is mounted in the tree for clevis",
    without: [["src/steps/step/actions.ts", "new Tree(root).directory(path)", "root + path"]],
    seenIn: "enroll-clevis",
  },
  {
    what: "the door is no link: the kernel's interfaces",
    without: [["src/system/door/mount-points.ts", "if (!found?.isDirectory())", "if (found === null)"]],
    seenIn: "make-locale",
  },
  {
    what: "the door is no link: what a script is given",
    without: [
      [
        "src/system/door/mount-points.ts",
        "} else if (!(directory ?",
        "} else if (found === null && !(directory ?",
      ],
    ],
    seenIn: "provision",
  },
  {
    what: "a mount point is made in the tree",
    without: [
      ["src/steps/image/mkfs-ext4-image.ts", "if (tree.real(path) !== path) throw isLink(path);", ""],
    ],
    seenIn: "mkfs-ext4-image",
  },
];

/** A copy of the source in which nothing is taken away yet. */
export function copyOfSource(dir: string): void {
  for (const name of ["src", "test/helpers"]) {
    mkdirSync(join(dir, name), { recursive: true });
    cpSync(name, join(dir, name), { recursive: true });
  }
  cpSync("package.json", join(dir, "package.json"));
  cpSync("tsconfig.json", join(dir, "tsconfig.json"));
  symlinkSync(resolve("node_modules"), join(dir, "node_modules"));
}

/** Takes a protection away in the copy, and gives what puts it back. */
export function takeAway(dir: string, { without }: Protection): () => void {
  const files = new Map<string, string>();
  for (const [file, from, to] of without) {
    const path = join(dir, file);
    const text = readFileSync(path, "utf8");
    if (!files.has(path)) files.set(path, text);
    if (text.split(from).length < 2) throw new Error(`${file} has no ${from}`);
    writeFileSync(
      path,
      text.replace(from, () => to),
    );
  }
  return () => {
    for (const [path, text] of files) writeFileSync(path, text);
  };
}
