import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { sealForAll } from "../../src/secrets/seal.ts";
import { openLab } from "../../src/testing/index.ts";
import { filesWith, hitsIn } from "../helpers/checks/secret-forms.ts";
import { imgbuild, project } from "../helpers/imgbuild.ts";
import { checksOf, withMedium } from "../helpers/labs/medium.ts";

const gib = 2 ** 30;
/** On ordinary hardware. */
const waits = { rebuild: 900, system: 180 } as const;

/** Of a machine with larger virtio disks; the second disk may be another one, as the definition itself says. */
const definition = `
import { commandSucceeds, dhcp, disk, esp, ext4, gpt, image, partition, readLines, root } from "imgbuild";

export default image({
  hostname: "moved",
  packages: {
    install: [
      "e2fsprogs", "initramfs-tools", "linux-image-cloud-amd64", "openssh-server", "sudo", "systemd-sysv", "udev", "zstd",
    ],
  },
  storage: {
    disks: {
      system: disk({ match: { serial: "VIRTIO-SYSTEM" }, imageSize: "8GiB", table: gpt(esp({ size: "320MiB" }), root()) }),
      data: disk({
        match: { serial: "VIRTIO-DATA" },
        alternatives: [{ serial: "NVME-DATA" }],
        imageSize: "2GiB",
        table: gpt(partition({ name: "data", type: "linux-srv", size: "rest", content: ext4({ mount: "/srv" }) })),
      }),
    },
  },
  boot: { firmware: ["uefi"] },
  network: { ethernet: dhcp("en*", { dns: ["192.0.2.53"] }) },
  users: { admin: { sudo: true, keys: readLines(${JSON.stringify(join(project, "secrets/demo-admin-key.pub"))}) } },
  secrets: { token: { file: "secrets/token.age", path: "/etc/token" } },
  health: [commandSucceeds(["findmnt", "--noheadings", "--mountpoint", "/srv"])],
});
`;

it("rescue-other-disks: rebuilds a server of virtio disks onto smaller NVMe disks of 4096-byte sectors, named at the console and by the definition, with secrets opened over SSH (F20, F26)", async () => {
  const dir = join(project, "out/moved");
  execFileSync("rm", ["-rf", dir]);
  mkdirSync(join(dir, "secrets"), { recursive: true });
  onTestFinished(() => void execFileSync("rm", ["-rf", dir]));
  const token = randomBytes(24).toString("hex");
  const recipients = join(project, "secrets/recipients");
  const keys = readFileSync(recipients, "utf8").match(/^age1.*$/gm)!;
  writeFileSync(join(dir, "secrets/token.age"), await sealForAll(keys, Buffer.from(`${token}\n`)));
  copyFileSync(recipients, join(dir, "secrets/recipients"));
  writeFileSync(join(dir, "IMGBUILD.ts"), definition);
  const path = relative(project, dir);
  const locked = await imgbuild(["lock", path], { env: process.env, timeoutMs: 600_000 });
  expect(locked.code, locked.stderr).toBe(0);

  const lab = await openLab();
  try {
    const nvme = (serial: string, sizeBytes: number) => {
      const image = join(lab.directory, `${serial}.raw`);
      writeFileSync(image, "");
      truncateSync(image, sizeBytes);
      const file = { file: image, format: "raw" as const };
      return { serial, file, bus: "nvme" as const, sectorSize: 4096 as const };
    };
    const disks = [nvme("NVME-SYSTEM", 3 * gib), nvme("NVME-DATA", gib / 2)];
    const { machine, choose, answer, name, see } = await withMedium(lab, path, {
      ...{ offline: true, withoutIdentity: true, firmware: "uefi", disks },
    });
    await machine.start();
    expect(await choose("5")).toMatch(/STOP {2}disks: no disk of the machine matches disk\s+system/);
    await answer(/Which disk is which .*\? /, "system=serial:NVME-SYSTEM");
    const shown = await choose("1");
    expect(shown).toMatch(/WIPE +system: .*serial NVME-SYSTEM, 3\.0 GiB/);
    expect(shown).toMatch(/WIPE +data: .*serial NVME-DATA, 512 MiB/);
    // Nothing on the medium opens its secrets: whoever has the identity sends it to the key that the console shows.
    const [, baseKey = ""] = await see(/imgbuild secrets send root@\S+ --base-key\s+(SHA256:\S{43})/);
    const key = join(dir, "key");
    writeFileSync(key, readFileSync("secrets/demo-admin-key"), { mode: 0o600 });
    const sent = await imgbuild(
      [
        ...["secrets", "send", `root@127.0.0.1:${await machine.forward(22)}`, "--base-key", baseKey],
        ...["--ssh-key", key, "--ssh-config", "/dev/null", "-i", "secrets/demo-identity.txt"],
      ],
      { env: process.env, timeoutMs: 300_000 },
    );
    expect(sent.code, sent.stderr).toBe(0);
    // In the order of the disks' names.
    await name("NVME-DATA");
    await name("NVME-SYSTEM");
    const [end] = await see(/FAILED: .*|moved is on its disks/, waits.rebuild);
    expect(end).toBe("moved is on its disks");
    await see(/press Enter; in \d+ s/);
    machine.type("\n");
    await machine.boot({ withinSeconds: waits.system });
    const { failed, passed } = await checksOf(machine, path);
    expect(failed).toEqual([]);
    expect(passed).toBeGreaterThan(5);
    expect(await machine.succeed("cat /etc/token")).toBe(token);
    expect(await machine.succeed("cat /sys/block/nvme*/queue/logical_block_size")).toBe("4096\n4096");
    expect(await machine.succeed("findmnt --noheadings --output SOURCE /")).toMatch(/^\/dev\/nvme/);
    // It takes what the smaller disk has, and no more.
    const bytes = Number(
      await machine.succeed(
        "lsblk --bytes --noheadings --nodeps --output SIZE $(findmnt --noheadings --output SOURCE /)",
      ),
    );
    expect(bytes).toBeGreaterThan(2.5 * gib);
    expect(machine.console.text).not.toContain("AGE-SECRET");
    // Without logind it does not hear the power button.
    await machine.succeed("sync");
    await machine.crash();
    // Of the medium, the disks and what the console said it is on the disk alone, at its path.
    const secrets = new Map([["token", token]]);
    expect(hitsIn(Buffer.from(machine.console.text), secrets)).toEqual([]);
    expect(filesWith(lab.directory, secrets)).toEqual([`${disks[0]!.file.file}: token, plain`]);
  } finally {
    await lab.close();
  }
});
