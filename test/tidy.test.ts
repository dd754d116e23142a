import { readdirSync, readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, it } from "vitest";

// Imports go down only: a folder may import from itself and from those listed.
const low = ["schema", "util"];
const mayImport: Record<string, readonly string[]> = {
  cli: ["testing", "operator", "vm", "system", "secrets", "transport", "debian", "dsl", ...low],
  operator: [
    "debian",
    "transport",
    "secrets",
    "archive",
    "vm",
    "storage",
    "boot",
    "system",
    "tree",
    "steps",
    "dsl",
    ...low,
  ],
  testing: ["operator", "vm", "storage", "transport", "system", "tree", ...low],
  target: ["steps", "storage", "boot", "debian", "archive", "secrets", "system", "tree", ...low],
  steps: ["storage", "boot", "debian", "archive", "system", "tree", ...low],
  storage: ["steps", "system", "tree", ...low],
  boot: ["steps", "storage", "system", "tree", ...low],
  debian: ["archive", "system", "tree", ...low],
  transport: ["system", ...low],
  secrets: ["system", ...low],
  archive: ["system", ...low],
  vm: ["system", "storage", "transport", ...low],
  system: ["tree", ...low],
  tree: low,
  dsl: ["schema", "util"],
  schema: ["util"],
  util: [],
};

// Each npm package has one owner.
const owner: Record<string, readonly string[]> = {
  ssh2: ["transport"],
  "ssh-config": ["transport"],
  "age-encryption": ["secrets"],
  "tar-stream": ["archive"],
  "cpio-stream": ["archive"],
  openpgp: ["debian"],
  yaml: ["debian"],
  commander: ["cli", "entry"],
  esbuild: ["operator"],
  zx: ["operator"],
  tsx: ["operator"],
  zod: Object.keys(mayImport),
};

/**
 * Folders whose code works on trees, where scripts may have put links anywhere: there src/tree is the way to a file. What else these
 * files touch is why they may use node:fs.
 */
const worksOnTrees = ["boot", "debian", "operator", "steps", "storage", "system", "target", "testing"];
const touchNoTree: Readonly<Record<string, readonly string[]>> = {
  "the cache, mirrors and this machine's apt": [
    ...[
      "compare-lock",
      "deb",
      "fetch",
      "get",
      "index",
      "local",
      "mirrors",
      "release-file",
      "sink",
      "sources",
      "keep-file",
      "seen-release",
      "compare-lock",
    ].map((name) => `debian/${name}`),
    ...[
      "base",
      "base-pack",
      "cache-entries",
      "cache-gc",
      "known-bases",
      "layer-disk",
      "layers",
      "leaves",
    ].map((name) => `operator/${name}`),
    ...["initramfs-cache", "upper-cache", "native-context", "ordinary-user", "tried", "vendor"].map(
      (name) => `operator/${name}`,
    ),
  ],
  "a definition, its files and secrets, our sources": [
    ...["deploy-inputs", "files", "init", "load", "lock", "secrets", "source-digest"].map(
      (name) => `operator/${name}`,
    ),
    "steps/place-files",
  ],
  "an output, or a file on its way to it, in a directory of our own": [
    ...["disk-output", "finish-output", "image", "minimize", "oci", "test-image", "tree-output"].map(
      (name) => `operator/${name}`,
    ),
    ...["vm-image", "vm-initrd", "vm-run"].map((name) => `operator/${name}`),
    ...["install-grub", "mkfs-vfat-image", "partition-image", "swap-file-image", "swap-partition-image"].map(
      (name) => `steps/${name}`,
    ),
    ...["checks", "rehearse", "stock-host", "verdict"].map((name) => `testing/${name}`),
  ],
  "/dev, /proc, /sys and other files of the machine on which it runs": [
    "system/wipe-file",
    ...["card-modules", "check-grub", "disk-modules", "superblock"].map((name) => `boot/${name}`),
    ...["doctor"].map((name) => `operator/${name}`),
    ...["ask-tang", "close-disks", "enroll-clevis", "keep-base", "make-verity", "name-boot-entry"].map(
      (name) => `steps/${name}`,
    ),
    ...["open-storage", "look-at-group", "partition-disk", "install-systemd-boot"].map(
      (name) => `steps/${name}`,
    ),
    ...["device", "find-disk", "guard", "target", "topology"].map((name) => `storage/${name}`),
    ...[
      "dead-man",
      "identity",
      "journal",
      "machine",
      "memory",
      "network",
      "port",
      "runner",
      "socket",
      "work",
    ].map((name) => `target/${name}`),
    "steps/ask-machine",
    ...["door-namespace", "pipes", "process-bound"].map((name) => `system/${name}`),
  ],
  "a filesystem that is mounted by itself, by single names; and /proc": [
    ...["btrfs-subvolumes", "check-kept", "mount", "verify-boot"].map((name) => `steps/${name}`),
  ],
  "types alone": ["steps/check-tree", "steps/mkfs-ext4-image", "testing/cases"],
  "whatever path they are given; none of a tree": [
    ...[
      "file-lock",
      "one-piece",
      "overlay",
      "run",
      "parent",
      "work-directory",
      "user-namespace",
      "namespace-troubles",
      "write-whole",
      "wipe-file",
    ].map((name) => `system/${name}`),
  ],
  "the base's library, which no script has touched": ["system/chroot"],
  "a script's inputs, in a directory of their own": ["steps/provision"],
  "new files by single names, in a directory that is held open": ["debian/stage"],
  "a tree, thousands of times: in real directories that src/tree has found, by the last name alone": [
    "debian/place",
  ],
  "a tree, all of it: from its root down, by lstat, and into nothing that is a link": [
    "storage/tree-delta",
    "storage/tree-usage",
  ],
};
/** Where a path is joined to a tree's root all the same. */
const joinsToRoot: Readonly<Record<string, string>> = {
  "operator/image-plan": "plain data; mkfs-ext4-image looks for links there",
  "operator/plan": "plain data; what fills the ESP goes there by Tree.within",
  "operator/tree-output": "the whole tree is copied, its links as links",
  "storage/tree-delta": "see above",
};

// Programs are started in these files alone: our own tools, the operator's ssh and qemu, and what is behind the door.
const mayStart = [
  "src/cli/secrets.ts",
  "src/cli/terminal.ts",
  "src/debian/index.ts",
  "src/system/door-namespace.ts",
  "src/system/file-lock.ts",
  "src/system/filter.ts",
  "src/system/run.ts",
  "src/system/user-namespace.ts",
  "src/system/work-directory.ts",
  "src/vm/firmware.ts",
  "src/vm/qemu.ts",
  "src/vm/room.ts",
  "src/vm/shell.ts",
];
// Nothing else leads a program of a package or a definition into its root; the last two make a namespace for imgbuild itself.
const mayEnter = [
  "src/system/door.ts",
  "src/system/door-namespace.ts",
  "src/system/namespace-troubles.ts",
  "src/system/user-namespace.ts",
];
const programs = "(?:chroot|unshare|nsenter|bwrap|pivot_root|switch_root|systemd-nspawn)";
const entering = new RegExp(`(["'\`])${programs}\\1|\\b${programs}\\s+-`);

const sources = readdirSync("src", { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  .map((name) => join("src", name))
  .sort();
const builtins = new Set(builtinModules);

describe("the source tree", () => {
  it("lists no file that is not there", () => {
    const listed = [...Object.values(touchNoTree).flat(), ...Object.keys(joinsToRoot)];
    expect(listed.filter((name) => !sources.includes(`src/${name}.ts`))).toEqual([]);
  });
  for (const file of sources) {
    const folder = file.split("/").length > 2 ? file.split("/")[1]! : "";
    const text = readFileSync(file, "utf8");
    const imports = [
      ...text.matchAll(/^(?:import|export)\s[^;]*?from\s+"([^"]+)"|\bimport\("([^"]+)"\)/gms),
    ].map((match) => match[1] ?? match[2]!);
    it(`${file} imports downwards and from owned packages only`, () => {
      for (const specifier of imports) {
        if (specifier.startsWith(".")) {
          expect(specifier, "relative imports name the file").toMatch(/\.(ts|json)$/);
          const to = relative("src", resolve(dirname(file), specifier)).split("/");
          if (folder === "" || to.length < 2 || to[0] === folder) continue;
          expect([...(mayImport[folder] ?? [])], `${file} → ${specifier}`).toContain(to[0]);
        } else if (specifier.startsWith("node:"))
          expect(builtins.has(specifier.slice(5)), specifier).toBe(true);
        else {
          const name = specifier.startsWith("@")
            ? specifier.split("/").slice(0, 2).join("/")
            : specifier.split("/")[0]!;
          expect(owner[name] ?? [], `${file} imports ${specifier}`).toContain(
            folder === "" ? "entry" : folder,
          );
        }
      }
    });
    const name = file.slice("src/".length, -".ts".length);
    it(`${file} touches a tree by src/tree alone`, () => {
      const allowed = Object.values(touchNoTree).flat();
      if (worksOnTrees.includes(folder))
        expect(
          imports.some((one) => /^node:fs\b/.test(one)),
          "node:fs is for files that touchNoTree lists with a reason; a tree is touched by src/tree",
        ).toBe(allowed.includes(name));
      const joined =
        /\bjoin\(\s*(?:[\w.]+\.)?(?:root|tree|targetRoot|lower|merged)\s*,|\$\{(?:[\w.]+\.)?(?:root|tree|targetRoot)\}\//;
      if (folder !== "tree")
        expect(joined.test(text), "a path is joined to a tree's root; src/tree takes the path alone").toBe(
          name in joinsToRoot,
        );
    });
    it(`${file} is at most 300 lines`, () => {
      expect(text.split("\n").length).toBeLessThanOrEqual(301);
    });
    it(`${file} starts no program past the door`, () => {
      if (!mayStart.includes(file)) expect(text).not.toMatch(/^import (?!type )[^;]*"node:child_process"/m);
      if (!mayEnter.includes(file)) expect(withoutNeeds(text)).not.toMatch(entering);
    });
    it(`${file} has no default export and reads the environment only at an entry`, () => {
      // Neither a comment nor a text of several lines, as a template for a definition, is code of the module.
      const code = text.replaceAll(
        /^const \w+ = `[^`\\]*(?:\\[\s\S][^`\\]*)*`;$|\/\*[\s\S]*?\*\/|\/\/.*$/gm,
        "",
      );
      expect(code).not.toMatch(/^export default/m);
      // What others' test programs import is their entry to us.
      if (folder !== "cli" && folder !== "" && file !== "src/testing/index.ts")
        expect(code).not.toMatch(/process\.(env|argv|exitCode)\b/);
    });
  }
});

/** Less what names programs and does not start them: what doctor asks for, what a step needs, and a hint for the user's own shell. */
function withoutNeeds(text: string): string {
  return text.replaceAll(
    /\/\*[\s\S]*?\*\/|\{ what: "\w+", |^ {2}tools: .*$|`unshare --map-root-user --map-auto`/gm,
    "",
  );
}
