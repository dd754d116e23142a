import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { backupScript } from "../../src/operator/settings/backup-script.ts";
import { Spec, type SpecInput } from "../../src/schema/spec.ts";
import { askBackup } from "../../src/steps/data/ask-backup.ts";
import { run } from "../../src/system/run/run.ts";
import { makeDeb } from "../helpers/builders/deb.ts";
import { stepBench } from "../helpers/fakes/step-bench.ts";
import { startSshd } from "../helpers/labs/sshd.ts";
import { packageOfPrograms } from "../helpers/labs/tool-package.ts";
import { tempDir } from "../helpers/temp-dir.ts";

type Backup = NonNullable<SpecInput["data"]>["backup"];
const shell = ["bash", "mktemp", "mkdir", "rm", "cat", "sed", "wc", "date"];
const password = "a passphrase of the repository";

/** A server with SSH on this computer, and a definition's backup on it, tried as the base tries it. */
async function tried(
  programs: string,
  backup: (at: { port: number; directory: string; ssh: { key: string; knownHosts: string[] } }) => Backup,
  change: { readonly password?: string; readonly hostKey?: string; readonly key?: string } = {},
) {
  const home = tempDir();
  const { port, hostKey } = await startSshd(home);
  const directory = join(home, "backup");
  mkdirSync(directory);
  const ssh = { key: "login", knownHosts: [`[127.0.0.1]:${port} ${change.hostKey ?? hostKey}`] };
  const secret = (name: string) => ({ file: `${name}.age`, path: `/etc/keys/${name}` });
  const spec = Spec.parse({
    hostname: "web.example.org",
    secrets: { repository: secret("repository"), login: secret("login") },
    data: { paths: ["/srv/app"], backup: backup({ port, directory, ssh }) },
  });
  const key = change.key ?? readFileSync(join(home, ".ssh/id_ed25519"), "utf8");
  const secrets = { repository: `${change.password ?? password}\n`, login: key };
  const { context, said } = stepBench({
    secrets,
    context: { tool: run, packagePath: () => ({ outside: programs, inside: programs }) },
  });
  const { locked } = makeDeb("tools");
  return {
    directory,
    said,
    memory: join(context.machine.run, "imgbuild"),
    ask: async () =>
      await askBackup.run(
        {
          ...{ script: backupScript(spec, spec.data!), secrets: ["repository", "login"], packages: [locked] },
          server: { host: "127.0.0.1", port },
        },
        context,
      ),
  };
}

const restic: Parameters<typeof tried>[1] = ({ port, directory, ssh }) => ({
  type: "restic",
  repository: `sftp://root@127.0.0.1:${port}/${directory}`,
  password: "repository",
  ssh,
});
const borg: Parameters<typeof tried>[1] = ({ port, directory, ssh }) => ({
  type: "borg",
  repository: `ssh://root@127.0.0.1:${port}${directory}`,
  password: "repository",
  ssh,
});

function makeRepository(directory: string, backedUp: boolean): void {
  const env = { ...process.env, RESTIC_PASSWORD: password, RESTIC_REPOSITORY: directory };
  execFileSync("restic", ["init", "--no-cache"], { env, stdio: "pipe" });
  const words = ["--no-cache", "--host", "web.example.org", "--tag", "imgbuild", "/etc/hostname"];
  if (backedUp) execFileSync("restic", ["backup", ...words], { env, stdio: "pipe" });
}

describe("a backup, tried in memory before anything is written", () => {
  let programs: string;
  const made = mkdtempSync(join(tmpdir(), "imgbuild-test-"));
  beforeAll(() => {
    programs = packageOfPrograms(made, [...shell, "restic", "ssh"]);
  });
  afterAll(() => rmSync(made, { recursive: true, force: true }));

  it("is accepted where the secrets open it and it holds something, and leaves nothing in memory", async () => {
    const { ask, directory, said, memory } = await tried(programs, restic);
    makeRepository(directory, true);
    await ask();
    expect(said.join("\n")).toContain("web.example.org");
    expect(existsSync(join(memory, "ask-backup"))).toBe(false);
    expect(existsSync(join(memory, "credentials"))).toBe(false);
  });

  it("is refused with a wrong password", async () => {
    const { ask, directory, memory } = await tried(programs, restic, { password: "another one altogether" });
    makeRepository(directory, true);
    await expect(ask()).rejects.toMatchObject({
      message: expect.stringMatching(/cannot be restored from\n[\s\S]*wrong password/),
      hint: expect.stringContaining("nothing was written"),
    });
    expect(existsSync(join(memory, "credentials"))).toBe(false);
  });

  it("is refused where the repository has no backup of this machine, or is none", async () => {
    const empty = await tried(programs, restic);
    makeRepository(empty.directory, false);
    await expect(empty.ask()).rejects.toThrow("the repository holds no backup of web.example.org");
    const none = await tried(programs, restic);
    await expect(none.ask()).rejects.toThrow("cannot be restored from");
  });

  it("is refused where another server answers, or this one does not know the key", async () => {
    const other = readFileSync(join(someKeys(), "host_key.pub"), "utf8").split(" ").slice(0, 2).join(" ");
    const changed = await tried(programs, restic, { hostKey: other });
    makeRepository(changed.directory, true);
    await expect(changed.ask()).rejects.toThrow(/Host key verification failed/);
    const key = readFileSync(join(someKeys(), "host_key"), "utf8");
    const unknown = await tried(programs, restic, { key });
    makeRepository(unknown.directory, true);
    await expect(unknown.ask()).rejects.toThrow(/Permission denied/);
  });

  it("of borg proves at least the login, without borg at hand", async () => {
    const { ask, said } = await tried(programs, borg);
    await ask();
    expect(said.join("\n")).toContain("the passphrase of the repository is not tried");
    const key = readFileSync(join(someKeys(), "host_key"), "utf8");
    await expect((await tried(programs, borg, { key })).ask()).rejects.toThrow(
      "there is no login at 127.0.0.1",
    );
  });
});

/** Keys that no server knows. */
function someKeys(): string {
  const home = tempDir();
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(home, "host_key")]);
  return home;
}
