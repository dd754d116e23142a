import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { parseLock } from "../../src/debian/lock.ts";
import { readFiles } from "../../src/operator/files.ts";
import { loadDefinition } from "../../src/operator/load.ts";
import { deployPlan } from "../../src/operator/plan.ts";
import type { DiskFacts } from "../../src/schema/facts.ts";
import { allSteps } from "../../src/steps/registry.ts";
import { digestOf } from "../../src/util/digest.ts";

const mib = 2 ** 20;
const disk = (name: string, serial: string, sizeBytes: number): DiskFacts => ({
  name,
  serial,
  sizeBytes,
  sectorSize: 512,
  removable: false,
  readOnly: false,
  holders: [],
  mountPoints: [],
  partitions: [],
});
const info = (name: string) => ({ path: `/${name}`, size: 1, sha256: "0".repeat(64) });
const about = {
  facts: { machineId: "m", bootId: "b", consoles: ["tty0", "ttyS0,115200"], firmware: "bios" as const },
  disks: {
    system: disk("vda", "IMGBUILD-SYSTEM", 4096 * mib),
    data: disk("vdb", "IMGBUILD-DATA", 256 * mib),
  },
  mirrors: { debian: ["http://mirror.example.org/debian"] },
};

describe("the plan of imgbuild/web", () => {
  let inputs: Parameters<typeof deployPlan>[0];

  beforeAll(async () => {
    const { spec, filesDir } = await loadDefinition("imgbuild/web");
    const lock = parseLock(readFileSync("imgbuild/web/imgbuild.lock.yaml", "utf8"));
    const base = {
      digest: "d",
      kernel: info("kernel"),
      outer: info("outer"),
      squashfs: info("squashfs"),
      kit: info("kit"),
    };
    inputs = { spec, lock, definition: "definition", ...readFiles(filesDir), base };
  });

  const kinds = (plan: ReturnType<typeof deployPlan>) => plan.steps.map(({ kind }) => kind);

  it("is the same for the same machine, and another for another boot, disk or console", () => {
    const digest = digestOf(deployPlan(inputs, about));
    expect(digestOf(deployPlan(inputs, about))).toBe(digest);
    const others = [
      { ...about, facts: { ...about.facts, bootId: "c" } },
      { ...about, facts: { ...about.facts, consoles: ["tty0"] } },
      { ...about, disks: { ...about.disks, system: disk("vda", "IMGBUILD-SYSTEM", 5000 * mib) } },
    ];
    for (const other of others) expect(digestOf(deployPlan(inputs, other))).not.toBe(digest);
  });

  it("names no kernel name of a disk, and nothing of the kept one but its mount point", () => {
    const text = JSON.stringify(deployPlan(inputs, about));
    expect(text).not.toMatch(/vd[ab]/);
    expect(text).not.toContain("IMGBUILD-DATA");
    const mounts = deployPlan(inputs, about).steps.filter(({ kind }) => kind === "mount");
    expect(mounts.map(({ path }) => path)).toEqual(["/", "/efi"]);
  });

  it("holds steps that the executor understands", () => {
    for (const { kind, doing, ...data } of deployPlan(inputs, about).steps)
      expect(allSteps.get(kind)?.schema.safeParse(data).success, `${kind}: ${doing}`).toBe(true);
  });

  it("lets nothing be found by the firmware before it is complete, and unmounts last", () => {
    const order = kinds(deployPlan(inputs, about));
    const at = (kind: string) => order.indexOf(kind);
    expect(order[0]).toBe("partition-disk");
    for (const earlier of [
      "install-packages",
      "write-secrets",
      "place-host-keys",
      "make-initramfs",
      "finish-tree",
    ])
      for (const later of ["install-systemd-boot", "install-grub"])
        expect(at(earlier), `${earlier} before ${later}`).toBeLessThan(at(later));
    expect(at("verify-boot")).toBeGreaterThan(at("install-grub"));
    expect(order.at(-1)).toBe("unmount");
  });

  it("enters the system in the firmware's list on UEFI alone", () => {
    expect(kinds(deployPlan(inputs, about))).not.toContain("name-boot-entry");
    const uefi = { ...about, facts: { ...about.facts, firmware: "uefi" as const } };
    expect(kinds(deployPlan(inputs, uefi))).toContain("name-boot-entry");
  });

  it("holds no secret, only the paths they go to", () => {
    const [step] = deployPlan(inputs, about).steps.filter(({ kind }) => kind === "write-secrets");
    expect(step?.secrets).toEqual([
      {
        name: "web-htpasswd",
        path: "/etc/nginx/web.htpasswd",
        mode: "0640",
        owner: "root",
        group: "www-data",
      },
    ]);
  });

  it("is refused for a disk that is too small", () => {
    const small = { ...about, disks: { ...about.disks, system: disk("vda", "IMGBUILD-SYSTEM", 200 * mib) } };
    expect(() => deployPlan(inputs, small)).toThrow(/too small/);
  });
});
