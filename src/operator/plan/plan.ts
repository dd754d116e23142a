import { epochOf } from "../../debian/lock/lock-date.ts";
import type { DiskIdentity } from "../../disks/find-disk.ts";
import type { DiskFacts, Facts } from "../../schema/facts.ts";
import type { Lock } from "../../schema/lock.ts";
import { type Plan, type StepData, targetRoot } from "../../schema/plan.ts";
import type { Spec } from "../../schema/spec.ts";
import { askMachine } from "../../steps/boot/ask-machine.ts";
import { keepBase } from "../../steps/boot/keep-base.ts";
import { nameBootEntry } from "../../steps/boot/name-boot-entry.ts";
import { flushTree } from "../../steps/disk/mount.ts";
import { stepData } from "../../steps/step/step.ts";
import { unpackTree } from "../../steps/tree/unpack-tree.ts";
import { mountsOf } from "../../storage/graph/check-storage.ts";
import { placeOf, type StorageSteps, storageSteps } from "../../storage/plan/storage-steps.ts";
import type { Layout } from "../../storage/table/gpt.ts";
import { digestOf, uuidFrom } from "../../util/digest.ts";
import { Fail } from "../../util/fail.ts";
import type { DefinitionFiles } from "../definition/files.ts";
import { needsOf } from "../inspect/needs.ts";
import { type BaseFiles, cacheDir } from "../takeover/takeover.ts";
import { bootSteps, firmwareLoader, kernelCmdline, type Lasting } from "./boot-steps.ts";
import { type Rescue, type RescueInputs, rescuePlace } from "./rescue-first.ts";
import { restoreSteps } from "./restore.ts";
import { treeSteps } from "./tree.ts";

/** What a plan follows from, beside the machine. */
export interface PlanInputs {
  readonly spec: Spec;
  readonly lock: Lock;
  /** Digest of spec, lock and files. */
  readonly definition: string;
  /** The definition's `files/`: path on the new system → bytes and mode. */
  readonly files: DefinitionFiles["files"];
  readonly links: DefinitionFiles["links"];
  /** Kept on the new system for the next deploy; a rescue medium does not have it at hand. */
  readonly base?: BaseFiles;
  /** Whether its data is restored from the backup. */
  readonly restore?: boolean | undefined;
}

/** Files of the making that go with the base; RAM. */
const scratch = "/run/imgbuild/scratch";

/**
 * Everything the base will do on the disks, as data. The same definition, lock and machine (in the same boot) give the same
 * plan, so that a plan can be read, approved by its digest, and deployed later.
 */
export function deployPlan(
  inputs: PlanInputs,
  about: {
    readonly facts: Pick<Facts, "machineId" | "bootId" | "consoles" | "firmware"> &
      Partial<Pick<Facts, "secureBoot">>;
    readonly disks: Readonly<Record<string, DiskFacts>>;
    readonly mirrors: Readonly<Record<string, readonly string[]>>;
  },
): Plan {
  const { spec, lock, definition } = inputs;
  const { facts } = about;
  const seed = deploySeed(definition, facts);
  const { consoles } = facts;
  const { storage, cmdline, before, boot, after, rescue } = baseSteps(spec, seed, epochOf(lock), {
    disks: about.disks,
    consoles,
    ...(inputs.base === undefined ? {} : { rescue: { lock, base: inputs.base, facts } }),
  });
  const restore = inputs.restore ? restoreSteps(spec, lock) : { prepare: [], steps: [] };
  const steps: StepData[] = [
    ...before,
    ...treeSteps(spec, lock, {
      storage: storage.config,
      mirrors: about.mirrors,
      packages: new Set(lock.packages.map((locked) => locked.name)),
      files: { files: inputs.files, links: inputs.links },
      identity: "deploy",
      cmdline,
      definition,
    }),
    ...(inputs.base === undefined ? [] : keepSteps(inputs.base, rescue)),
    ...restore.steps,
    ...flushSteps(spec, rescue),
    ...storage.enroll,
    // After all that is written to the root: of one with verity, not a byte may change from here on.
    ...boot,
    ...after,
    ...bootEntries(storage, spec, facts.firmware),
  ];
  return {
    ...{ version: 1, hostname: spec.hostname, definition, steps },
    prepare: [askStep(spec, lock), ...restore.prepare, ...storage.prepare()],
  };
}

function askStep(spec: Spec, lock: Lock): StepData {
  return stepData(askMachine, "asking the machine for what is needed of it", needsOf(spec, lock).machine);
}

/** Last, and the first disk's last of all, as each entry comes before the others: the firmware is pointed to nothing that is not whole and on the disk. */
function bootEntries({ disks }: StorageSteps, spec: Spec, firmware: Facts["firmware"]): StepData[] {
  if (firmware !== "uefi") return [];
  const hasEsp = ({ layout }: (typeof disks)[number]) => layout.partitions.some(({ type }) => type === "esp");
  const first = disks.find(hasEsp)?.identity.name;
  return [...disks].reverse().flatMap(({ identity, layout }) => bootEntry(identity, layout, spec, first));
}

/**
 * The same for a tree that is made already and waits in a file, but for what no one may read of it: `seed` is what the UUIDs
 * derive from. `sizeBytes` is that of the archive's content, where it is known.
 */
export function unpackingPlan(
  { spec, lock, definition, base: kept, restore: wanted }: PlanInputs,
  about: {
    readonly firmware: Facts["firmware"];
    readonly secureBoot?: boolean;
    readonly consoles: readonly string[];
    readonly disks: Readonly<Record<string, DiskFacts>>;
    readonly archive: { readonly file: string; readonly sizeBytes?: number };
    readonly seed: string;
    readonly sealed: readonly StepData[];
  },
): Plan {
  const { firmware, secureBoot = false } = about;
  const base = baseSteps(spec, about.seed, epochOf(lock), {
    ...{ disks: about.disks, consoles: about.consoles },
    ...(kept === undefined ? {} : { rescue: { lock, base: kept, facts: { firmware, secureBoot } } }),
  });
  const { archive } = about;
  const restore = wanted ? restoreSteps(spec, lock) : { prepare: [], steps: [] };
  return {
    ...{ version: 1, hostname: spec.hostname, definition },
    prepare: [askStep(spec, lock), ...restore.prepare, ...base.storage.prepare()],
    steps: [
      ...base.before,
      stepData(unpackTree, "unpacking the tree", { archive }),
      ...about.sealed,
      ...(kept === undefined ? [] : keepSteps(kept, base.rescue)),
      ...restore.steps,
      ...flushSteps(spec, base.rescue),
      ...base.storage.enroll,
      ...base.boot,
      ...base.after,
      ...bootEntries(base.storage, spec, firmware),
    ],
  };
}

/** What the identifiers of a deploy derive from: never the same on two machines, nor twice on one. */
export function deploySeed(
  definition: string,
  { machineId, bootId }: Pick<Facts, "machineId" | "bootId">,
): string {
  return uuidFrom(digestOf([definition, machineId, bootId]), "deploy");
}

/** What the base does on disks, in order: what fills the mounted tree comes after `before`. */
export function baseSteps(
  spec: Spec,
  seed: string,
  epoch: number,
  about: {
    readonly disks: Readonly<Record<string, DiskFacts>>;
    readonly consoles: readonly string[];
    /** Of a deploy: the base is started until the system is whole. */
    readonly rescue?: Pick<RescueInputs, "lock" | "base" | "facts">;
    /** Of an image: where it stays as rescue system. */
    readonly lasting?: Lasting | undefined;
  },
): {
  readonly storage: StorageSteps;
  readonly cmdline: readonly string[];
  readonly before: StepData[];
  readonly boot: StepData[];
  readonly after: StepData[];
  readonly rescue: Rescue | undefined;
} {
  if (spec.storage === undefined) throw new Fail("the definition has no storage");
  const storage = storageSteps(spec.storage, about.disks, seed, epoch, spec.secrets);
  const cmdline = kernelCmdline(spec, seed, about.consoles);
  const rescue = about.rescue && rescuePlace({ ...about.rescue, spec, disks: about.disks });
  const place = rescue === undefined || "reason" in rescue ? undefined : rescue;
  const lasting = place?.stays
    ? { places: [place], base: about.rescue!.base, inImage: false }
    : about.lasting;
  const { first, filesystem, grub, verify, last } = bootSteps(spec, seed, {
    cmdline,
    consoles: about.consoles,
    esp: `${targetRoot}/efi`,
    xbootldr: `${targetRoot}/xbootldr`,
    scratch,
    epoch,
    disks: storage.disks.map(({ identity, layout }) => ({ layout, target: { disk: identity } })),
    verity: storage.verity,
    lasting,
    ...(place === undefined ? {} : { rescue: { place, base: about.rescue!.base } }),
  });
  // Firmware that goes through its list before it tries what is there unasked finds the base the sooner.
  const early =
    first.length > 0 && spec.boot?.secureBoot === undefined
      ? bootEntries(storage, spec, about.rescue!.facts.firmware)
      : [];
  return {
    storage,
    cmdline,
    rescue,
    before: [...storage.create, ...storage.mount, ...first, ...early, ...storage.fill],
    boot: [...storage.seal, ...filesystem, ...grub, ...verify],
    after: [...last, ...storage.unmount, ...storage.close],
  };
}

/** Where the base is started meanwhile, the last step flushes everything; else what is written next is what starts the new system. */
function flushSteps({ storage }: Spec, rescue: Rescue | undefined): StepData[] {
  if (storage === undefined || (rescue !== undefined && !("reason" in rescue))) return [];
  const paths = mountsOf(storage).filter(({ kept, verity }) => !kept && !verity);
  return [
    stepData(flushTree, "flushing what is built, before anything starts it", {
      paths: paths.map(({ mount }) => mount),
    }),
  ];
}

/** What the base has to be, byte for byte, to be found in the new system's cache: nothing where it was written there first. */
function keepSteps({ digest, ...files }: BaseFiles, rescue: Rescue | undefined): StepData[] {
  if (rescue !== undefined && "isCache" in rescue && rescue.isCache) return [];
  const wanted = (["kit", "kernel", "outer", "squashfs"] as const).map((name) => ({
    name,
    size: files[name].size,
    sha256: files[name].sha256,
  }));
  return [
    stepData(keepBase, "keeping the base for the next deploy", {
      directory: `${cacheDir}/${digest}`,
      files: wanted,
    }),
  ];
}

function bootEntry(
  disk: DiskIdentity,
  layout: Layout,
  { hostname, boot }: Spec,
  first: string | undefined,
): StepData[] {
  if (boot === undefined) return [];
  return layout.partitions
    .filter(({ type }) => type === "esp")
    .map((part) =>
      stepData(nameBootEntry, "entering it in the firmware's boot list", {
        partition: placeOf(disk, part),
        // Copies of the ESP on other disks are entries of their own.
        label: first === disk.name ? hostname : `${hostname} (${disk.name})`,
        loader: firmwareLoader(boot),
      }),
    );
}
