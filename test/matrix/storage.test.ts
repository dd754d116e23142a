import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Extent } from "../../src/disks/wipe.ts";
import { standIns } from "../../src/operator/secrets/test-secrets.ts";
import type { DiskFacts } from "../../src/schema/facts.ts";
import type { StepData } from "../../src/schema/plan.ts";
import type { Spec } from "../../src/schema/spec.ts";
import type { Storage } from "../../src/schema/storage.ts";
import { makeStorage } from "../../src/steps/disk/make-storage.ts";
import { stepData } from "../../src/steps/step/step.ts";
import { firstInstall } from "../../src/storage/table/first-install.ts";
import { cacheRoot } from "../../src/system/files/cache.ts";
import { plainLog } from "../../src/util/log.ts";
import { Secret } from "../../src/util/secret.ts";
import {
  blankAll,
  bytesAt,
  hashesOf,
  hashOf,
  inBase,
  layouts,
  makeRack,
  markers,
  mib,
  type Rack,
  specOf,
  stepsOn,
} from "../helpers/builders/ladder.ts";

const options = {
  cache: cacheRoot(process.env),
  env: process.env,
  log: plainLog(process.stderr, Date.now),
  signal: new AbortController().signal,
};
const only = process.env.IMGBUILD_LAYOUTS?.split(",");
const vmMs = 3_600_000;

describe("storage: the ladder of every layout", () => {
  let rack: Rack;
  let directory: string;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "imgbuild-ladder-"));
    rack = await makeRack(directory, [3584, 2560, 1536, 1536]);
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it(
    "F35, F37: creates, mounts twice, unmounts twice, opens again, and creates anew over what is open",
    async () => {
      const steps: StepData[] = [];
      const secrets = new Map<string, Secret>();
      for (const name of layouts.filter((one) => only?.includes(one) ?? true)) {
        const spec = anew(await specOf(name));
        for (const [key, secret] of standIns(spec)) secrets.set(key, secret);
        const once = stepsOn(spec, rack, `${name} first`);
        const again = stepsOn(spec, rack, `${name} second`);
        steps.push(
          ...once.prepare(),
          ...once.create,
          ...once.mount,
          ...once.mount,
          ...once.fill,
          markers(spec.storage!, name),
          ...once.seal,
          ...once.unmount,
          ...once.unmount,
          ...once.close,
          ...once.close,
          ...once.open,
          ...once.open,
          ...once.mount,
          ...again.prepare(),
          ...again.create,
          ...again.mount,
          ...again.unmount,
          ...again.close,
          ...blankAll(rack),
        );
      }
      const before = await hashOf(rack.bystander.file);
      const report = await inBase(rack, { steps }, secrets, options);
      expect(report.outcome).toBe("done");
      expect(await hashOf(rack.bystander.file)).toBe(before);
    },
    vmMs,
  );
});

describe("storage-4kn: F20, disks of 4096-byte sectors", () => {
  it(
    "take the same definitions, on a larger and on a smaller one",
    async () => {
      const directory = mkdtempSync(join(tmpdir(), "imgbuild-4kn-"));
      try {
        const rack = await makeRack(directory, [5000, 2400], 4096);
        const secrets = new Map<string, Secret>();
        const steps: StepData[] = [];
        for (const name of ["uki", "luks-lvm"]) {
          const spec = await specOf(name);
          for (const [key, secret] of standIns(spec)) secrets.set(key, secret);
          const disks = name === "uki" ? [0, 1] : [0];
          for (const disk of disks) {
            const made = stepsOn(spec, rack, name, { system: rack.disks[disk]!.facts });
            const put = markers(spec.storage!, name);
            steps.push(...made.prepare(), ...made.create, ...made.mount, put, ...made.unmount, ...made.close);
          }
        }
        expect((await inBase(rack, { steps }, secrets, options)).outcome).toBe("done");
      } finally {
        rmSync(directory, { recursive: true, force: true });
      }
    },
    vmMs,
  );
});

describe("storage-kept: F36, what is kept", () => {
  let rack: Rack;
  let directory: string;
  const secrets = new Map<string, Secret>();
  /** Where the kept things lie, and their hashes after they were made. */
  const kept: { disk: number; extent: Extent; hash: string }[] = [];
  let specs: Record<"home" | "luks" | "volume", Spec>;

  const on = (disk: number, spec: Spec, partitions: DiskFacts["partitions"] = []) => {
    const { facts } = rack.disks[disk]!;
    return stepsOn(spec, rack, `kept-${disk}`, { system: { ...facts, partitions } });
  };
  const seen = (disk: number, spec: Spec, fsType: string, uuid: string): DiskFacts["partitions"] => {
    const part =
      on(disk, anew(spec)).disks[0]!.layout.partitions[2] ??
      on(disk, anew(spec)).disks[0]!.layout.partitions[1]!;
    const { number, startBytes, sizeBytes } = part;
    return [{ name: `vd${number}`, startBytes, sizeBytes, fsType, uuid, mountPoints: [] }];
  };

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "imgbuild-kept-"));
    rack = await makeRack(directory, [2560, 2560, 2560]);
    const [home, luks, volume] = await Promise.all(["kept-home", "kept-luks", "kept-volume"].map(specOf));
    specs = { home: home!, luks: luks!, volume: volume! };
    for (const spec of Object.values(specs))
      for (const [key, secret] of standIns(spec)) secrets.set(key, secret);
    const steps = Object.values(specs).flatMap((spec, disk) => {
      const made = on(disk, anew(spec));
      const put = markers(anew(spec).storage!, `disk ${disk}`);
      return [...made.create, ...made.mount, put, ...made.unmount, ...made.close];
    });
    await inBase(rack, { steps }, secrets, options);
    for (const disk of [0, 1]) {
      const { startBytes, sizeBytes } = on(disk, anew(Object.values(specs)[disk]!)).disks[0]!.layout
        .partitions[2]!;
      const extent = { startBytes, sizeBytes };
      kept.push({ disk, extent, hash: await hashOf(rack.disks[disk]!.file, extent) });
    }
    const group = on(2, anew(specs.volume)).disks[0]!.layout.partitions[1]!;
    const extent = await volumeExtent(rack.disks[2]!.file, group.startBytes, "srv");
    kept.push({ disk: 2, extent, hash: await hashOf(rack.disks[2]!.file, extent) });
  }, vmMs);
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it(
    "is byte for byte what it was, while all around it is made anew",
    async () => {
      const plans = [
        on(0, specs.home, seen(0, specs.home, "ext4", uuids.home)),
        on(1, specs.luks, seen(1, specs.luks, "crypto_LUKS", uuids.luks)),
        on(2, specs.volume, seen(2, specs.volume, "LVM2_member", uuids.pv)),
      ];
      const esp = (disk: number) => ({
        file: rack.disks[disk]!.file,
        ...plans[disk]!.disks[0]!.layout.partitions[0]!,
      });
      const before = await Promise.all([0, 1, 2].map((disk) => hashOf(esp(disk).file, esp(disk))));
      const texts = ["home", "luks", "volume"] as const;
      const steps = plans.flatMap((plan, disk) => [
        ...plan.create,
        ...plan.mount,
        markers(specs[texts[disk]!].storage!, `another text on disk ${disk}`),
        ...plan.unmount,
        ...plan.close,
      ]);
      await inBase(rack, { prepare: plans.flatMap((plan) => plan.prepare()), steps }, secrets, options);
      for (const { disk, extent, hash } of kept)
        expect(await hashOf(rack.disks[disk]!.file, extent), `disk ${disk}`).toBe(hash);
      for (const disk of [0, 1, 2]) expect(await hashOf(esp(disk).file, esp(disk))).not.toBe(before[disk]);
    },
    vmMs,
  );

  it(
    "is tried before the first write: a wrong key, another UUID, a part elsewhere leave every byte as it was",
    async () => {
      const before = await hashesOf(rack);
      const other = "00000000-1111-4222-8333-444444444444";
      const wrongKey = new Map([...secrets].map(([name]) => [name, new Secret(name, Buffer.from("wrong"))]));
      const luks = on(1, specs.luks, seen(1, specs.luks, "crypto_LUKS", uuids.luks));
      await expect(
        inBase(rack, { prepare: luks.prepare(), steps: luks.create }, wrongKey, options),
      ).rejects.toThrow(/is kept, and the secret data-key does not open it/);
      const lied = on(0, withUuid(specs.home, uuids.home, other), seen(0, specs.home, "ext4", other));
      await expect(
        inBase(rack, { prepare: lied.prepare(), steps: lied.create }, secrets, options),
      ).rejects.toThrow(/should have the UUID 00000000-1111/);
      expect(await hashesOf(rack)).toEqual(before);
    },
    vmMs,
  );

  it(
    "F34: does not tear a mirror in two: a disk whose other half is not planned stays as it was",
    async () => {
      const mirror = await specOf("md-mirror");
      const { facts: first } = rack.disks[0]!;
      const { facts: second } = rack.disks[1]!;
      const both = stepsOn(mirror, rack, "mirror", { first, second });
      const alone = stepsOn(await specOf("both-firmwares"), rack, "alone", { system: first });
      await inBase(
        rack,
        { prepare: both.prepare(), steps: [...both.create, ...both.close] },
        secrets,
        options,
      );
      const before = await hashesOf(rack);
      await expect(
        inBase(rack, { prepare: alone.prepare(), steps: alone.create }, secrets, options),
      ).rejects.toThrow(/part of the md array .* which is not in the plan/);
      expect(await hashesOf(rack)).toEqual(before);
    },
    vmMs,
  );

  it(
    "is looked at before the first write with no byte changed, though its group has a mirror, which LVM writes to when it is activated",
    async () => {
      const plan = on(2, specs.volume, seen(2, specs.volume, "LVM2_member", uuids.pv));
      const open = plan.create.filter(({ kind }) => kind === "open-group");
      const lvm = (...args: string[]) => ({ program: "lvm" as const, args: [...args] });
      const commands = [
        lvm("lvremove", "--quiet", "--yes", "system/root"),
        lvm(
          ...["lvcreate", "--quiet", "--yes", "--type", "raid1", "--mirrors", "1", "--alloc", "anywhere"],
          ...["--size", "32m", "--name", "mirror", "system"],
        ),
      ];
      const mirror = stepData(makeStorage, "adding a mirror", { commands, epoch: 1 });
      await inBase(rack, { steps: [...open, mirror, ...plan.close] }, secrets, options);
      const before = await hashesOf(rack);
      await inBase(rack, { prepare: plan.prepare(), steps: [] }, secrets, options);
      expect(await hashesOf(rack)).toEqual(before);
    },
    vmMs,
  );
});

/** As those layouts say it. */
const uuids = {
  home: "6d1f1f0a-52a5-4f0e-9c1b-0b5e6f7a8c9d",
  luks: "2f6c1a34-8e0d-4b57-9a21-c3d4e5f60718",
  pv: "Kq3vY1-7bXc-9dTe-2fRg-4hJk-6lMn-8pQrSt",
};

/** The same with nothing kept: how it came to be there. */
function anew(spec: Spec): Spec {
  return { ...spec, storage: firstInstall(spec.storage!) };
}

function withUuid(spec: Spec, from: string, to: string): Spec {
  return { ...spec, storage: JSON.parse(JSON.stringify(spec.storage).replace(from, to)) as Storage };
}

/** Where a linear volume of one segment lies, from the text in which LVM keeps its metadata. */
async function volumeExtent(file: string, at: number, name: string): Promise<Extent> {
  const text = (await bytesAt(file, at, mib)).toString("latin1");
  const latest = text.slice(text.lastIndexOf(`${name} {`));
  const number = (pattern: RegExp, from: string) => Number(pattern.exec(from)?.[1]);
  const extent = number(/extent_size = (\d+)/, text.slice(text.lastIndexOf("extent_size"))) * 512;
  const start = number(/pe_start = (\d+)/, text) * 512;
  const first = number(/"pv0", (\d+)/, latest);
  const count = number(/extent_count = (\d+)/, latest);
  return { startBytes: at + start + first * extent, sizeBytes: count * extent };
}
