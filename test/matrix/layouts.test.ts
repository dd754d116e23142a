import { afterEach, describe, expect, it } from "vitest";
import { standIns } from "../../src/operator/secrets/test-secrets.ts";
import type { Spec } from "../../src/schema/spec.ts";
import type { Luks } from "../../src/schema/storage-content.ts";
import { clevisPin } from "../../src/storage/nodes/luks.ts";
import { stackOf } from "../../src/storage/system/storage-config.ts";
import { cacheRoot } from "../../src/system/files/cache.ts";
import { defaultChecks } from "../../src/testing/checks.ts";
import { type DefinedMachine, openLab, type TestLab } from "../../src/testing/index.ts";
import { silentLog } from "../../src/util/log.ts";
import { layouts, specOf } from "../helpers/builders/ladder.ts";
import { bind, bindToTang, opensByTang, tangLab } from "../helpers/labs/tang-lab.ts";

const options = {
  cache: cacheRoot(process.env),
  env: process.env,
  log: silentLog,
  signal: new AbortController().signal,
};
const minutes = 60_000;

let lab: TestLab | undefined;
afterEach(async () => {
  await lab?.close();
  lab = undefined;
});

/** The volume whose passphrase is asked for before there is a root. */
function earlyVolume(spec: Spec): Luks | undefined {
  for (const node of ["/", "/usr"].flatMap((mount) => stackOf(spec.storage!, mount)))
    if (node.kind === "content" && node.content.type === "luks") return node.content;
  return undefined;
}

async function boot(machine: DefinedMachine, spec: Spec): Promise<void> {
  const volume = earlyVolume(spec);
  if (!machine.isRunning) await machine.start();
  if (volume !== undefined) await enter(machine, spec, volume.key, 0);
  await machine.boot({ withinSeconds: 180 });
}

async function enter(machine: DefinedMachine, spec: Spec, key: string, after: number): Promise<void> {
  await machine.waitForConsole(/unlock disk/, { withinSeconds: 120, after });
  machine.type(`${passphrase(spec, key)}\n`);
}

function passphrase(spec: Spec, key: string): string {
  return Buffer.from(standIns(spec).get(key)!.expose()).toString().trim();
}

async function passes(machine: DefinedMachine): Promise<void> {
  const results = await defaultChecks(machine, machine, options);
  expect(results.filter(({ ok }) => !ok)).toEqual([]);
  expect(results.length).toBeGreaterThan(machine.spec.health.length);
}

for (const name of layouts)
  describe(`layout ${name}`, () => {
    it(
      "boots in a fresh machine, and its own checks pass",
      async () => {
        const spec = await specOf(name);
        lab = await openLab();
        const tpm = name === "luks-tpm2";
        const tang = name === "luks-tang" ? await tangLab(lab) : undefined;
        const machine = await lab.machine({
          definition: `imgbuild/layouts/${name}`,
          ...(tpm ? { tpm } : {}),
          ...(tang === undefined ? {} : { nics: tang.nics }),
        });
        await boot(machine, spec);
        await passes(machine);
        const volume = earlyVolume(spec);
        if (tpm) await unlocksByItself(machine, spec, volume!);
        if (tang !== undefined) {
          await passes(tang.server);
          await bindToTang(machine, tang, volume!, passphrase(spec, volume!.key));
          await opensByTang(machine, tang, (after) => enter(machine, spec, volume!.key, after));
        }
        if (name === "xbootldr") await takesAnotherKernel(machine);
        if (name === "verity-root") await readsNothingChanged(machine);
      },
      60 * minutes,
    );
  });

/** As when apt brings one. */
async function takesAnotherKernel(machine: DefinedMachine): Promise<void> {
  await machine.succeed("rm -r /xbootldr/debian /xbootldr/loader/entries");
  await machine.succeed(
    "kernel-install add $(uname -r) /boot/vmlinuz-$(uname -r) /boot/initrd.img-$(uname -r)",
    { withinSeconds: 60 },
  );
  const entries = await machine.succeed("ls /xbootldr/loader/entries");
  expect(entries).toMatch(/^debian-.*\.conf$/);
  expect(await machine.succeed("bootctl --boot-path=/xbootldr list --no-pager")).toContain(entries);
  await machine.reboot({ withinSeconds: 240 });
}

/** What is said to stay does, and what is not to change cannot: not by the system, and not by whoever writes to its disk. */
async function readsNothingChanged(machine: DefinedMachine): Promise<void> {
  await machine.succeed("touch /etc/stays /root/goes /var/stays");
  const id = await machine.succeed("cat /etc/machine-id");
  await machine.reboot({ withinSeconds: 240 });
  await machine.succeed("test -e /etc/stays && test -e /var/stays && test ! -e /root/goes");
  expect(await machine.succeed("cat /etc/machine-id")).toBe(id);
  await machine.fail("mount -o remount,rw /");
  await machine.fail("dd if=/dev/zero of=/dev/mapper/root bs=4096 count=1 oflag=direct");
  const file = "/usr/share/common-licenses/GPL-3";
  const block = Number((await machine.succeed(`debugfs -R 'blocks ${file}' /dev/mapper/root`)).split(" ")[0]);
  expect(block).toBeGreaterThan(0);
  const data = "$(sed -E 's/.*systemd.verity_root_data=(\\S+).*/\\1/' /proc/cmdline)";
  const forget = "sync; echo 3 > /proc/sys/vm/drop_caches";
  await machine.succeed(`${forget}; sha256sum ${file}`);
  expect(await machine.succeed("veritysetup status root")).toMatch(/status:\s+verified/);
  await machine.succeed(
    `printf '\\377' | dd of=${data} bs=1 seek=${block * 4096 + 9} conv=notrunc,fsync; ${forget}`,
  );
  expect((await machine.fail(`cat ${file}`)).stderr).toContain("Input/output error");
  expect(await machine.succeed("veritysetup status root")).toMatch(/status:\s+corrupted/);
}

/** Each mirror: the serials of its disks, how many arrays it has, and what tells of a root that lacks a half. */
const mirrors = {
  "md-mirror": { serials: ["MD-MIRROR-1", "MD-MIRROR-2"], arrays: 2, root: "cat /proc/mdstat" },
  "btrfs-mirror": {
    serials: ["BTRFS-MIR-1", "BTRFS-MIR-2"],
    arrays: 1,
    root: "btrfs filesystem show / 2>&1; findmnt --noheadings --output OPTIONS /",
  },
} as const;

for (const [name, { serials, arrays, root }] of Object.entries(mirrors))
  describe(`mirror-degraded ${name}`, () => {
    it.each(serials)(
      "starts without the disk %s, and its own checks pass",
      async (gone) => {
        lab = await openLab();
        const machine = await lab.machine({ definition: `imgbuild/layouts/${name}`, without: [gone] });
        await machine.boot({ withinSeconds: 240 });
        expect(await machine.succeed("lsblk --nodeps --noheadings --output SERIAL")).not.toContain(gone);
        // Both halves of none, one half of all: the ESP's too.
        const seen = await machine.succeed("cat /proc/mdstat");
        expect(seen.match(/\[2\/1\] \[(U_|_U)\]/g)).toHaveLength(arrays);
        expect(await machine.succeed(root)).toMatch(/\[2\/1\]|missing[\s\S]*degraded/i);
        await passes(machine);
        // What is written to the one that is left does not keep it from starting alone again.
        if (gone !== serials[0]) return;
        await machine.succeed("dd if=/dev/urandom of=/srv/written bs=1M count=64 && sync", {
          withinSeconds: 120,
        });
        await machine.reboot({ withinSeconds: 240 });
        expect(await machine.succeed("stat --format %s /srv/written")).toBe(String(64 * 2 ** 20));
        expect(await machine.succeed("systemctl --failed --no-legend --plain")).toBe("");
      },
      60 * minutes,
    );
  });

/** What a deploy does in the base is done here by hand: an image has no TPM to be bound to. */
async function unlocksByItself(machine: DefinedMachine, spec: Spec, { unlock, key }: Luks): Promise<void> {
  await bind(machine, clevisPin(unlock)!, passphrase(spec, key));
  await machine.reboot({ withinSeconds: 240 });
}
