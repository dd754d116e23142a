import { describe, expect, it } from "vitest";
import { Storage } from "../../../../src/schema/storage.ts";
import { graphOf, type Place, showPlace } from "../../../../src/storage/graph/graph.ts";
import { keptChecks } from "../../../../src/storage/plan/kept.ts";
import { keptUuid, mib } from "../../../helpers/builders/storage.ts";

const luksUuid = "2f6c1a34-8e0d-4b57-9a21-c3d4e5f60718";
const pvUuid = "Kq3vY1-7bXc-9dTe-2fRg-4hJk-6lMn-8pQrSt";
const refOf = (place: Place) => ({ volume: { group: "at", name: showPlace(place) } });

/** The checks for a partition of this content. */
function checksOf(content: object, more: object = {}) {
  const partitions = [{ name: "kept", type: "linux", size: "rest", content }];
  const disks = { a: { match: { serial: "A" }, table: { type: "gpt", partitions } } };
  return keptChecks(graphOf(Storage.parse({ disks, ...more })), refOf, "s");
}
const kinds = (steps: ReturnType<typeof checksOf>) => steps.map(({ kind }) => kind);

describe("keptChecks", () => {
  it("opens a container only to be read, and closes from the top down what it has opened", () => {
    const steps = checksOf(
      {
        ...{ type: "luks", name: "crypt", key: "k", keep: { uuid: luksUuid } },
        content: { type: "lvm-pv", group: "vg", keep: { uuid: pvUuid } },
      },
      {
        volumeGroups: {
          vg: { volumes: { srv: { content: { type: "xfs", mount: "/srv", keep: { uuid: keptUuid } } } } },
        },
      },
    );
    expect(kinds(steps)).toEqual([
      ...["check-kept", "open-luks", "check-kept", "look-at-group", "check-kept"],
      ...["leave-group", "close-luks"],
    ]);
    expect(steps.map(({ readOnly }) => readOnly)).toEqual([
      undefined,
      true,
      ...Array.from({ length: 5 }, () => undefined),
    ]);
    expect(steps[0]!.doing).toBe("looking at partition a/kept, which is kept");
    expect(steps[2]).toMatchObject({ type: "LVM2_member", uuid: pvUuid, subvolumes: [] });
    expect(steps[4]).toMatchObject({ type: "xfs", uuid: keptUuid, subvolumes: [] });
  });

  it("leaves a container closed in which nothing is kept", () => {
    const content = { type: "ext4", mount: "/home" };
    const luks = { type: "luks", name: "crypt", key: "k", keep: { uuid: luksUuid }, content };
    expect(kinds(checksOf(luks))).toEqual(["check-kept"]);
    const volumes = { a: { size: "rest", content: { type: "ext4", mount: "/a" } }, b: { size: "1GiB" } };
    const pv = { type: "lvm-pv", group: "vg", keep: { uuid: pvUuid } };
    expect(kinds(checksOf(pv, { volumeGroups: { vg: { volumes } } }))).toEqual(["check-kept"]);
  });

  it("compares the size only where the definition says one", () => {
    const of = (keep: object) => checksOf({ type: "ext4", mount: "/", keep })[0];
    expect(of({ uuid: keptUuid, size: "64MiB" })).toMatchObject({ uuid: keptUuid, sizeBytes: 64 * mib });
    expect(of({ uuid: keptUuid })).not.toHaveProperty("sizeBytes");
  });

  it("looks at nothing where nothing is kept", () => {
    expect(checksOf({ type: "ext4", mount: "/" })).toEqual([]);
  });
});
