import { describe, expect, it } from "vitest";
import { restoreSteps } from "../../../../src/operator/plan/restore.ts";
import type { Lock } from "../../../../src/schema/lock.ts";
import type { SpecInput } from "../../../../src/schema/spec.ts";
import { lockOf, serverSpec } from "../../../helpers/builders/deployable.ts";

const secrets = {
  repository: { file: "r.age", path: "/etc/keys/r" },
  login: { file: "l.age", path: "/etc/keys/l" },
};
const backup: NonNullable<SpecInput["data"]>["backup"] = {
  type: "restic",
  repository: "sftp:me@backup.example.org:/srv/web",
  password: "repository",
  ssh: { key: "login", knownHosts: ["backup.example.org ssh-ed25519 AAAA"] },
};
const data = { paths: ["/srv/app", "/home"], backup };

function steps(change: Partial<SpecInput>, depends: Readonly<Record<string, readonly string[]>> = {}) {
  const spec = serverSpec({ secrets, ...change });
  const lock = lockOf(spec);
  const [some] = lock.packages;
  const packages = Object.entries(depends).map(([name, all]) => ({ ...some!, name, depends: [...all] }));
  return restoreSteps(spec, { ...lock, packages } as Lock);
}
const tools = {
  ...{
    restic: ["libc6", "debconf"],
    "openssh-client": ["libc6", "passwd"],
    bash: ["libtinfo6"],
    coreutils: [],
  },
  ...{
    sed: [],
    libc6: ["libgcc-s1"],
    "libgcc-s1": [],
    libtinfo6: [],
    debconf: ["perl-base"],
    passwd: [],
    nginx: [],
  },
};

describe("restoreSteps", () => {
  it("try the backup first, with what its program depends on and nothing else, and restore after the build", () => {
    const made = steps({ data }, tools);
    expect(made.prepare).toMatchObject([
      {
        kind: "ask-backup",
        secrets: ["login", "repository"],
        server: { host: "backup.example.org", port: 22 },
      },
    ]);
    const { packages } = made.prepare[0] as unknown as { packages: readonly { name: string }[] };
    expect(packages.map(({ name }) => name).sort()).toEqual([
      ...["bash", "coreutils", "libc6", "libgcc-s1", "libtinfo6", "openssh-client", "restic", "sed"],
    ]);
    // On /srv is what is kept.
    expect(made.steps).toMatchObject([{ kind: "restore-data", paths: ["/home"] }]);
  });

  it("reach the server alone where the lock does not say what depends on what", () => {
    const { restic: _, ...rest } = tools;
    expect(steps({ data }, rest).prepare).toMatchObject([{ packages: [], server: { port: 22 } }]);
  });

  it("cannot try a repository on the machine's own disks before they are there", () => {
    const own = { ...data, backup: { type: "rsync", target: "/mnt/backup" } } as const;
    expect(steps({ data: own }, tools).prepare).toEqual([]);
  });

  it("are refused for a definition that says nothing of its data", () => {
    expect(() => steps({})).toThrow("the definition has no `data`, so there is nothing to restore");
  });
});
