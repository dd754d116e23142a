import { mkdtempSync, rmSync } from "node:fs";
import { cp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, expect, it } from "vitest";
import { standIns } from "../../src/operator/secrets/test-secrets.ts";
import { openLab, type TestLab } from "../../src/testing/index.ts";
import { connect } from "../../src/transport/host.ts";
import { publicKeyOf } from "../../src/transport/keys.ts";
import { fingerprintOf } from "../../src/transport/known-hosts.ts";
import { expectSuccess, imgbuild } from "../helpers/imgbuild.ts";
import { adminLogin } from "../helpers/labs/admin-login.ts";

const state = mkdtempSync(join(tmpdir(), "imgbuild-state-"));
const env = { ...process.env, XDG_STATE_HOME: state };
const minute = 60_000;
const layout = "imgbuild/layouts/both-firmwares";

let lab: TestLab | undefined;
afterEach(async () => await lab?.close());
afterAll(() => rmSync(state, { recursive: true, force: true }));

it.each(["bios", "uefi"] as const)(
  "rescue-boot %s: a running system starts the base on its disk once, somebody logs in and looks at the root, and the next start is the system's",
  async (firmware) => {
    lab = await openLab();
    const machine = await lab.machine({ definition: await withRescue(), firmware });
    await machine.start();
    await machine.boot({ withinSeconds: 600 });
    const uuid = (await machine.succeed("findmnt --noheadings --output UUID /")).trim();
    const before = (await machine.succeed("cat /proc/sys/kernel/random/boot_id")).trim();
    const { port, key, known } = await adminLogin(machine, lab.directory);
    const hostKey = fingerprintOf(publicKeyOf(standIns(machine.spec).get("rescue-key")!.expose())!);
    const command = [
      ...["rescue-boot", `admin@127.0.0.1:${port}`, "--ssh-key", key, "--known-hosts", known],
      ...["--host-key", hostKey, "--wait", "1200"],
    ];
    const other = await imgbuild([...command, "--yes", "another"], { env, timeoutMs: 5 * minute });
    expect(other).toMatchObject({ code: 3, stderr: expect.stringContaining("nothing was changed") });
    const ran = await imgbuild([...command, "--yes", "both-firmwares"], { env, timeoutMs: 30 * minute });
    expectSuccess(ran);
    expect(ran.stdout).toContain(`log in:  ssh -o HostKeyAlias=127.0.0.1-rescue -p ${port} root@127.0.0.1`);
    const rescue = await connect(`root@127.0.0.1:${port}`, {
      ...{ home: lab.directory, pins: [hostKey], keyFiles: [key], timeoutMs: minute },
    });
    const look = async (text: string) =>
      (await rescue.exec(["bash", "--login", "-c", text], { timeoutMs: 2 * minute })).stdout.trim();
    expect(await look("hostname")).toBe("both-firmwares-rescue");
    expect(await look("cat /proc/cmdline")).not.toMatch(/imgbuild\.deadman|imgbuild\.deploy/);
    expect(await look("pidof watchdog; ls /run/imgbuild")).not.toMatch(/deadman|payload/);
    await look(`mount -o ro /dev/disk/by-uuid/${uuid} /mnt/target`);
    expect(await look("cat /mnt/target/etc/hostname")).toBe("both-firmwares");
    for (const tool of ["btrfs", "cryptsetup", "chroot", "mount"])
      expect(await look(`command -v ${tool}`)).not.toBe("");
    await look("umount /mnt/target");
    await rescue.exec(["reboot"], { timeoutMs: minute }).catch(() => {});
    rescue.close();
    await machine.boot({ withinSeconds: 900 });
    expect((await machine.succeed("cat /proc/sys/kernel/random/boot_id")).trim()).not.toBe(before);
    expect((await machine.succeed("hostname")).trim()).toBe("both-firmwares");
    // The wish is gone with that start.
    await machine.crash();
    await machine.start();
    await machine.boot({ withinSeconds: 600 });
    expect((await machine.succeed("test ! -e /run/imgbuild/rescue.json && hostname")).trim()).toBe(
      "both-firmwares",
    );
  },
  120 * minute,
);

/** The layout with a base that stays, for which its ESP is larger. Three directories down, as its paths have it. */
async function withRescue(): Promise<string> {
  const to = "out/rescue-boot/both-firmwares";
  await rm(to, { recursive: true, force: true });
  await cp(layout, to, { recursive: true });
  const file = join(to, "IMGBUILD.ts");
  const text = await readFile(file, "utf8");
  const changed = text
    .replace('"../common.ts"', '"../../../imgbuild/layouts/common.ts"')
    .replace('esp({ size: "192MiB" })', 'esp({ size: "320MiB" })')
    .replace(
      'boot: { firmware: ["uefi", "bios"] },',
      'boot: { firmware: ["uefi", "bios"], rescue: { hostKey: "rescue-key" } },\n' +
        '  secrets: { "rescue-key": { file: "../../../secrets/layout-unlock-key.age" } },',
    );
  if (!changed.includes("320MiB") || !changed.includes("rescue-key"))
    throw new Error("the layout says its ESP or firmware in another way");
  await writeFile(file, changed);
  return to;
}
