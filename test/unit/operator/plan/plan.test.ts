import { describe, expect, it } from "vitest";
import { deployPlan } from "../../../../src/operator/plan/plan.ts";
import type { Facts } from "../../../../src/schema/facts.ts";
import { Plan } from "../../../../src/schema/plan.ts";
import type { SpecInput } from "../../../../src/schema/spec.ts";
import { allSteps } from "../../../../src/steps/registry.ts";
import { filesystemUuid } from "../../../../src/storage/graph/ids.ts";
import { matchDisks } from "../../../../src/storage/match/match-disks.ts";
import { digestOf } from "../../../../src/util/digest.ts";
import { lockOf, machineFacts, serverSpec } from "../../../helpers/builders/deployable.ts";
import { diskFacts, keptUuid } from "../../../helpers/builders/storage.ts";

const file = (name: string) => ({ path: `/c/${name}`, size: 7, sha256: "0".repeat(64) });
const base = {
  digest: "d1",
  kernel: file("kernel"),
  outer: file("outer"),
  squashfs: file("squashfs"),
  kit: file("kit"),
  busybox: file("busybox"),
};

function plan(facts: Partial<Facts> = {}, change: Partial<SpecInput> = {}, definition = "def") {
  const machine = machineFacts(facts);
  const spec = serverSpec(change);
  const inputs = { spec, lock: lockOf(spec), definition, files: new Map(), links: [], base };
  return deployPlan(inputs, {
    facts: machine,
    disks: matchDisks(spec.storage!, machine.disks),
    mirrors: { debian: ["http://deb.example.org/debian"] },
  });
}

/** Every object with a serial inside of a step: the disks that it names. */
function disksIn(value: unknown): string[] {
  if (value === null || typeof value !== "object") return [];
  const own = "serial" in value && typeof value.serial === "string" ? [value.serial] : [];
  return [...own, ...Object.values(value).flatMap(disksIn)];
}

const kinds = (made: Plan) => made.steps.map(({ kind }) => kind);

describe("deployPlan", () => {
  it("is the same for the same inputs, to the digest, whatever the kernel calls the disks", () => {
    const swapped = machineFacts().disks.map((disk) => ({
      ...disk,
      name: disk.name === "vda" ? "sdb" : "sda",
    }));
    expect(digestOf(plan())).toBe(digestOf(plan()));
    expect(digestOf(plan({ disks: swapped.reverse() }))).toBe(digestOf(plan()));
  });

  it("is another for another definition, machine or boot of it", () => {
    const digests = [
      plan(),
      plan({ machineId: "f".repeat(32) }),
      plan({ bootId: "99999999-2222-4333-8444-555555555555" }),
      plan({}, {}, "other"),
      plan({}, { hostname: "mail" }),
    ].map(digestOf);
    expect(new Set(digests).size).toBe(digests.length);
  });

  it("holds only steps that the executor knows and accepts, and survives JSON", () => {
    const made = Plan.parse(JSON.parse(JSON.stringify(plan())));
    expect(digestOf(made)).toBe(digestOf(plan()));
    for (const { kind, doing, ...data } of made.steps)
      expect(allSteps.get(kind)?.schema.safeParse(data).error, doing).toBeUndefined();
  });

  it("writes the declared disk alone: no step names the kept one or one that is not declared", () => {
    const more = [...machineFacts().disks, diskFacts("vdc", { serial: "OTHER" })];
    const made = plan({ disks: more });
    expect(new Set(made.steps.flatMap(disksIn))).toEqual(new Set(["SYS"]));
    expect(made.steps.filter((step) => disksIn(step).length > 0).map(({ kind }) => kind)).toEqual([
      "partition-disk",
      "mkfs-vfat",
      "mkfs-ext4",
      "mkfs-ext4",
      "mount",
      "mount",
      "mount",
      // At first for the base, which is started until all is whole.
      "name-boot-entry",
      "install-grub",
      "verify-boot",
      "name-boot-entry",
    ]);
    // Before the point of no return the machine is asked for what is needed, and what is kept is looked at.
    expect(new Set(made.prepare.map(({ kind }) => kind))).toEqual(
      new Set(["ask-machine", "check-kept", "close-disks"]),
    );
    const text = JSON.stringify(made.steps);
    for (const device of ["/dev/vd", "/dev/sd", "OTHER", '"DATA"']) expect(text).not.toContain(device);
    // The kept filesystem is named where the new system finds it, and nowhere else.
    expect(
      made.steps.filter((step) => JSON.stringify(step).includes(keptUuid)).map(({ kind }) => kind),
    ).toEqual(["write-files"]);
    expect(text.split(keptUuid).length - 1).toBe(1);
  });

  it("points at a filesystem only when that is complete, and tells the firmware last of all", () => {
    const order = kinds(plan());
    const first = (kind: string) => order.indexOf(kind);
    const last = (kind: string) => order.lastIndexOf(kind);
    expect(first("partition-disk")).toBe(0);
    expect(last("mkfs-ext4")).toBeLessThan(first("mount"));
    expect(last("mkfs-vfat")).toBeLessThan(first("mount"));
    expect(last("mount")).toBeLessThan(first("bootstrap-tree"));
    expect(last("finish-tree")).toBeLessThan(first("install-systemd-boot"));
    expect(last("make-initramfs")).toBeLessThan(first("install-systemd-boot"));
    expect(last("install-systemd-boot")).toBeLessThan(first("install-grub"));
    expect(last("install-grub")).toBeLessThan(first("verify-boot"));
    expect(last("keep-base")).toBeLessThan(first("install-systemd-boot"));
    expect(order.slice(-4)).toEqual(["verify-boot", "switch-entry", "unmount", "name-boot-entry"]);
  });

  it("writes the base and what starts it before the tree, and turns to the new system once all is checked", () => {
    const bios = kinds(plan({ firmware: "bios" }));
    const early = bios.slice(bios.lastIndexOf("mount") + 1, bios.indexOf("bootstrap-tree"));
    expect(early).toEqual(["write-rescue", "install-grub", "swap-file"]);
    // The menu is one file from its beginning to its end: all that changes in it is a line, in its place.
    const late = bios.slice(bios.indexOf("finish-tree") + 1);
    expect(late).toEqual(["install-systemd-boot", "verify-boot", "switch-entry", "unmount"]);
    const uefi = kinds(plan({ firmware: "uefi" }));
    expect(uefi.slice(uefi.lastIndexOf("mount") + 1, uefi.indexOf("bootstrap-tree"))).toEqual([
      "write-rescue",
      "name-boot-entry",
      "swap-file",
    ]);
  });

  it("mounts parents first, and unmounts in the opposite order what it mounted", () => {
    const steps = plan().steps;
    const mounted = steps.filter(({ kind }) => kind === "mount").map(({ path }) => path);
    expect(mounted).toEqual(["/", "/efi", "/var"]);
    expect(steps.find(({ kind }) => kind === "unmount")?.paths).toEqual([...mounted].reverse());
  });

  it("F30: keeps the machine-id that a definition names, and no other", () => {
    const finish = (change: Partial<SpecInput>) =>
      plan({}, change).steps.find(({ kind }) => kind === "finish-tree");
    const machineId = "0123456789abcdef0123456789abcdef";
    expect(finish({ host: { machineId } })).toMatchObject({ machineId });
    expect(finish({})).not.toHaveProperty("machineId");
  });

  it("enters the firmware's boot list only on a machine that has one", () => {
    expect(kinds(plan({ firmware: "bios" }))).not.toContain("name-boot-entry");
    expect(kinds(plan({ firmware: "uefi" }))).toContain("name-boot-entry");
  });

  it("gives filesystems identifiers of this deploy, the same in every step", () => {
    const uuids = (made: Plan) =>
      made.steps.flatMap((step) => (step.kind === "mkfs-ext4" ? [step.uuid as string] : []));
    const [var1, root1] = uuids(plan());
    expect(uuids(plan({ machineId: "f".repeat(32) }))).not.toContain(root1);
    const text = JSON.stringify(plan().steps.filter(({ kind }) => kind !== "mkfs-ext4"));
    for (const uuid of [var1, root1]) expect(text).toContain(`UUID=${uuid}`);
    expect(root1).not.toBe(filesystemUuid("image", "system", "root"));
  });

  it("takes the old system's consoles", () => {
    expect(JSON.stringify(plan({ consoles: ["hvc0"] }))).toContain("console=hvc0");
    expect(JSON.stringify(plan({ consoles: ["hvc0"] }))).not.toContain("console=tty0");
  });

  it("keeps the base, byte for byte as shipped, where the next deploy looks for it", () => {
    expect(plan().steps.find(({ kind }) => kind === "keep-base")).toMatchObject({
      directory: "/var/cache/imgbuild/d1",
      files: ["kit", "kernel", "outer", "squashfs"].map((name) => ({ name, size: 7 })),
    });
  });

  it("refuses a definition without disks, or a disk that was not matched", () => {
    expect(() => plan({}, { storage: undefined })).toThrow();
    const spec = serverSpec();
    const inputs = { spec, lock: lockOf(spec), definition: "d", files: new Map(), links: [], base };
    const about = { facts: machineFacts(), disks: {}, mirrors: {} };
    expect(() => deployPlan(inputs, about)).toThrow("disk system was not matched");
    expect(() => deployPlan({ ...inputs, spec: serverSpec({ storage: undefined }) }, about)).toThrow(
      "the definition has no storage",
    );
  });
});
