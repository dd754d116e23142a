import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import type { StagedPackage } from "../../src/debian/unpack/stage.ts";
import { indexModules, placeWrapper, scriptPath } from "../../src/steps/packages/module-index.ts";
import { clearStaging, stagingPath } from "../../src/steps/packages/unpack.ts";
import { run } from "../../src/system/run/run.ts";
import { theBase, workshop, writableBase } from "../helpers/labs/native.ts";

/** A tree with depmod, and a package beside it that brings some of the base's modules as those of a kernel of its own. */
async function kernelBeside(): Promise<{ root: string; staged: StagedPackage; files: Map<string, string> }> {
  const root = await writableBase();
  const [version] = readdirSync(join(await theBase(), "usr/lib/modules"));
  const from = join(await theBase(), "usr/lib/modules", version!);
  const { stdout } = await run(["find", from, "-name", "*.ko*", "-printf", "%P\\n"]);
  const names = [...stdout.trim().split("\n").sort().slice(0, 40), "modules.order", "modules.builtin"];
  const staging = join(root, stagingPath, "kernel");
  mkdirSync(staging, { recursive: true });
  const files = new Map<string, string>();
  const entries = names.flatMap((name, index) => {
    if (!existsSync(join(from, name))) return [];
    const staged = join(staging, String(index));
    cpSync(join(from, name), staged);
    files.set(`usr/lib/modules/9.9-test/${name}`, staged);
    const path = `/usr/lib/modules/9.9-test/${name}`;
    return [
      {
        path,
        staged,
        type: "file",
        mode: 0o644,
        uid: 0,
        gid: 0,
        userName: "",
        groupName: "",
        mtime: 1,
        link: "",
      },
    ];
  });
  return { root, staged: { locked: {}, control: new Map(), entries } as unknown as StagedPackage, files };
}

const index = (root: string) => {
  const directory = join(root, "usr/lib/modules/9.9-test");
  return Object.fromEntries(
    readdirSync(directory)
      .filter((name) => name.startsWith("modules."))
      .map((name) => [name, readFileSync(join(directory, name)).toString("base64")]),
  );
};

describe("the index of a kernel's modules", () => {
  it("is what depmod makes, when it is made beside and put in place by the call of a script", async () => {
    const { root, staged, files } = await kernelBeside();
    const { context } = await workshop({ root });
    await indexModules([staged], context);
    for (const [path, from] of files) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      cpSync(from, join(root, path));
    }
    placeWrapper(root);
    const env = { PATH: scriptPath };
    await context.chroot(["/bin/sh", "-c", "depmod 9.9-test"], { env });
    const served = index(root);
    expect(Object.keys(served)).toContain("modules.dep.bin");
    await context.chroot(["/sbin/depmod", "9.9-test"]);
    expect(index(root)).toEqual(served);
    // Another module: what was made before does not hold any more.
    const [first] = [...files.keys()];
    cpSync(join(root, first!), join(root, "usr/lib/modules/9.9-test/more.ko"));
    writeFileSync(join(root, "usr/lib/modules/9.9-test/modules.dep"), "");
    await context.chroot(["/bin/sh", "-c", "depmod 9.9-test"], { env });
    expect(readFileSync(join(root, "usr/lib/modules/9.9-test/modules.dep"), "utf8")).toContain("more.ko");
    clearStaging(root);
    expect(existsSync(join(root, stagingPath))).toBe(false);
  });
});
