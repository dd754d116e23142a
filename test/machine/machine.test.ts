import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type DefinedMachine, openLab, type TestLab } from "../../src/testing/index.ts";
import { generateSshKey } from "../../src/transport/keys.ts";
import { fetchPage } from "../helpers/labs/page.ts";

/** One machine, booted once; every case finds it as it was then. Each method is seen to succeed and to fail. */
describe("a machine of imgbuild/web", () => {
  let lab: TestLab;
  let machine: DefinedMachine;
  let files: string;

  beforeAll(async () => {
    files = await mkdtemp(join(tmpdir(), "imgbuild-machine-"));
    lab = await openLab();
    machine = await lab.machine({
      definition: "imgbuild/web",
      nics: [{ network: "internet" }, { network: lab.network("lan") }],
      // Nobody gives addresses there, and the system would wait for one.
      credentials: {
        "network.network.01-lan": "[Match]\nName=enp1s0\n\n[Network]\nAddress=192.0.2.1/24\n",
      },
      moreDisks: [{ sizeBytes: 64 * 2 ** 20, serial: "SPARE" }],
    });
    await expect(machine.succeed("true")).rejects.toThrow("web is switched off");
    await expect(machine.crash()).rejects.toThrow("web is switched off");
    await expect(machine.reset()).rejects.toThrow("web is switched off");
    await machine.boot();
    await machine.snapshot("booted");
  });
  afterAll(async () => {
    await lab?.close();
    expect(machine.isRunning).toBe(false);
    await rm(files, { recursive: true, force: true });
  });
  beforeEach(() => machine.restore("booted"));

  it("runs commands, as lines of bash and as words that nobody reads as code", async () => {
    expect(await machine.succeed("echo one | tr a-z A-Z; id -u")).toBe("ONE\n0");
    expect(await machine.succeed(["printf", "%s\n", "a'b $HOME", "\\n`x`"])).toBe("a'b $HOME\n\\n`x`");
    expect(await machine.execute("cat; echo no >&2; exit 3", { stdin: "in\0put\n" })).toEqual({
      code: 3,
      stdout: "in\0put\n",
      stderr: "no\n",
    });
    await expect(machine.succeed("echo why >&2; exit 4")).rejects.toThrow(/^web: .* exited 4\nwhy$/);
    expect((await machine.fail("exit 5")).code).toBe(5);
    expect((await machine.fail("timeout 1 sleep 60")).code).toBe(124);
    await expect(machine.fail("true")).rejects.toThrow("web: true succeeded, and was to fail");
    await expect(machine.execute("sleep 600", { withinSeconds: 1 })).rejects.toThrow(
      /sleep 600 did not end within/,
    );
    expect(await machine.succeed("echo the shell is whole")).toBe("the shell is whole");
  });

  it("waits for units, ports, files and commands, and says why it waited in vain", async () => {
    const soon = { withinSeconds: 0.2 };
    await machine.waitForUnit("nginx.service");
    await expect(machine.waitForUnit("rescue.service", soon)).rejects.toThrow(
      /waited .* for unit rescue\.service.*\ninactive/,
    );
    await machine.execute(
      "systemd-run --unit=broken --property=Type=oneshot sh -c 'echo that is why; false'",
    );
    await expect(machine.waitForUnit("broken.service")).rejects.toThrow(
      /unit broken\.service has failed\n[\s\S]*that is why/,
    );
    await machine.waitForPort(80);
    await expect(machine.waitForPort(81, soon)).rejects.toThrow(/for port 81; .*refused/is);
    await machine.succeed("systemd-run --on-active=1 --timer-property=AccuracySec=100ms touch /run/late");
    await machine.waitForFile("/run/late");
    await expect(machine.waitForFile("/run/never", soon)).rejects.toThrow("for file /run/never");
    await machine.succeed(
      "rm /run/late; systemd-run --on-active=1 --timer-property=AccuracySec=100ms touch /run/late",
    );
    expect(await machine.waitUntilSucceeds("test -e /run/late && echo there")).toBe("there");
    await expect(machine.waitUntilSucceeds("echo not yet; exit 7", soon)).rejects.toThrow(
      /last exit code 7\nnot yet\nfailed units: broken/,
    );
    await machine.succeed("systemd-run --on-active=1 --timer-property=AccuracySec=100ms rm /run/late");
    await machine.waitUntilFails("test -e /run/late");
    await expect(machine.waitUntilFails("true", soon)).rejects.toThrow("for true to fail");
  });

  it("reads the journal", async () => {
    await machine.succeed("echo a word for the journal | systemd-cat --identifier=tester");
    expect(await machine.journal({ lines: 50 })).toContain("a word for the journal");
    expect(await machine.journal({ unit: "nginx.service" })).toContain("Started nginx.service");
    await machine.succeed("mv /usr/bin/journalctl /usr/bin/gone");
    await expect(machine.journal()).rejects.toThrow("journalctl");
  });

  it("copies files and directories, with their modes, whatever they hold", async () => {
    const bytes = Buffer.from(Array.from({ length: 100_000 }, (_, index) => (index * 7) % 256));
    await writeFile(join(files, "program"), bytes, { mode: 0o755 });
    await machine.copyTo(join(files, "program"), "/root/new/program");
    expect(await machine.succeed("stat -c '%a %s %U' /root/new/program")).toBe(`755 ${bytes.length} root`);
    await machine.copyTo(files, "/root/whole");
    await machine.copyFrom("/root/whole/program", join(files, "back"));
    expect((await readFile(join(files, "back"))).equals(bytes)).toBe(true);
    await machine.copyFrom("/etc/nginx", join(files, "nginx"));
    expect(await readFile(join(files, "nginx/mime.types"), "utf8")).toContain("text/html");
    await expect(machine.copyTo(join(files, "absent"), "/root/x")).rejects.toThrow(/absent is not there/);
    await expect(machine.copyTo(join(files, "program"), "/proc/x/y")).rejects.toThrow(
      /copying .* to \/proc\/x\/y: /,
    );
    await expect(machine.copyFrom("/absent", join(files, "x"))).rejects.toThrow(
      /copying \/absent from web: .*No such file/,
    );
  });

  it("lets a person log in at the serial console", async () => {
    await machine.succeed("chpasswd", { stdin: "root:open sesame\n" });
    await machine.waitForConsole(/web login: /);
    const login = async (password: string, answer: RegExp) => {
      const after = machine.console.mark();
      machine.type("root\n");
      await machine.waitForConsole(/Password: /, { after });
      machine.type(`${password}\n`);
      await machine.waitForConsole(answer, { after });
    };
    await login("wrong", /Login incorrect\s+web login: /);
    await login("open sesame", /root@web:~# /);
    const after = machine.console.mark();
    machine.type("echo $((6*7)) from $(tty)\n");
    await machine.waitForConsole(/^42 from \/dev\/ttyS0/m, { after });
    await expect(machine.waitForConsole(/no such words/, { withinSeconds: 0.1 })).rejects.toThrow(
      /did not show \/no such words\/ within 1 s; the console's end:\n[\s\S]*root@web/,
    );
  });

  it("types on the keyboard, and shows the screen", async () => {
    await machine.waitUntilSucceeds("grep -q login: /dev/vcs1");
    await machine.sendKeys("No-Body_7\n");
    await machine.waitUntilSucceeds("grep -q 'login: No-Body_7' /dev/vcs1");
    await machine.sendKeys(["ctrl-alt-f2"]);
    await machine.waitUntilSucceeds("test $(cat /sys/class/tty/tty0/active) = tty2");
    await expect(machine.sendKeys("ü")).rejects.toThrow('no key gives "ü"');
    await expect(machine.sendKeys(["no_such_key"])).rejects.toThrow(/no_such_key/);
    await machine.screenshot(join(files, "screen.png"));
    expect((await readFile(join(files, "screen.png"))).subarray(1, 4).toString()).toBe("PNG");
    await expect(machine.screenshot(join(files, "absent/screen.png"))).rejects.toThrow(/No such file/);
  });

  it("is reached by SSH, by nobody but who holds a key, and only as the host it is", async () => {
    const key = generateSshKey("tester");
    await writeFile(join(files, "key"), key.private, { mode: 0o600 });
    await machine.succeed("cat >>/home/admin/.ssh/authorized_keys", { stdin: `\n${key.public}\n` });
    const login = { user: "admin", key: join(files, "key"), pins: [machine.hostKey] };
    const admin = machine.ssh(login);
    expect(await admin.waitForLogin({ withinSeconds: 6 })).toBe(
      await machine.succeed("cat /proc/sys/kernel/random/boot_id"),
    );
    expect(await admin.succeed("id -un; echo $SSH_CONNECTION | cut -d' ' -f4")).toBe("admin\n22");
    await admin.copyTo(join(files, "key"), "/home/admin/copy");
    expect((await admin.fail("exit 9")).code).toBe(9);
    const other = generateSshKey("another");
    await expect(machine.ssh({ ...login, pins: [other.public] }).succeed("true")).rejects.toThrow(
      /host key/i,
    );
    await writeFile(join(files, "other"), other.private, { mode: 0o600 });
    const stranger = machine.ssh({ ...login, key: join(files, "other") });
    await expect(stranger.succeed("true")).rejects.toThrow(/Permission denied/);
    await expect(stranger.waitForLogin({ withinSeconds: 1 })).rejects.toThrow(
      /no login within 10 s; last: .*denied/s,
    );
  });

  it("forwards its ports to this computer", async () => {
    const port = await machine.forward(80);
    expect(await machine.forward(80)).toBe(port);
    expect((await fetchPage(port)).status).toBe(401);
    await machine.restore("booted");
    expect((await fetchPage(port)).status).toBe(401);
    const alone = await lab.machine({
      name: "alone",
      disks: [{ sizeBytes: 2 ** 20, serial: "A" }],
      nics: [],
    });
    await expect(alone.forward(80)).rejects.toThrow("alone has no card on the internet");
    await lab.drop(alone);
  });

  it("has its cables pulled", async () => {
    const carrier = (nic: string) =>
      machine.execute(`ip link set ${nic} up; sleep 0.5; cat /sys/class/net/${nic}/carrier`);
    const lan = await machine.succeed("ls /sys/class/net | grep -v -e lo -e enp0s3");
    await machine.block();
    await machine.waitUntilSucceeds("test $(cat /sys/class/net/enp0s3/carrier) = 0");
    expect((await carrier(lan)).stdout).toBe("1\n");
    await machine.unblock();
    await machine.waitUntilSucceeds("test $(cat /sys/class/net/enp0s3/carrier) = 1");
    await machine.block(1);
    expect((await carrier(lan)).stdout).toBe("0\n");
    await expect(machine.block(2)).rejects.toThrow("web has no network card 2; it has 2, counted from 0");
    await expect(machine.unblock(2)).rejects.toThrow("web has no network card 2");
  });

  it("stands still while its cable is out in the midst of a transfer, and goes on when it is in again", async () => {
    let received = 0;
    const server = createServer((socket) => {
      socket.on("data", (bytes) => {
        received += bytes.length;
      });
      // The machine goes back to its snapshot with the connection open.
      socket.on("error", () => {});
    }).listen(0, "127.0.0.1");
    try {
      await once(server, "listening");
      const { port } = server.address() as AddressInfo;
      await machine.succeed(`systemd-run --unit=load bash -c 'cat /dev/zero >/dev/tcp/10.0.2.2/${port}'`);
      const grows = async () => {
        const before = received;
        await expect.poll(() => received, { timeout: 120_000 }).toBeGreaterThan(before + 2 ** 20);
      };
      await grows();
      await machine.block();
      // What was on its way arrives.
      await delay(2_000);
      const stopped = received;
      await delay(3_000);
      expect(received).toBe(stopped);
      expect(await machine.succeed("systemctl is-active load")).toBe("active");
      await machine.unblock();
      await grows();
    } finally {
      server.close();
    }
  });

  it("loses a card and a disk, and gets them back", async () => {
    const cards = "ls /sys/class/net | wc -l";
    expect(await machine.succeed(cards)).toBe("3");
    await machine.unplug({ nic: 1 });
    expect(await machine.succeed(cards)).toBe("2");
    await machine.plug({ nic: 1 });
    await machine.waitUntilSucceeds(`test $(${cards}) = 3`);
    await expect(machine.unplug({ nic: 0 })).rejects.toThrow("first network card cannot be taken out");
    await expect(machine.plug({ nic: 1 })).rejects.toThrow(/Duplicate|already|in use/i);

    // Under load: whoever writes is told, and the machine goes on.
    await machine.succeed(
      "systemd-run --unit=load sh -c 'while dd if=/dev/zero of=/srv/load bs=1M count=8 oflag=direct; do :; done; false'",
    );
    await machine.waitForFile("/srv/load");
    await machine.unplug({ disk: "IMGBUILD-DATA" });
    await machine.waitUntilSucceeds("systemctl is-failed load");
    await machine.succeed("test ! -e /dev/disk/by-id/virtio-IMGBUILD-DATA");
    await machine.plug({ disk: "IMGBUILD-DATA" });
    await machine.waitForFile("/dev/disk/by-id/virtio-IMGBUILD-DATA");
    await expect(machine.unplug({ disk: "OTHER" })).rejects.toThrow(
      "0 disks with serial OTHER; its disks: IMGBUILD-SYSTEM, IMGBUILD-DATA, SPARE",
    );
    await machine.qmp("stop");
    await expect(machine.unplug({ disk: "SPARE" }, { withinSeconds: 0.2 })).rejects.toThrow(
      "web does not let go of disk",
    );
  });

  it("has disks that fail, and that are slow", async () => {
    const disk = "/dev/disk/by-id/virtio-SPARE";
    const read = () => machine.execute(`dd if=${disk} of=/dev/null bs=64k count=16 iflag=direct`);
    const write = () => machine.execute(`dd if=/dev/zero of=${disk} bs=64k count=1 oflag=direct`);
    expect((await read()).code).toBe(0);
    await machine.failDisk("SPARE", { on: "read" });
    expect((await read()).stderr).toContain("Input/output error");
    expect((await write()).code).toBe(0);
    await machine.failDisk("SPARE", { on: "write", error: "ENOSPC" });
    expect((await read()).code).toBe(0);
    expect((await write()).code).not.toBe(0);
    await machine.healDisk("SPARE");
    expect((await write()).code).toBe(0);
    await machine.slowDisk("SPARE", 512 * 1024);
    const slow = Date.now();
    expect((await read()).code).toBe(0);
    expect(Date.now() - slow).toBeGreaterThan(1_000);
    await machine.slowDisk("SPARE", 0);
    await expect(machine.failDisk("OTHER", { on: "read" })).rejects.toThrow("0 disks with serial OTHER");
    await expect(machine.healDisk("OTHER")).rejects.toThrow("0 disks with serial OTHER");
    await expect(machine.slowDisk("OTHER", 1)).rejects.toThrow("0 disks with serial OTHER");
  });

  it("gives memory back", async () => {
    const total = async () => Number(await machine.succeed("awk '/^MemTotal/ { print $2 }' /proc/meminfo"));
    const before = await total();
    await machine.setMemory(800);
    expect(before - (await total())).toBeGreaterThan(200 * 1024);
    await machine.setMemory(1024);
    expect(await total()).toBe(before);
    await expect(machine.setMemory(2048)).rejects.toThrow("was started with 1024 MiB and cannot get 2048");
    await expect(machine.setMemory(1.5)).rejects.toThrow("at least 64, whole, are accepted");
  });

  it("goes back to a snapshot, memory and disks", async () => {
    await machine.succeed("echo kept >/root/mark; sync; sleep 600 >/dev/null & echo $! >/run/pid");
    await machine.snapshot("marked");
    await machine.succeed("rm /root/mark; kill $(cat /run/pid)");
    await machine.restore("marked");
    expect(await machine.succeed("cat /root/mark; kill -0 $(cat /run/pid) && echo runs")).toBe("kept\nruns");
    await machine.restore("booted");
    await machine.fail("test -e /root/mark");
    await expect(machine.restore("never")).rejects.toThrow("web has no snapshot never");
    await writeFile(join(files, "raw"), Buffer.alloc(2 ** 20));
    const file = { file: join(files, "raw"), format: "raw" } as const;
    const rawDisk = await lab.machine({ name: "raw", disks: [{ file, serial: "RAW" }], memoryMib: 64 });
    await rawDisk.start();
    await expect(rawDisk.snapshot("one")).rejects.toThrow(/raw: savevm: .*does not support snapshots/is);
    await lab.drop(rawDisk);
  });

  it("asks QEMU itself", async () => {
    expect(await machine.qmp("query-status")).toMatchObject({ running: true });
    await expect(machine.qmp("no-such-command")).rejects.toThrow(/no-such-command/);
  });

  it("keeps what was flushed when its power is cut, and comes up again", async () => {
    const boot = await machine.succeed("cat /proc/sys/kernel/random/boot_id");
    const never = machine.cutPowerWhen(/words that never come/, { withinSeconds: 0.1 });
    await expect(never).rejects.toThrow("words that never come");
    const cut = machine.cutPowerWhen(/half way through/);
    await machine
      .succeed("echo flushed >/srv/flushed; sync; echo half way through >/dev/ttyS0 & sleep 0")
      .catch(() => {});
    await cut;
    expect(machine.isRunning).toBe(false);
    expect(await machine.boot()).not.toBe(boot);
    expect(await machine.succeed("cat /srv/flushed")).toBe("flushed");
  });

  it("restarts, is reset, and powers off", async () => {
    const { pid } = machine;
    const first = await machine.succeed("cat /proc/sys/kernel/random/boot_id");
    const second = await machine.reboot();
    expect(second).not.toBe(first);
    expect(machine.pid).toBe(pid);
    await machine.reset();
    await expect(machine.reboot()).rejects.toThrow("is not up");
    const third = await machine.boot({ notBoot: second });
    expect([first, second]).not.toContain(third);
    expect(machine.pid).toBe(pid);
    await machine.qmp("stop");
    await expect(machine.shutdown({ withinSeconds: 0.1 })).rejects.toThrow(
      /web did not power off within 1 s; the console's end/,
    );
    await machine.qmp("cont");
    await machine.shutdown();
    expect(machine.isRunning).toBe(false);
    await expect(machine.shutdown()).rejects.toThrow("web is switched off");
    await machine.setMemory(1100);
    await machine.start();
    expect(await machine.qmp("query-memory-size-summary")).toMatchObject({ "base-memory": 1100 * 2 ** 20 });
    await machine.stop();
    await machine.setMemory(1024);
  });

  it("that panics or hangs ends the wait within its bound, and says what was seen", async () => {
    await machine.execute(
      "sysctl -w kernel.panic=0; (sleep 1; echo c >/proc/sysrq-trigger) >/dev/null 2>&1 &",
    );
    await machine.waitForConsole(/Kernel panic - not syncing/);
    await expect(machine.succeed("true", { withinSeconds: 0.1 })).rejects.toThrow(
      /web did not answer within/,
    );
    await machine.restore("booted");
    expect(await machine.succeed("echo alive")).toBe("alive");
    await machine.stop();
  });
});

describe("a machine that does not boot", () => {
  it("ends the wait within its bound with the console's end, and leaves no process", async () => {
    const lab = await openLab();
    const machine = await lab.machine({
      name: "blank",
      memoryMib: 128,
      disks: [{ sizeBytes: 2 ** 20, serial: "BLANK" }],
    });
    try {
      await expect(machine.boot({ withinSeconds: 1 })).rejects.toThrow(
        /booting: blank did not come up within 10 s\nthe console's end:/,
      );
      const { pid } = machine;
      process.kill(pid!, 0);
      await lab.close();
      expect(() => process.kill(pid!, 0)).toThrow("ESRCH");
    } finally {
      await lab.close();
    }
  });

  it("says what QEMU says when its disk is in use", async () => {
    const lab = await openLab();
    try {
      const one = await lab.machine({
        name: "one",
        memoryMib: 64,
        disks: [{ sizeBytes: 2 ** 20, serial: "A" }],
      });
      await one.start();
      const file = { file: join(one.directory, "disk0.qcow2"), format: "qcow2" } as const;
      const two = await lab.machine({ name: "two", memoryMib: 64, disks: [{ file, serial: "A" }] });
      await expect(two.start()).rejects.toThrow(/starting two: QEMU ended.*lock/s);
      await expect(lab.machine({ name: "one", disks: [] })).rejects.toThrow("has a machine one already");
      await expect(lab.machine({ name: "No Name", disks: [] })).rejects.toThrow('machine name "No Name"');
    } finally {
      await lab.close();
    }
  });
});
