import { beforeAll, describe, expect, it } from "vitest";
import { loadDefinition } from "../../src/operator/load.ts";
import { isGo, type PreflightInput, preflight } from "../../src/operator/preflight.ts";
import type { Facts } from "../../src/schema/facts.ts";

const facts: Facts = {
  bootId: "b",
  machineId: "m",
  hostname: "stock",
  architecture: "x86_64",
  kernel: "6.1.0",
  os: { id: "debian", version: "12", name: "Debian GNU/Linux 12 (bookworm)" },
  user: { uid: 0, becomesRootBy: "none" },
  firmware: "bios",
  secureBoot: false,
  lockdown: "none",
  kexecDisabled: false,
  container: "none",
  memoryMib: { total: 973, available: 813 },
  cmdline: [],
  consoles: ["tty0"],
  disks: [],
  links: [],
  routes: [],
  dns: [],
  mirrors: [],
  hostKeys: ["ssh-ed25519 AAAA"],
  cacheMib: 2000,
  clock: 1,
};

describe("preflight", () => {
  let good: PreflightInput;

  beforeAll(async () => {
    const { spec } = await loadDefinition("imgbuild/web");
    good = {
      spec,
      facts,
      baseBytes: 105 * 2 ** 20,
      networkProblems: [],
      diskProblem: undefined,
      mirror: { url: "http://mirror.example.org/debian" },
      login: { user: "admin" },
    };
  });

  it("lets a machine go on that has what is needed", () => {
    const findings = preflight(good);
    expect(findings.filter(({ verdict }) => verdict !== "go")).toEqual([]);
    expect(isGo(findings)).toBe(true);
  });

  const refusals: [string, (input: PreflightInput) => PreflightInput, string][] = [
    [
      "nobody can become root",
      (one) => withFacts(one, { user: { uid: 1, becomesRootBy: "impossible" } }),
      "root",
    ],
    ["another architecture", (one) => withFacts(one, { architecture: "aarch64" }), "architecture"],
    ["a container", (one) => withFacts(one, { container: "lxc" }), "machine"],
    ["kexec switched off", (one) => withFacts(one, { kexecDisabled: true }), "kexec"],
    ["a kernel that is locked down", (one) => withFacts(one, { lockdown: "integrity" }), "kexec"],
    ["too little memory", (one) => withFacts(one, { memoryMib: { total: 480, available: 300 } }), "memory"],
    ["disks that are not found", (one) => ({ ...one, diskProblem: { message: "no disk" } }), "disks"],
    ["a network that cannot be set up again", (one) => ({ ...one, networkProblems: ["a bond"] }), "network"],
    ["no mirror", (one) => ({ ...one, mirror: { problem: "none answers" } }), "mirror"],
    ["no key for the new system", (one) => ({ ...one, login: { problem: "no key" } }), "login"],
    [
      "firmware that the definition does not serve",
      (one) => ({ ...one, spec: { ...one.spec, boot: { ...one.spec.boot!, firmware: ["uefi"] } } }),
      "firmware",
    ],
  ];
  for (const [what, change, check] of refusals)
    it(`refuses ${what}`, () => {
      const findings = preflight(change(good));
      expect(isGo(findings)).toBe(false);
      expect(findings.filter(({ verdict }) => verdict === "no-go").map((one) => one.check)).toEqual([check]);
    });
});

function withFacts(input: PreflightInput, change: Partial<Facts>): PreflightInput {
  return { ...input, facts: { ...input.facts, ...change } };
}
