import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { closeDisks } from "../../../../src/steps/disk/close-disks.ts";
import { fakeMachine } from "../../../helpers/fakes/fake-machine.ts";
import { type Answers, stepBench } from "../../../helpers/fakes/step-bench.ts";

const sizeBytes = 64 * 2 ** 20;
const part = { number: 1, startBytes: 2 ** 20, sizeBytes: 2 ** 20 };
const settle = "udevadm settle --timeout=60";
const pvs = "lvm pvs --noheadings --separator | -o pv_name,vg_name,vg_uuid";

/** Two disks, each with a partition; the first one is planned. */
function machine(answers: Answers = {}) {
  const made = fakeMachine();
  const disk = made.disk("vda", sizeBytes, [part]);
  made.disk("vdb", sizeBytes, [part]);
  for (const [at, name] of ["vda", "vdb"].entries()) {
    made.put(`sys/block/${name}/dev`, `254:${at * 16}\n`);
    made.put(`sys/block/${name}/${name}1/dev`, `254:${at * 16 + 1}\n`);
  }
  const bench = stepBench({ machine: made.machine, answers });
  const close = async () => await closeDisks.run({ disks: [disk] }, bench.context);
  return { ...made, ...bench, close };
}

const mount = (device: string, point: string, source: string) =>
  `22 1 ${device} / ${point} rw - ext4 ${source} rw\n`;

describe("close-disks", () => {
  it("closes what is open on the planned disks, the uppermost first, and nothing else", async () => {
    const { put, block, close, asked, options, said } = machine();
    block("dm-0", { dev: "253:0", "dm/name": "crypt", "slaves/vda1/dev": "" });
    block("md0", { dev: "9:0", "md/level": "raid1", "slaves/vda/dev": "" });
    block("dm-1", { dev: "253:1", "dm/name": "other", "slaves/vdb1/dev": "" });
    put(
      "proc/self/mountinfo",
      mount("253:0", "/srv", "/dev/mapper/crypt") + mount("254:16", "/x", "/dev/vdb"),
    );
    put("proc/swaps", "Filename\tType\n/srv/swap\tfile\t1\n/dev/vdb1 partition 1\n");
    await close();
    expect(asked).toEqual([
      "modprobe --all dm-mod",
      settle,
      "swapoff /srv/swap",
      "umount /srv",
      "dmsetup remove --retry crypt",
      "mdadm --stop /dev/md0",
      settle,
      "blkid -c /dev/null -o export",
      pvs,
    ]);
    expect(said).toEqual(asked.slice(2, 6).map((line) => `info ${line}`));
    // Flushing takes longer than anything else.
    expect(options.map(({ timeoutMs }) => timeoutMs! > 600_000)).toEqual(
      asked.map((line) => line === "umount /srv"),
    );
    expect(options.every(({ timeoutMs }) => timeoutMs !== undefined)).toBe(true);
  });

  it("ends at the first thing that cannot be closed", async () => {
    const { put, close, asked } = machine({ "umount /srv": new Error("target is busy") });
    put("proc/self/mountinfo", mount("254:1", "/srv", "/dev/vda1") + mount("254:1", "/deep", "/dev/vda1"));
    await expect(close()).rejects.toThrow("target is busy");
    expect(asked.slice(2)).toEqual(["umount /deep", "umount /srv"]);
  });

  it("refuses a disk that is not there, before anything is closed", async () => {
    const { context, asked } = machine();
    const gone = { name: "gone", serial: "GONE", sizeBytes };
    await expect(closeDisks.run({ disks: [gone] }, context)).rejects.toThrow("is not there");
    expect(asked).toEqual([]);
  });

  it("refuses a device that may not be written, before anything is closed", async () => {
    const { context, asked, disk, put } = machine();
    const identity = disk("vdc", sizeBytes);
    put("sys/block/vdd/size", "1\n");
    expect(existsSync(join(context.machine.dev, "vdc"))).toBe(true);
    const odd = { ...context, machine: { ...context.machine, dev: "/proc/self/fd" } };
    await expect(closeDisks.run({ disks: [identity] }, odd)).rejects.toThrow("cannot look at");
    expect(asked).toEqual([]);
  });

  it.each([
    [
      "an array",
      {
        "blkid -c": {
          stdout:
            "DEVNAME=/dev/vda1\nUUID=u\nTYPE=linux_raid_member\n\nDEVNAME=/dev/vdb1\nUUID=u\nTYPE=linux_raid_member\n",
        },
      },
      "part of the md array u",
    ],
    [
      "a volume group",
      { "lvm pvs": { stdout: "  /dev/vda1|vg|id\n  /dev/vdb|vg|id\n" } },
      "part of the volume group vg (id)",
    ],
  ])("refuses a disk that is a part of %s on one that is not planned", async (_what, answers, message) => {
    await expect(machine(answers).close()).rejects.toThrow(message);
  });

  it("does not take what an open array or mapping holds for a member of its own", async () => {
    const { block, close } = machine({
      "blkid -c": {
        code: 2,
        stdout: ["vda1", "md0", "dm-0"]
          .map((name) => `DEVNAME=/dev/${name}\nUUID=u\nTYPE=btrfs\n`)
          .join("\n"),
      },
    });
    block("md0", { dev: "9:0", "md/level": "raid1" });
    block("dm-0", { dev: "253:0", "dm/name": "other" });
    await close();
  });
});
