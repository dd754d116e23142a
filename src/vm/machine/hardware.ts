import { Fail } from "../../util/fail.ts";
import type { Switch } from "../network/switch.ts";
import { type DiskShape, diskDevice, nicDevice } from "./command.ts";
import type { Qemu } from "./qemu.ts";

/** A guest gives a device free within this time on ordinary hardware, or never. */
const unplugSeconds = 10;

/** A disk by its serial, or a network card by its number, from 0. */
export type Part = { readonly disk: string } | { readonly nic: number };

export interface DiskFault {
  readonly on: "read" | "write" | "flush";
  /** Default "EIO". */
  readonly error?: "EIO" | "ENOSPC";
  /** Only when this sector (of 512 bytes) is touched. */
  readonly sector?: number;
  /** Only the first time. */
  readonly once?: boolean;
}

/** What a hand could do to the machine's hardware while it runs. */
export interface Hardware {
  /** Pulls the network cable of a card, or plugs it in. */
  block(nic?: number): Promise<void>;
  unblock(nic?: number): Promise<void>;
  /** Takes a disk or a card out: the guest is asked first, as by a hot-plug controller. The first card is soldered on. */
  unplug(part: Part, options?: { readonly withinSeconds?: number }): Promise<void>;
  plug(part: Part): Promise<void>;
  /** From now on the disk answers with errors, until `healDisk`. */
  failDisk(serial: string, fault: DiskFault): Promise<void>;
  healDisk(serial: string): Promise<void>;
  /** Bounds the disk's speed; 0 gives it back its own. */
  slowDisk(serial: string, bytesPerSecond: number): Promise<void>;
}

const errnos = { EIO: 5, ENOSPC: 28 } as const;

interface Owner {
  readonly name: string;
  readonly scale: number;
  readonly disks: readonly DiskShape[];
  readonly nics: readonly { readonly network: "internet" | Switch; readonly mac: string }[];
  readonly running: () => Qemu;
}

export function makeHardware(machine: Owner): Hardware {
  const { name, scale, disks, nics, running } = machine;
  const { fail, heal } = makeFaults(running);
  const qmp: Qemu["qmp"]["execute"] = (command, args) => running().qmp.execute(command, args);
  const link = (nic: number, up: boolean) => qmp("set_link", { name: `nic${nicAt(machine, nic)}`, up });
  return {
    block: async (nic = 0) => void (await link(nic, false)),
    unblock: async (nic = 0) => void (await link(nic, true)),
    unplug: async (part, { withinSeconds = unplugSeconds } = {}) => {
      const device = deviceOf(machine, part);
      const boundMs = withinSeconds * scale * 1000;
      const gone = running().qmp.waitForEvent("DEVICE_DELETED", (data) => data.device === device, boundMs);
      // A rejection while `device_del` is still asked would be unhandled.
      gone.catch(() => {});
      await qmp("device_del", { id: device });
      await gone.catch((error: unknown) => {
        throw new Fail(`${name} does not let go of ${device}`, {
          cause: error,
          hint: "a guest that hangs, or has not started yet, cannot; `failDisk` and `block` need no consent",
        });
      });
    },
    plug: async (part) => {
      if ("disk" in part) {
        const index = diskAt(machine, part.disk);
        await qmp("device_add", { ...diskDevice(disks[index]!, index) });
        return;
      }
      deviceOf(machine, part);
      const { network, mac } = nics[part.nic]!;
      await qmp("device_add", nicDevice({ kind: network === "internet" ? "user" : "switch", mac }, part.nic));
    },
    failDisk: async (serial, fault) => await fail(diskAt(machine, serial), fault),
    healDisk: async (serial) => await heal(diskAt(machine, serial)),
    slowDisk: async (serial, bytesPerSecond) => {
      const index = diskAt(machine, serial);
      // The half of a virtio device that knows the disk's content is below the device with the name.
      const isVirtio = (disks[index]!.bus ?? "virtio") === "virtio";
      const id = isVirtio ? `/machine/peripheral/disk${index}/virtio-backend` : `disk${index}`;
      const unbound = { bps_rd: 0, bps_wr: 0, iops: 0, iops_rd: 0, iops_wr: 0 };
      await qmp("block_set_io_throttle", { id, bps: bytesPerSecond, ...unbound });
    },
  };
}

/** Puts a filter that answers with errors between a disk's device and its content. */
function makeFaults(running: () => Qemu): {
  readonly fail: (index: number, fault: DiskFault) => Promise<void>;
  readonly heal: (index: number) => Promise<void>;
} {
  let count = 0;
  const qmp: Qemu["qmp"]["execute"] = (command, args) => running().qmp.execute(command, args);
  // Of one life of the machine: the next process has sound disks.
  const faulty = new WeakMap<Qemu, Map<number, string>>();
  const faultsNow = () => {
    const known = faulty.get(running()) ?? new Map<number, string>();
    faulty.set(running(), known);
    return known;
  };
  const putBefore = async (index: number, node: string) =>
    void (await qmp("qom-set", { path: `/machine/peripheral/disk${index}`, property: "drive", value: node }));
  const heal = async (index: number) => {
    const node = faultsNow().get(index);
    if (node === undefined) return;
    await putBefore(index, `disk${index}-content`);
    await qmp("blockdev-del", { "node-name": node });
    faultsNow().delete(index);
  };
  const fail = async (index: number, { on, error = "EIO", sector, once = false }: DiskFault) => {
    await heal(index);
    count += 1;
    const node = `fault${count}`;
    const rule = {
      event: "none",
      iotype: on,
      errno: errnos[error],
      once,
      ...(sector !== undefined && { sector }),
    };
    const image = `disk${index}-content`;
    await qmp("blockdev-add", { driver: "blkdebug", "node-name": node, image, "inject-error": [rule] });
    await putBefore(index, node);
    faultsNow().set(index, node);
  };
  return { fail, heal };
}

function diskAt({ name, disks }: Owner, serial: string): number {
  const found = disks.flatMap((disk, index) => (disk.serial === serial ? [index] : []));
  if (found.length === 1) return found[0]!;
  const known = disks.map((disk) => disk.serial).join(", ") || "none";
  throw new Fail(`${name} has ${found.length} disks with serial ${serial}; its disks: ${known}`);
}

function nicAt({ name, nics }: Owner, nic: number): number {
  if (nics[nic] !== undefined) return nic;
  throw new Fail(`${name} has no network card ${nic}; it has ${nics.length}, counted from 0`);
}

function deviceOf(owner: Owner, part: Part): string {
  if ("disk" in part) return `disk${diskAt(owner, part.disk)}`;
  if (nicAt(owner, part.nic) === 0)
    throw new Fail(`${owner.name}'s first network card cannot be taken out`, {
      hint: "`block` pulls its cable; give the machine a second card to take out",
    });
  return `nic${part.nic}`;
}
