import { execFileSync, spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { hostPart } from "../../src/operator/escrow/host-part.ts";
import { localHost } from "../helpers/fakes/local-host.ts";
import { imgbuild, project } from "../helpers/imgbuild.ts";
import { environment, expectFail } from "../helpers/labs/cli-lab.ts";
import { startSshd } from "../helpers/labs/sshd.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const mib = 2 ** 20;
const passphrase = "not a secret";
const machineId = "0123456789abcdef0123456789abcdef";
const hostKey = "-----BEGIN OPENSSH PRIVATE KEY-----\nescrowed\n-----END OPENSSH PRIVATE KEY-----\n";

const quiet = (program: string, args: readonly string[], input?: string) =>
  execFileSync(program, args, { encoding: "utf8", ...(input === undefined ? {} : { input }) });

/** A file that is a LUKS volume, as a loop device. */
function luksLoop(dir: string, type: "luks1" | "luks2") {
  const file = join(dir, `${type}.img`);
  writeFileSync(file, "");
  truncateSync(file, 40 * mib);
  const options = [
    "--pbkdf",
    "pbkdf2",
    "--pbkdf-force-iterations",
    "1000",
    "--batch-mode",
    "--key-file",
    "-",
  ];
  quiet("cryptsetup", ["luksFormat", "--type", type, ...options, file], passphrase);
  const loop = quiet("losetup", ["--find", "--show", file]).trim();
  onTestFinished(() => void execFileSync("losetup", ["--detach", loop]));
  return { file, loop, uuid: quiet("cryptsetup", ["luksUUID", file]).trim() };
}

/** What runs a command as on a host with these loop devices, a disk `sdx` with a table, host keys and a machine-id. */
function hostOf(dir: string, loops: readonly string[]) {
  const table = join(dir, "sdx.img");
  writeFileSync(table, "");
  truncateSync(table, 64 * mib);
  quiet("sfdisk", ["--quiet", table], "label: gpt\nsize=8MiB, name=root\n");
  mkdirSync(join(dir, "block/sdx"), { recursive: true });
  writeFileSync(join(dir, "block/sdx/size"), "131072\n");
  // blkid passes over what the kernel does not show there.
  for (const name of loops.map((loop) => loop.slice("/dev/".length)))
    symlinkSync(`/sys/devices/virtual/block/${name}`, join(dir, "block", name));
  writeFileSync(join(dir, "machine-id"), `${machineId}\n`);
  writeFileSync(join(dir, "key"), hostKey);
  const nodes = loops.map((loop) => `mknod ${loop} b 7 ${loop.slice("/dev/loop".length)}`);
  const setUp = [
    "set -e",
    "mount -t tmpfs tmpfs /etc/ssh",
    `cp ${dir}/key /etc/ssh/ssh_host_ed25519_key`,
    `[ -e /etc/machine-id ] || { mount -t tmpfs tmpfs /etc; touch /etc/machine-id; }`,
    `mount --bind ${dir}/machine-id /etc/machine-id`,
    `mount -t tmpfs tmpfs /dev`,
    "mknod /dev/null c 1 3",
    ...nodes,
    `touch /dev/sdx; mount --bind ${table} /dev/sdx`,
    `mount --bind ${dir}/block /sys/block`,
    'exec "$@"',
  ].join("\n");
  return localHost({ wrap: (argv) => ["unshare", "--mount", "sh", "-c", setUp, "sh", ...argv] }).host;
}

describe("what an escrow reads of a host", () => {
  it.each(["luks1", "luks2"] as const)(
    "is a header of %s that opens the volume, and leaves it as it is",
    async (type) => {
      const dir = tempDir();
      const { file, loop, uuid } = luksLoop(dir, type);
      const before = quiet("sha256sum", [file]);
      const entries = await hostPart(hostOf(dir, [loop]), {
        root: true,
        signal: AbortSignal.timeout(60_000),
      });
      const found = new Map(entries.map(({ name, content }) => [name, Buffer.from(content)]));
      expect([...found.keys()]).toEqual([
        `host/luks/${uuid}.header`,
        "host/machine-id",
        "host/ssh/ssh_host_ed25519_key",
        "host/tables/sdx.sfdisk",
      ]);
      expect(found.get("host/machine-id")!.toString()).toBe(`${machineId}\n`);
      expect(found.get("host/ssh/ssh_host_ed25519_key")!.toString()).toBe(hostKey);
      expect(quiet("sha256sum", [file])).toBe(before);
      // The header is lost, and comes back.
      const header = join(dir, "header");
      writeFileSync(header, found.get(`host/luks/${uuid}.header`)!);
      quiet("dd", ["if=/dev/zero", `of=${file}`, "bs=1M", "count=1", "conv=notrunc", "status=none"]);
      const tries = () =>
        quiet("cryptsetup", ["open", "--test-passphrase", "--key-file", "-", file], passphrase);
      expect(tries).toThrow();
      quiet("cryptsetup", ["luksHeaderRestore", "--batch-mode", file, "--header-backup-file", header]);
      tries();
      // And so does the table.
      const blank = join(dir, "blank");
      writeFileSync(blank, "");
      truncateSync(blank, 64 * mib);
      quiet("sfdisk", ["--quiet", blank], found.get("host/tables/sdx.sfdisk")!.toString());
      const dump = (disk: string) => quiet("sfdisk", ["--dump", disk]).replaceAll(disk, "DISK");
      expect(dump(blank)).toBe(dump(join(dir, "sdx.img")));
    },
  );
});

describe("imgbuild escrow", () => {
  /** A repository with an encrypted server, and somebody who has its identity. */
  function repository() {
    const top = tempDir();
    for (const name of ["secrets", "imgbuild/layouts/common.ts", "imgbuild/layouts/luks-lvm"])
      cpSync(join(project, name), join(top, name), { recursive: true });
    const identity = join(tempDir(), "identity.txt");
    cpSync(join(top, "secrets/demo-identity.txt"), identity);
    const commit = ["-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "--quiet", "-m", "x"];
    for (const args of [["init", "--quiet"], ["add", "--all"], commit]) quiet("git", ["-C", top, ...args]);
    const other = join(tempDir(), "other.txt");
    quiet("age-keygen", ["-o", other]);
    return { top, identity, other, recipient: quiet("age-keygen", ["-y", other]).trim() };
  }
  const key = "keys/disk-key";

  it("keeps all that a rebuild needs, says what is missing, and can be tried and opened", async () => {
    const { top, identity, other, recipient } = repository();
    const home = tempDir();
    const state = tempDir();
    const sshd = await startSshd(home);
    const env = { ...environment, HOME: home, XDG_STATE_HOME: state };
    const ran = async (...args: string[]) => await imgbuild(args, { env, timeoutMs: 120_000, cwd: top });
    const def = "imgbuild/layouts/luks-lvm";
    const file = join(top, "..", `escrow-${process.pid}`);
    onTestFinished(() => rmSync(file, { force: true }));
    const host = ["--host", `root@127.0.0.1:${sshd.port}`, "--known-hosts", join(home, ".ssh/known_hosts")];
    const made = await ran("escrow", def, "-o", file, "-i", identity, "--to", recipient, ...host);
    expect(made.code, made.stderr).toBe(0);
    // The host is this machine, which has no LUKS volume of the name.
    expect(made.stdout).toMatch(/^missing: the LUKS header of crypt; give --host HOST$/m);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const plain = readFileSync(join(top, "secrets/demo-identity.txt"), "utf8").trim().split("\n").at(-1)!;
    expect(readFileSync(file).includes(plain)).toBe(false);
    expect(`${made.stdout}${made.stderr}`).not.toContain(plain);

    // age itself opens it.
    const archive = execFileSync("age", ["--decrypt", "-i", other, file], { maxBuffer: 64 * mib });
    const listed = execFileSync("tar", ["-tz"], { input: archive, encoding: "utf8" }).split("\n");
    expect(listed).toEqual(
      expect.arrayContaining([
        "escrow.json",
        `repository/${def}/IMGBUILD.ts`,
        `repository/${def}/imgbuild.lock.yaml`,
        "repository/secrets/layout-disk-key.age",
        "identity/identity.txt",
        key,
      ]),
    );

    const checked = await ran("escrow", "check", file, def, "-i", other);
    expectFail(checked, 1, /the escrow lacks the LUKS header of crypt/);
    expect(checked.stdout).toMatch(/^has keys\/disk-key$/m);
    expect(checked.stderr).toMatch(/was not tried here before/);
    expect(readdirSync(join(state, "imgbuild/escrows"))).toHaveLength(1);
    writeFileSync(join(top, "secrets/new.age"), "");
    const later = await ran("escrow", "check", file, def, "-i", other);
    expect(later.stderr).toMatch(/it was tried before: 20/);
    expect(later.stdout).toMatch(/^missing: files as they are now: secrets\/new\.age$/m);
    expectFail(await ran("escrow", "check", file, "-i", identity), 1, /no given identity opens/);

    const out = join(home, "found");
    const opened = await ran("escrow", "open", file, "-o", out, "-i", other);
    expect(opened.code, opened.stderr).toBe(0);
    expect(readFileSync(join(out, key))).toEqual(
      execFileSync("age", ["--decrypt", "-i", identity, join(top, "secrets/layout-disk-key.age")]),
    );
    expect([statSync(out).mode & 0o777, statSync(join(out, key)).mode & 0o777]).toEqual([0o700, 0o600]);
    expectFail(await ran("escrow", "open", file, "-o", out, "-i", other), 1, /cannot be made/);
    // What was taken out is the repository, with what was added since missing.
    const differs = spawnSync("diff", ["-rq", "--exclude=.git", top, join(out, "repository")], {
      encoding: "utf8",
    });
    expect(differs.stdout).toBe(`Only in ${join(top, "secrets")}: new.age\n`);
  });

  it("is refused where it could be opened by what is in it alone, or by nobody", async () => {
    const { top, identity } = repository();
    const env = { ...environment, HOME: tempDir() };
    const own = quiet("age-keygen", ["-y", identity]).trim();
    const file = join(env.HOME, "escrow");
    const make = async (...args: string[]) =>
      await imgbuild(["escrow", "imgbuild/layouts/luks-lvm", "-o", file, "-i", identity, ...args], {
        ...{ env, timeoutMs: 60_000, cwd: top },
      });
    expectFail(await make("--to", own), 1, /only the identity that is in the escrow would open it/);
    expectFail(await make(), 1, /nothing says who can open the escrow/);
    expectFail(await make("--to", "bob"), 1, /bob is no age recipient/);
    expect(existsSync(file)).toBe(false);
  });
});
