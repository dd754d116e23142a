import { describe, expect, it } from "vitest";
import { treeSteps } from "../../../../src/operator/plan/tree.ts";
import type { SpecInput } from "../../../../src/schema/spec.ts";
import { lockOf, serverSpec } from "../../../helpers/builders/deployable.ts";

function tree(change: Partial<SpecInput> = {}, names?: readonly string[]) {
  const spec = serverSpec(change);
  const lock = lockOf(spec, names);
  const steps = treeSteps(spec, lock, {
    storage: { files: [], directories: [] },
    mirrors: {},
    packages: new Set(lock.packages.map(({ name }) => name)),
    files: { files: new Map(), links: [] },
    identity: "image",
    cmdline: ["root=UUID=u", "ro"],
    definition: "d",
  });
  return { steps, lock, json: JSON.stringify(steps) };
}

describe("treeSteps", () => {
  it("bootstraps, prepares kernel updates, installs, configures, makes the initramfs, clears up", () => {
    const { steps, lock } = tree();
    expect(steps.map(({ kind }) => kind)).toEqual([
      "bootstrap-tree",
      "write-files",
      "install-packages",
      "check-tree",
      "make-users",
      "write-files",
      "set-services",
      "place-host-keys",
      "make-initramfs",
      "finish-tree",
    ]);
    expect(steps[0]).toMatchObject({ packages: [{ name: "dpkg" }] });
    expect(steps[2]).toMatchObject({ packages: lock.packages });
    expect(steps.at(-1)).toMatchObject({ definition: "d" });
  });

  it("has kernel-install's files in place before a kernel is installed, for UEFI alone", () => {
    expect(tree().json).toContain("/etc/kernel/cmdline");
    expect(tree({ boot: { firmware: ["bios"] } }).json).not.toContain("/etc/kernel/cmdline");
  });

  it("names the initramfs's drivers where initramfs-tools is installed", () => {
    expect(tree().json).toContain("MODULES=list");
    const without = tree({ boot: { firmware: ["bios"] } }, ["apt"]);
    expect(without.json).not.toContain("MODULES=list");
    expect(without.steps[1]!.kind).toBe("install-packages");
  });

  it("makes no initramfs for what does not boot", () => {
    expect(tree({ boot: undefined }).steps.map(({ kind }) => kind)).not.toContain("make-initramfs");
  });
});
