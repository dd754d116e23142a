import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  copyFileSync,
  mkdirSync,
  openSync,
  readFileSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join, relative } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { parseLock } from "../../src/debian/lock/lock.ts";
import { sealForAll } from "../../src/secrets/seal.ts";
import { fileDigest } from "../../src/system/files/file-digest.ts";
import { openLab } from "../../src/testing/index.ts";
import { imgbuild, project } from "../helpers/imgbuild.ts";
import { withMedium } from "../helpers/labs/medium.ts";
import { deadUrl, web } from "../helpers/labs/web.ts";

const mib = 2 ** 20;
/** A table that was cloned from disk to disk. */
const tableUuid = "6c6f6e65-6420-4469-736b-000000000001";
/** A base that is emulated reads a medium of 120 MiB. */
const checkSeconds = 240;

const definition = (mirror: string, backupPort: number) => `
import { biosBoot, dhcp, disk, gpt, image, readLines, root } from "imgbuild";

export default image({
  hostname: "refused",
  system: { mirror: ${JSON.stringify(mirror)} },
  packages: {
    install: [
      "ca-certificates", "e2fsprogs", "initramfs-tools", "linux-image-cloud-amd64", "openssh-client", "openssh-server", "restic", "sudo", "systemd-sysv",
      "udev", "zstd",
    ],
  },
  storage: { disks: { system: disk({ match: { tableUuid: "${tableUuid}" }, imageSize: "2GiB", table: gpt(biosBoot(), root({ size: "1536MiB" })) }) } },
  boot: { firmware: ["bios"] },
  network: { ethernet: dhcp("en*", { dns: ["192.0.2.53"] }) },
  users: { admin: { sudo: true, keys: readLines(${JSON.stringify(join(project, "secrets/demo-admin-key.pub"))}) } },
  secrets: { repository: { file: "secrets/repository.age", path: "/etc/keys/repository" } },
  data: {
    paths: ["/srv/notes"],
    backup: { type: "restic", repository: "rest:http://10.0.2.2:${backupPort}/", password: "repository" },
    schedule: "04:30",
  },
});
`;

it("rescue-refused: refuses what is wrong with passphrase, disks, packages and backup, and no disk changes", async () => {
  // Where "imgbuild" is found.
  const dir = join(project, "out/refused");
  execFileSync("rm", ["-rf", dir]);
  mkdirSync(join(dir, "secrets"), { recursive: true });
  onTestFinished(() => void execFileSync("rm", ["-rf", dir]));
  const backupPort = Number(new URL(await deadUrl()).port);
  const recipients = join(project, "secrets/recipients");
  const keys = readFileSync(recipients, "utf8").match(/^age1.*$/gm)!;
  writeFileSync(
    join(dir, "secrets/repository.age"),
    await sealForAll(keys, Buffer.from("of the repository\n")),
  );
  copyFileSync(recipients, join(dir, "secrets/recipients"));

  // What the medium asks is a mirror that says of each package of the lock that it has it, but for those that it is to lack.
  const sizes = new Map<string, number>();
  let lacks: RegExp | undefined;
  const mirror = await web((request, response) => answerAsMirror(request, response, sizes, lacks));
  const file = join(dir, "IMGBUILD.ts");
  const seen = `${mirror.url.replace("127.0.0.1", "10.0.2.2")}/debian`;
  const whole = definition(seen, backupPort);
  writeFileSync(file, whole.replace(/^ {2}system: .*\n/m, ""));
  const locked = await imgbuild(["lock", relative(project, dir)], { env: process.env, timeoutMs: 600_000 });
  expect(locked.code, locked.stderr).toBe(0);
  writeFileSync(file, whole);
  const lock = parseLock(readFileSync(join(dir, "imgbuild.lock.yaml"), "utf8"));
  for (const { path, size } of lock.packages) sizes.set(path, size);

  const lab = await openLab();
  try {
    const disks = [
      { serial: "CLONE-A", sizeBytes: 2048 * mib },
      { serial: "CLONE-B", sizeBytes: 2048 * mib },
      { serial: "SMALL", sizeBytes: 256 * mib },
    ].map(({ serial, sizeBytes }) => {
      const image = join(lab.directory, `${serial}.raw`);
      writeFileSync(image, "");
      truncateSync(image, sizeBytes);
      if (serial !== "SMALL")
        execFileSync("sfdisk", ["--quiet", image], { input: `label: gpt\nlabel-id: ${tableUuid}\n,64MiB\n` });
      const at = openSync(image, "r+");
      for (const share of [0.25, 0.5, 0.75])
        writeSync(at, randomBytes(4096), 0, 4096, Math.floor(sizeBytes * share));
      return { serial, file: { file: image, format: "raw" as const } };
    });
    const digests = async () => await Promise.all(disks.map((disk) => fileDigest(disk.file.file)));
    const before = await digests();
    const unchanged = async (after: string) => expect(await digests(), after).toEqual(before);

    // Its firmware stands still at a disk with a table and no boot code.
    const how = { disks, shell: false, mediumFirst: true };
    const medium = await withMedium(lab, relative(project, dir), how);
    const { machine, see, answer, choose, confirm } = medium;
    await machine.start();

    const two = await choose("5");
    expect(two).toMatch(/STOP {2}disks: 2 disks match disk system[\s\S]*CLONE-A[\s\S]*CLONE-B/);
    expect(two).not.toContain("rebuild this machine");
    await unchanged("two candidates");

    await answer(/Which disk is which .*\? /, "system=serial:SMALL");
    const small = await choose("5");
    expect(small).toMatch(
      /STOP {2}disks: disk system of 256 MiB is too small[\s\S]*needs\s+1538\s+MiB[\s\S]*use\s+25\d/,
    );
    expect(small).not.toContain("rebuild this machine");
    await unchanged("a disk that is too small");

    await answer(/Which disk is which .*\? /, "system=serial:CLONE-A");
    expect(await choose("1")).toMatch(
      /WIPE +system: .*serial CLONE-A[\s\S]*rebuild this machine, and restore/,
    );
    for (const left of [/2 more tries/, /1 more try/, /FAILED: the passphrase does not open the identity/]) {
      await answer(/Passphrase of the medium .*: /, "wrong");
      await see(left);
    }
    await unchanged("three wrong passphrases");

    await choose("1");
    await answer(/Passphrase of the medium .*: /, "wrong");
    await answer(/Passphrase of the medium .*: /, medium.passphrase);
    await answer(/Type the serial .*CLONE-A\): /, "CLONE-B");
    await see(/FAILED: "CLONE-B" is not CLONE-A; nothing was written/);

    lacks = /\/sudo_/;
    await choose("1");
    await confirm("CLONE-A");
    await see(
      /FAILED: no mirror has\s+pool\/main\/s\/sudo\/sudo_\S+\s+\(the\s+server\s+answered\s+404/,
      checkSeconds,
    );
    await unchanged("a package that is nowhere");

    lacks = undefined;
    await choose("1");
    await confirm("CLONE-A");
    await see(
      new RegExp(
        `FAILED: trying the backup: the\\s+server of the backup, 10.0.2.2, does not\\s+answer\\s+at\\s+port\\s+${backupPort}`,
      ),
      checkSeconds,
    );
    expect(await choose("4")).toContain("rebuild this machine");
    await machine.crash();
    await unchanged("a backup that does not answer");
  } finally {
    await lab.close();
  }
});

function answerAsMirror(
  { url = "" }: IncomingMessage,
  response: ServerResponse,
  sizes: ReadonlyMap<string, number>,
  lacks: RegExp | undefined,
): void {
  const path = decodeURIComponent(url.replace(/^\/debian(-security)?\//, ""));
  const size = sizes.get(path);
  if (size === undefined || lacks?.test(path)) {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(206, { "content-range": `bytes 0-7/${size}`, "content-length": 8 }).end("!<arch>\n");
}
