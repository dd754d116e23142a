import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Fail } from "../../util/fail.ts";
import type { Segment } from "../network/segment.ts";
import type { Switch } from "../network/switch.ts";
import type { DiskShape } from "./command.ts";
import { createBlank, createOverlay } from "./disk-image.ts";
import type { Firmware } from "./firmware.ts";
import type { Qemu } from "./qemu.ts";

export interface MachineDisk extends Omit<DiskShape, "file" | "format"> {
  /** The disk's content to begin with: it is never written, what the machine writes goes to a file of its own. */
  readonly image?: { readonly file: string; readonly format: "raw" | "qcow2" };
  /** Or a disk that is all zeros, of this many bytes. With `image`: the disk is so large, the image at its beginning. */
  readonly sizeBytes?: number;
  /** Or a file that is used, and written, as it is. */
  readonly file?: { readonly file: string; readonly format: "raw" | "qcow2" };
}

export interface MachineNic {
  /** "internet": QEMU's own network, which reaches the outside and is reached by `forward` only. Or a network of the lab. */
  readonly network: "internet" | Switch;
  /** Default: made from the machine's name. */
  readonly mac?: string;
  /** Of the internet: what it is like. Default: QEMU's own subnet, with addresses by DHCP. */
  readonly segments?: readonly Segment[];
  /** What a guest with systemd 257 or later calls the card; default what its place makes of it. */
  readonly name?: string;
}

export interface MachineOptions {
  readonly name: string;
  /** In boot order. */
  readonly disks: readonly MachineDisk[];
  /** Default 1024. */
  readonly memoryMib?: number;
  /** Default 2, where the processor is emulated 1. */
  readonly cpus?: number;
  /** Default "bios". */
  readonly firmware?: Firmware;
  /** A raw store of UEFI variables to begin with, as one with keys of one's own. */
  readonly uefiVariables?: string;
  /** Default one card, on the internet. */
  readonly nics?: readonly MachineNic[];
  readonly tpm?: boolean;
  readonly watchdog?: boolean;
  /** Default true. False: nothing of ours is seen by the guest, and commands go by `ssh` alone. */
  readonly shell?: boolean;
  /** Credentials that systemd in the guest gets from the firmware, "name" → text. */
  readonly credentials?: Readonly<Record<string, string>>;
}

/** The disks' files, in the machine's directory; those of an earlier life are taken up again. */
export async function makeDisks(disks: readonly MachineDisk[], directory: string): Promise<DiskShape[]> {
  const made: DiskShape[] = [];
  for (const [index, { image, sizeBytes, file, ...rest }] of disks.entries()) {
    const ways = [image ?? sizeBytes, file].filter((way) => way !== undefined);
    if (ways.length !== 1 || (file !== undefined && sizeBytes !== undefined))
      throw new Fail(`disk ${rest.serial}: an image, a size, both, or a file is accepted`);
    if (rest.serial === "" || Buffer.byteLength(rest.serial) > 20)
      throw new Fail(`disk serial "${rest.serial}": 1 to 20 characters are accepted`);
    if (file !== undefined) {
      if (!existsSync(file.file)) throw new Fail(`disk ${rest.serial}: ${file.file} does not exist`);
      made.push({ ...rest, ...file });
      continue;
    }
    const own = join(directory, `disk${index}.qcow2`);
    if (!existsSync(own)) {
      if (image !== undefined) await createOverlay(image, own, sizeBytes);
      else await createBlank(own, sizeBytes!);
    }
    made.push({ ...rest, file: own, format: "qcow2" });
  }
  return made;
}

/** It becomes a directory, a host key's alias and a name in QEMU's options. */
export function checkName(name: string): void {
  if (/^[a-z0-9][a-z0-9.-]{0,62}$/.test(name)) return;
  throw new Fail(`machine name "${name}": small letters, digits, dots and dashes are accepted, 63 at most`);
}

/** A locally administered address that is the same for the same machine and card. */
export function macOf(name: string, index: number): string {
  const bytes = createHash("sha256").update(`${name}/${index}`).digest("hex").slice(0, 6);
  return `52:54:00:${bytes.slice(0, 2)}:${bytes.slice(2, 4)}:${bytes.slice(4, 6)}`;
}

export function credentialStrings(credentials: Readonly<Record<string, string>>): string[] {
  return Object.entries(credentials).map(
    ([key, value]) => `io.systemd.credential.binary:${key}=${Buffer.from(value).toString("base64")}`,
  );
}

/** Credentials by which systemd-network-generator names the cards that have a name of their own. */
export function cardNames(nics: readonly Pick<MachineNic, "mac" | "name">[]): Record<string, string> {
  return Object.fromEntries(
    nics.flatMap(({ mac, name }, index) =>
      name === undefined
        ? []
        : [[`network.link.10-card${index}`, `[Match]\nMACAddress=${mac}\n[Link]\nName=${name}\n`]],
    ),
  );
}

/** Fails unless the guest gives the memory back, as one without the driver cannot. */
export async function balloon(qemu: Qemu, mib: number, name: string, scale: number): Promise<void> {
  const wanted = mib * 2 ** 20;
  await qemu.qmp.execute("balloon", { value: wanted });
  const deadline = Date.now() + 10_000 * scale;
  for (;;) {
    const { actual } = (await qemu.qmp.execute("query-balloon")) as { actual: number };
    if (actual === wanted) return;
    if (Date.now() > deadline)
      throw new Fail(`${name} has ${Math.round(actual / 2 ** 20)} MiB, and does not come to ${mib}`, {
        hint: "the guest needs the virtio_balloon driver, and memory that it can spare",
      });
    await sleep(100);
  }
}
