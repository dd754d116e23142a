import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { fetchAll } from "../../src/debian/http/fetch.ts";
import { parseLock } from "../../src/debian/lock/lock.ts";
import { loadDefinition } from "../../src/operator/definition/load.ts";
import { mirrorsFor } from "../../src/operator/lock/lock.ts";
import { sealForAll } from "../../src/secrets/seal.ts";
import { cacheRoot } from "../../src/system/files/cache.ts";
import { run } from "../../src/system/run/run.ts";
import { openLab } from "../../src/testing/index.ts";
import { expectSuccess } from "../helpers/imgbuild.ts";
import { environment, expectFail, left, ownDefinition, program } from "../helpers/labs/cli-lab.ts";
import { givePackages, makeBuilder, makeUser, start, type TestUser } from "../helpers/labs/ordinary-user.ts";

const buildMs = 3_600_000;
const everyCode = Array.from({ length: 256 }, (_, code) => code);
const system = `disk({
        match: { serial: "IMGBUILD-SYSTEM" },
        imageSize: "3GiB",
        table: gpt(biosBoot(), esp({ size: "256MiB" }), ROOT),
      })`;
const twoDisks = `disks: {
      system: ${system.replace("ROOT", "root()")},
      data: disk({
        match: { serial: "IMGBUILD-DATA" },
        imageSize: "512MiB",
        table: gpt({ name: "srv", type: "linux", size: "rest", content: { type: "ext4", mount: "/srv" } }),
      }),
    },`;
const passphrase = "correct horse battery";
const crypt = `{ name: "boot", type: "linux", size: "384MiB", content: { type: "ext4", mount: "/boot" } },
        { name: "crypt", type: "linux-luks", size: "rest", content: {
          type: "luks", name: "crypt", key: "disk-key", kdf: { memory: "64MiB", iterations: 4 },
          content: { type: "lvm-pv", group: "vg0" },
        } }`;
const luksAndLvm = `disks: {
      system: ${system.replace("ROOT", crypt)},
    },
    volumeGroups: { vg0: { volumes: {
      root: { size: "1536MiB", content: { type: "ext4", mount: "/" } },
      srv: { size: "rest", content: { type: "ext4", mount: "/srv" } },
    } } },`;

let user: TestUser;

beforeAll(async () => {
  user = await makeBuilder();
});
afterAll(async () => await user.remove());

/** `imgbuild/web` with other disks and an encrypted key to them, locked, in the user's home. */
async function onLayout(name: string, layout: string): Promise<string> {
  const place = join(user.home, name);
  const definition = ownDefinition(place);
  const file = join(definition, "IMGBUILD.ts");
  const text = readFileSync(file, "utf8");
  const secrets = 'secrets: {\n    "disk-key": { file: "disk.age" },';
  const changed = text
    .replace(/disks: \{[\s\S]*?swapFile: \{ size: "256MiB" \},/, layout)
    .replace("secrets: {", secrets);
  writeFileSync(file, changed);
  const [recipient] = /^age1\w+$/m.exec(readFileSync("secrets/recipients", "utf8")) ?? [];
  const sealed = await sealForAll([recipient!], Buffer.from(`${passphrase}\n`));
  writeFileSync(join(definition, "disk.age"), sealed);
  await run([program, "lock", definition], { env: environment, timeoutMs: buildMs });
  const { packages } = parseLock(readFileSync(join(definition, "imgbuild.lock.yaml"), "utf8"));
  const { spec } = await loadDefinition(definition);
  const mirrors = await mirrorsFor(spec, process.env);
  await fetchAll(packages, { mirrors, dir: join(cacheRoot(process.env), "packages") });
  givePackages(user, packages);
  await run(["chown", "--recursive", `${user.uid}`, place]);
  return definition;
}

const identity = ["--identity", "secrets/demo-identity.txt"];
const argv = (args: readonly string[], who = user) => who.argv(["bin/imgbuild", ...args]);
const as = (args: readonly string[], who?: TestUser) =>
  run(argv(args, who), { env: environment, accept: everyCode, timeoutMs: buildMs });
const inHome = () => left(user.home).filter((name) => !/^(\..*|tmp|own-.*)$/.test(name));

/** Machines of the user that run. */
function machines(): string[] {
  return readdirSync("/proc").flatMap((pid) => {
    try {
      const status = readFileSync(`/proc/${pid}/status`, "utf8");
      const isUsers = new RegExp(`^Uid:\\t${user.uid}\\t`, "m").test(status);
      return isUsers && /^Name:\tqemu/m.test(status) && !/^State:\tZ/m.test(status) ? [pid] : [];
    } catch {
      return [];
    }
  });
}

describe("in-vm-user: an ordinary user and a layout of two disks", () => {
  let definition: string;
  beforeAll(async () => {
    definition = await onLayout("own-two", twoDisks);
  });

  it("is told what a native build cannot do, and by what it can be done", async () => {
    const ran = await as(["build", definition, ...identity, "--output", join(user.home, "x.raw")]);
    expectFail(ran, 1, /the definition writes 2 disks; a native build makes one/, /--in-vm/);
    expect(inHome()).toEqual([]);
  });

  it("is told what is missing where there are no subordinate ids", async () => {
    const other = await makeUser("without ids");
    onTestFinished(() => other.remove());
    const ran = await as(["build", "imgbuild/web", "--in-vm", "--output", join(other.home, "x.raw")], other);
    expectFail(ran, 1, /no subordinate ids|subordinate/, /^sudo usermod --add-subuids /);
  });

  it("ends by an interruption while the machine works, and leaves nothing", async () => {
    const ran = start(
      argv(["build", definition, ...identity, "--in-vm", "--output", join(user.home, "x")]),
      buildMs,
    );
    await ran.until("unpacking the tree …", buildMs);
    expect(machines()).toHaveLength(1);
    ran.child.kill("SIGINT");
    const { code, stdout } = await ran.ended;
    expect({ code, stdout }).toEqual({ code: 130, stdout: "" });
    for (let tries = 0; tries < 100 && machines().length > 0; tries += 1) await sleep(100);
    expect([inHome(), machines()]).toEqual([[], []]);
    expect(left(join(user.home, "tmp")).filter((name) => name.startsWith("imgbuild-in-vm-"))).toEqual([]);
  });

  it("builds both disks, which start together", async () => {
    const output = join(user.home, "two");
    const ran = await as(["build", definition, ...identity, "--in-vm", "--output", output]);
    expectSuccess(ran);
    expect(ran.stdout).toBe(`${output}/data.raw\n${output}/system.raw\n`);
    expect([inHome(), machines()]).toEqual([["two"], []]);
    for (const name of ["data.raw", "system.raw"]) expect(statSync(join(output, name)).uid).toBe(user.uid);
    const lab = await openLab();
    try {
      const raw = (name: string) => ({ file: join(output, name), format: "raw" as const });
      const machine = await lab.machine({
        name: "two",
        disks: [
          { image: raw("system.raw"), serial: "IMGBUILD-SYSTEM" },
          { image: raw("data.raw"), serial: "IMGBUILD-DATA" },
        ],
      });
      await machine.boot();
      expect(await machine.succeed("findmnt --noheadings --output SOURCE /srv")).toBe("/dev/vdb1");
      expect(await machine.succeed("findmnt --noheadings --output FSTYPE /")).toBe("ext4");
      expect(await machine.execute("systemctl --failed --no-legend --plain")).toMatchObject({ stdout: "" });
    } finally {
      await lab.close();
      rmSync(output, { recursive: true });
    }
  });
});

describe("in-vm-user: an ordinary user and LUKS with LVM", () => {
  it("builds the image on a kernel that knows neither, and it starts with its passphrase", async () => {
    // This machine's kernel could not have made it, nor could this user.
    const devices = readFileSync("/proc/devices", "utf8");
    const output = join(user.home, "crypt.raw");
    const definition = await onLayout("own-crypt", luksAndLvm);
    const ran = await as(["build", definition, ...identity, "--in-vm", "--output", output]);
    expectSuccess(ran);
    expect([inHome(), machines()]).toEqual([["crypt.raw"], []]);
    expect(readFileSync("/proc/devices", "utf8")).toBe(devices);
    // Neither the passphrase nor what is encrypted can be read in it.
    const found = await run(
      [
        "grep",
        "--count",
        "--text",
        "--fixed-strings",
        "-e",
        passphrase,
        "-e",
        "Publish how the machine is",
        output,
      ],
      {
        accept: [0, 1],
      },
    );
    expect(found.stdout.trim()).toBe("0");
    const lab = await openLab();
    try {
      const machine = await lab.machine({
        name: "crypt",
        disks: [{ image: { file: output, format: "raw" }, serial: "IMGBUILD-SYSTEM" }],
      });
      await machine.start();
      await machine.waitForConsole(/Please unlock disk crypt/);
      machine.type(`${passphrase}\n`);
      await machine.boot();
      for (const [at, volume] of [
        ["/", "root"],
        ["/srv", "srv"],
      ])
        expect(await machine.succeed(`findmnt --noheadings --output SOURCE ${at}`)).toBe(
          `/dev/mapper/vg0-${volume}`,
        );
      // Only with names is it a tree, each above what it lies on.
      expect(await machine.succeed("lsblk --noheadings --inverse --output NAME,TYPE /dev/vg0/root")).toMatch(
        /lvm\n.*crypt\n.*part\n.*disk$/,
      );
      expect(await machine.execute("systemctl --failed --no-legend --plain")).toMatchObject({ stdout: "" });
    } finally {
      await lab.close();
      rmSync(output);
    }
  });
});
