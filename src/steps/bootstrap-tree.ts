import { chmod, mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { dataOfDeb, tarFlag } from "../debian/deb.ts";
import { LockedPackage } from "../schema/lock.ts";
import { run } from "../system/run.ts";
import { during } from "../util/fail.ts";
import { defineStep } from "./step.ts";

const extractMs = 300_000;

/** The files of the essential packages, without dpkg: enough of a system for the tree's own dpkg to run in it. */
export const bootstrapTree = defineStep({
  kind: "bootstrap-tree",
  summary: "unpack the essential packages, without dpkg",
  schema: z.strictObject({ packages: z.array(LockedPackage).min(1) }),
  tools: ["tar", "xz"],
  run: async ({ packages }, context) => {
    const { root, log, signal } = context;
    await layOut(root);
    await context.fetch(packages, log);
    for (const [index, locked] of packages.entries()) {
      const { name, bytes } = await dataOfDeb(context.packagePath(locked).outside);
      const argv = ["tar", "--extract", "--file=-", ...tarFlag(name), `--directory=${root}`];
      await during(`unpacking ${locked.name}`, () =>
        run([...argv, "--numeric-owner", "--same-permissions", "--keep-directory-symlink"], {
          stdin: bytes,
          timeoutMs: extractMs,
          signal,
        }),
      );
      log.progress(index + 1, packages.length, "packages");
    }
    for (const name of ["status", "available"])
      await writeFile(join(root, "var/lib/dpkg", name), "", { flag: "a" });
  },
});

/** One /usr, as Debian has it since 12, and the places that hold no package's files. */
async function layOut(root: string): Promise<void> {
  await mkdir(root, { recursive: true });
  await chmod(root, 0o755);
  for (const name of ["bin", "sbin", "lib", "lib64"]) {
    await mkdir(join(root, "usr", name), { recursive: true });
    await symlink(`usr/${name}`, join(root, name));
  }
  for (const [name, mode] of [
    ["dev", 0o755],
    ["proc", 0o555],
    ["sys", 0o555],
    ["run", 0o755],
    ["tmp", 0o1777],
    ["etc", 0o755],
  ] as const) {
    await mkdir(join(root, name), { recursive: true });
    await chmod(join(root, name), mode);
  }
}
