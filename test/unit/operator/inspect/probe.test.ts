import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseDisks } from "../../../../src/operator/inspect/inspect-disks.ts";
import { probeScript, sectionsOf } from "../../../../src/operator/inspect/probe.ts";
import { run } from "../../../../src/system/run/run.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const mark = "@@0123456789abcdef";

describe("sectionsOf", () => {
  it("parts what the mark parts, and nothing that only looks like it", () => {
    const text = `noise\n${mark} one\n a \n${mark}two\nx ${mark} three\n\n${mark} empty\n\n${mark} end`;
    expect([...sectionsOf(text, mark)]).toEqual([
      ["one", `a \n${mark}two\nx ${mark} three`],
      ["empty", ""],
      ["end", ""],
    ]);
  });
});

describe("the probe", () => {
  for (const shell of [["dash"], ["bash", "--posix"], ["busybox", "sh"]])
    it(`runs to its end in ${shell.join(" ")}, on this machine (F04)`, async () => {
      // Free space is said here: in a chroot the kernel knows no filesystem of our directories.
      const free =
        "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/vda1 4000 1000 3000 25% /";
      const stdin = `df() {\ncat <<'E'\n${free}\nE\n}\n${probeScript}`;
      const { stdout } = await run([...shell, "-s", mark], { stdin, accept: [0, 1] });
      const sections = sectionsOf(stdout, mark);
      expect([...sections.keys()]).toEqual(
        [...probeScript.matchAll(/^(?:section|show) ([a-z0-9-]+)/gm)].map((match) => match[1]),
      );
      expect(sections.get("boot-id")).toMatch(/^[0-9a-f-]{36}$/);
      expect(sections.get("meminfo")).toMatch(/^MemTotal:/);
      expect(sections.get("uname")!.split("\n")).toHaveLength(2);
      expect(Math.abs(Number(sections.get("clock")) - Date.now() / 1000)).toBeLessThan(60);
      expect(sections.get("cache-free")).toContain("/dev/vda1 4000 1000 3000 25% /");
    });

  it("asks the kernel for its TPM, and the firmware's tables where the kernel shows none", async () => {
    const sys = tempDir();
    const ask = async () => {
      const script = probeScript.replaceAll("/sys/", `${sys}/`).replaceAll("/dev/tpmrm0", `${sys}/tpmrm0`);
      const { stdout } = await run(["/bin/dash", "-s", mark], { stdin: script, accept: [0, 1] });
      return sectionsOf(stdout, mark).get("tpm");
    };
    expect(await ask()).toBe("");
    mkdirSync(join(sys, "firmware/acpi/tables"), { recursive: true });
    writeFileSync(join(sys, "firmware/acpi/tables/TPM2"), "");
    expect(await ask()).toBe("version 2");
    mkdirSync(join(sys, "class/tpm/tpm0/pcr-sha256"), { recursive: true });
    // Without the kernel's word it may be an older one.
    expect(await ask()).toBe("bank sha256");
    writeFileSync(join(sys, "class/tpm/tpm0/tpm_version_major"), "2\n");
    writeFileSync(join(sys, "tpmrm0"), "");
    expect(await ask()).toBe("version 2\nusable\nbank sha256");
  });

  it("passes over the hidden paths of NVMe multipath, and tells which maps device-mapper's multipath has", async () => {
    const sys = tempDir();
    const put = (path: string, content: string) => {
      mkdirSync(dirname(join(sys, path)), { recursive: true });
      writeFileSync(join(sys, path), `${content}\n`);
    };
    for (const [name, hidden] of [
      ["nvme0n1", "0"],
      ["nvme0c0n1", "1"],
      ["nvme0c1n1", "1"],
      ["sda", ""],
    ]) {
      put(`block/${name}/size`, "2048");
      put(`block/${name}/dev`, "8:0");
      put(`block/${name}/device/serial`, "S1");
      if (hidden !== "") put(`block/${name}/hidden`, hidden!);
    }
    put("block/sda/holders/dm-0/dev", "253:0");
    for (const [dm, uuid, name] of [
      ["dm-0", "mpath-36001405", "mpatha"],
      ["dm-1", "LVM-abc", "vg-root"],
    ]) {
      put(`block/${dm}/dm/uuid`, uuid!);
      put(`block/${dm}/dm/name`, name!);
    }
    const script = probeScript.replaceAll("/sys/block/", `${sys}/block/`);
    const { stdout } = await run(["/bin/dash", "-s", mark], { stdin: script, accept: [0, 1] });
    const sections = sectionsOf(stdout, mark);
    const disks = parseDisks(sections.get("disks")!, {
      ...{ blkid: "", mountinfo: "", swaps: "", pvs: "", links: "" },
      multipath: sections.get("multipath")!,
    });
    expect(disks.map(({ name, multipath }) => [name, multipath])).toEqual([
      ["nvme0n1", undefined],
      ["sda", "mpatha"],
    ]);
  });

  it("ends even where the machine has no tools but the shell's own and cat (F04)", async () => {
    const bin = tempDir();
    mkdirSync(join(bin, "bin"));
    writeFileSync(join(bin, "bin/cat"), '#!/bin/sh\nexec /bin/cat "$@"\n', { mode: 0o755 });
    const poor = probeScript.replace(/^PATH=.*$/m, `PATH=${bin}/bin`);
    expect(poor).not.toBe(probeScript);
    const { stdout } = await run(["/bin/dash", "-s", mark], { stdin: poor, accept: [0, 1] });
    const sections = sectionsOf(stdout, mark);
    expect(sections.has("end")).toBe(true);
    expect([sections.get("ip-address"), sections.get("blkid")]).toEqual(["", ""]);
    expect(sections.get("boot-id")).toMatch(/^[0-9a-f-]{36}$/);
  });
});
