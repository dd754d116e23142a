import { expect, it, onTestFinished } from "vitest";
import { silentLog } from "../../src/util/log.ts";
import { kept, startLab } from "../helpers/labs/lab.ts";

async function stockLab(firmware: "bios" | "uefi") {
  const lab = await startLab({ firmware, log: silentLog, env: process.env });
  onTestFinished(() => lab.close());
  return lab;
}

it("stock-host: a stock host comes up from its disk under BIOS, again after a reboot, and powers off", async () => {
  const { machine, host, stock, stockAdmin } = await stockLab("bios");
  const boot = await stock.waitForLogin();
  expect(await stock.succeed("cat /etc/os-release")).toMatch(
    /^ID=debian$[\s\S]*^VERSION_ID="12"$|^VERSION_ID="12"$[\s\S]*^ID=debian$/m,
  );
  expect(await stock.succeed("uname -r")).toBe(host.kernel);
  await stock.succeed("test ! -e /sys/firmware/efi");
  expect(await stockAdmin.succeed(["sudo", "-n", "id", "-u"])).toBe("0");

  expect(await stock.succeed("ip -4 -o address show enp0s3")).toMatch(/ 10\.0\.2\.15\/24 .*dynamic/);
  expect(await stock.succeed("cat /etc/resolv.conf")).toMatch(/^nameserver 10\.0\.2\.3$/m);
  // The sources were put in when the host was made, whichever they are here; the guest must be able to fetch from them.
  const printed = await stock.succeed("apt-get update --print-uris");
  const releases = [...printed.matchAll(/^'(\S+InRelease)'/gm)].map((match) => match[1]!);
  expect(releases).not.toEqual([]);
  for (const uri of releases.filter((one, index) => siteOf(one) !== siteOf(releases[index - 1])))
    await stock.succeed(["/usr/lib/apt/apt-helper", "download-file", uri, "/tmp/InRelease"]);

  expect(await stock.succeed("cat /sys/block/vda/serial")).toBe("IMGBUILD-SYSTEM");
  expect(await stock.succeed("cat /sys/block/vdb/serial")).toBe("IMGBUILD-DATA");
  expect(await stock.succeed("findmnt -no SOURCE,UUID /srv")).toBe(`/dev/vdb1 ${kept.uuid}`);
  expect(await stock.succeed("cat /srv/kept.txt")).toBe(kept.content.trimEnd());
  expect(await stock.succeed("systemctl --failed --no-legend")).toBe("");

  const pid = machine.pid;
  const mark = machine.console.mark();
  // The session may end with an answer, or be cut off by the network going down.
  await stockAdmin.execute(["sudo", "-n", "systemctl", "reboot"]);
  expect(await stock.waitForLogin({ notBoot: boot })).not.toBe(boot);
  expect(machine.pid).toBe(pid);
  await machine.waitForConsole(/Linux version [\s\S]*stock login:/, { after: mark });
  await machine.shutdown();
  expect(machine.isRunning).toBe(false);
});

it("stock-host: it comes up under UEFI, and says so on its serial console", async () => {
  const { machine, stock } = await stockLab("uefi");
  await stock.succeed("test -d /sys/firmware/efi");
  await stock.succeed("findmnt --types vfat /boot/efi");
  await machine.waitForConsole(/Linux version [\s\S]*stock login:/);
  await machine.shutdown();
});

function siteOf(uri: string | undefined): string | undefined {
  return uri && new URL(uri).origin;
}
