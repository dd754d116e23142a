import { mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type OpenMedium, openMedium } from "../../../src/rescue/open-medium.ts";
import { planRecovery, withMachineId } from "../../../src/rescue/plan-recovery.ts";
import type { Medium } from "../../../src/schema/base/medium.ts";
import { machineFacts } from "../../helpers/builders/deployable.ts";
import { mediumParts } from "../../helpers/builders/medium.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const said = { disks: [], restore: false };
const tree: Medium["tree"] = {
  ...{ path: "imgbuild/hosts/web/tree.tar.zst", sizeBytes: 1_000_000 },
  seed: "11111111-2222-4333-8444-555555555555",
};

async function opened(medium: Partial<Medium> = {}): Promise<OpenMedium> {
  const { json, payload, word } = await mediumParts({ medium });
  const directory = mkdtempSync(join(tempDir(), "medium-"));
  writeFileSync(join(directory, "medium.json"), json);
  writeFileSync(join(directory, "medium.tar.gz"), payload);
  return await openMedium(directory, word);
}

async function kindsOf(medium: Partial<Medium>) {
  const { planned } = planRecovery(await opened(medium), machineFacts(), "/medium", said);
  return { plan: planned!.plan, kinds: planned!.plan.steps.map(({ kind }) => kind) };
}

describe("the plan of a recovery", () => {
  it("fetches packages where the medium has no tree, and keeps no base for a next deploy", async () => {
    const { kinds } = await kindsOf({});
    expect(kinds).toContain("install-packages");
    expect(kinds).not.toContain("keep-base");
  });

  it("unpacks the medium's tree, and lays only what no one may read of it and the bootloader onto the disks", async () => {
    const { plan, kinds } = await kindsOf({ tree });
    expect(kinds).not.toContain("install-packages");
    expect(plan.steps.find(({ kind }) => kind === "unpack-tree")).toMatchObject({
      archive: { file: `/medium/${tree!.path}`, sizeBytes: 1_000_000 },
    });
    expect(kinds.indexOf("place-host-keys")).toBeGreaterThan(kinds.indexOf("unpack-tree"));
    expect(kinds.indexOf("verify-boot")).toBeGreaterThan(kinds.indexOf("place-host-keys"));
  });

  it("has all of it on the disks before there is anything that starts it", async () => {
    for (const change of [{}, { tree }]) {
      const { plan, kinds } = await kindsOf(change);
      const flush = kinds.indexOf("flush");
      expect(plan.steps[flush]).toMatchObject({ paths: ["/", "/efi", "/var"] });
      const starts = kinds.filter(
        (kind) => kind.startsWith("install-") && kind !== "install-packages" && kind !== "install-leaves",
      );
      expect(starts.length).toBeGreaterThan(0);
      for (const kind of starts) expect(kinds.indexOf(kind)).toBeGreaterThan(flush);
      expect(kinds.slice(flush)).not.toContain("place-host-keys");
    }
  });

  it("gives the machine its id of before, however its tree is made", async () => {
    const id = "ab".repeat(16);
    const { plan: fetched } = await kindsOf({});
    const finish = withMachineId(fetched, id).steps.find(({ kind }) => kind === "finish-tree");
    expect(finish).toMatchObject({ machineId: id });
    const { plan: unpacked } = await kindsOf({ tree });
    const steps = withMachineId(unpacked, id).steps;
    const after = steps[steps.findIndex(({ kind }) => kind === "unpack-tree") + 1];
    expect(after).toMatchObject({
      kind: "write-files",
      files: [{ path: "/etc/machine-id", content: `${id}\n` }],
    });
    expect(withMachineId(unpacked, undefined)).toBe(unpacked);
  });
});
