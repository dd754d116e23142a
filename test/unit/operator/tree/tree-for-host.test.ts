import { describe, expect, it } from "vitest";
import { packagesLayer } from "../../../../src/operator/build/layers.ts";
import { vmPlan } from "../../../../src/operator/build/vm-plan.ts";
import { deployPlan } from "../../../../src/operator/plan/plan.ts";
import { planFor } from "../../../../src/operator/plan/planned.ts";
import {
  imageInputs,
  planWithTree,
  type TreeForHost,
  treeForHost,
} from "../../../../src/operator/tree/tree-for-host.ts";
import type { Facts } from "../../../../src/schema/facts.ts";
import { Plan, type StepData } from "../../../../src/schema/plan.ts";
import type { SpecInput } from "../../../../src/schema/spec.ts";
import { allSteps } from "../../../../src/steps/registry.ts";
import { matchDisks } from "../../../../src/storage/match/match-disks.ts";
import { digestOf } from "../../../../src/util/digest.ts";
import { inputsOfDeploy, machineFacts, serverSpec } from "../../../helpers/builders/deployable.ts";

const hostMirrors = { debian: ["http://host.example.org/debian"], "debian-security": [] };

function story(change: Partial<SpecInput> = {}, facts: Partial<Facts> = {}) {
  const spec = serverSpec(change);
  const inputs = { ...inputsOfDeploy({ spec }), links: [] };
  const machine = machineFacts({ consoles: ["ttyS1"], ...facts });
  const disks = matchDisks(spec.storage!, machine.disks);
  const tree = treeForHost(inputs, { facts: machine, mirrors: hostMirrors });
  const target = deployPlan(inputs, { facts: machine, disks, mirrors: hostMirrors });
  const planned = planFor(inputs, machine, disks, { ...hostMirrors });
  const local = planWithTree(planned, inputs, tree, { facts: machine, disks });
  return { inputs, tree, target, local };
}

const made = ({ made: { tree } }: TreeForHost): StepData[] => [
  ...tree.packages,
  ...tree.system,
  ...tree.initramfs,
  ...tree.finish,
];
const without = ({ doing: _, ...step }: StepData) => step;

/** What a list of steps leaves at each path and of each kind, whoever does them and when: files as they are written last. */
function results(steps: readonly StepData[]) {
  const files = new Map<string, unknown>();
  const others = new Map<string, unknown[]>();
  for (const step of steps)
    if (step.kind === "write-files")
      for (const file of step.files as { path: string }[]) files.set(file.path, file);
    else others.set(step.kind, [...(others.get(step.kind) ?? []), without(step)]);
  return { files: Object.fromEntries([...files].sort()), others };
}

const secrets: Partial<SpecInput> = {
  secrets: { token: { file: "token.age", path: "/etc/token" }, pw: { file: "pw.age" } },
  users: {
    admin: { sudo: true, keys: ["ssh-ed25519 AAAAadmin me"], hashedPasswordSecret: "pw" },
    other: { keys: [] },
  },
};

describe("a tree that is made here for a host", () => {
  it("ends as that of the base: files, disks, bootloaders and all other steps are the same, whoever does them", () => {
    for (const change of [{}, secrets, { provision: [{ name: "one", script: "#!/bin/sh\ntrue\n" }] }]) {
      const { tree, target, local } = story(change);
      const unpack = local.plan.steps.findIndex(({ kind }) => kind === "unpack-tree");
      const all = [
        ...local.plan.steps.slice(0, unpack),
        ...made(tree),
        ...local.plan.steps.slice(unpack + 1),
      ];
      const [here, there] = [results(all), results(target.steps)];
      expect(here.files).toEqual(there.files);
      const halves = ["make-users", "place-host-keys", "finish-tree"];
      for (const kind of new Set([...here.others.keys(), ...there.others.keys()]))
        if (!halves.includes(kind)) expect(here.others.get(kind), kind).toEqual(there.others.get(kind));
      // Done in two halves: the last word is the base's.
      for (const kind of ["place-host-keys", "finish-tree"])
        expect(here.others.get(kind)!.at(-1), kind).toEqual(there.others.get(kind)!.at(-1));
      const users = here.others.get("make-users")!.flatMap((step) => (step as { users: object[] }).users);
      expect(users).toEqual(
        expect.arrayContaining((there.others.get("make-users")![0] as { users: object[] }).users),
      );
    }
  });

  it("is the definition's, and the same for each host, where nothing of a host is read in the making", () => {
    const one = story(secrets);
    const other = story(secrets, { machineId: "f".repeat(32), bootId: "x", consoles: ["tty0"] });
    expect(one.tree.shared).toBe(true);
    expect(other.tree.made).toEqual(one.tree.made);
    expect(other.local.planDigest).not.toBe(one.local.planDigest);
  });

  it("holds no secret, host key, machine-id or mark", () => {
    const { tree } = story(secrets);
    const kinds = made(tree).map(({ kind }) => kind);
    expect(kinds).not.toContain("write-secrets");
    expect(JSON.stringify(made(tree))).not.toContain("hashedPasswordSecret");
    expect(made(tree).filter(({ kind }) => kind === "place-host-keys")).toEqual([
      expect.objectContaining({ expected: false }),
    ]);
    expect(JSON.stringify(made(tree))).not.toContain("imgbuild-host-keys.service");
  });

  it("is this host's alone where a script could read what is its own, or the initramfs is made of it", () => {
    const script = story({ provision: [{ name: "one", script: "#!/bin/sh\ntrue\n" }] });
    expect(script.tree.shared).toBe(false);
    const luks = serverSpec();
    const system = luks.storage!.disks.system! as {
      table: { partitions: { name: string; content?: object }[] };
    };
    const encrypted = structuredClone(system);
    encrypted.table.partitions.find(({ name }) => name === "root")!.content = {
      ...{ type: "luks", name: "root", key: "disk", unlock: { type: "passphrase" } },
      content: { type: "ext4", mount: "/" },
    };
    const change = {
      ...{ secrets: { disk: { file: "disk.age" } }, packages: { install: ["openssh-server"] } },
      storage: { disks: { system: encrypted as never } },
    };
    const own = story(change);
    expect(own.tree.shared).toBe(false);
    const crypttab = ({ tree }: ReturnType<typeof story>) =>
      results(made(tree)).files["/etc/crypttab"] as { content: string };
    const later = story(change, { bootId: "another" });
    expect(crypttab(own).content).not.toBe(crypttab(later).content);
    // Nothing is written over what a script has changed.
    expect(own.tree.sealed.map(({ kind }) => kind)).not.toContain("write-files");
  });

  it("leaves alone what files/ puts in the place of a file of the host's own", () => {
    const { inputs } = story();
    const files = new Map([["/etc/fstab", { bytes: Buffer.from("mine"), mode: 0o644 }]]);
    const tree = treeForHost({ ...inputs, files }, { facts: machineFacts(), mirrors: hostMirrors });
    const written = tree.sealed.flatMap(({ kind, files: all }) =>
      kind === "write-files" ? (all as { path: string }[]).map(({ path }) => path) : [],
    );
    expect(written).not.toContain("/etc/fstab");
    expect(written).toContain("/etc/apt/sources.list.d/debian.sources");
  });

  it("shares the packages' layer with images, also where it is this host's alone", async () => {
    const layer = async (plan: Parameters<typeof packagesLayer>[0]["plan"]) =>
      await packagesLayer({ cache: "/c", base: "b", plan });
    const script = { provision: [{ name: "one", script: "#!/bin/sh\ntrue\n" }] };
    for (const change of [{}, script]) {
      const { inputs, tree } = story(change);
      const ofImage = vmPlan(imageInputs(inputs)).tree.packages;
      expect(digestOf(tree.made.tree.packages)).toBe(digestOf(ofImage));
      expect((await layer(tree.made)).directory).toMatch(/^\/c\/tree/);
    }
  });

  it("is unpacked by steps that the executor knows, and is followed by the base's own copy for the next deploy", () => {
    const { local, target } = story(secrets);
    const plan = Plan.parse(JSON.parse(JSON.stringify(local.plan)));
    for (const { kind, doing, ...data } of plan.steps)
      expect(allSteps.get(kind)?.schema.safeParse(data).error, doing).toBeUndefined();
    const kinds = plan.steps.map(({ kind }) => kind);
    expect(kinds).toContain("keep-base");
    expect(kinds).not.toContain("install-packages");
    expect(plan.prepare).toEqual(target.prepare);
    expect(local.order.planDigest).toBe(digestOf(local.plan));
  });
});
