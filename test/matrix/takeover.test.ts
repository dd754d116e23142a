import type { ChildProcess } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { knownDeploy } from "../../src/operator/records/known-deploys.ts";
import { openLab, type SshShell } from "../../src/testing/index.ts";
import { loginFiles } from "../../src/testing/login-files.ts";
import { generateSshKey } from "../../src/transport/keys.ts";
import { silentLog } from "../../src/util/log.ts";
import { bootDefinition } from "../helpers/builders/boot-definition.ts";
import { expectSuccess, imgbuild } from "../helpers/imgbuild.ts";
import { deployArguments, type StockLab, startLab } from "../helpers/labs/lab.ts";

const env = process.env;
const minute = 60_000;

type Host = Pick<StockLab, "machine" | "directory" | "login"> & {
  /** Of an administrator of the definition. */
  readonly key: string;
};

/** Deploys until the base is up, then sends the host back: nothing is built. What the deploy and the console said. */
async function thereAndBack(
  { machine, directory, login, key }: Host,
  host: SshShell,
  deploy: readonly string[],
): Promise<string> {
  // Other deploys of a host of that name may be under way here.
  const own = { ...env, XDG_STATE_HOME: join(directory, "state") };
  const before = await host.waitForLogin();
  const mark = machine.console.mark();
  const ran = await imgbuild([...deploy, "--dead-man", "3600"], {
    env: own,
    timeoutMs: 30 * minute,
    // Lost before it can say GO.
    onStart: killedAt("waiting for the base"),
  });
  expect({ code: ran.code, tail: ran.code === 128 ? "" : ran.stderr.slice(-3000) }).toEqual({
    code: 128,
    tail: "",
  });
  await machine.waitForConsole(/imgbuild: the base is up/, { after: mark, withinSeconds: 300 });
  // Its network comes a moment later, and abort asks once.
  const { baseHostKey } = await knownDeploy(own, "target");
  await machine.ssh({ user: "root", key, pins: [baseHostKey] }).waitForLogin();
  const aborted = await imgbuild(["abort", "target", ...login], { env: own, timeoutMs: 10 * minute });
  expectSuccess(aborted);
  expect(aborted.stdout).toBe("target runs its old system again\n");
  expect(await host.waitForLogin()).not.toBe(before);
  return `${ran.stderr}${machine.console.since(mark)}`;
}

function killedAt(said: string): (child: ChildProcess) => void {
  return (child) => {
    let text = "";
    child.stderr?.on("data", (chunk: string) => {
      text += chunk;
      if (text.includes(said)) child.kill("SIGKILL");
    });
  };
}

for (const [name, firmware] of [
  ["takeover-grub", "bios"],
  ["takeover-grub-uefi", "uefi"],
] as const)
  it(`${name}: where kexec is switched off, the host's GRUB starts the base once, and the old system after it`, async () => {
    const lab = await startLab({ firmware, log: silentLog, env });
    try {
      const { stock } = lab;
      // The stock host's menu is a short one; this is Debian's own.
      await stock.succeed("update-grub", { withinSeconds: 300 });
      await stock.succeed("sysctl --write kernel.kexec_load_disabled=1; ls /boot/grub > /root/before");
      const said = await thereAndBack(
        { ...lab, key: join(lab.directory, "admin-key") },
        stock,
        deployArguments(lab, join(lab.directory, "report.json")),
      );
      expect(said).toContain("takeover: boot-entry: one start by the host's own GRUB, out of /boot/grub (");
      expect(said).toContain("Loading the base of a deploy");
      expect(await stock.succeed("ls /boot/grub | diff - /root/before && echo same")).toBe("same");
      expect(await stock.succeed("cat /proc/sys/kernel/kexec_load_disabled")).toBe("0");
    } finally {
      await lab.close();
    }
  });

/** A host that imgbuild made, as the next deploy finds it. */
async function ownHost(
  boot: string,
  firmware: "uefi" | "secure-boot",
  work: (lab: Host, host: SshShell, deploy: string[]) => Promise<void>,
): Promise<void> {
  const lab = await openLab();
  const login = generateSshKey("takeover");
  const table = 'gpt(esp({ size: "512MiB" }), root())';
  const definition = await bootDefinition("own", table, boot, "trixie", login.public);
  try {
    const machine = await lab.machine({ definition: definition.path, firmware, memoryMib: 1024 });
    const key = join(lab.directory, "login");
    await writeFile(key, login.private, { mode: 0o600 });
    await machine.boot({ withinSeconds: 120 });
    const how = { user: "admin", key };
    const files = await loginFiles("target", lab.directory, machine, { ...how, hostKeys: [machine.hostKey] });
    const options = ["--ssh-config", files.sshConfig, "--known-hosts", files.knownHosts];
    const report = ["--report", join(lab.directory, "report.json"), "--slow", String(machine.scale)];
    const sure = ["--unattended", "--yes-wipe", "SYSTEM"];
    await work(
      { machine, directory: lab.directory, login: options, key },
      machine.ssh({ ...how, pins: [machine.hostKey] }),
      ["deploy", definition.path, "target", ...options, ...sure, ...report],
    );
  } finally {
    await lab.close();
    await definition.close();
  }
}

it("takeover-systemd-boot: where kexec is switched off, systemd-boot starts the base once, and the old system after it", () =>
  ownHost('{ firmware: ["uefi"] }', "uefi", async (lab, host, deploy) => {
    await host.succeed(
      "sudo sysctl --write kernel.kexec_load_disabled=1; sudo find /efi | sort > /tmp/before",
    );
    await host.succeed("sudo cp /tmp/before /root/before");
    const said = await thereAndBack(lab, host, deploy);
    expect(said).toContain("takeover: boot-entry: one start by the host's own systemd-boot, out of /efi (");
    await host.succeed(["bash", "-c", "sudo find /efi | sort | diff - <(sudo cat /root/before)"]);
  }));

it("takeover-firmware: where GRUB's menu takes no entry, the firmware starts the base's kernel once", () =>
  ownHost('{ firmware: ["uefi"], loader: "grub" }', "uefi", async (lab, host, deploy) => {
    await host.succeed(
      "sudo find /efi | sort | sudo tee /root/before; ls /sys/firmware/efi/efivars > variables",
    );
    const said = await thereAndBack(lab, host, [...deploy, "--takeover", "boot-entry"]);
    expect(said).toContain("takeover: boot-entry: one start by the host's own firmware, out of /efi (");
    const same =
      "sudo find /efi | sort | diff - <(sudo cat /root/before) && ls /sys/firmware/efi/efivars | diff - variables";
    await host.succeed(["bash", "-c", same]);
  }));

it("takeover-kexec-file: under Secure Boot and lockdown the host's kernel checks Debian's signature of the base's, and starts it", () =>
  ownHost(
    '{ firmware: ["uefi"], loader: "grub", secureBoot: "debian" }',
    "secure-boot",
    async (lab, host, deploy) => {
      expect(await host.succeed("cat /sys/kernel/security/lockdown")).toContain("[integrity]");
      const said = await thereAndBack(lab, host, deploy);
      expect(said).toContain(
        "takeover: kexec-file: the host's kernel checks Debian's signature of the base's",
      );
    },
  ));
