import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { identityKeeper } from "../../src/operator/secrets/keep-identity.ts";
import { RecoveryReport } from "../../src/schema/report.ts";
import { sealForAll } from "../../src/secrets/seal.ts";
import { hostKeyPrefix } from "../../src/steps/tree/write-secrets.ts";
import { Secret } from "../../src/util/secret.ts";
import { imgbuild, project } from "../helpers/imgbuild.ts";
import { startSshd } from "../helpers/labs/sshd.ts";

const env = process.env;
const identity = ["-i", "secrets/demo-identity.txt"];
const commandMs = 3_600_000;
const machineId = "0123456789abcdef0123456789abcdef";

/** A web server with files and a database, backed up by restic over SSH to this computer, which a machine reaches as 10.0.2.2. */
function definition(port: number, hostKey: string, repository: string): string {
  return `
import { biosBoot, dhcp, disk, esp, gpt, httpAnswers, image, readLines, root, unitIsActive } from "imgbuild";

export default image({
  hostname: "guestbook",
  packages: {
    install: [
      "apt", "dbus", "e2fsprogs", "initramfs-tools", "linux-image-cloud-amd64", "nginx", "openssh-client",
      "openssh-server", "postgresql", "restic", "sudo", "systemd-resolved", "systemd-sysv", "udev", "zstd",
    ],
  },
  storage: {
    disks: {
      system: disk({
        match: { serial: "GUESTBOOK-1" },
        imageSize: "3GiB",
        table: gpt(biosBoot(), esp({ size: "256MiB" }), root()),
      }),
    },
  },
  boot: { firmware: ["uefi", "bios"] },
  network: { ethernet: dhcp("en*"), legacy: dhcp("eth*") },
  users: { admin: { sudo: true, keys: readLines(${JSON.stringify(join(project, "secrets/demo-admin-key.pub"))}) } },
  secrets: {
    repository: { file: "secrets/repository.age", path: "/etc/keys/repository" },
    "backup-key": { file: "secrets/backup-key.age", path: "/etc/keys/backup" },
  },
  data: {
    paths: ["/srv/guestbook"],
    databases: [{ postgresql: "guestbook", before: ["nginx.service"] }],
    backup: {
      type: "restic",
      repository: "sftp://root@10.0.2.2:${port}/${repository}",
      password: "repository",
      ssh: { key: "backup-key", knownHosts: ["[10.0.2.2]:${port} ${hostKey}"] },
    },
    schedule: "04:30",
  },
  services: { "nginx.service": { state: "enabled" } },
  health: [unitIsActive("postgresql.service"), httpAnswers("http://localhost/")],
});
`;
}

/** Both look at the same: the files' checksums, and the rows with what counts them on. */
const look = `
const sql = (machine, text) =>
  machine.succeed(["runuser", "-u", "postgres", "--", "psql", "-AtXq", "--set=ON_ERROR_STOP=1", "guestbook", "-c", text]);
const state = async (machine) => ({
  files: await machine.succeed("cd /srv/guestbook && find . -printf '%y %m %u %g %p\\\\n' | sort && find . -type f -exec sha256sum {} + | sort"),
  rows: await sql(machine, "SELECT md5(string_agg(id || ' ' || text, ',' ORDER BY id)), count(*), pg_get_userbyid((SELECT relowner FROM pg_class WHERE relname = 'entry')) FROM entry"),
});
`;

const fill = (to: string) => `
import { writeFileSync } from "node:fs";
import { test } from "imgbuild/testing";
${look}
test("a machine with data backs it up", async ({ machine }) => {
  await machine.succeed("install -d -o www-data -g www-data -m 0750 /srv/guestbook/pictures");
  await machine.succeed("head -c 20000000 /dev/urandom > /srv/guestbook/pictures/large; echo hello > '/srv/guestbook/a file'");
  await machine.succeed("chown www-data:www-data /srv/guestbook/pictures/large");
  await machine.succeed(["runuser", "-u", "postgres", "--", "createuser", "writer"]);
  await machine.succeed(["runuser", "-u", "postgres", "--", "createdb", "--owner", "writer", "guestbook"]);
  await sql(machine, "SET ROLE writer; CREATE TABLE entry (id serial PRIMARY KEY, text text NOT NULL); INSERT INTO entry (text) SELECT 'entry ' || n FROM generate_series(1, 5000) n");
  await machine.succeed("systemctl start imgbuild-backup.service", { withinSeconds: 240 });
  await machine.succeed("imgbuild-backup list", { withinSeconds: 120 });
  await machine.succeed("imgbuild-backup check", { withinSeconds: 120 });
  const key = (await machine.succeed("cat /etc/ssh/ssh_host_ed25519_key")) + "\\n";
  writeFileSync(${JSON.stringify(to)}, JSON.stringify({ ...(await state(machine)), key }), { mode: 0o600 });
});
`;

const compare = (from: string) => `
import { readFileSync } from "node:fs";
import { test } from "imgbuild/testing";
${look}
test("the data is what it was, and so are host key and machine-id", async ({ machine }) => {
  const { key, ...before } = JSON.parse(readFileSync(${JSON.stringify(from)}, "utf8"));
  const now = await state(machine);
  for (const name of ["files", "rows"])
    if (now[name] !== before[name]) throw new Error(name + " were\\n" + before[name] + "\\nand are\\n" + now[name]);
  if ((await machine.succeed("cat /etc/ssh/ssh_host_ed25519_key")).trim() !== key.trim()) throw new Error("another host key");
  const id = (await machine.succeed("cat /etc/machine-id")).trim();
  if (id !== "${machineId}") throw new Error("the machine-id is " + id);
  // The next number of a sequence, and what a backup of the new machine would be.
  await sql(machine, "INSERT INTO entry (text) VALUES ('after')");
  if ((await sql(machine, "SELECT max(id) FROM entry")).trim() !== "5001") throw new Error("the sequence starts anew");
  await machine.succeed("systemctl start imgbuild-backup.service", { withinSeconds: 240 });
});
`;

describe("rescue-data", () => {
  it("rebuilds a server from an offline medium with files and database of its restic backup, and the keys of before (F50)", async () => {
    // Where "imgbuild" is found.
    const dir = join(project, "out/guestbook");
    execFileSync("rm", ["-rf", dir]);
    const home = join(dir, "server");
    mkdirSync(join(dir, "secrets"), { recursive: true });
    mkdirSync(home, { mode: 0o700 });
    onTestFinished(() => void execFileSync("rm", ["-rf", dir]));
    const { port, hostKey } = await startSshd(home);
    const recipients = join(project, "secrets/recipients");
    const keys = readFileSync(recipients, "utf8").match(/^age1.*$/gm)!;
    const seal = async (name: string, text: Uint8Array) =>
      writeFileSync(join(dir, "secrets", `${name}.age`), await sealForAll(keys, text));
    await seal("repository", Buffer.from("a passphrase of the repository\n"));
    await seal("backup-key", readFileSync(join(home, ".ssh/id_ed25519")));
    copyFileSync(recipients, join(dir, "secrets/recipients"));
    writeFileSync(join(dir, "IMGBUILD.ts"), definition(port, hostKey, join(home, "backup")));
    const run = async (args: readonly string[]) => {
      const { code, stdout, stderr } = await imgbuild(args, { env, timeoutMs: commandMs, show: true });
      expect(code, `${stdout}${stderr}`.slice(-4000)).toBe(0);
      return stdout;
    };
    const path = relative(project, dir);
    await run(["lock", path]);

    const was = join(dir, "was.json");
    writeFileSync(join(dir, "IMGBUILD.test.ts"), fill(was));
    await run(["test", path, "--firmware", "bios", "--with-secrets", ...identity]);
    const name = `${hostKeyPrefix}ssh_host_ed25519_key`;
    const key = Buffer.from(JSON.parse(readFileSync(was, "utf8")).key);
    const keep = await identityKeeper(join(dir, "secrets"));
    await keep({ hostname: "guestbook", machineId }, new Map([[name, new Secret(name, key)]]));

    writeFileSync(join(dir, "IMGBUILD.test.ts"), compare(was));
    const file = join(dir, "drill.json");
    const said = await run([
      "rescue",
      "--test",
      path,
      "--offline",
      "--firmware",
      "bios",
      ...identity,
      "--report",
      file,
    ]);
    expect(said).toMatch(/guestbook is back after .*; (\d+) of \1 checks passed/);
    const report = RecoveryReport.parse(JSON.parse(readFileSync(file, "utf8")));
    expect(report).toMatchObject({
      ...{ outcome: "done", hostKeys: "of before" },
      restored: {
        by: "restic",
        paths: [{ path: "/srv/guestbook", files: 2 }],
        databases: [{ name: "guestbook", loaded: true }],
      },
    });
    expect(report.seconds.phases.map(({ phase }) => phase)).toEqual([
      ...["medium", "rebuild", "restore", "finish", "system"],
    ]);
    expect(report.restored!.said.join("\n")).toMatch(/guestbook/);
    expect(readFileSync(join(dir, "drill.html"), "utf8")).toContain("Passed: guestbook was back after");
  });
});
