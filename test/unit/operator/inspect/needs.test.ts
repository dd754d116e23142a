import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { bond } from "../../../../src/dsl/network.ts";
import { loadDefinition } from "../../../../src/operator/definition/load.ts";
import {
  judgeNeeds,
  needsOf,
  openedByDeploy,
  type SignedLoaders,
  typedAtConsole,
} from "../../../../src/operator/inspect/needs.ts";
import { readLockFor } from "../../../../src/operator/lock/lock.ts";
import type { Facts } from "../../../../src/schema/facts.ts";
import type { Spec } from "../../../../src/schema/spec.ts";
import { locked, lockOf, machineFacts, serverSpec } from "../../../helpers/builders/deployable.ts";
import { signedLoaders } from "../../../helpers/builders/loaders.ts";
import { diskFacts, mib } from "../../../helpers/builders/storage.ts";
import { sshSpec } from "../../../helpers/builders/unlock.ts";

const layout = async (name: string) => (await loadDefinition(join("imgbuild/layouts", name))).spec;

function judge(spec: Spec, facts: Partial<Facts> = {}, loaders?: SignedLoaders) {
  const disks = Object.fromEntries(
    Object.keys(spec.storage?.disks ?? {}).map((name) => [name, diskFacts("vda", { sizeBytes: 8192 * mib })]),
  );
  return judgeNeeds(needsOf(spec, lockOf(spec)), spec, machineFacts(facts), disks, loaders);
}
const named = (findings: ReturnType<typeof judge>, check: string) =>
  findings.find((one) => one.check === check);

const tpm = { version: 2, usable: true, banks: ["sha1", "sha256"] };

describe("needsOf", () => {
  it("is a TPM 2.0 with sha256 registers where a volume is sealed to some, and none else", async () => {
    expect(needsOf(await layout("luks-tpm2")).machine.tpm2).toEqual({ bank: "sha256", volumes: ["root"] });
    expect(needsOf(await layout("luks-lvm")).machine.tpm2).toBeUndefined();
    expect(needsOf(serverSpec()).machine.tpm2).toBeUndefined();
  });

  it("is the kernel modules of every layer of the storage", async () => {
    expect(needsOf(await layout("md-raid5-lvm")).machine.modules).toEqual(
      expect.arrayContaining(["md-mod", "raid456", "dm-mod"]),
    );
    expect(needsOf(await layout("luks-tpm2")).machine.modules).toEqual(
      expect.arrayContaining(["dm-crypt", "ext4", "tpm_crb"]),
    );
  });

  it("is room for the kernels of the lock, where they lie in a partition of a size of its own", () => {
    const spec = serverSpec();
    const kernel = (name: string, size: number) => locked(`linux-image-${name}`, { size });
    const room = (...packages: ReturnType<typeof kernel>[]) => needsOf(spec, { packages }).kernels;
    expect(room()).toEqual([{ on: "esp", least: 20 * mib, usual: 132 * mib }]);
    expect(room(kernel("amd64", 2000), kernel("6.12.0-amd64", 90 * mib))).toEqual(room());
    expect(room(kernel("6.12.0-amd64", 90 * mib), kernel("6.1.0-amd64", 90 * mib))).toEqual([
      { on: "esp", least: 36 * mib, usual: 196 * mib },
    ]);
    expect(needsOf(serverSpec({ boot: { loader: "grub" } })).kernels).toEqual([]);
  });
});

describe("a machine's answers", () => {
  it("warn that somebody has to sit there, where a passphrase alone opens a volume, and nowhere else", async () => {
    expect(named(judge(await layout("luks-lvm")), "passphrase")).toMatchObject({
      verdict: "warn",
      detail: expect.stringMatching(
        /^\S+ opens only by a passphrase typed at the console: each start waits there, the first one of a deploy too, and until then the root is not there$/,
      ),
      hint: expect.stringMatching(/^write `unlock: \{ type: "ssh" \}`, "tpm2" or "tang"; or sit at/),
    });
    for (const other of ["luks-tpm2", "luks-tang", "luks-ssh"])
      expect(named(judge(await layout(other)), "passphrase"), other).toBeUndefined();
    expect(named(judge(serverSpec()), "passphrase")).toBeUndefined();
    // As it is shown of a definition alone.
    expect(typedAtConsole(await layout("luks-lvm"))).toHaveLength(1);
  });

  it("show whether a deploy opens the root itself: by a key of the operator's, at an address of the initramfs", () => {
    const key = "ssh-ed25519 AAAAmine";
    const ssh = { type: "ssh", keys: [`${key} me`] };
    const found = (spec: Spec, held = [key], address = "192.0.2.10") => openedByDeploy(spec, held, address);
    expect(found(sshSpec(ssh))).toEqual([
      { check: "unlock", verdict: "go", detail: "the deploy opens root over SSH at the first start" },
    ]);
    expect(found(sshSpec(ssh), ["ssh-ed25519 AAAAother"])).toMatchObject([
      { verdict: "warn", detail: expect.stringMatching(/^no key that you hold opens root over SSH/) },
    ]);
    const card = (last: number) => ({ match: { mac: `52:54:00:00:00:0${last}` } });
    const network = {
      ...{ a: card(1), b: card(2), admin: { ...card(3), addresses: ["198.51.100.2/24"] } },
      uplink: bond({ mode: "802.3ad", links: ["a", "b"] }, { addresses: ["192.0.2.10/24"] }),
    };
    expect(found(sshSpec(ssh, { network } as never))).toMatchObject([
      {
        verdict: "warn",
        detail: expect.stringMatching(/^192\.0\.2\.10 is on uplink, which the initramfs does not make/),
      },
    ]);
    expect(found(sshSpec(ssh, { network } as never), [key], "198.51.100.2")[0]?.verdict).toBe("go");
    expect(found(serverSpec())).toEqual([]);
  });

  it("refuse imgbuild/layouts/luks-tpm2 where there is no TPM, or not such a one", async () => {
    const spec = await layout("luks-tpm2");
    const wants = "root is opened by a TPM 2.0 with sha256 registers";
    const answers: [Facts["tpm"], string][] = [
      [undefined, "the machine shows no TPM"],
      [{ version: 1, usable: false }, "the machine has a TPM 1.2"],
      [{ ...tpm, banks: ["sha1"] }, "the machine's TPM has no sha256 registers (it has sha1)"],
    ];
    for (const [seen, problem] of answers)
      expect(named(judge(spec, { tpm: seen }), "tpm")).toMatchObject({
        verdict: "no-go",
        detail: `${wants}; ${problem}`,
        hint: expect.stringMatching(/switch it on in the firmware/),
      });
    expect(named(judge(spec, { tpm }), "tpm")).toEqual({
      check: "tpm",
      verdict: "go",
      detail: "TPM 2.0, sha1 and sha256 registers",
    });
    // The base has a driver of its own, and asks again.
    expect(named(judge(spec, { tpm: { version: 2, usable: false } }), "tpm")?.verdict).toBe("warn");
    expect(named(judge(await layout("luks-lvm")), "tpm")).toBeUndefined();
  });

  it("refuse a processor that Debian's amd64 does not run on, if it tells", () => {
    const { cpuFlags } = needsOf(serverSpec()).machine;
    expect(named(judge(serverSpec(), { cpuFlags }), "processor")).toBeUndefined();
    expect(named(judge(serverSpec()), "processor")).toBeUndefined();
    const old = cpuFlags.filter((flag) => flag !== "lm");
    expect(named(judge(serverSpec(), { cpuFlags: old }), "processor")).toMatchObject({
      verdict: "no-go",
      detail: "it lacks lm",
    });
  });

  it.each([
    [34, "no-go"],
    [100, "warn"],
    [512, "go"],
  ])("say whether two kernels fit an ESP of %i MiB: %s", (sizeMib, verdict) => {
    const spec = serverSpec();
    const disk = spec.storage!.disks.system!;
    if (!("table" in disk)) throw new Error("the disk is written");
    disk.table.partitions.find(({ name }) => name === "esp")!.size = sizeMib * mib;
    const kernels = ["linux-image-6.12.0-amd64", "linux-image-6.1.0-amd64"];
    const packages = kernels.map((name) => locked(name, { size: 90 * mib }));
    const findings = judgeNeeds(needsOf(spec, { packages }), spec, machineFacts(), {
      system: diskFacts("vda", { sizeBytes: 8192 * mib }),
    });
    expect(named(findings, "room on ESP")).toMatchObject({
      verdict,
      detail: expect.stringMatching(`^${sizeMib} MiB; kernels take at least 36,`),
    });
  });

  it("say what becomes of Secure Boot", () => {
    const debian = serverSpec({ boot: { loader: "grub", secureBoot: "debian" } });
    expect(named(judge(debian), "secure boot")).toMatchObject({
      verdict: "warn",
      detail: "it is off for the deploy",
    });
    expect(named(judge(debian, { firmware: "bios" }), "secure boot")).toBeUndefined();
    expect(named(judge(debian, { secureBoot: true }), "secure boot")?.verdict).toBe("go");
    const plain = serverSpec();
    expect(named(judge(plain), "secure boot")).toBeUndefined();
    expect(named(judge(plain, { secureBoot: true }), "secure boot")).toMatchObject({
      verdict: "no-go",
      hint: expect.stringContaining('`secureBoot: "debian"`'),
    });
    const own = serverSpec({
      boot: { loader: "uki", secureBoot: { key: "sb", certificate: "-----BEGIN CERTIFICATE-----" } },
    });
    expect(named(judge(own), "secure boot")?.verdict).toBe("warn");
    expect(named(judge(own, { setupMode: true }), "secure boot")?.verdict).toBe("go");
    expect(named(judge(own, { secureBoot: true }), "secure boot")).toMatchObject({
      verdict: "warn",
      detail: expect.stringContaining("only if the firmware has the definition's keys already"),
    });
  });

  it.each<[string, Partial<Facts>, SignedLoaders, string, RegExp]>([
    [
      "its keys are those of shim",
      { secureBootDb: { authorities: ["CA 2023"], programs: [] }, sbatLevel: ["shim,4", "grub,5"] },
      signedLoaders,
      "go",
      /^it is on; the firmware trusts CA 2023, by which shim-signed 1\.0 is signed, and has not revoked shim 4, shim\.debian 1 and grub 5$/,
    ],
    [
      "it has none of them",
      { secureBootDb: { authorities: ["Windows 2011"], programs: [] } },
      signedLoaders,
      "no-go",
      /^it is on, and would refuse the new system: shim-signed 1\.0 is signed by CA 2011 and CA 2023; the firmware trusts Windows 2011$/,
    ],
    [
      "it has revoked GRUB",
      { secureBootDb: { authorities: ["CA 2011"], programs: [] }, sbatLevel: ["grub,6"] },
      signedLoaders,
      "no-go",
      /revoked grub 2\.0: grub 5, where 6 is asked for$/,
    ],
    ["its keys cannot be read", {}, signedLoaders, "warn", /which keys the firmware has could not be read$/],
    ["the packages cannot be had", {}, { problem: "no answer" }, "warn", /not compared .*: no answer$/],
  ])(
    "say what Secure Boot makes of the loaders that are installed: %s",
    (_, facts, loaders, verdict, detail) => {
      const debian = serverSpec({ boot: { loader: "grub", secureBoot: "debian" } });
      const found = named(judge(debian, { secureBoot: true, ...facts }, loaders), "secure boot")!;
      expect(found.verdict).toBe(verdict);
      expect(found.detail).toMatch(detail);
    },
  );

  it("are asked for with the layout's own lock", async () => {
    const definition = await loadDefinition("imgbuild/layouts/luks-tpm2");
    const { lock } = await readLockFor(definition);
    expect(needsOf(definition.spec, lock).kernels).toMatchObject([{ on: "esp", least: 20 * mib }]);
  });
});
