import type { DeviceRef } from "../../disks/device.ts";
import { type DiskIdentity, identityOf } from "../../disks/find-disk.ts";
import { verityBytes } from "../../disks/verity.ts";
import type { DiskFacts } from "../../schema/facts.ts";
import type { StepData } from "../../schema/plan.ts";
import type { Storage } from "../../schema/storage.ts";
import { makeVerity, type VerityPlan } from "../../steps/boot/make-verity.ts";
import { closeDisks } from "../../steps/disk/close-disks.ts";
import { mountDevice, swapFile, unmountTree } from "../../steps/disk/mount.ts";
import { partitionDisk } from "../../steps/disk/partition-disk.ts";
import { stepData } from "../../steps/step/step.ts";
import { sha256 } from "../../util/digest.ts";
import { Fail } from "../../util/fail.ts";
import { tooSmall } from "../check/check-verity.ts";
import { type Mounted, mountsOf, writtenDisks } from "../graph/check-storage.ts";
import { type Graph, graphOf, keepOf, type Place, scopeOf } from "../graph/graph.ts";
import { contentUuid, swapUuid } from "../graph/ids.ts";
import { refuseMisfit } from "../size/fit.ts";
import { type StorageConfig, storageConfig } from "../system/storage-config.ts";
import { verityPlaces } from "../system/verity-root.ts";
import { type LaidPartition, type Layout, layoutOf, sfdiskScript } from "../table/gpt.ts";
import { keptChecks } from "./kept.ts";
import { madeReference, type NodeSteps, nodeSteps } from "./node-steps.ts";

/** Where a root hash waits for the bootloader that carries it; RAM. */
const rootHashFile = "/run/imgbuild/root-hash";

/** A written disk and where its partitions lie. */
interface PlannedDisk {
  readonly identity: DiskIdentity;
  readonly layout: Layout;
}

/** All that a plan does with disks, as data; parents before what lies in them. */
export interface StorageSteps {
  readonly disks: readonly PlannedDisk[];
  /** Before the first write: tang servers are asked, what is open on the planned disks is closed, what is kept is verified. Asks for kept disks as well. */
  prepare(): StepData[];
  /** Tables, containers, filesystems, made anew; what was made stays open for `mount`. */
  readonly create: readonly StepData[];
  /** Opens what `create` made, in another boot. */
  readonly open: readonly StepData[];
  /** Mounts the tree; harmless where it is mounted. */
  readonly mount: readonly StepData[];
  /** Once, into the mounted tree: the swap file. */
  readonly fill: readonly StepData[];
  /** Unlocking by TPM or network, entered by the tree's own programs once it is complete. */
  readonly enroll: readonly StepData[];
  /** Of a root with verity, once the tree is whole: its digests are made, and it is mounted again as the new system will see it. */
  readonly seal: readonly StepData[];
  /** By which later steps know the digests and their root hash. */
  readonly verity: VerityPlan | undefined;
  readonly unmount: readonly StepData[];
  /** The opposite of `open`. */
  readonly close: readonly StepData[];
  readonly config: StorageConfig;
}

/** The definition's storage on the disks that it was matched with. */
export function storageSteps(
  storage: Storage,
  matched: Readonly<Record<string, DiskFacts>>,
  seed: string,
  epoch: number,
  secrets: Parameters<typeof storageConfig>[2] = {},
): StorageSteps {
  const disks = writtenDisks(storage).map(([name, disk]) => {
    const facts = factsOf(matched, name);
    return {
      identity: identityOf(name, facts),
      layout: layoutOf(disk, facts.sizeBytes, facts.sectorSize, { seed, name }, facts.partitions),
    };
  });
  const graph = graphOf(storage);
  if (graph.cycle !== undefined) throw new Fail(`the storage lies in itself: ${graph.cycle.join(" in ")}`);
  refuseMisfit(storage, matched);
  const refOf = references(disks, matched, graph, seed);
  const steps = nodeSteps(graph, { refOf, seed, epoch });
  const mounts = mountSteps(storage, steps);
  const unmount = [stepData(unmountTree, "flushing and unmounting", { paths: [...mounts.paths].reverse() })];
  const verity = verityPlan(storage, refOf, seed);
  return {
    disks,
    prepare: () => [...steps.ask, ...prepareSteps(storage, matched, graph, seed)],
    create: [
      ...disks.map(({ identity, layout }) =>
        stepData(partitionDisk, `partitioning ${showDisk(identity)}`, {
          disk: identity,
          script: sfdiskScript(layout),
          kept: layout.partitions.filter(({ kept }) => kept).map(extentOf),
          made: layout.partitions.filter(({ kept }) => !kept).map(extentOf),
        }),
      ),
      ...steps.create,
    ],
    open: steps.open,
    mount: mounts.steps,
    fill:
      storage.swapFile === undefined
        ? []
        : [
            stepData(swapFile, "making the swap file", {
              path: storage.swapFile.path,
              sizeBytes: storage.swapFile.size,
              uuid: swapUuid(seed),
            }),
          ],
    enroll: steps.enroll,
    seal:
      verity === undefined
        ? []
        : [
            ...unmount,
            stepData(makeVerity, "computing the digests of the root", verity),
            ...mountSteps(storage, steps, ["ro", "noload"]).steps,
          ],
    verity,
    unmount,
    close: steps.close,
    config: storageConfig(storage, seed, secrets),
  };
}

/** The place of a partition, as steps name it. */
export function placeOf(disk: DiskIdentity, { number, startBytes, sizeBytes }: LaidPartition) {
  return { disk, number, startBytes, sizeBytes };
}

/** The disks to be written are closed, and what is kept is looked at, there and on others. */
function prepareSteps(
  storage: Storage,
  matched: Readonly<Record<string, DiskFacts>>,
  graph: Graph,
  seed: string,
): StepData[] {
  const identities = writtenDisks(storage).map(([name]) => identityOf(name, factsOf(matched, name)));
  const asItIs = (place: Place): DeviceRef => {
    if (place.on !== "partition")
      return place.on === "kept-disk"
        ? foundOn(matched, place.disk, place.uuid)
        : madeReference(place, graph, seed);
    return foundOn(matched, place.disk, keepOf(place.partition.content)!.uuid);
  };
  return [
    stepData(closeDisks, "closing what is open on the disks", { disks: identities }),
    ...keptChecks(graph, asItIs, seed),
  ];
}

/** The device of a disk, as it was inspected, that holds something with that UUID. */
function foundOn(matched: Readonly<Record<string, DiskFacts>>, name: string, keptUuid: string): DeviceRef {
  const facts = factsOf(matched, name);
  const disk = identityOf(name, facts);
  const is = (uuid: string | undefined) => uuid?.toLowerCase() === keptUuid.toLowerCase();
  if (is(facts.uuid)) return { disk };
  const part = facts.partitions.find(({ uuid }) => is(uuid));
  const number = Number(/(\d+)$/.exec(part?.name ?? "")?.[1]);
  if (part === undefined || !(number > 0))
    throw new Fail(`disk ${name} has nothing with the UUID ${keptUuid}, which is to be kept`);
  return { partition: { disk, number, startBytes: part.startBytes, sizeBytes: part.sizeBytes } };
}

function factsOf(matched: Readonly<Record<string, DiskFacts>>, name: string): DiskFacts {
  const facts = matched[name];
  if (facts === undefined) throw new Fail(`disk ${name} was not matched`);
  return facts;
}

/** What each place of the graph is found by when a step runs. */
function references(
  disks: readonly PlannedDisk[],
  matched: Readonly<Record<string, DiskFacts>>,
  graph: Graph,
  seed: string,
): (place: Place) => DeviceRef {
  return (place) => {
    switch (place.on) {
      case "partition": {
        const disk = disks.find(({ identity }) => identity.name === place.disk);
        const part = disk?.layout.partitions.find(({ name }) => name === place.partition.name);
        if (disk === undefined || part === undefined)
          throw new Fail(`nothing is laid out for partition ${place.disk}/${place.partition.name}`);
        return { partition: placeOf(disk.identity, part) };
      }
      case "kept-disk":
        return foundOn(matched, place.disk, place.uuid);
      default:
        return madeReference(place, graph, seed);
    }
  };
}

/** Written filesystems in mount order. Kept ones are not mounted: what is not mounted cannot be written by accident. */
function mountSteps(
  storage: Storage,
  { deviceOf }: NodeSteps,
  sealed: readonly string[] = [],
): { steps: StepData[]; paths: string[] } {
  const mounts = mountsOf(storage).filter(({ kept }) => !kept);
  return {
    paths: mounts.map(({ mount }) => mount),
    steps: mounts.map((mounted) => {
      const [device, ...others] = deviceOf(mounted.place);
      if (device === undefined) throw new Fail(`nothing is laid out for ${mounted.mount}`);
      return stepData(mountDevice, `mounting ${mounted.mount}`, {
        device,
        others,
        type: mounted.type,
        path: mounted.mount,
        options: mounted.verity ? [...sealed] : buildOptions(mounted),
      });
    }),
  };
}

/** Options without which other things would be written than the new system reads. */
function buildOptions({ options }: Mounted): string[] {
  return options.filter((option) => /^(subvol|compress)=/.test(option));
}

/** The salt is no secret: with it nobody can prepare blocks of one digest for all systems at once. */
function verityPlan(
  storage: Storage,
  refOf: (place: Place) => DeviceRef,
  seed: string,
): VerityPlan | undefined {
  const places = verityPlaces(storage);
  if (places === undefined) return undefined;
  const [data, tree] = [refOf(places.data), refOf(places.tree)];
  if (!("partition" in data) || !("partition" in tree)) return undefined;
  if (tree.partition.sizeBytes < verityBytes(data.partition.sizeBytes))
    throw new Fail(tooSmall(tree.partition.sizeBytes, data.partition.sizeBytes), {
      hint: `make the partition ${places.tree.partition.name} larger`,
    });
  return {
    data: data.partition,
    tree: tree.partition,
    uuid: contentUuid(seed, "verity", ...scopeOf(places.tree)),
    salt: sha256(`${seed} verity salt`),
    file: rootHashFile,
  };
}

function extentOf({ startBytes, sizeBytes }: LaidPartition) {
  return { startBytes, sizeBytes };
}

function showDisk({ name, serial, sizeBytes }: DiskIdentity): string {
  return `${name} (serial ${serial ?? "none"}, ${Math.round(sizeBytes / 2 ** 20)} MiB)`;
}
