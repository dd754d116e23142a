import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import type { StagedPackage } from "../../../../src/debian/unpack/stage.ts";
import { indexModules, placeWrapper, scriptPath } from "../../../../src/steps/packages/module-index.ts";
import { clearStaging, stagingPath } from "../../../../src/steps/packages/unpack.ts";
import { stepBench } from "../../../helpers/fakes/step-bench.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

/** A package whose files wait beside the tree. */
function staged(root: string, paths: readonly string[]): StagedPackage {
  const entries = paths.map((path, index) => {
    if (path.endsWith("/")) return { path: path.slice(0, -1) };
    const file = join(root, stagingPath, "kernel", String(index));
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, path);
    return { path, staged: file };
  });
  return { locked: {}, control: new Map(), entries } as unknown as StagedPackage;
}

function bench() {
  const root = tempDir();
  const at = (path: string) => join(root, stagingPath, "depmod", path);
  const one = stepBench({
    root,
    answers: {
      "tree: depmod": (argv) => {
        const version = argv.at(-1)!;
        for (const name of ["modules.dep", "modules.alias", "other"])
          writeFileSync(at(`root/lib/modules/${version}/${name}`), name);
      },
    },
  });
  return { ...one, root, at };
}

describe("indexModules", () => {
  it("makes the index of each kernel's modules beside the tree, through links to what waits there", async () => {
    const { root, at, context, asked, options } = bench();
    const lib = "/usr/lib/modules/6.1-x";
    const kernel = staged(root, [
      ...[`${lib}/kernel/fs/ext4.ko.xz`, `${lib}/kernel/b.ko`, `${lib}/modules.order`, `${lib}/kernel/`],
      ...["/lib/modules/6.1-y/kernel/c.ko.zst", "/usr/lib/modules/6.1-z/modules.builtin", "/boot/vmlinuz"],
      "/srv/usr/lib/modules/6.1-x/kernel/no.ko",
    ]);
    await indexModules([kernel], context);
    const inside = `${stagingPath}/depmod/root`;
    expect(asked).toEqual(["6.1-x", "6.1-y"].map((one) => `tree: depmod --basedir ${inside} ${one}`));
    expect(options).toEqual(Array(2).fill({ timeoutMs: 3_600_000, signal: context.signal }));
    expect(readFileSync(at("made-6.1-x/modules"), "utf8")).toBe("./kernel/b.ko\n./kernel/fs/ext4.ko.xz\n");
    expect(readdirSync(at("made-6.1-x/index")).sort()).toEqual(["modules.alias", "modules.dep"]);
    expect(readFileSync(at("made-6.1-y/modules"), "utf8")).toBe("./kernel/c.ko.zst\n");
    // What the package brings itself stays where it is; a link is another name of the file that waits.
    expect(existsSync(at("root/lib/modules/6.1-x/modules.order"))).toBe(true);
    expect(lstatSync(at("root/lib/modules/6.1-x/kernel/b.ko")).nlink).toBe(2);
    expect(existsSync(at("made-6.1-z"))).toBe(false);
    clearStaging(root);
  });

  it("does nothing for packages without modules", async () => {
    const { root, context, asked, at } = bench();
    const file = staged(root, [
      "/usr/bin/x.ko",
      "/lib/modules/6.1-x/x.koala",
      "/lib/modules/6.1-x/x.ko.xz.txt1",
    ]);
    await indexModules([file], context);
    expect([asked, readdirSync(at(""))]).toEqual([[], []]);
    linkSync(join(root, stagingPath, "kernel/0"), join(root, "kept"));
    clearStaging(root);
    expect(lstatSync(join(root, "kept")).nlink).toBe(1);
  });
});

describe("placeWrapper", () => {
  it("puts a depmod where scripts look first", () => {
    const root = tempDir();
    placeWrapper(root);
    const [first] = scriptPath.split(":");
    const file = join(root, first!, "depmod");
    expect(lstatSync(file).mode & 0o777).toBe(0o755);
    expect(readFileSync(file, "utf8")).toMatch(/^#!\/bin\/sh\n/);
  });
});
