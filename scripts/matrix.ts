import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { run } from "../src/system/run/run.ts";
import { messageOf } from "../src/util/fail.ts";

/** Cases too slow for `make test`, each runnable alone. */
interface Case {
  readonly name: string;
  readonly what: string;
  /** Rows of the fault list that it shows, or a part of them. */
  readonly faults?: readonly string[];
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

const vitest = (file: string, name: string) => [
  "npx",
  "vitest",
  "run",
  "--project",
  "matrix",
  file,
  "-t",
  name,
];

const layouts = readdirSync("imgbuild/layouts").filter((name) => !name.includes("."));

const cases: readonly Case[] = [
  ...layouts.sort().map((name) => ({
    name: `layout-${name}`,
    what: `imgbuild/layouts/${name} boots in a fresh machine, and its own checks pass`,
    argv: vitest("test/matrix/layouts.test.ts", `layout ${name} `),
  })),
  ...["md-mirror", "btrfs-mirror"].map((name) => ({
    name: `degraded-${name}`,
    what: `imgbuild/layouts/${name} starts with either disk removed, and its own checks pass`,
    argv: vitest("test/matrix/layouts.test.ts", `mirror-degraded ${name} `),
  })),
  {
    name: "same-tree",
    what: "trees of three sets of packages are those that mmdebstrap and apt make",
    argv: vitest("test/matrix/same-tree.test.ts", "same-tree"),
  },
  {
    name: "in-vm",
    what: "imgbuild/web built in a virtual machine is what a native build makes, and boots",
    argv: vitest("test/matrix/in-vm.test.ts", "in-vm: "),
  },
  {
    name: "in-vm-user",
    what: "an ordinary user builds a layout of two disks in a virtual machine, and it boots",
    argv: vitest("test/matrix/in-vm-user.test.ts", "in-vm-user: "),
  },
  {
    name: "storage",
    faults: ["F34", "F35", "F37"],
    what: "every layout is created, mounted twice, unmounted twice, opened again, created anew over what is open",
    argv: vitest("test/matrix/storage.test.ts", "storage: "),
  },
  {
    name: "storage-4kn",
    faults: ["F20"],
    what: "two layouts on disks of 4096-byte sectors, larger and smaller than the image",
    argv: vitest("test/matrix/storage.test.ts", "storage-4kn: "),
  },
  {
    name: "storage-kept",
    faults: ["F36"],
    what: "kept partition, LUKS and volume stay byte for byte; what must be refused leaves every byte as it was",
    argv: vitest("test/matrix/storage.test.ts", "storage-kept: "),
  },
  {
    name: "storage-room",
    what: "volumes and arrays as large as is counted for them can be made, by LVM and md themselves",
    argv: vitest("test/matrix/storage-room.test.ts", "storage-room: "),
  },
  {
    name: "reproducible",
    what: "two cold builds, with another directory, umask, locale, time zone and clock, are one image",
    argv: vitest("test/matrix/reproducible.test.ts", "reproducible"),
  },
  {
    name: "quoting",
    faults: ["F39"],
    what: "every quoting function against ten times as many odd strings as in `make test`, read by the real programs",
    argv: [
      ...["npx", "vitest", "run", "--project", "unit", "--project", "tools"],
      ...["test/unit/quoting.test.ts", "test/tools/quoting.test.ts"],
    ],
    env: { IMGBUILD_STRINGS: "100000" },
  },
  {
    name: "grow",
    what: "a minimized image grows to its disk when it starts, and again when the disk has grown",
    argv: vitest("test/matrix/grow.test.ts", "grow"),
  },
  {
    name: "stock-host",
    what: "the stock Debian 12 of the lab under BIOS, over a reboot, and under UEFI",
    argv: vitest("test/matrix/stock-host.test.ts", "stock-host"),
  },
  {
    name: "deploy-uefi",
    what: "a stock Debian 12 host under UEFI becomes imgbuild/web",
    argv: vitest("test/matrix/deploy.test.ts", "deploy-uefi"),
  },
  {
    name: "unlock-ssh",
    what: "an image of imgbuild/layouts/luks-ssh waits for its passphrase; `imgbuild unlock` asks for it in a terminal, at two starts",
    argv: vitest("test/matrix/unlock.test.ts", "unlock-ssh"),
  },
  {
    name: "deploy-luks-ssh",
    what: "a stock Debian 12 host becomes a root on LUKS that the deploy opens over SSH at the first start, and `imgbuild unlock` at the second",
    argv: vitest("test/matrix/unlock.test.ts", "deploy-luks-ssh"),
  },
  {
    name: "rescue-boot",
    what: "an image with `rescue` in `boot` starts the base by `imgbuild rescue-boot`, once, by GRUB under BIOS and by systemd-boot",
    argv: vitest("test/matrix/rescue-boot.test.ts", "rescue-boot"),
  },
  {
    name: "deploy-local",
    faults: ["F26"],
    what: "the same by BIOS with the tree made here: the host fetches nothing, and no secret is anywhere but at its path",
    argv: vitest("test/matrix/deploy.test.ts", "deploy-local"),
  },
  {
    name: "deploy-host",
    faults: ["F26"],
    what: "the same by BIOS with the tree made on the host while its old system runs, once interrupted: nothing is left, then no secret is anywhere but at its path",
    argv: vitest("test/matrix/deploy.test.ts", "deploy-host"),
  },
  {
    name: "deploy-store",
    faults: ["F48"],
    what: "the same by BIOS, when the mirror has none of its packages any more and a store by HTTP has",
    argv: vitest("test/matrix/deploy-store.test.ts", "deploy-store"),
  },
  {
    name: "deploy-sudo",
    faults: ["F04"],
    what: "the same by a user who is not root, with sudo",
    argv: vitest("test/matrix/deploy.test.ts", "deploy-sudo"),
  },
  {
    name: "redeploy",
    faults: ["F18"],
    what: "a host that imgbuild made is replaced in turn, and the base is not sent again",
    argv: vitest("test/matrix/deploy.test.ts", "redeploy"),
  },
  {
    name: "abort",
    faults: ["F12"],
    what: "the operator is lost; follow and abort from another terminal: the old system comes back",
    argv: vitest("test/matrix/deploy.test.ts", "abort"),
  },
  {
    name: "resume",
    faults: ["F16"],
    what: "the network dies while the base fetches packages; resuming brings the new system",
    argv: vitest("test/matrix/deploy.test.ts", "resume: "),
  },
  {
    name: "replan",
    faults: ["F15"],
    what: "a definition that can only fail is replaced on the base: `resume --with` brings the new system",
    argv: vitest("test/matrix/deploy.test.ts", "replan"),
  },
  ...["bios", "uefi"].map((firmware) => ({
    name: `power-cut-${firmware}`,
    faults: ["F13"],
    what: `a machine under ${firmware.toUpperCase()} loses power while it is built; the base starts from its disk and is resumed`,
    argv: vitest("test/matrix/deploy.test.ts", `power-cut-${firmware}`),
  })),
  {
    name: "power-cut-local",
    faults: ["F13"],
    what: "a machine loses power while the tree is unpacked that was sent to it; the tree is brought again, and the deploy goes on",
    argv: vitest("test/matrix/deploy.test.ts", "power-cut-local"),
  },
  {
    name: "disk-fails",
    faults: ["F14"],
    what: "the disk gives write errors while it is written; the base says so and stays, and is resumed when it works again",
    argv: vitest("test/matrix/deploy.test.ts", "disk-fails: "),
  },
  {
    name: "killed",
    faults: ["F01", "F02", "F12", "F13", "F17", "F18"],
    what: "operator, network or power are lost at 20 random moments of a deploy; each ends in the new system, from another computer (IMGBUILD_SEED, IMGBUILD_MOMENTS)",
    argv: vitest("test/matrix/killed.test.ts", "killed: "),
  },
  {
    name: "network-replay",
    faults: ["F09"],
    what: "networks with bonds, VLANs and bridges are looked at and set up again under the base's kernel, and are what they were",
    argv: vitest("test/matrix/base-network.test.ts", "network-replay"),
  },
  {
    name: "takeover-bond-vlan",
    faults: ["F09"],
    what: "a host whose only way out is a VLAN on a bond is taken over; the base answers there, and abort brings the old system back",
    argv: vitest("test/matrix/takeover-network.test.ts", "takeover-bond-vlan"),
  },
  {
    name: "base-panics",
    faults: ["F08"],
    what: "the base's kernel panics: the old system comes back",
    argv: vitest("test/matrix/deploy.test.ts", "base-panics"),
  },
  {
    name: "hang-before-init",
    faults: ["F08"],
    what: "the base hangs in its first program, its dead man as well: the watchdog brings the old system back",
    argv: vitest("test/matrix/hangs.test.ts", "hang-before-init"),
  },
  {
    name: "hang-base",
    faults: ["F08"],
    what: "the base's processor runs nothing any more: the watchdog brings the old system back",
    argv: vitest("test/matrix/hangs.test.ts", "hang-base: "),
  },
  {
    name: "hang-runner",
    faults: ["F08"],
    what: "the runner stops between GO and the first write: the dead man brings the old system back",
    argv: vitest("test/matrix/hangs.test.ts", "hang-runner"),
  },
  {
    name: "hang-disk",
    what: "a disk does not answer between GO and the first write: the runner says so, the old system comes back",
    argv: vitest("test/matrix/hangs.test.ts", "hang-disk"),
  },
  {
    name: "hang-base-disk",
    what: "the base alone, a disk that does not answer before the first write: it gives up, says so and restarts",
    argv: vitest("test/matrix/base-hangs.test.ts", "hang-base-disk"),
  },
  ...[
    ["bios-stock", "a stock Debian 12, by BIOS"],
    ["bios-own", "a host of ours, by BIOS"],
    ["uefi-stock", "a stock Debian 12, by UEFI"],
    ["uefi-own", "a host of ours, by UEFI"],
  ].map(([name, what]) => ({
    name: `cut-${name}`,
    faults: ["F13"],
    what: `the power of ${what}, is cut at every write of a build; a machine of each kind of outcome is started`,
    argv: vitest("test/matrix/cuts.test.ts", `cut-${name}:`),
  })),
  {
    name: "cut-small",
    faults: ["F13"],
    what: "the power of a stock host is cut at every write of a build, by BIOS; judged, and no machine is started",
    argv: vitest("test/matrix/cut-small.test.ts", "cut-small: "),
  },
  {
    name: "takeover-entries",
    faults: ["F05", "F06"],
    what: "systemd-boot, firmware and GRUB start an entry once; a locked kernel starts the base's: small systems that only say who runs",
    argv: vitest("test/matrix/takeover-entries.test.ts", "takeover-entries: "),
  },
  {
    name: "takeover-grub",
    faults: ["F05"],
    what: "where kexec is switched off, the GRUB of a BIOS host starts the base once; abort brings the old system back",
    argv: vitest("test/matrix/takeover.test.ts", "takeover-grub: "),
  },
  {
    name: "takeover-grub-uefi",
    faults: ["F05"],
    what: "the same of a UEFI host",
    argv: vitest("test/matrix/takeover.test.ts", "takeover-grub-uefi: "),
  },
  {
    name: "takeover-systemd-boot",
    faults: ["F05"],
    what: "the same by systemd-boot, of a host that imgbuild made",
    argv: vitest("test/matrix/takeover.test.ts", "takeover-systemd-boot: "),
  },
  {
    name: "takeover-firmware",
    faults: ["F05"],
    what: "the same by the firmware, of a host whose bootloader takes no entry",
    argv: vitest("test/matrix/takeover.test.ts", "takeover-firmware: "),
  },
  {
    name: "takeover-kexec-file",
    faults: ["F06"],
    what: "under Secure Boot and lockdown the host's kernel starts the base's, which Debian has signed; abort returns",
    argv: vitest("test/matrix/takeover.test.ts", "takeover-kexec-file: "),
  },
  {
    name: "boot-uki",
    what: "a unified kernel image starts, and another after apt has brought a kernel; BIOS starts the same disk",
    argv: vitest("test/matrix/boot.test.ts", "boot-uki "),
  },
  {
    name: "boot-uki-12",
    what: "the same of Debian 12, without the update",
    argv: vitest("test/matrix/boot.test.ts", "boot-uki-12"),
  },
  {
    name: "boot-hooks",
    what: "hooks for kernel updates put unified images on an ESP and take them off, on Debian 13 and 12",
    argv: vitest("test/matrix/boot.test.ts", "boot-hooks"),
  },
  {
    name: "boot-grub-uefi",
    what: "GRUB under UEFI and BIOS, with /boot on a filesystem of its own",
    argv: vitest("test/matrix/boot.test.ts", "boot-grub-uefi"),
  },
  {
    name: "boot-mbr",
    what: "an MBR disk starts by GRUB in the gap before its first partition",
    argv: vitest("test/matrix/boot.test.ts", "boot-mbr"),
  },
  {
    name: "boot-secure-own",
    what: "firmware takes keys of one's own and starts what they signed, nothing else",
    argv: vitest("test/matrix/boot.test.ts", "boot-secure-own"),
  },
  {
    name: "boot-secure-shim",
    what: "Debian's shim, GRUB and kernel pass Secure Boot; a changed kernel does not",
    argv: vitest("test/matrix/boot.test.ts", "boot-secure-shim"),
  },
  {
    name: "boot-tpm",
    what: "a machine with a TPM measures its boot into it",
    argv: vitest("test/matrix/boot.test.ts", "boot-tpm"),
  },
  {
    name: "mutants",
    what: "of random changes of what guards disks, hosts, secrets and archives the unit tests notice 85 %; a stopped run goes on",
    argv: ["node", "--import", "tsx", "scripts/mutants.ts"],
  },
  {
    name: "test-user",
    what: "an ordinary user builds imgbuild/web, boots it and checks it",
    argv: vitest("test/matrix/test-user.test.ts", "test-user"),
  },
  {
    name: "test-notes",
    what: "a web server and its database, tested together while the cable between is pulled",
    argv: ["bin/imgbuild", "test", "imgbuild/notes"],
  },
  {
    name: "test-rented",
    what: "a server made of profiles boots with its firewall, users of services and kernel settings",
    argv: ["bin/imgbuild", "test", "imgbuild/rented"],
  },
  {
    name: "first-server-12",
    what: "a new user follows docs/FIRST-SERVER.md on a bare Debian 12, with the npm package, to the end",
    argv: vitest("test/matrix/first-server.test.ts", "first-server-12: "),
  },
  ...[
    ["static", "static addresses of both families"],
    ["ipv6-only", "IPv6 alone"],
    ["onlink", "a gateway outside of its prefix"],
    ["vlan", "a VLAN"],
    ["devices", "a bond, a bridge on its VLAN, and WireGuard"],
  ].map(([name, what]) => ({
    name: `network-${name}`,
    what: `a machine with ${what} is reached at its address, and reaches its gateway`,
    argv: vitest("test/matrix/network.test.ts", `network: ${what}`),
  })),
  ...(
    [
      ["rescue-iso-bios", "a rescue medium starts from a disc by BIOS"],
      ["rescue-iso-uefi", "a rescue medium starts from a disc by UEFI"],
      ["rescue-iso-secure", "a rescue medium starts by UEFI that trusts Microsoft's keys alone"],
      ["rescue-iso-usb", "a rescue medium starts from a USB disk, by BIOS and by Secure Boot"],
      [
        "rescue-recover",
        "somebody at the console rebuilds a machine of a blank disk from the network, by BIOS",
      ],
      ["rescue-damaged", "one flipped byte of a medium's kernel, base, payload or tree: nothing is written"],
      ["rescue-live", "a machine that runs a rescue medium is deployed to over SSH, as any live system"],
    ] as const
  ).map(([name, what]) => ({ name, what, argv: vitest("test/matrix/rescue.test.ts", `${name} `) })),
  ...(
    [
      ["rescue-pxe", "a rescue medium starts by iPXE from a web server"],
      ["rescue-http-uefi", "a rescue medium starts by UEFI itself from a web server"],
      ["rescue-http-secure", "the same by UEFI that trusts Microsoft's keys alone"],
      ["rescue-pxe-secure", "a rescue medium starts by UEFI's PXE and TFTP, with Secure Boot"],
    ] as const
  ).map(([name, what]) => ({ name, what, argv: vitest("test/matrix/rescue-network.test.ts", `${name} `) })),
  {
    name: "rescue-tang",
    what: "a medium's secrets open by Debian's tang with nothing typed, by the passphrase while tang is silent; the machine is rebuilt",
    argv: vitest("test/matrix/rescue-unlock.test.ts", "rescue-tang "),
  },
  {
    name: "rescue-tpm2",
    what: "a medium sealed over SSH for the TPM of a machine opens in it with nothing typed, once its disk is another",
    argv: vitest("test/matrix/rescue-unlock.test.ts", "rescue-tpm2 "),
  },
  {
    name: "rescue-data",
    faults: ["F50"],
    what: "a server with files and a database in restic's backup is rebuilt from an offline medium, with the keys of before",
    argv: vitest("test/matrix/recover-data.test.ts", "rescue-data "),
  },
  {
    name: "rescue-store",
    faults: ["F48"],
    what: "a machine of a blank disk is rebuilt from a store by HTTP, when the mirror has none of its packages any more",
    argv: vitest("test/matrix/recover-store.test.ts", "rescue-store "),
  },
  {
    name: "rescue-cut",
    faults: ["F50"],
    what: "the power is cut while that server's data is restored: nothing half restored starts, and the medium rebuilds it",
    argv: vitest("test/matrix/recover-data.test.ts", "rescue-cut "),
  },
  {
    name: "rescue-refused",
    what: "a medium refuses wrong passphrases, two candidate disks, a small disk, a missing package and a silent backup; no disk changes",
    argv: vitest("test/matrix/rescue-refused.test.ts", "rescue-refused: "),
  },
  {
    name: "rescue-other-disks",
    faults: ["F20", "F26"],
    what: "a server of virtio disks is rebuilt onto smaller NVMe disks of 4096-byte sectors, named at the console and by the definition, its secrets opened over SSH and found nowhere else",
    argv: vitest("test/matrix/rescue-other-disks.test.ts", "rescue-other-disks: "),
  },
  {
    name: "report-page",
    what: "pages of reports in Debian's Chromium: width of a phone, contrast in light and dark, nothing loaded",
    argv: vitest("test/matrix/report-page.test.ts", "report-page: "),
  },
  {
    name: "rehearse-tpm",
    what: "the deploy of imgbuild/layouts/luks-tpm2 rehearsed onto a stock Debian 12 with a TPM",
    argv: ["bin/imgbuild", "test", "--deploy", "imgbuild/layouts/luks-tpm2"],
  },
  {
    name: "rehearse-stock",
    what: "the deploy of imgbuild/web rehearsed onto a stock Debian 12",
    argv: ["bin/imgbuild", "test", "--deploy", "imgbuild/web"],
  },
  {
    name: "rehearse-own",
    what: "the deploy of imgbuild/web rehearsed onto a host made of imgbuild/notes",
    argv: [
      "bin/imgbuild",
      "test",
      "--deploy",
      "imgbuild/web",
      "--from",
      "imgbuild/notes",
      "--firmware",
      "uefi",
    ],
  },
];

const caseMs = 6 * 3_600_000;
const file = "out/matrix.json";
const [wanted] = process.argv.slice(2);

if (wanted === "--list")
  for (const { name, what, faults = [] } of cases)
    console.log(`${name.padEnd(22)} ${what}${faults.length === 0 ? "" : ` (${faults.join(", ")})`}`);
else process.exitCode = await runCases(wanted);

/** Runs the chosen case or all, as many at once as there are cores: each boots machines of one processor, or works by itself. */
async function runCases(name: string | undefined): Promise<number> {
  const chosen = cases.filter((known) => name === undefined || known.name === name);
  if (chosen.length === 0) {
    console.error(`no case ${name}; there are ${cases.map((known) => known.name).join(", ")}`);
    return 2;
  }
  await mkdir("out", { recursive: true });
  const queue = [...chosen];
  const failed: string[] = [];
  const work = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift())
      if (!(await runCase(next))) failed.push(next.name);
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  if (chosen.length > 1) console.log(`${chosen.length - failed.length} of ${chosen.length} cases passed`);
  if (failed.length > 0) console.error(`failed: ${failed.join(", ")}`);
  return failed.length === 0 ? 0 : 1;
}

async function runCase({ name, what, argv, env }: Case): Promise<boolean> {
  console.log(`${name}: ${what} …`);
  const began = Date.now();
  let outcome = "passed";
  try {
    await run(argv, {
      timeoutMs: caseMs,
      env: { ...(process.env as Record<string, string>), ...env },
      onLine: (line) => console.log(`${name} | ${line}`),
    });
  } catch (error) {
    outcome = "failed";
    console.error(`${name}: ${messageOf(error)}`);
  }
  const seconds = Math.round((Date.now() - began) / 1000);
  console.log(`${name}: ${outcome} in ${seconds} s`);
  record({ case: name, outcome, seconds, at: new Date().toISOString() });
  return outcome === "passed";
}

/** One row a case, the latest; the others stay. */
function record(row: { case: string; outcome: string; seconds: number; at: string }): void {
  const rows = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as { case: string }[]) : [];
  const others = rows.filter((known) => known.case !== row.case);
  writeFileSync(file, `${JSON.stringify([...others, row], null, 2)}\n`);
}
