import { execFileSync } from "node:child_process";
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { createServer, connect as dial, type Socket } from "node:net";
import { join, relative } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { identityKeeper } from "../../src/operator/secrets/keep-identity.ts";
import { RecoveryReport } from "../../src/schema/report.ts";
import { sealForAll } from "../../src/secrets/seal.ts";
import { hostKeyPrefix } from "../../src/steps/tree/write-secrets.ts";
import { openLab } from "../../src/testing/index.ts";
import { Secret } from "../../src/util/secret.ts";
import { imgbuild, project } from "../helpers/imgbuild.ts";
import { compareGuestbook, machineIdOfBefore } from "../helpers/labs/guestbook-state.ts";
import { checksOf, withMedium } from "../helpers/labs/medium.ts";
import { startSshd } from "../helpers/labs/sshd.ts";

const env = process.env;
const identity = ["-i", "secrets/demo-identity.txt"];
const commandMs = 3_600_000;
const state = JSON.stringify(join(project, "test/helpers/labs/guestbook-state.ts"));
/** On ordinary hardware. */
const waits = { rebuild: 1_800, data: 600, system: 180 } as const;
/** Of 20 MB of data. */
const untilCutBytes = 8_000_000;

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

const fill = (to: string) => `
import { writeFileSync } from "node:fs";
import { test } from "imgbuild/testing";
import { fillGuestbook } from ${state};
test("a machine with data backs it up", async ({ machine }) => {
  writeFileSync(${JSON.stringify(to)}, JSON.stringify(await fillGuestbook(machine)), { mode: 0o600 });
});
`;

const compare = (from: string) => `
import { readFileSync } from "node:fs";
import { test } from "imgbuild/testing";
import { compareGuestbook } from ${state};
test("the data is what it was, and so are host key and machine-id", async ({ machine }) => {
  await compareGuestbook(machine, JSON.parse(readFileSync(${JSON.stringify(from)}, "utf8")));
});
`;

describe("rescue-data", () => {
  it("rebuilds a server from an offline medium with files and database of its restic backup, and the keys of before (F50)", async () => {
    const { dir, path, was } = await guestbookOfBefore(async (port) => port);
    writeFileSync(join(dir, "IMGBUILD.test.ts"), compare(was));
    const file = join(dir, "drill.json");
    const said = await succeed([
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

describe("rescue-cut", () => {
  it("rebuilds a server whose power was cut while its data was restored, and starts nothing that is half restored (F50)", async () => {
    const line = await slowLine();
    const { path, was } = await guestbookOfBefore(line.to);
    const lab = await openLab();
    try {
      const image = join(lab.directory, "disk.raw");
      writeFileSync(image, "");
      truncateSync(image, 3 * 2 ** 30);
      const disk = { serial: "GUESTBOOK-1", file: { file: image, format: "raw" as const } };
      const how = { offline: true, mediumFirst: true, firmware: "bios", disks: [disk] } as const;
      const { machine, see, choose, confirm } = await withMedium(lab, path, how);
      await machine.start();
      expect(await choose("1")).toMatch(/now: {2}\[free +\]/);
      await confirm(disk.serial);
      const [begun] = await see(/FAILED: .*|restoring the data from its backup/, waits.rebuild);
      expect(begun).not.toContain("FAILED");
      await line.standsAfter(untilCutBytes, waits.data * machine.scale * 1000);
      expect(machine.console.text).not.toContain("restoring the data from its backup: done");
      await machine.crash();
      line.goOn();
      // There is nothing on it that starts.
      expect(bootCodeOf(image)).toEqual(Buffer.alloc(440));

      await machine.start();
      const again = await choose("1");
      expect(again).toMatch(/imgbuild rescue medium for guestbook/);
      expect(again).toMatch(/lost: \S+ .* ext4/);
      await confirm(disk.serial);
      const [end] = await see(/FAILED: .*|guestbook is on its disks/, waits.rebuild);
      expect(end).toBe("guestbook is on its disks");
      await see(/press Enter; in \d+ s/);
      await machine.stop();
      expect(bootCodeOf(image)).not.toEqual(Buffer.alloc(440));

      const rebuilt = await lab.machine({ name: "rebuilt", disks: [disk] });
      await rebuilt.boot({ withinSeconds: waits.system });
      expect((await checksOf(rebuilt, path)).failed).toEqual([]);
      await compareGuestbook(rebuilt, JSON.parse(readFileSync(was, "utf8")));
    } finally {
      await lab.close();
    }
  });
});

/** What BIOS would run of a disk. */
function bootCodeOf(image: string): Buffer {
  const code = Buffer.alloc(440);
  const file = openSync(image, "r");
  readSync(file, code, 0, code.length, 0);
  closeSync(file);
  return code;
}

/** A definition whose machine has been, and has backed up its data; `reached` gives the port by which a machine gets to the server at this one. */
async function guestbookOfBefore(
  reached: (port: number) => Promise<number>,
): Promise<{ readonly dir: string; readonly path: string; readonly was: string }> {
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
  writeFileSync(join(dir, "IMGBUILD.ts"), definition(await reached(port), hostKey, join(home, "backup")));
  const path = relative(project, dir);
  await succeed(["lock", path]);

  const was = join(dir, "was.json");
  writeFileSync(join(dir, "IMGBUILD.test.ts"), fill(was));
  await succeed(["test", path, "--firmware", "bios", "--with-secrets", ...identity]);
  const name = `${hostKeyPrefix}ssh_host_ed25519_key`;
  const key = Buffer.from(JSON.parse(readFileSync(was, "utf8")).key);
  const keep = await identityKeeper(join(dir, "secrets"));
  await keep(
    { hostname: "guestbook", machineId: machineIdOfBefore },
    new Map([[name, new Secret(name, key)]]),
  );
  return { dir, path, was };
}

async function succeed(args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await imgbuild(args, { env, timeoutMs: commandMs, show: true });
  expect(code, `${stdout}${stderr}`.slice(-4000)).toBe(0);
  return stdout;
}

/** A line to a server on loopback, which can stand still in the middle of what comes from it. */
async function slowLine() {
  const open = new Set<Socket>();
  let target = 0;
  let left = Number.POSITIVE_INFINITY;
  let stood = () => {};
  const relay = createServer((near) => {
    const far = dial(target, "127.0.0.1");
    for (const socket of [near, far]) {
      open.add(socket);
      socket.on("error", () => {}).on("close", () => open.delete(socket));
    }
    near.pipe(far);
    far.on("data", (bytes: Buffer) => {
      left -= bytes.length;
      near.write(bytes);
      if (left > 0) return;
      far.pause();
      stood();
    });
    far.on("end", () => near.end());
    near.on("close", () => far.destroy());
  });
  await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
  const drop = () => {
    for (const socket of open) socket.destroy();
  };
  onTestFinished(() => {
    drop();
    relay.close();
  });
  return {
    to: async (port: number) => {
      target = port;
      return (relay.address() as { port: number }).port;
    },
    /** Lets so many bytes through from now on, and no more; resolves when they are through. */
    standsAfter: async (bytes: number, boundMs: number) => {
      left = bytes;
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error("less was asked for")), boundMs);
        stood = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    },
    goOn: () => {
      drop();
      left = Number.POSITIVE_INFINITY;
    },
  };
}
