import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Report } from "../../src/schema/report.ts";
import { silentLog } from "../../src/util/log.ts";
import { guestRun, waitForSsh } from "../helpers/guest.ts";
import { deployArguments, imgbuild, kept, type Lab, startLab } from "../helpers/lab.ts";

const env = process.env;
const minute = 60_000;
const keptSum = createHash("sha256").update(kept.content).digest("hex");

async function withLab(firmware: "bios" | "uefi", work: (lab: Lab) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "imgbuild-matrix-"));
  try {
    const lab = await startLab({ directory, firmware, log: silentLog, env });
    try {
      await work(lab);
    } finally {
      await lab.stop();
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function deployed(lab: Lab, target: string): Promise<Report> {
  const file = join(lab.directory, "report.json");
  const ran = await imgbuild(deployArguments(lab, file, target), { env, timeoutMs: 60 * minute });
  expect({ code: ran.code, tail: ran.code === 0 ? "" : ran.stderr.slice(-3000) }).toEqual({
    code: 0,
    tail: "",
  });
  const { stdout } = await guestRun(lab.machine, lab.admin, ["sha256sum", "/srv/kept.txt"]);
  expect(stdout.trim()).toBe(`${keptSum}  /srv/kept.txt`);
  return Report.parse(JSON.parse(await readFile(file, "utf8")));
}

it("deploy-uefi: a stock host under UEFI becomes imgbuild/web, started by systemd-boot", () =>
  withLab("uefi", async (lab) => {
    const report = await deployed(lab, "target");
    expect(report.outcome).toBe("done");
    const { stdout } = await guestRun(lab.machine, lab.admin, [
      "sudo",
      "-n",
      "bootctl",
      "status",
      "--no-pager",
    ]);
    expect(stdout).toMatch(/Product: systemd-boot/);
  }));

it("deploy-sudo: the operator logs in as a user with sudo", () =>
  withLab("bios", async (lab) => {
    const report = await deployed(lab, "admin@target");
    expect(report.outcome).toBe("done");
  }));

it("base-panics: the old system comes back, and the operator is told", () =>
  withLab("bios", async (lab) => {
    const file = join(lab.directory, "report.json");
    const before = await waitForSsh(lab.machine, { ...lab.stock, timeoutMs: minute });
    // The base's first program is asked for by a name that is not there: its kernel panics at once.
    const args = [...deployArguments(lab, file), "--base-cmdline", "rdinit=/no-such-init", "root=/dev/none"];
    const ran = await imgbuild(args, { env, timeoutMs: 30 * minute });
    expect(ran.code).toBe(1);
    const report = Report.parse(JSON.parse(await readFile(file, "utf8")));
    expect(report.outcome).toBe("old-system");
    const after = await waitForSsh(lab.machine, { ...lab.stock, timeoutMs: minute });
    expect(after).not.toBe(before);
    expect(lab.machine.console.text).toContain("Kernel panic");
  }));

it("resume: the network is gone while packages are fetched; the base stays up, and resuming brings the new system", () =>
  withLab("bios", async (lab) => {
    const file = join(lab.directory, "report.json");
    const ran = await imgbuild(deployArguments(lab, file), {
      env,
      timeoutMs: 60 * minute,
      onStart: (child) => {
        let cut = false;
        child.stderr?.on("data", (chunk: string) => {
          if (cut || !/unpacking \d+ essential packages/.test(chunk)) return;
          cut = true;
          void lab.machine.setLink(false);
          setTimeout(() => void lab.machine.setLink(true), 4 * minute);
        });
      },
    });
    expect(ran.stderr).toContain("imgbuild resume target");
    expect(ran.code).toBe(1);
    const report = Report.parse(JSON.parse(await readFile(file, "utf8")));
    expect(report.outcome).toBe("failed");
    const resumed = await imgbuild(["resume", "target", ...lab.login], { env, timeoutMs: 60 * minute });
    expect({ code: resumed.code, tail: resumed.code === 0 ? "" : resumed.stderr.slice(-3000) }).toEqual({
      code: 0,
      tail: "",
    });
    await waitForSsh(lab.machine, { ...lab.admin, timeoutMs: 20 * minute });
    const { stdout } = await guestRun(lab.machine, lab.admin, [
      "sh",
      "-c",
      "grep -c trixie /etc/os-release; sha256sum /srv/kept.txt",
    ]);
    expect(stdout).toMatch(new RegExp(`^[1-9]\\d*\\n${keptSum}`));
  }));
