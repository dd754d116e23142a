import { expect, it } from "vitest";
import { guestReboot, guestRun, waitForSsh } from "../helpers/guest.ts";
import { bootTimeoutMs, dataDisk, startStockMachine } from "../helpers/stock-machine.ts";

/** What a stock server lacks and a takeover must bring along or do without. */
const missing = ["kexec", "node", "rsync", "cpio"];

it("a stock host comes up from its disk under BIOS, again after a reboot, and powers off", async () => {
  const stock = await startStockMachine("bios");
  const { machine, root, admin } = stock;
  const timeoutMs = bootTimeoutMs * machine.scale;
  const text = async (...argv: string[]) => (await guestRun(machine, root, argv)).stdout.trim();
  const seconds = stopwatch();

  const boot = await waitForSsh(machine, { ...root, timeoutMs });
  report(`BIOS to ssh ${seconds()} s`);

  expect(await text("cat", "/etc/os-release")).toMatch(
    /^ID=debian$[\s\S]*^VERSION_ID="12"$|^VERSION_ID="12"$[\s\S]*^ID=debian$/m,
  );
  expect(await text("uname", "-r")).toBe(stock.host.kernel);
  expect(await text("test", "!", "-e", "/sys/firmware/efi")).toBe("");
  expect(await text("sh", "-c", `for name in ${missing.join(" ")}; do command -v $name; done; true`)).toBe(
    "",
  );
  expect((await guestRun(machine, admin, ["sudo", "-n", "id", "-u"])).stdout).toBe("0\n");

  expect(await text("ip", "-4", "-o", "address", "show", "enp0s3")).toMatch(/ 10\.0\.2\.15\/24 .*dynamic/);
  expect(await text("cat", "/etc/resolv.conf")).toMatch(/^nameserver 10\.0\.2\.3$/m);
  // The sources were put in when the host was made, whichever they are here; the guest must be able to fetch from them.
  const printed = await text("apt-get", "update", "--print-uris");
  const releases = [...printed.matchAll(/^'(\S+InRelease)'/gm)].map((match) => match[1]!);
  expect(releases).not.toEqual([]);
  for (const uri of releases.filter((one, index) => siteOf(one) !== siteOf(releases[index - 1])))
    await text("/usr/lib/apt/apt-helper", "download-file", uri, "/tmp/InRelease");

  expect(await text("cat", "/sys/block/vda/serial")).toBe("IMGBUILD-SYSTEM");
  expect(await text("cat", "/sys/block/vdb/serial")).toBe("IMGBUILD-DATA");
  expect(await text("findmnt", "-no", "SOURCE,UUID", "/srv")).toBe(`/dev/vdb1 ${dataDisk.uuid}`);
  expect(await text("cat", "/srv/kept.txt")).toBe(dataDisk.files["kept.txt"].trim());
  expect(await text("systemctl", "--failed", "--no-legend")).toBe("");
  report(`services: ${(await text("systemd-analyze")).replaceAll("\n", " ")}`);
  report(await text("sh", "-c", "systemd-analyze blame | head -15"));

  const pid = machine.pid;
  const mark = machine.console.mark();
  const again = stopwatch();
  await guestReboot(machine, admin, true);
  expect(await waitForSsh(machine, { ...root, timeoutMs, notBoot: boot })).not.toBe(boot);
  report(`reboot to ssh ${again()} s`);
  expect(machine.isRunning).toBe(true);
  expect(machine.pid).toBe(pid);
  await machine.console.waitFor(/Linux version [\s\S]*stock login:/, timeoutMs, mark);

  await machine.powerDown(timeoutMs);
  expect(machine.isRunning).toBe(false);
});

it("a stock host comes up under UEFI, and says so on its serial console", async () => {
  const { machine, root } = await startStockMachine("uefi");
  const timeoutMs = bootTimeoutMs * machine.scale;
  const seconds = stopwatch();
  await waitForSsh(machine, { ...root, timeoutMs });
  report(`UEFI to ssh ${seconds()} s`);
  await guestRun(machine, root, ["test", "-d", "/sys/firmware/efi"]);
  await guestRun(machine, root, ["findmnt", "--types", "vfat", "/boot/efi"]);
  await machine.console.waitFor(/Linux version [\s\S]*stock login:/, timeoutMs);
  await machine.powerDown(timeoutMs);
});

function siteOf(uri: string | undefined): string | undefined {
  return uri && new URL(uri).origin;
}

function stopwatch(): () => number {
  const start = Date.now();
  return () => Math.round((Date.now() - start) / 1000);
}

function report(line: string): void {
  process.stderr.write(`stock host: ${line}\n`);
}
