import { describe, expect, it } from "vitest";
import type { ImageInputs } from "../../../../src/operator/build/build.ts";
import { imagePlan, NeedsVm } from "../../../../src/operator/build/image-plan.ts";
import { packagesLayer } from "../../../../src/operator/build/layers.ts";
import { vmPlan } from "../../../../src/operator/build/vm-plan.ts";
import { Plan, type StepData } from "../../../../src/schema/plan.ts";
import type { SpecInput } from "../../../../src/schema/spec.ts";
import { allSteps } from "../../../../src/steps/registry.ts";
import { digestOf } from "../../../../src/util/digest.ts";
import { Secret } from "../../../../src/util/secret.ts";
import { lockOf, serverSpec } from "../../../helpers/builders/deployable.ts";
import { keptUuid } from "../../../helpers/builders/storage.ts";

function inputs(change: Partial<SpecInput> = {}, secrets?: Record<string, string>): ImageInputs {
  const spec = serverSpec(change);
  const held = Object.entries(secrets ?? {}).map(
    ([name, value]) => [name, new Secret(name, Buffer.from(value))] as const,
  );
  return {
    ...{ spec, lock: lockOf(spec), definition: "def", filesDir: undefined, mirrors: {} },
    files: { files: new Map(), links: [] },
    secrets: secrets === undefined ? undefined : new Map(held),
  };
}

const ofBase = (given: ImageInputs) => {
  const plan = vmPlan(given);
  return plan.plan(plan.archive(1024 * 1024)).steps;
};
const kinds = (steps: readonly StepData[]) => steps.map(({ kind }) => kind);
const paths = {
  image: "/w/disk.raw",
  tree: "/w/tree",
  esp: "/w/esp",
  xbootldr: "/w/xbootldr",
  scratch: "/w/scratch",
};

const second = {
  match: { serial: "SECOND" },
  imageSize: "1GiB",
  table: {
    type: "gpt" as const,
    partitions: [
      {
        name: "srv",
        type: "linux" as const,
        size: "rest" as const,
        content: { type: "ext4" as const, mount: "/srv" },
      },
    ],
  },
};
const twoDisks = (): Partial<SpecInput> => {
  const { storage } = serverSpec();
  return { storage: { disks: { system: storage!.disks.system!, second } } };
};

describe("vmPlan", () => {
  it("makes the tree and the identifiers of a native build", () => {
    const [native, vm] = [imagePlan(inputs()), vmPlan(inputs())];
    expect(vm.tree).toEqual(native.tree);
    expect(vm.epoch).toBe(native.epoch);
    const uuids = (steps: readonly StepData[]) =>
      steps.flatMap(({ uuid, hashSeed }) => (hashSeed === undefined ? [] : [[uuid, hashSeed]])).sort();
    expect(uuids(ofBase(inputs()))).toEqual(uuids(native.disk(paths)));
    const tables = (steps: readonly StepData[]) => steps.flatMap(({ script }) => script ?? []);
    expect(tables(ofBase(inputs()))).toEqual(tables(native.disk(paths)));
    const boots = (steps: readonly StepData[]) =>
      steps.flatMap(({ kind, menu, cmdline, rootUuid }) =>
        /^install-|^verify-/.test(kind) ? [{ kind, menu, cmdline, rootUuid }] : [],
      );
    expect(boots(ofBase(inputs()))).toEqual(boots(native.boot(paths)));
  });

  it("shares the packages' layer with a native build", async () => {
    const layer = async (plan: Parameters<typeof packagesLayer>[0]["plan"]) =>
      await packagesLayer({ cache: "/c", base: "b", plan });
    expect(await layer(vmPlan(inputs()))).toEqual(await layer(imagePlan(inputs())));
  });

  it("fills mounted filesystems, then makes them bootable, and unmounts last of all", () => {
    const steps = ofBase(inputs());
    const at = (kind: string) => kinds(steps).indexOf(kind);
    expect(kinds(steps).slice(0, 9)).toEqual([
      ...["partition-disk", "mkfs-vfat", "mkfs-ext4", "mkfs-ext4", "mount", "mount", "mount", "swap-file"],
      "unpack-tree",
    ]);
    for (const kind of ["install-systemd-boot", "install-grub"]) {
      expect(at(kind)).toBeGreaterThan(at("unpack-tree"));
      expect(at(kind)).toBeLessThan(at("verify-boot"));
    }
    expect(kinds(steps).slice(-2)).toEqual(["verify-boot", "unmount"]);
    const made = vmPlan(inputs()).plan(vmPlan(inputs()).archive(4096));
    expect(digestOf(Plan.parse(JSON.parse(JSON.stringify(made))))).toBe(digestOf(made));
    for (const { kind, doing, ...data } of steps)
      expect(allSteps.get(kind)?.schema.safeParse(data).error, doing).toBeUndefined();
  });

  it("names disks of its own machine, never one of the definition's hosts or a device", () => {
    const text = JSON.stringify(ofBase(inputs()));
    for (const other of ['"SYS"', '"DATA"', "/dev/"]) expect(text).not.toContain(other);
    expect(vmPlan(inputs()).disks).toEqual([
      { name: "system", serial: "imgbuild-0", sizeBytes: 4096 * 2 ** 20 },
    ]);
    const doing = ofBase(inputs()).map((step) => step.doing);
    expect(doing.some((text) => text.includes("system (blank, 4096 MiB)"))).toBe(true);
    expect(doing.filter((text) => text.includes("imgbuild-"))).toEqual([]);
    // A virtio disk shows twenty characters of it.
    const { disks, archive } = vmPlan(inputs(twoDisks()));
    const serials = [...disks, archive(1)].map(({ serial = "" }) => serial);
    expect(new Set(serials).size).toBe(3);
    for (const serial of serials) expect(serial.length).toBeLessThanOrEqual(20);
  });

  it("writes as many disks as there are, which a native build refuses and tells the way", () => {
    const { disks } = vmPlan(inputs(twoDisks()));
    expect(disks.map(({ name, sizeBytes }) => [name, sizeBytes / 2 ** 20])).toEqual([
      ["second", 1024],
      ["system", 4096],
    ]);
    const refused = () => imagePlan(inputs(twoDisks()));
    expect(refused).toThrow(NeedsVm);
    expect(refused).toThrow("the definition writes 2 disks; a native build makes one");
    expect(new NeedsVm("x").hint).toContain("--in-vm");
  });

  it("makes what a deploy would keep, with the UUID by which the definition knows it", () => {
    const { storage } = serverSpec();
    const system = structuredClone(storage!.disks.system!);
    if (!("table" in system)) throw new Error("the system's disk is written");
    const root = system.table.partitions.find(({ name }) => name === "var")!;
    root.content = { type: "ext4", mount: "/var", options: [], keep: { uuid: keptUuid } };
    const kept = inputs({ storage: { ...storage!, disks: { system } } });
    const made = [ofBase(kept), imagePlan(kept).disk(paths)].map((steps) =>
      steps.filter(({ uuid }) => uuid === keptUuid).map(({ kind }) => kind),
    );
    expect(made).toEqual([["mkfs-ext4"], ["mkfs-ext4-image"]]);
    expect(JSON.stringify(vmPlan(kept).tree)).toContain(`UUID=${keptUuid} /var ext4`);
  });

  it("refuses a definition without disks", () => {
    expect(() => vmPlan(inputs({ storage: undefined }))).toThrow("the definition has no storage");
  });
});

describe("secrets in a virtual machine", () => {
  const declared: Partial<SpecInput> = {
    secrets: { page: { file: "page.age", path: "/etc/page" }, "admin-password": { file: "p.age" } },
    users: { admin: { hashedPasswordSecret: "admin-password" }, guest: {} },
  };
  const given = { page: "p", "admin-password": "$y$j9T$x$y", "hostkey:ssh_host_ed25519_key": "k" };

  it("are asked for by steps of the base, behind the tree, and by none that run here", () => {
    const held = inputs(declared, given);
    const here = vmPlan(held).tree.system;
    expect(kinds(here)).not.toContain("write-secrets");
    expect(JSON.stringify(here)).not.toContain("hashedPasswordSecret");
    expect(here.find(({ kind }) => kind === "make-users")?.users).toHaveLength(2);
    const steps = ofBase(held);
    const at = kinds(steps).indexOf("unpack-tree");
    expect(
      kinds(steps)
        .slice(at + 1, at + 4)
        .sort(),
    ).toEqual(["make-users", "place-host-keys", "write-secrets"]);
    expect(steps.find(({ kind }) => kind === "make-users")?.users).toMatchObject([
      { name: "admin", hashedPasswordSecret: "admin-password" },
    ]);
    expect(steps.find(({ kind }) => kind === "place-host-keys")).toMatchObject({ expected: true });
  });

  it("have their loader signed in the base too, which alone gets the key", () => {
    const secureBoot = {
      key: "db-key",
      certificate: "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
      enroll: "off" as const,
    };
    const signed = inputs({ secrets: { "db-key": { file: "k.age" } }, boot: { loader: "uki", secureBoot } });
    expect(kinds(vmPlan(signed).tree.system)).not.toContain("sign-loader");
    expect(kinds(ofBase(signed))).toContain("sign-loader");
  });

  it("are not mentioned where none are put in", () => {
    const left = inputs({ secrets: declared.secrets! });
    expect(kinds(ofBase(left))).not.toContain("write-secrets");
    expect(kinds(ofBase(left))).not.toContain("place-host-keys");
  });
});
