import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { parseLock } from "../../src/debian/lock.ts";
import { run } from "../../src/system/run.ts";
import { openLab } from "../../src/testing/index.ts";
import { environment, expectFail, left, ownDefinition, warmCache, webPackages } from "../helpers/cli-lab.ts";
import { givePackages, makeUser, start, type TestUser } from "../helpers/ordinary-user.ts";

const buildMs = 3_600_000;
const everyCode = Array.from({ length: 256 }, (_, code) => code);
const second = `disk({
        match: { serial: "IMGBUILD-DATA" },
        imageSize: "512MiB",
        table: gpt({ name: "srv", type: "linux", size: "rest", content: { type: "ext4", mount: "/srv" } }),
      }),
    },
    swapFile`;

let user: TestUser;
let definition: string;

beforeAll(async () => {
  await warmCache();
  user = await makeUser("with ids");
  const base = parseLock(readFileSync("initramfs/imgbuild.lock.yaml", "utf8")).packages;
  givePackages(user, [...webPackages(), ...base]);
  definition = ownDefinition(join(user.home, "own"));
  const file = join(definition, "IMGBUILD.ts");
  const text = readFileSync(file, "utf8");
  writeFileSync(file, text.replace(/keptDisk\(\{[\s\S]*?swapFile/, second));
  await run(["chown", "--recursive", `${user.uid}`, join(user.home, "own")]);
});
afterAll(async () => await user.remove());

const argv = (args: readonly string[], who = user) => who.argv(["bin/imgbuild", ...args]);
const as = (args: readonly string[], who?: TestUser) =>
  run(argv(args, who), { env: environment, accept: everyCode, timeoutMs: buildMs });
const inHome = () => left(user.home).filter((name) => !/^(\..*|tmp|own)$/.test(name));

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
  it("is told what a native build cannot do, and by what it can be done", async () => {
    const ran = await as(["build", definition, "--output", join(user.home, "x.raw")]);
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
    const ran = start(argv(["build", definition, "--in-vm", "--output", join(user.home, "x")]), buildMs);
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
    const ran = await as(["build", definition, "--in-vm", "--output", output]);
    expect({ code: ran.code, stderr: ran.code === 0 ? "" : ran.stderr }).toEqual({ code: 0, stderr: "" });
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
