import { describe, expect, it } from "vitest";
import { checkSpec } from "../../../../src/operator/check/check.ts";
import { boundTo, hostFinding, liveFindings } from "../../../../src/operator/inspect/host-binding.ts";
import { type Facts, HostBinding } from "../../../../src/schema/facts.ts";
import type { Spec } from "../../../../src/schema/spec.ts";
import { diskFates } from "../../../../src/storage/match/disk-fates.ts";
import { matchDisks } from "../../../../src/storage/match/match-disks.ts";
import { machineFacts, serverSpec } from "../../../helpers/builders/deployable.ts";
import { esp, root, storageOf } from "../../../helpers/builders/storage.ts";
import { digitalOcean, disksOf, hetznerCloud } from "../../../helpers/fakes/probed-disks.ts";

const dmiUuid = "4c4c4544-0042-3510-8051-b6c04f4e3233";
const machineId = "0123456789abcdef0123456789abcdef";
// Of the key "ssh-ed25519 AAAAold", as `ssh-keygen -l` would print it.
const sshHostKey = "SHA256:W7sgRHt3DMY29rwfRF3m30HQsvmykDRBb5NlGa6qzVs";
const facts = (change: object = {}) => machineFacts({ dmiUuid, ...change });
const other = "f".repeat(32);

/** Written on a disk that is matched so. */
function specOn(match: object, change: { host?: object; hostKeys?: "keep" | "new" } = {}): Spec {
  const storage = storageOf([esp, root]);
  const system = { ...storage.disks.system!, match };
  return serverSpec({ ...change, storage: { ...storage, disks: { system } } } as never);
}

const judged = (spec: Spec, disks = disksOf(digitalOcean), seen = facts()) =>
  boundTo(spec, seen, matchDisks(spec.storage!, disks));
const droplet = { path: "pci-0000:00:06.0" };

describe("a definition that names its host", () => {
  it.each([
    ["DMI UUID", { dmiUuid: dmiUuid.toUpperCase() }, { dmiUuid: "4c4c4544-0042-3510-8051-b6c04f4e3234" }],
    ["machine-id", { machineId }, { machineId: other }],
    ["SSH host key", { sshHostKey }, { hostKeys: ["ssh-ed25519 BBBB"] }],
    ["all of them", { dmiUuid, machineId, sshHostKey }, { machineId: other }],
  ])("is for the host with that %s, and refused by any other", (_what, host, change) => {
    const spec = specOn(droplet, { host });
    expect(judged(spec)).toMatchObject({ by: expect.any(String) });
    const { problem } = judged(spec, undefined, facts(change));
    expect(problem).toMatch(/^the definition is for the host with the .*; this one has /);
    expect(hostFinding(judged(spec, undefined, facts(change)), undefined)).toMatchObject({
      ...{ check: "host", verdict: "no-go", detail: problem },
      hint: expect.stringMatching(/deploy it to the host that it is for/),
    });
  });

  it("is refused by a host that has no such thing at all", () => {
    const { dmiUuid: _none, ...without } = facts();
    expect(judged(specOn(droplet, { host: { dmiUuid } }), undefined, without).problem).toMatch(
      /this one has none of its own$/,
    );
  });

  it("says something by which, in the form that it has", () => {
    for (const wrong of [
      {},
      { dmiUuid: "1" },
      { machineId: "x".repeat(32) },
      { sshHostKey: "MD5:aa" },
      { dmi: dmiUuid },
    ])
      expect(HostBinding.safeParse(wrong).success).toBe(false);
    expect(HostBinding.parse({ dmiUuid: dmiUuid.toUpperCase() })).toEqual({ dmiUuid });
  });

  it("does not name it by what its own deploy would change", () => {
    const problems = (hostKeys: "keep" | "new") =>
      checkSpec(specOn(droplet, { host: { sshHostKey }, hostKeys })).map(({ path }) => path.join("."));
    expect(problems("new")).toContain("host.sshHostKey");
    expect(problems("keep")).not.toContain("host.sshHostKey");
  });
});

describe("a definition that names no host", () => {
  it("means one host alone where each written disk is matched by its own serial or WWN", () => {
    const disks = machineFacts().disks.map((disk) => ({ ...disk, serial: `${disk.serial}-9F2C` }));
    expect(judged(specOn({ serial: "SYS-9F2C" }), disks)).toMatchObject({ by: expect.any(String) });
  });

  it.each([
    ["a port", droplet, digitalOcean],
    ["a table, which clones share", { tableUuid: "5f3c2a1e-8f0b-4c55-9d0e-0a6b8f7c1d22" }, digitalOcean],
    ["the serial of a slot", { serial: "drive-scsi0-0-0-0" }, hetznerCloud],
    ["a name made of that serial", { byId: "scsi-0QEMU_QEMU_HARDDISK_drive-scsi0-0-0-0" }, hetznerCloud],
  ])(
    "could mean another where a disk is matched by %s, and is offered the line to say",
    (_by, match, sections) => {
      const bound = judged(specOn(match), disksOf(sections));
      expect(bound).toEqual({ line: `host: { dmiUuid: "${dmiUuid}" }` });
      expect(hostFinding(bound, undefined)).toMatchObject({
        verdict: "warn",
        hint: `say \`host: { dmiUuid: "${dmiUuid}" }\` in the definition`,
      });
    },
  );

  it("is offered what will still be the host's after a deploy", () => {
    const { dmiUuid: _none, ...without } = facts();
    const line = (hostKeys: "keep" | "new") => judged(specOn(droplet, { hostKeys }), undefined, without).line;
    expect(line("keep")).toBe(`host: { sshHostKey: "${sshHostKey}" }`);
    expect(line("new")).toBe(`host: { machineId: "${machineId}" }`);
  });

  it("is offered it while its disks are still unknown, where they have no names of their own", () => {
    const bound = boundTo(specOn({ serial: "CHANGE-ME" }), facts(), undefined);
    expect(hostFinding(bound, disksOf(digitalOcean))?.verdict).toBe("warn");
    const [disk] = disksOf(hetznerCloud);
    expect(hostFinding(bound, [{ ...disk!, serial: "S3Z8NB0K" }])).toBeUndefined();
  });

  it("is still shown what becomes of its disks", () => {
    const spec = specOn(droplet);
    const [fate] = diskFates(spec.storage!, matchDisks(spec.storage!, disksOf(digitalOcean)));
    expect(fate).toMatchObject({ kernelName: "vda", fate: "wiped" });
  });
});

describe("a live system", () => {
  it("has nothing to keep", () => {
    const live = { live: true } as Facts;
    expect(liveFindings({ hostKeys: "new", host: undefined }, live).map(({ verdict }) => verdict)).toEqual([
      "warn",
    ]);
    const [, refusal] = liveFindings({ hostKeys: "keep", host: { machineId: "0".repeat(32) } }, live);
    expect(refusal?.verdict).toBe("no-go");
    expect(refusal?.detail).toBe(
      '`hostKeys: "keep"` and `host.machineId` would be of the rescue system, not of the machine',
    );
    expect(liveFindings({ hostKeys: "keep", host: undefined }, {} as Facts)).toEqual([]);
  });
});
