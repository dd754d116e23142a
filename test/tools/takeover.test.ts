import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { shipTree } from "../../src/operator/takeover/ship-tree.ts";
import {
  type BaseFiles,
  jump,
  loadBase,
  prepare,
  shipBase,
  undo,
  workDir,
} from "../../src/operator/takeover/takeover.ts";
import { firmwareEntry } from "../../src/operator/takeover/ways/firmware.ts";
import { grubEntry } from "../../src/operator/takeover/ways/grub.ts";
import { kexec, kexecFile } from "../../src/operator/takeover/ways/kexec.ts";
import { loadOption } from "../../src/operator/takeover/ways/load-option.ts";
import { systemdBootEntry } from "../../src/operator/takeover/ways/systemd-boot.ts";
import { run } from "../../src/system/run/run.ts";
import { sha256 } from "../../src/util/digest.ts";
import { localHost } from "../helpers/fakes/local-host.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const signal = new AbortController().signal;

/**
 * A host in a mount namespace of its own, with its own /run, /var/cache and /sys/kernel. The kit's "linker" is a script that
 * writes down how it was called, and loads nothing. The jump itself is for a VM: it would take this machine down.
 */
async function theHost(options: { shell?: readonly string[]; loaded?: string } = {}) {
  const { shell = ["dash"], loaded = "1" } = options;
  const dir = tempDir();
  const holder: ChildProcess = spawn(
    "unshare",
    [
      ...["--mount", "--propagation", "private", "sh", "-ec"],
      `for d in /run /var/cache /sys/kernel /sys/firmware /boot; do mount -t tmpfs -o mode=755 tmpfs $d; done
       echo ${loaded} > /sys/kernel/kexec_loaded; echo ready; exec sleep 600`,
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  onTestFinished(() => void holder.kill("SIGKILL"));
  await once(holder.stdout!, "data");
  // Nothing here may restart this machine.
  const bin = join(dir, "bin");
  mkdirSync(bin);
  for (const name of ["reboot", "systemctl", "chattr"]) {
    const file = name === "chattr" ? "attributes" : "restarts";
    writeFileSync(join(bin, name), `#!/bin/sh\necho ${name} "$*" >> ${dir}/${file}\n`);
    chmodSync(join(bin, name), 0o755);
  }
  const path = `PATH=${bin}:/usr/sbin:/usr/bin:/sbin:/bin`;
  const enter = ["nsenter", "--mount", "--target", String(holder.pid), "env", path];
  const local = localHost({
    wrap: (argv) => [...enter, ...(argv[0] === "sh" ? [...shell, ...argv.slice(1)] : argv)],
  });
  // Files go where the host sees them, through its own namespace.
  const host = {
    ...local.host,
    upload: async (source: string | Uint8Array, to: string, { mode }: { mode: number }) => {
      const stdin = typeof source === "string" ? readFileSync(source) : source;
      await run([...enter, "sh", "-c", 'cat > "$1"; chmod "$2" "$1"', "sh", to, mode.toString(8)], { stdin });
    },
  };
  const log = join(dir, "kexec.log");
  const kit = join(dir, "kit");
  mkdirSync(join(kit, "lib"), { recursive: true });
  writeFileSync(
    join(kit, "ld.so"),
    `#!/bin/sh\necho "$*" >> ${log}\nfor w in "$@"; do case $w in --initrd=*) cp "\${w#--initrd=}" ${dir}/initrd ;; esac; done\n`,
  );
  writeFileSync(join(kit, "kexec"), "");
  for (const name of ["ld.so", "kexec"]) chmodSync(join(kit, name), 0o755);
  await run(["tar", "-czf", join(dir, "kit.tar.gz"), "-C", kit, "."]);
  const file = (name: string, path: string) => {
    const bytes = readFileSync(path);
    return [name, { path, size: bytes.length, sha256: sha256(bytes) }] as const;
  };
  for (const name of ["kernel", "outer", "squashfs"]) writeFileSync(join(dir, name), `<${name}>`);
  const base = {
    digest: "d1",
    ...Object.fromEntries([
      ...["kernel", "outer", "squashfs"].map((name) => file(name, join(dir, name))),
      file("kit", join(dir, "kit.tar.gz")),
      file("busybox", "/usr/bin/busybox"),
    ]),
  } as unknown as BaseFiles;
  const inside = async (script: string) =>
    (await run([...enter, "sh", "-c", script], { accept: [0, 1] })).stdout;
  return { host, base, inside, log, dir, kitBytes: readFileSync(join(dir, "kit.tar.gz")) };
}

const parts = ["<0>", "<1>", "<2>", "<3>"].map((text) => Buffer.from(text));

const signature = "# GRUB Environment Block\n";
const own = "imgbuild-takeover";

/** Everything below a directory of the host, with modes. */
const list = (directory: string) => `cd ${directory} && find . -mindepth 1 -printf '%P %m\\n' | sort`;

describe("a takeover's scripts", () => {
  for (const shell of [["dash"], ["bash", "--norc", "--posix"], ["busybox", "sh"]])
    it(`lay the initramfs together and load it, in ${shell.join(" ")}, with the base in the cache or in RAM`, async () => {
      const { host, base, inside, log, dir, kitBytes } = await theHost({ shell });
      for (const freeMib of [1000, 0]) {
        await prepare(host, 64, signal);
        expect(await inside(`stat -c %a ${workDir}; grep -c ' ${workDir} tmpfs ' /proc/mounts`)).toBe(
          "700\n1\n",
        );
        const { directory } = await shipBase(host, base, freeMib, signal, () => {});
        expect(directory).toBe("/var/cache/imgbuild/d1");
        await loadBase(host, kexec, { directory, parts, commandLine: ["console=ttyS0", "panic=20"] }, signal);
        expect(readFileSync(join(dir, "initrd"))).toEqual(
          Buffer.concat([
            Buffer.from("<outer><squashfs><0><kernel><1><outer><2>"),
            kitBytes,
            Buffer.from("<3>"),
          ]),
        );
        const [called] = readFileSync(log, "utf8").trim().split("\n").slice(-1);
        expect(called).toBe(
          `--library-path ${workDir}/loader/lib ${workDir}/loader/kexec --load ${directory}/kernel --initrd=${workDir}/initrd --command-line=console=ttyS0 panic=20`,
        );
        // What is in the initramfs now needs no second place in RAM; the deploy's own parts lie nowhere.
        expect(await inside(`ls ${workDir}`)).toBe("loader\n");
      }
    });

  it("lay a finished tree before the base, on the disk where it has room, and leave nothing of it there", async () => {
    const { host, base, inside, log, dir, kitBytes } = await theHost();
    writeFileSync(join(dir, "tree.cpio"), "<tree>");
    const tree = { path: join(dir, "tree.cpio"), size: 6, sha256: sha256("<tree>") };
    for (const [cacheMib, place] of [
      [1000, "/var/cache/imgbuild/d1"],
      [0, workDir],
    ] as const) {
      await prepare(host, 64, signal);
      const { directory } = await shipBase(host, base, 1000, signal, () => {});
      const onProgress = () => {};
      const about = { directory, cacheMib, baseBytes: 1000, signal, onProgress };
      await shipTree(host, tree, about);
      expect(await inside(`cat ${place}/tree`)).toBe("<tree>");
      await loadBase(host, kexec, { directory, parts, commandLine: [] }, signal);
      expect(readFileSync(join(dir, "initrd"))).toEqual(
        Buffer.concat([
          Buffer.from("<tree><outer><squashfs><0><kernel><1><outer><2>"),
          kitBytes,
          Buffer.from("<3>"),
        ]),
      );
      expect(readFileSync(log, "utf8").trim().split("\n").at(-1)).toContain(` --initrd=${place}/initrd `);
      expect(await inside(`ls ${workDir}; ls ${directory}`)).toBe("loader\nkernel\nkit\nouter\nsquashfs\n");
    }
    await prepare(host, 64, signal);
    const { directory } = await shipBase(host, base, 1000, signal, () => {});
    await inside(`touch ${directory}/tree.part ${directory}/initrd`);
    await shipTree(host, tree, { directory, cacheMib: 1000, baseBytes: 1000, signal, onProgress: () => {} });
    await undo(host);
    expect(await inside(`ls ${directory}`)).toBe("kernel\nkit\nouter\nsquashfs\n");
  });

  it("spare RAM the squashfs where the base is not cached, and take everything back", async () => {
    const { host, base, inside, log, dir } = await theHost();
    await prepare(host, 64, signal);
    const { directory } = await shipBase(host, base, 0, signal, () => {});
    expect(directory).toBe(workDir);
    await loadBase(host, kexec, { directory, parts, commandLine: [] }, signal);
    expect((await inside(`ls ${workDir}`)).split("\n").filter((name) => name !== "")).toEqual([
      "kernel",
      "kit",
      "loader",
      "outer",
    ]);
    expect(existsSync(join(dir, "initrd"))).toBe(true);
    await undo(host);
    expect(readFileSync(log, "utf8")).toMatch(/--unload\n$/);
    expect(await inside(`ls -d ${workDir} 2>/dev/null; grep -c " /run/imgbuild" /proc/mounts`)).toBe("0\n");
    await undo(host);
  });

  it("compare the cached base by the program that they bring, whatever the host's own says", async () => {
    const { host, base, inside } = await theHost();
    await prepare(host, 64, signal);
    const { directory } = await shipBase(host, base, 1000, signal, () => {});
    await inside(`
      echo changed > ${directory}/kernel
      printf '#!/bin/sh\\necho ${base.kernel.sha256}\\n' > /run/liar; chmod 755 /run/liar
      mount --bind /run/liar "$(command -v sha256sum)"`);
    expect(await inside(`sha256sum ${directory}/kernel`)).toBe(`${base.kernel.sha256}\n`);
    const again = await shipBase(host, base, 1000, signal, () => {});
    expect(again).toMatchObject({ hadAll: false, sentBytes: base.busybox.size + base.kernel.size });
    expect(await inside(`cat ${directory}/kernel`)).toBe("<kernel>");
    expect((await shipBase(host, base, 1000, signal, () => {})).hadAll).toBe(true);
    expect(await inside(`ls ${workDir}`)).toBe("");
  });

  it("begin with an empty work directory of the asked size, whatever a lost run left", async () => {
    const { host, inside } = await theHost();
    await prepare(host, 8, signal);
    await inside(`echo old > ${workDir}/part0; mkdir ${workDir}/loader`);
    await prepare(host, 32, signal);
    expect(
      await inside(
        `ls ${workDir}; df -Pm ${workDir} | awk 'NR == 2 { print $2 }'; grep -c ' ${workDir} ' /proc/mounts`,
      ),
    ).toBe("32\n1\n");
  });

  it("restart the old system, whose disks are read-only by then, when kexec comes back (F10)", async () => {
    const { host, base, log, dir } = await theHost();
    await prepare(host, 64, signal);
    const { directory } = await shipBase(host, base, 1000, signal, () => {});
    await loadBase(host, kexec, { directory, parts, commandLine: [] }, signal);
    const trigger = join(dir, "trigger");
    await jump(host, kexec, signal, trigger);
    await vi.waitFor(() => expect(readFileSync(trigger, "utf8")).toBe("b\n"), { timeout: 10_000 });
    expect(readFileSync(log, "utf8")).toMatch(/kexec --exec\n$/);
  });

  it("leave the old system as it is when all was taken back before the jump", async () => {
    const { host, base, inside, log, dir } = await theHost();
    await prepare(host, 64, signal);
    const { directory } = await shipBase(host, base, 1000, signal, () => {});
    await loadBase(host, kexec, { directory, parts, commandLine: [] }, signal);
    const trigger = join(dir, "trigger");
    await jump(host, kexec, signal, trigger);
    await inside("echo 0 > /sys/kernel/kexec_loaded");
    await undo(host);
    await sleep(2_500);
    expect(existsSync(trigger)).toBe(false);
    expect(readFileSync(log, "utf8")).not.toContain("--exec");
  });

  it("go to RAM where the cache cannot be written, as on a read-only root", async () => {
    const { host, base, inside } = await theHost();
    await prepare(host, 64, signal);
    await inside("mount -o remount,ro /var/cache");
    expect((await shipBase(host, base, 1000, signal, () => {})).directory).toBe(workDir);
  });

  it("say that the kernel was not loaded when the kernel itself says so (F10)", async () => {
    const { host, base } = await theHost({ loaded: "0" });
    await prepare(host, 64, signal);
    const { directory } = await shipBase(host, base, 1000, signal, () => {});
    await expect(loadBase(host, kexec, { directory, parts, commandLine: [] }, signal)).rejects.toThrow(
      /the host did not load the base's kernel/,
    );
  });

  it("have the kernel check the base's signature where it loads nothing else (F06)", async () => {
    const { host, base, log } = await theHost();
    await prepare(host, 64, signal);
    const { directory } = await shipBase(host, base, 1000, signal, () => {});
    await loadBase(host, kexecFile, { directory, parts, commandLine: ["quiet"] }, signal);
    expect(readFileSync(log, "utf8")).toContain(
      `kexec --load --kexec-file-syscall ${directory}/kernel --initrd=${workDir}/initrd --command-line=quiet`,
    );
  });

  for (const shell of [["dash"], ["bash", "--norc", "--posix"], ["busybox", "sh"]])
    it(`put an entry beside GRUB's menu for root alone, and take it back, in ${shell.join(" ")} (F05)`, async () => {
      const { host, base, inside, kitBytes } = await theHost({ shell });
      const way = grubEntry("/boot/grub");
      for (const before of ["", "menuentry mine {\n}\n"]) {
        await inside(
          `mkdir -p /boot/grub; printf '${before}' > /boot/grub/custom.cfg; chmod 640 /boot/grub/custom.cfg`,
        );
        if (before === "") await inside("rm /boot/grub/custom.cfg");
        await prepare(host, 64, signal);
        const { directory } = await shipBase(host, base, 1000, signal, () => {});
        await loadBase(
          host,
          way,
          { directory, parts, commandLine: ["console=ttyS0", "memmap=4K$1"] },
          signal,
        );
        const custom = before === "" ? "600" : "640";
        expect(await inside(list("/boot/grub"))).toBe(
          `custom.cfg ${custom}\n${own} 700\n${own}/initrd 600\n${own}/kernel 600\n`,
        );
        expect(await inside(`cat /boot/grub/${own}/kernel /boot/grub/${own}/initrd`)).toBe(
          `<kernel><outer><squashfs><0><kernel><1><outer><2>${kitBytes.toString()}<3>`,
        );
        const written = await inside("cat /boot/grub/custom.cfg");
        expect(written.startsWith(before)).toBe(true);
        expect(written).toContain(`linux "\${imgbuild}/kernel" console=ttyS0 'memmap=4K$1'; then`);
        await undo(host);
        expect(await inside(list("/boot/grub"))).toBe(before === "" ? "" : "custom.cfg 640\n");
        expect(await inside("cat /boot/grub/custom.cfg 2>/dev/null")).toBe(before);
      }
    });

  it("write what GRUB's own tools take for a menu and an environment block", async () => {
    const { host, base, inside, dir } = await theHost();
    await inside("mkdir /boot/grub");
    await prepare(host, 64, signal);
    const { directory } = await shipBase(host, base, 1000, signal, () => {});
    const way = grubEntry("/boot/grub");
    await loadBase(host, way, { directory, parts, commandLine: ["a=b", "c='$d;"] }, signal);
    await inside("grub-script-check /boot/grub/custom.cfg && echo good > /run/good");
    expect(await inside("cat /run/good")).toBe("good\n");
    expect(await inside("command -v reboot")).toBe(`${dir}/bin/reboot\n`);
    await jump(host, way, signal, join(dir, "trigger"));
    const block = await inside(`cat /boot/grub/${own}/env`);
    expect([block.length, block.startsWith(signature)]).toEqual([1024, true]);
    expect(await inside(`grub-editenv /boot/grub/${own}/env list`)).toBe("imgbuild_once=yes\n");
    await vi.waitFor(() => expect(readFileSync(join(dir, "restarts"), "utf8")).toBe("reboot \n"), {
      timeout: 10_000,
    });
  });

  it("stay in the old system where the entry was taken back before the restart", async () => {
    const { host, base, inside, dir } = await theHost();
    await inside("mkdir /boot/grub");
    await prepare(host, 64, signal);
    const { directory } = await shipBase(host, base, 1000, signal, () => {});
    const way = grubEntry("/boot/grub");
    await loadBase(host, way, { directory, parts, commandLine: [] }, signal);
    await jump(host, way, signal, join(dir, "trigger"));
    await undo(host);
    await sleep(2_500);
    expect(existsSync(join(dir, "restarts"))).toBe(false);
  });

  it("put an entry into systemd-boot's menu, and name it for one start", async () => {
    const { host, base, inside, dir } = await theHost();
    await inside(
      "mkdir -p /boot/efi/loader /sys/firmware/efi/efivars; mount -t tmpfs -o mode=700 tmpfs /boot/efi; mkdir /boot/efi/loader",
    );
    await prepare(host, 64, signal);
    const { directory } = await shipBase(host, base, 1000, signal, () => {});
    const way = systemdBootEntry("/boot/efi");
    await loadBase(host, way, { directory, parts, commandLine: ["a=b", "c"] }, signal);
    expect(await inside(list("/boot/efi"))).toBe(
      `${own} 700\n${own}/initrd 600\n${own}/kernel 600\nloader 755\nloader/entries 700\nloader/entries/${own}.conf 600\n`,
    );
    expect(await inside(`cat /boot/efi/loader/entries/${own}.conf`)).toBe(
      `title imgbuild: the base of a deploy\nlinux /${own}/kernel\ninitrd /${own}/initrd\noptions a=b c\n`,
    );
    await jump(host, way, signal, join(dir, "trigger"));
    const variable = await inside(
      "od -An -v -tx1 /sys/firmware/efi/efivars/LoaderEntryOneShot-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f | tr -d ' \\n'",
    );
    expect(variable).toBe(`07000000${Buffer.from(`${own}.conf\0`, "utf16le").toString("hex")}`);
    await undo(host);
    expect(await inside(list("/boot/efi"))).toBe("loader 755\nloader/entries 700\n");
  });

  it("have the firmware start the base's kernel once, and take that back", async () => {
    const { host, base, inside, dir } = await theHost();
    const vars = "/sys/firmware/efi/efivars";
    const vendor = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
    await inside(`mkdir -p /boot/efi/EFI ${vars}`);
    await prepare(host, 64, signal);
    const { directory } = await shipBase(host, base, 1000, signal, () => {});
    const uuid = "a1b2c3d4-e5f6-4789-abcd-0123456789ab";
    const partition = { number: 1, uuid, startSector: 2048, sectors: 4096 };
    const way = firmwareEntry("/boot/efi", partition);
    await loadBase(host, way, { directory, parts, commandLine: ["a=100%"] }, signal);
    await jump(host, way, signal, join(dir, "trigger"));
    const hex = async (name: string) => inside(`od -An -v -tx1 ${vars}/${name}-${vendor} | tr -d ' \\n'`);
    expect(await hex("BootNext")).toBe("070000006d1b");
    const option = loadOption({
      ...{ title: "imgbuild: the base of a deploy", partition, path: `\\${own}\\kernel` },
      words: `initrd=\\${own}\\initrd a=100%`,
    });
    expect(await hex("Boot1B6D")).toBe(`07000000${option.toString("hex")}`);
    await inside(`touch ${vars}/Boot0001-${vendor}`);
    await undo(host);
    expect(await inside(`${list("/boot/efi")}; ls ${vars}`)).toBe(`EFI 755\nBoot0001-${vendor}\n`);
    // Somebody else's.
    await inside(`touch ${vars}/BootNext-${vendor}`);
    await undo(host);
    expect(await inside(`ls ${vars}`)).toBe(`Boot0001-${vendor}\nBootNext-${vendor}\n`);
  });

  it("refuse a boot filesystem that has no room, and leave nothing there", async () => {
    const { host, base, inside } = await theHost();
    await inside("mkdir -p /boot/grub; mount -t tmpfs -o size=8m tmpfs /boot/grub");
    await prepare(host, 64, signal);
    const { directory } = await shipBase(host, base, 1000, signal, () => {});
    const load = () => loadBase(host, grubEntry("/boot/grub"), { directory, parts, commandLine: [] }, signal);
    await expect(load()).rejects.toThrow(/\/boot\/grub has 8 MiB free; base and deploy need \d+/);
    expect(await inside(list("/boot/grub"))).toBe("");
  });

  it("refuse a filesystem that lets every user read what is put there, as FAT may", async () => {
    const { host, base, inside, dir } = await theHost();
    await inside("mkdir -p /boot/grub");
    await prepare(host, 64, signal);
    const { directory } = await shipBase(host, base, 1000, signal, () => {});
    // The lab's kernel knows no FAT: directories are made as it would show them.
    writeFileSync(join(dir, "bin/mkdir"), '#!/bin/sh\nexec /bin/mkdir -m 755 "$@"\n');
    chmodSync(join(dir, "bin/mkdir"), 0o755);
    const loading = { directory, parts, commandLine: [] };
    await expect(loadBase(host, grubEntry("/boot/grub"), loading, signal)).rejects.toThrow(
      "every user of the host could read what is put into /boot/grub",
    );
    expect(await inside(list("/boot/grub"))).toBe("");
  });

  it("find what a lost deploy left beside a bootloader, and remove it before the next", async () => {
    const { host, inside } = await theHost();
    await inside(
      `mkdir -p /boot/grub/${own} /boot/${own} /boot/loader/entries; touch /boot/${own}/kernel /boot/loader/entries/${own}.conf /boot/loader/entries/mine.conf`,
    );
    await prepare(host, 64, signal);
    expect(await inside(list("/boot"))).toBe(
      "grub 755\nloader 755\nloader/entries 755\nloader/entries/mine.conf 644\n",
    );
  });
});
