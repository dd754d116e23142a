import { describe, expect, it } from "vitest";
import { wipeFindings } from "../../../../src/operator/inspect/may-wipe.ts";
import { serverSpec } from "../../../helpers/builders/deployable.ts";
import { diskFacts } from "../../../helpers/builders/storage.ts";

const spec = serverSpec();
const data = diskFacts("vdb", { serial: "DATA" });

describe("the disks that a host's deploys may write", () => {
  it("are any where hosts.yaml names none", () => {
    expect(wipeFindings(spec, { system: diskFacts("vda", { serial: "SYS" }), data }, undefined)).toEqual([]);
  });

  it("are those named, while kept ones need not be", () => {
    const disks = { system: diskFacts("vda", { serial: "SYS" }), data };
    expect(wipeFindings(spec, disks, ["SYS"])).toEqual([
      { check: "may wipe", verdict: "go", detail: "hosts.yaml names SYS" },
    ]);
    expect(wipeFindings(spec, disks, ["DATA"])).toMatchObject([
      {
        verdict: "no-go",
        detail: "SYS would be written, and hosts.yaml lets this host's deploys write DATA",
      },
    ]);
    expect(wipeFindings(spec, disks, [])[0]!.detail).toMatch(/write none$/);
  });

  it("are named by wwn or port where they have no serial, as they are confirmed", () => {
    const { serial: _, ...bare } = diskFacts("vda");
    const wwn = { ...bare, wwn: "0x5000" };
    expect(wipeFindings(spec, { system: wwn }, ["0x5000"])[0]!.verdict).toBe("go");
    const port = { ...bare, byPath: ["pci-0000:00:04.0"] };
    expect(wipeFindings(spec, { system: port }, ["pci-0000:00:04.0"])[0]!.verdict).toBe("go");
    expect(wipeFindings(spec, { system: bare }, ["SYS"])[0]!.verdict).toBe("no-go");
  });
});
