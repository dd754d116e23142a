import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { backupProgram, backupScript } from "../../../src/operator/settings/backup-script.ts";
import { Spec, type SpecInput } from "../../../src/schema/spec.ts";
import { allSteps } from "../../../src/steps/registry.ts";
import type { StepContext } from "../../../src/steps/step/step.ts";
import { type Bind, chrootRun } from "../../../src/system/door/chroot.ts";
import { plainEnv, type RunResult, run } from "../../../src/system/run/run.ts";
import { stepBench } from "../fakes/step-bench.ts";
import { tempDir } from "../temp-dir.ts";

/** A system with the programs of this computer, and with files and users of its own; its services are this test. */
export interface DataSystem {
  readonly root: string;
  /** Runs its program of backups, as a service of it with credentials. `binds`: what else it sees. */
  backup(...words: string[]): Promise<RunResult>;
  /** A step as the base runs it, with what it says. */
  step(kind: string, input: object, more?: Partial<StepContext>): Promise<string[]>;
}

const users = "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534::/:/bin/false\n";
const boundMs = 120_000;

/** Such a system for a definition's `data`. `shared`: directories that it sees where they are, as a server's disk; `ids`: its own users by number. */
export function dataSystem(
  data: NonNullable<SpecInput["data"]>,
  options: {
    readonly secrets?: Readonly<Record<string, string>>;
    readonly shared?: readonly string[];
    readonly ids?: Readonly<Record<string, number>>;
  } = {},
): DataSystem {
  const { secrets = {}, shared = [], ids = {} } = options;
  const root = join(tempDir(), "tree");
  for (const path of [
    "usr",
    "etc/ssl/certs",
    "dev",
    "proc",
    "run",
    "sys",
    "tmp",
    "root",
    "usr/local/sbin",
    "srv",
    "var/lib",
  ])
    mkdirSync(join(root, path), { recursive: true });
  for (const name of ["bin", "sbin", "lib", "lib64"]) symlinkSync(`usr/${name}`, join(root, name));
  execFileSync("mount", ["--rbind", "--make-rslave", "/usr", join(root, "usr")]);
  onTestFinished(() => void execFileSync("umount", ["--recursive", "--lazy", join(root, "usr")]));
  const own = Object.entries(ids);
  writeFileSync(
    join(root, "etc/passwd"),
    users + own.map(([name, id]) => `${name}:x:${id}:${id}::/:/bin/sh\n`).join(""),
  );
  writeFileSync(
    join(root, "etc/group"),
    `root:x:0:\n${own.map(([name, id]) => `${name}:x:${id}:\n`).join("")}`,
  );
  copyFileSync("/etc/nsswitch.conf", join(root, "etc/nsswitch.conf"));
  mkdirSync(join(root, "opt"));
  const program = "/opt/imgbuild-backup";
  const spec = Spec.parse({
    hostname: "web.example.org",
    secrets: Object.fromEntries(
      Object.keys(secrets).map((name) => [name, { file: `${name}.age`, path: `/etc/keys/${name}` }]),
    ),
    data,
  });
  writeFileSync(join(root, program), backupScript(spec, spec.data!), { mode: 0o755 });
  const sees: Bind[] = shared.map((path) => ({ from: path, to: path }));
  const keys = tempDir();
  for (const [name, text] of Object.entries(secrets)) writeFileSync(join(keys, name), text, { mode: 0o400 });
  return {
    root,
    backup: (...words) =>
      chrootRun(root, [program, ...words], {
        binds: [...sees, { from: keys, to: "/run/credentials/test", readOnly: true }],
        network: true,
        env: { ...plainEnv, CREDENTIALS_DIRECTORY: "/run/credentials/test", HOME: "/root" },
        timeoutMs: boundMs,
      }),
    step: async (kind, input, more = {}) => {
      const bench = stepBench({ root, secrets });
      const one = allSteps.get(kind)!;
      await one.run(one.schema.parse(input), {
        ...bench.context,
        tool: run,
        chroot: (argv, given = {}) => {
          const words = argv[0] === backupProgram ? [program, ...argv.slice(1)] : argv;
          return chrootRun(root, words, { ...given, binds: [...sees, ...(given.binds ?? [])] });
        },
        ...more,
      });
      return bench.said;
    },
  };
}
