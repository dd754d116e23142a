import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { needsOf } from "../operator/inspect/needs.ts";
import { type OpenDefinition, openDefinition } from "../operator/lock/open-definition.ts";
import { testSecrets } from "../operator/secrets/test-secrets.ts";
import { type TestImage, testImage } from "../operator/test/test-image.ts";
import type { Spec } from "../schema/spec.ts";
import type { Surroundings } from "../system/files/cache.ts";
import { Fail } from "../util/fail.ts";
import type { Secret } from "../util/secret.ts";
import { type Lab, type LabOptions, openLab } from "../vm/lab/lab.ts";
import type { Firmware } from "../vm/machine/firmware.ts";
import type { Machine, MachineDisk, MachineOptions } from "../vm/machine/machine.ts";
import { cardsOf, onDeclared } from "./cards.ts";
import { readNetworkd } from "./networkd.ts";

/** A machine made from a definition: its disks come from it, more may be added. */
export interface DefinedOptions extends Partial<Omit<MachineOptions, "disks">> {
  /** A directory with an IMGBUILD.ts, or the file, or the name of a host in hosts.yaml. */
  readonly definition: string;
  /** Serials of the definition's disks that the machine does not have, as if they had been taken out. */
  readonly without?: readonly string[];
  /** Disks beside those of the definition. */
  readonly moreDisks?: readonly MachineDisk[];
}

export interface DefinedMachine extends Machine {
  readonly spec: Spec;
  /** The public host key that it answers with. */
  readonly hostKey: string;
  /** Paths of the definition's `files/`. */
  readonly placed: readonly string[];
}

/** A lab whose machines may also come from definitions. */
export interface TestLab extends Omit<Lab, "machine"> {
  machine(options: DefinedOptions): Promise<DefinedMachine>;
  machine(options: MachineOptions): Promise<Machine>;
}

export type TestLabOptions = Surroundings &
  Pick<LabOptions, "directory" | "keep"> & {
    /** What a definition's path is relative to; default the working directory. */
    readonly from?: string;
  };

/** Of a machine that is not made from a definition here. What shares one of them by name gets its real text, and is cached nowhere. */
interface RealSecrets {
  readonly names: readonly string[];
  readonly open: () => Promise<ReadonlyMap<string, Secret>>;
}

export async function openTestLab(options: TestLabOptions, real?: RealSecrets): Promise<TestLab> {
  const lab = await openLab({ ...options, accel: options.env.IMGBUILD_ACCEL });
  async function machine(how: DefinedOptions): Promise<DefinedMachine>;
  async function machine(how: MachineOptions): Promise<Machine>;
  async function machine(how: DefinedOptions | MachineOptions): Promise<Machine> {
    if (!("definition" in how)) return await lab.machine(how);
    const definition = await openDefinition(how.definition, { from: options.from ?? process.cwd() });
    const image = await imageOf(definition, options, { real, within: lab.directory });
    return await machineOf(lab, image, how);
  }
  return { ...lab, machine };
}

async function imageOf(
  definition: OpenDefinition,
  options: TestLabOptions,
  { real, within }: { readonly real: RealSecrets | undefined; readonly within: string },
): Promise<TestImage> {
  const given = { ...options, hasPlace: true };
  const shared = real?.names.filter((name) => name in definition.spec.secrets) ?? [];
  if (real === undefined || shared.length === 0) return await testImage(definition, given);
  const secrets = await testSecrets(definition);
  const opened = await real.open();
  try {
    for (const name of shared) secrets.set(name, opened.get(name)!);
    const directory = await mkdtemp(join(within, "image-"));
    return await options.log.task(`building ${definition.spec.hostname}`, (log) =>
      testImage(definition, { ...given, log }, { secrets, directory }),
    );
  } finally {
    for (const secret of opened.values()) secret.wipe();
  }
}

/** UEFI as the definition expects it: Secure Boot with Microsoft's keys, or about to take the definition's own. */
export function uefiFor({ boot }: Pick<Spec, "boot">): Exclude<Firmware, "bios"> {
  if (boot?.secureBoot === undefined) return "uefi";
  return boot.secureBoot === "debian" ? "secure-boot" : "setup-mode";
}

/** The machine of an image; its disks are overlays, so the image stays as it was built. */
export async function machineOf(
  lab: { machine(options: MachineOptions): Promise<Machine> },
  image: TestImage,
  how: Omit<DefinedOptions, "definition">,
): Promise<DefinedMachine> {
  const { moreDisks, without = [], ...rest } = how;
  const { spec, hostKey, placed } = image;
  const declaredDisks = [image.system, ...image.others, ...image.kept];
  const unknown = without.find((serial) => declaredDisks.every((one) => one.serial !== serial));
  if (unknown !== undefined)
    throw new Fail(`the definition has no disk with the serial ${unknown}`, {
      hint: `it has ${declaredDisks.map(({ serial }) => serial).join(", ")}`,
    });
  const raw = (file: string) => ({ file, format: "raw" }) as const;
  const declared = spec.boot?.firmware ?? [];
  const network = readNetworkd(image.networkd);
  const nics = rest.nics ?? cardsOf(network, spec.boot?.cmdline);
  const machine = await lab.machine({
    name: spec.hostname,
    firmware: declared.includes("bios") ? "bios" : uefiFor(spec),
    tpm: needsOf(spec).machine.tpm2 !== undefined,
    ...rest,
    nics: nics.map((nic, index) => onDeclared(nic, index, network)),
    disks: [
      ...declaredDisks
        .filter(({ serial }) => !without.includes(serial))
        .map(({ file, serial }) => ({ image: raw(file), serial })),
      ...(moreDisks ?? []),
    ],
  });
  return asDefined(machine, { spec, hostKey, placed });
}

/** The machine, and what its definition says of it. */
export function asDefined(
  machine: Machine,
  { spec, hostKey, placed }: Pick<DefinedMachine, "spec" | "hostKey" | "placed">,
): DefinedMachine {
  // Not spread: some of a machine's properties change while it lives.
  return Object.defineProperties(machine, {
    spec: { value: spec, enumerable: true },
    hostKey: { value: hostKey, enumerable: true },
    placed: { value: placed, enumerable: true },
  }) as DefinedMachine;
}
