import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { run } from "../../src/system/run/run.ts";
import { expectSuccess } from "../helpers/imgbuild.ts";
import { environment } from "../helpers/labs/cli-lab.ts";
import { makeBuilder, type TestUser } from "../helpers/labs/ordinary-user.ts";

const testMs = 3_600_000;
let user: TestUser;

beforeAll(async () => {
  user = await makeBuilder();
});
afterAll(async () => await user.remove());

it("test-user: an ordinary user builds the image, boots it and gets every check, and leaves no machine", async () => {
  const argv = user.argv(["bin/imgbuild", "--json", "test", "imgbuild/web", "--firmware", "bios"]);
  const ran = await run(argv, { env: environment, accept: [0, 1, 2, 3, 4, 5], timeoutMs: testMs });
  expectSuccess(ran);
  const checks = ran.stdout
    .split("\n")
    .filter((line) => line.includes('"check"'))
    .map((line) => JSON.parse(line) as { check: string; ok: boolean });
  expect(checks.map(({ check }) => check)).toContain("it boots");
  expect(checks.filter(({ ok }) => !ok)).toEqual([]);
  // The compiler's helper ends a moment after the process that it served.
  const processes = async () =>
    (await run(["ps", "-o", "comm=", "-u", user.name], { accept: [0, 1] })).stdout.trim();
  await expect.poll(processes, { timeout: 10_000, interval: 200 }).toBe("");
  // What it left is its cache, and nothing else.
  expect(
    readdirSync(join(user.home, "tmp")).filter((name) => !/^(tsx-.*|imgbuild-machines-.*)$/.test(name)),
  ).toEqual([]);
});
