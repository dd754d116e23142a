import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { plainEnv, run } from "../../src/system/run/run.ts";
import { numbers, seed } from "../helpers/builders/odd-strings.ts";
import { leasedStacks, plainStacks, randomStacks } from "../helpers/builders/stacks.ts";
import { expectSame, roundTripsIn } from "../helpers/checks/round-trips.ts";
import { bundleRoundTrip } from "../helpers/labs/round-trip-program.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const script = resolve("initramfs/files/usr/lib/imgbuild/udhcpc.script");

const tripsMs = 600_000;
const randomCount = 6;

/** Runs shell lines in a network of its own with two cards, v0 and v1. */
async function alone(lines: readonly string[]): Promise<string> {
  const cards =
    "ip link set lo up; ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up";
  const text = ["set -e", cards, ...lines].join("\n");
  return (await run(["unshare", "--net", "sh", "-c", text], { env: plainEnv, timeoutMs: 60_000 })).stdout;
}

/** What udhcpc does with a lease; it names no server for names, so no file of this machine is written. */
const lease = (card: string, ip: string, router: string, metric?: string) =>
  `env ${metric === undefined ? "" : `default_metric=${metric}`} interface=${card} ip=${ip} mask=24 router=${router} busybox sh ${script} bound`;

describe("the base's script for DHCP", () => {
  it("lets the link out that the runner names, by its metric, and no other one", async () => {
    const routes = await alone([
      lease("v0", "192.0.2.10", "192.0.2.1", "200"),
      lease("v1", "198.51.100.10", "198.51.100.1", "none"),
      "ip route show",
    ]);
    expect(routes.match(/^default.*$/gm)?.map((line) => line.trim())).toEqual([
      "default via 192.0.2.1 dev v0 metric 200 onlink",
    ]);
    expect(routes).toMatch(/^198\.51\.100\.0\/24 dev v1/m);
  });

  it("lets every link out, none in the other's place, when nothing is known of them", async () => {
    const routes = await alone([
      lease("v0", "192.0.2.10", "192.0.2.1", "1024"),
      lease("v1", "198.51.100.10", "198.51.100.1", "1025"),
      "ip route show default",
    ]);
    expect(routes.trim().split("\n")).toHaveLength(2);
  });

  it("is told the metric by udhcpc, which hands its environment on", async () => {
    const dir = tempDir();
    const told = join(dir, "told");
    const spy = join(dir, "spy");
    writeFileSync(spy, `#!/bin/sh\necho "$1 $interface $default_metric" >> ${told}\n`);
    chmodSync(spy, 0o755);
    await alone([
      `default_metric=200 timeout 20 busybox udhcpc -i v0 -s ${spy} -t 1 -T 1 -n -f > /dev/null 2>&1 || true`,
    ]);
    expect(readFileSync(told, "utf8").split("\n")[0]).toBe("deconfig v0 200");
  });
});

// Bonds and VLANs, which this computer's kernel need not have: test/matrix/base-network.test.ts.
describe(`an old system's network, looked at and set up again (F09; IMGBUILD_SEED=${seed})`, () => {
  const stacks = [...plainStacks, ...leasedStacks, ...randomStacks(randomCount, numbers(seed))];
  let trips: ReturnType<typeof roundTripsIn>;
  let dir: string;
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), "imgbuild-round-trips-"));
    const program = join(dir, "round-trip.cjs");
    writeFileSync(program, await bundleRoundTrip());
    writeFileSync(join(dir, "stacks.json"), JSON.stringify(stacks));
    mkdirSync(join(dir, "lib/imgbuild"), { recursive: true });
    copyFileSync(script, join(dir, "lib/imgbuild/udhcpc.script"));
    // The client's script is where the base has it, and its notes stay here.
    const enter = [
      `mount -t overlay overlay -o lowerdir=${dir}/lib:/usr/lib /usr/lib && mount -t tmpfs tmpfs /run &&`,
      `exec ${process.execPath} ${program} ${dir}/stacks.json`,
    ];
    const argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c", enter.join(" ")];
    trips = roundTripsIn((await run(argv, { env: plainEnv, timeoutMs: tripsMs })).stdout);
  }, tripsMs);
  afterAll(() => rmSync(dir, { recursive: true }));

  for (const stack of stacks)
    it(`is what it was: ${stack.name}`, () => {
      expectSame(stack, trips);
    });
});
