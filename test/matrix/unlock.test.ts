import { mkdtempSync, rmSync } from "node:fs";
import { cp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, expect, it } from "vitest";
import { standIns } from "../../src/operator/secrets/test-secrets.ts";
import { Report } from "../../src/schema/report.ts";
import { cacheRoot } from "../../src/system/files/cache.ts";
import { defaultChecks } from "../../src/testing/checks.ts";
import { type DefinedMachine, openLab, type TestLab } from "../../src/testing/index.ts";
import { publicKeyOf } from "../../src/transport/keys.ts";
import { fingerprintOf } from "../../src/transport/known-hosts.ts";
import { silentLog } from "../../src/util/log.ts";
import { expectSuccess, imgbuild } from "../helpers/imgbuild.ts";
import { adminLogin } from "../helpers/labs/admin-login.ts";
import { deployArguments, type StockLab, startLab } from "../helpers/labs/lab.ts";
import { atTerminal } from "../helpers/labs/terminal.ts";

const state = mkdtempSync(join(tmpdir(), "imgbuild-state-"));
const env = { ...process.env, XDG_STATE_HOME: state };
const minute = 60_000;
const layout = "imgbuild/layouts/luks-ssh";
const waitSeconds = "600";
const asked = /Passphrase of root/;

let lab: TestLab | undefined;
let stock: StockLab | undefined;
afterEach(async () => {
  await lab?.close();
  await stock?.close();
});
afterAll(() => rmSync(state, { recursive: true, force: true }));

it(
  "unlock-ssh: an image waits for its passphrase, `imgbuild unlock` asks for it in a terminal, and at the next start too",
  async () => {
    lab = await openLab();
    const machine = await lab.machine({ definition: layout });
    await machine.start();
    const login = await adminLogin(machine, lab.directory);
    const secrets = standIns(machine.spec);
    const key = fingerprintOf(publicKeyOf(secrets.get("unlock-key")!.expose())!);
    const passphrase = Buffer.from(secrets.get("disk-key")!.expose()).toString().trim();
    const unlock = ["unlock", login.host, ...login.options, "--host-key", key, "--wait", waitSeconds];
    const first = await atTerminal([...unlock, "--verbose"], asked, ["not it", passphrase], {
      env,
      timeoutMs: 30 * minute,
    });
    expect(first.text).toMatch(/that does not open root[\s\S]*root is open/);
    expect(first.text).not.toContain(passphrase);
    expect(first.code).toBe(0);
    await whole(machine);
    await machine.crash();
    await machine.start();
    expect((await atTerminal(unlock, asked, [passphrase], { env, timeoutMs: 30 * minute })).code).toBe(0);
    await whole(machine);
    // It runs: nothing is asked, and nothing is sent.
    const again = await imgbuild(unlock, { env, timeoutMs: 5 * minute });
    expect(again).toMatchObject({ code: 0, stdout: `${login.host} runs already\n` });
  },
  60 * minute,
);

it(
  "deploy-luks-ssh: a deploy makes the initramfs a host key, opens the root itself at the first start, and `imgbuild unlock` does at the second",
  async () => {
    stock = await startLab({ firmware: "uefi", log: silentLog, env });
    const definition = await withNewKey();
    const file = join(stock.directory, "report.json");
    const ran = await imgbuild(
      [
        ...deployArguments(stock, file, "target", definition),
        ...["--build-on", "local", "--disk", "system=serial:IMGBUILD-SYSTEM"],
      ],
      { env, timeoutMs: 60 * minute },
    );
    expectSuccess(ran);
    expect(ran.stderr).toContain("unlock: the deploy opens root over SSH at the first start");
    expect(ran.stderr).toMatch(/opening the root over SSH[\s\S]*root is open/);
    expect(Report.parse(JSON.parse(await readFile(file, "utf8"))).outcome).toBe("done");
    await stock.machine.crash();
    await stock.machine.start();
    const opened = await imgbuild(
      [
        ...["unlock", "target", ...stock.login, "--definition", definition],
        ...["--identity", "secrets/demo-identity.txt", "--wait", waitSeconds],
      ],
      { env, timeoutMs: 30 * minute },
    );
    expectSuccess(opened);
    expect(opened.stdout).toBe("target runs\n");
    await stock.admin.waitForLogin({ withinSeconds: 120 });
    expect(await stock.admin.succeed("findmnt --noheadings --output SOURCE /")).toContain("/dev/mapper/root");
  },
  120 * minute,
);

/** Its own checks pass, and what set up the network for the passphrase is gone. */
async function whole(machine: DefinedMachine): Promise<void> {
  await machine.boot({ withinSeconds: 180 });
  const options = { cache: cacheRoot(env), env, log: silentLog, signal: new AbortController().signal };
  const results = await defaultChecks(machine, machine, options);
  expect(results.filter(({ ok }) => !ok)).toEqual([]);
  await machine.succeed("test ! -e /run/imgbuild-unlock && ! pgrep -x 'dropbear|udhcpc|busybox'");
}

/** The layout without a host key of its own: each deploy makes one. Three directories down, as its paths have it. */
async function withNewKey(): Promise<string> {
  const to = "out/unlock/luks-ssh";
  await rm(to, { recursive: true, force: true });
  await cp(layout, to, { recursive: true });
  const file = join(to, "IMGBUILD.ts");
  const text = await readFile(file, "utf8");
  const changed = text
    .replace('"../common.ts"', '"../../../imgbuild/layouts/common.ts"')
    .replace(', hostKey: "unlock-key"', "")
    .replace(/secrets: \{.*\},\n/, "secrets: diskKey,\n");
  if (changed.includes("unlock-key")) throw new Error("the layout names its host key in another way");
  await writeFile(file, changed);
  return to;
}
