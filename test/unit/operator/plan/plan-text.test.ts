import { describe, expect, it } from "vitest";
import { planLines } from "../../../../src/operator/plan/plan-text.ts";
import type { PlanView } from "../../../../src/operator/plan/planned.ts";
import { DiskFacts, Facts } from "../../../../src/schema/facts.ts";
import { machineFacts } from "../../../helpers/builders/deployable.ts";
import { diskFacts, keptUuid, mib } from "../../../helpers/builders/storage.ts";

const step = (doing: string) => ({ kind: "x", doing });
const disk = (name: string, fields: Partial<PlanView["disks"][number]>): PlanView["disks"][number] => ({
  name,
  serial: null,
  model: null,
  sizeBytes: 4096 * mib,
  action: "written",
  ...fields,
});

function lines(
  disks: PlanView["disks"],
  seen = machineFacts().disks,
  fates: PlanView["fates"] = disks.map((one, index) => ({
    ...{ name: one.name, kernelName: seen[index]!.name, after: [] },
    fate: one.action === "written" ? "wiped" : "kept",
    before: seen[index]!.partitions.map((part) => ({
      ...{ name: part.name, sizeBytes: part.sizeBytes, fate: one.action === "written" ? "lost" : "kept" },
      holds: `${part.fsType ?? "no filesystem"}${part.mountPoints.length > 0 ? ` on ${part.mountPoints.join(", ")}` : ""}`,
    })),
  })),
  facts = machineFacts({ disks: seen }),
): string[] {
  const view: PlanView = {
    facts,
    findings: [{ check: "takeover", verdict: "go", detail: "kexec: allowed" }],
    bound: { by: "its DMI UUID 4c4c", line: "host: …" },
    plan: {
      version: 1,
      hostname: "web",
      definition: "d",
      prepare: [],
      steps: [step("partitioning"), step("formatting")],
    },
    planDigest: "abc",
    apt: [
      { archive: "debian", url: "http://deb.example.org/debian", from: "the host's own sources" },
      { archive: "debian-security", url: "http://sec.example.org", from: "this machine" },
    ],
    disks,
    fates,
    powerCut: "during the build: the base starts",
  };
  return planLines(view);
}

describe("planLines", () => {
  it("shows the host, each disk with its fate, what is lost and kept on it, then the steps and the digest", () => {
    expect(
      lines(
        [
          disk("system", { serial: "SYS", model: "Virtual disk" }),
          disk("data", { serial: "DATA", sizeBytes: 512 * mib, action: "kept" }),
        ],
        [
          ...machineFacts().disks.map((one) =>
            one.name === "vdb"
              ? {
                  ...one,
                  partitions: [
                    { name: "vdb1", startBytes: mib, sizeBytes: 500 * mib, uuid: keptUuid, mountPoints: [] },
                  ],
                }
              : one,
          ),
          diskFacts("sdc", { serial: "USB", model: "  ", sizeBytes: 8192 * mib }),
        ],
      ),
    ).toEqual([
      "",
      "host      old: Debian GNU/Linux 12 (bookworm), uefi, 4096 MiB of memory",
      "known by  DMI UUID none of its own, machine-id 0123456789abcdef0123456789abcdef, SSH host key SHA256:W7sgRHt3DMY29rwfRF3m30HQsvmykDRBb5NlGa6qzVs",
      "bound to this host by its DMI UUID 4c4c",
      "takeover  kexec: allowed",
      "WIPE      system: Virtual disk, serial SYS, 4.0 GiB, now vda",
      "            now:  [vda1 ext4 on /                                            ]",
      "            then: [free                                                      ]",
      "            lost: vda1 3.9 GiB ext4 on /",
      "keep      data: no model, serial DATA, 512 MiB, now vdb",
      "            kept: vdb1 500 MiB no filesystem",
      "untouched sdc: no model, serial USB, 8.0 GiB",
      "apt       debian: http://deb.example.org/debian (from the host's own sources)",
      "apt       debian-security: http://sec.example.org (from this machine)",
      "power cut during the build: the base starts",
      "",
      "  1. partitioning",
      "  2. formatting",
      "",
      "plan      abc",
      "",
    ]);
  });

  it("shows no name of the host's as anything but text in its own line (F43)", () => {
    const hostile = "\x1b[2J\rkeep      system\nuntouched vdz: \u202e\x9b1A";
    const hidden = /[\p{Cc}\p{Cf}]/u;
    const seen = DiskFacts.array().parse([
      diskFacts("vda", { serial: "SYS", model: hostile, mountPoints: [hostile] }),
      diskFacts("vdb", { serial: hostile, model: "x".repeat(2 ** 20) }),
    ]);
    const facts = Facts.parse({
      ...machineFacts({ disks: seen }),
      hostname: hostile,
      os: { id: "x", version: "1", name: hostile },
    });
    const shown = lines([disk("system", { serial: "SYS", model: seen[0]!.model! })], seen, undefined, facts);
    expect(shown.filter((line) => hidden.test(line))).toEqual([]);
    expect(shown.map((line) => line.slice(0, 9).trim()).filter((word) => word !== "")).toEqual([
      ...[
        "host",
        "known by",
        "bound to",
        "takeover",
        "WIPE",
        "untouched",
        "apt",
        "apt",
        "power cut",
        "1. part",
        "2. form",
        "plan",
      ],
    ]);
    expect(Math.max(...shown.map((line) => line.length))).toBeLessThan(2_000);
  });

  it("never calls a disk untouched that is wiped, though it has no serial", () => {
    const seen = [diskFacts("nvme0n1", { wwn: "eui.1" }), diskFacts("nvme1n1", { wwn: "eui.2" })];
    const shown = lines([disk("system", { wwn: "eui.1" })], seen).filter((line) =>
      /^\S+ +\w+: no model/.test(line),
    );
    expect(shown).toEqual([
      "WIPE      system: no model, wwn eui.1, 4.0 GiB, now nvme0n1",
      "untouched nvme1n1: no model, wwn eui.2, 4.0 GiB",
    ]);
  });
});
