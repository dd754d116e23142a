import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadDefinition } from "../../../../src/operator/definition/load.ts";
import { openedByHand } from "../../../../src/operator/unlock/by-hand.ts";
import { Storage } from "../../../../src/schema/storage.ts";

const layout = async (name: string) => (await loadDefinition(join("imgbuild/layouts", name))).spec;

/** A root and data on volumes of their own. */
function storage(root: object, data: object) {
  const volume = (name: string, mount: string, more: object) => ({
    ...{ name, type: "linux-luks", size: "1GiB" },
    content: { type: "luks", name, key: "disk-key", content: { type: "ext4", mount }, ...more },
  });
  return Storage.parse({
    disks: {
      system: {
        match: { serial: "A" },
        table: { type: "gpt", partitions: [volume("root", "/", root), volume("data", "/srv", data)] },
      },
    },
  });
}

describe("openedByHand", () => {
  it("is what the root needs, and what the running system waits for", () => {
    expect(openedByHand({ storage: storage({}, {}) })).toEqual({ early: ["root"], later: ["data"] });
  });

  it("is a root below LVM too", async () => {
    expect((await layout("luks-lvm")).storage).toBeDefined();
    expect(openedByHand(await layout("luks-lvm")).early).toHaveLength(1);
  });

  it("is nothing that a TPM, a tang server or a key file opens", async () => {
    for (const name of ["luks-tpm2", "luks-tang", "luks-data", "md-mirror"])
      expect(openedByHand(await layout(name)), name).toEqual({ early: [], later: [] });
  });

  it("is no data for which the start does not wait, but the root always", () => {
    const words = { options: ["nofail"] };
    expect(openedByHand({ storage: storage(words, words) })).toEqual({ early: ["root"], later: [] });
    expect(openedByHand({ storage: storage(words, { options: ["noauto"] }) }).later).toEqual([]);
  });
});
