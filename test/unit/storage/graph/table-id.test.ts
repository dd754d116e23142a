import { describe, expect, it } from "vitest";
import { Storage } from "../../../../src/schema/storage.ts";
import { storageProblems } from "../../../../src/storage/check/check-graph.ts";
import { partitionUuid } from "../../../../src/storage/graph/ids.ts";
import { matchDisks } from "../../../../src/storage/match/match-disks.ts";
import { storageConfig } from "../../../../src/storage/system/storage-config.ts";
import { layoutOf, sfdiskScript } from "../../../../src/storage/table/gpt.ts";
import { diskFacts, fileOf, root } from "../../../helpers/builders/storage.ts";

const gptUuid = "5f3c2a1e-8f0b-4c55-9d0e-0a6b8f7c1d22";
const mbrUuid = "ab12cd34";
const storageWith = (match: object, type: "gpt" | "mbr", extra: object[] = []) =>
  Storage.parse({ disks: { system: { match, table: { type, partitions: [...extra, root] } } } });
/** The table that a deploy of this seed leaves on the disk that the definition matched. */
function deployed(storage: Storage, seed: string): string {
  const disk = storage.disks.system!;
  if (!("table" in disk)) throw new Error("not written");
  return layoutOf(disk, 2 ** 32, 512, { seed, name: "system" }).diskUuid;
}

describe("a disk that is matched by its table", () => {
  it.each([
    ["GPT", gptUuid, "gpt"],
    ["MBR", mbrUuid, "mbr"],
    ["MBR that becomes a GPT", mbrUuid, "gpt"],
    ["GPT that becomes an MBR", gptUuid, "mbr"],
  ] as const)("is matched again after a deploy, and after the next: %s", (_what, tableUuid, type) => {
    const storage = storageWith({ tableUuid }, type);
    const found = (table: string) =>
      matchDisks(storage, [
        diskFacts("vda", { tableUuid: table, byPath: ["pci-1"] }),
        diskFacts("vdb", { tableUuid: "ffffffff", byPath: ["pci-2"] }),
      ]).system?.name;
    const [first, second] = [deployed(storage, "first boot"), deployed(storage, "second boot")];
    expect(first).toMatch(type === "gpt" ? /^[0-9a-f-]{36}$/ : /^[0-9a-f]{8}$/);
    expect([found(tableUuid), found(first), found(second)]).toEqual(["vda", "vda", "vda"]);
  });

  it("keeps the identifier where the new table is of the same kind, in the table and in crypttab", () => {
    expect(deployed(storageWith({ tableUuid: gptUuid }, "gpt"), "s")).toBe(gptUuid);
    const swap = {
      ...{ name: "swap", type: "linux-swap", size: "64MiB" },
      content: { type: "swap", randomKey: "swap" },
    };
    const storage = storageWith({ tableUuid: mbrUuid }, "mbr", [swap]);
    const disk = storage.disks.system!;
    if (!("table" in disk)) throw new Error("not written");
    const layout = layoutOf(disk, 2 ** 32, 512, { seed: "s", name: "system" });
    expect(sfdiskScript(layout)).toContain(`label-id: 0x${mbrUuid}`);
    expect(fileOf(storageConfig(storage, "s"), "/etc/crypttab")).toContain(
      `/dev/disk/by-partuuid/${mbrUuid}-01`,
    );
  });

  it("F30: has partitions with identifiers of each deploy's own", () => {
    const disk = storageWith({ tableUuid: gptUuid }, "gpt").disks.system!;
    if (!("table" in disk)) throw new Error("not written");
    const ids = ["a", "b"].map(
      (seed) => layoutOf(disk, 2 ** 32, 512, { seed, name: "system" }).partitions[0]!.partUuid,
    );
    expect(ids[0]).not.toBe(ids[1]);
  });

  it("is not one of two of the same table, which both would keep", () => {
    const table = { type: "gpt", partitions: [root] };
    const other = { type: "gpt", partitions: [{ name: "x", type: "linux", size: "rest" }] };
    const storage = Storage.parse({
      disks: {
        a: { match: { tableUuid: gptUuid, path: "pci-1" }, table },
        b: { match: { tableUuid: gptUuid, path: "pci-2" }, table: other },
      },
    });
    expect(storageProblems(storage).map(({ path }) => path.join("."))).toContain(
      "storage.disks.b.match.tableUuid",
    );
  });
});

describe("a disk that is matched by something else", () => {
  it("F30: has another table after each deploy", () => {
    const storage = storageWith({ serial: "SYS" }, "gpt");
    expect(deployed(storage, "a")).not.toBe(deployed(storage, "b"));
  });
});

it("gives a partition that is kept from an MBR an identifier that a GPT can have", () => {
  const uuid = "7f1d9a54-3c0e-4b6a-9d58-2f6b1c8e4a90";
  const home = {
    ...{ name: "home", type: "linux" },
    content: { type: "ext4", mount: "/home", keep: { uuid } },
  };
  const disk = storageWith({ serial: "SYS" }, "gpt", [home]).disks.system!;
  if (!("table" in disk)) throw new Error("not written");
  const kept = (partUuid: string) =>
    layoutOf(disk, 2 ** 32, 512, { seed: "s", name: "system" }, [
      { name: "vda1", startBytes: 2 ** 20, sizeBytes: 2 ** 20, uuid, partUuid, mountPoints: [] },
    ]).partitions[0]!.partUuid;
  expect(kept(gptUuid)).toBe(gptUuid);
  const made = partitionUuid("s", "system", "home");
  for (const odd of ["ab12cd34-01", `${gptUuid}, name="x"`, `x${gptUuid}`, "x"]) expect(kept(odd)).toBe(made);
  expect(made).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
});
