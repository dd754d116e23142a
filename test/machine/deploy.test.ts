import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { cp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFailed } from "vitest";
import { deploy } from "../../src/operator/deploy/deploy.ts";
import { Report } from "../../src/schema/report.ts";
import type { Host } from "../../src/transport/host.ts";
import { silentLog } from "../../src/util/log.ts";
import { imgbuild } from "../helpers/imgbuild.ts";
import { deployArguments, deployHere, kept, type StockLab, startLab } from "../helpers/labs/lab.ts";

/** Deploys of other machines that are called "target" too are noted elsewhere. */
const state = mkdtempSync(join(tmpdir(), "imgbuild-state-"));
const env = { ...process.env, XDG_STATE_HOME: state };
afterAll(() => rmSync(state, { recursive: true, force: true }));
const minute = 60_000;
const keptSum = createHash("sha256").update(kept.content).digest("hex");

/** One stock host; the cases follow one another on it, so each also proves that the one before left it whole. */
describe("deploying imgbuild/web onto a stock Debian 12 host", () => {
  let directory: string;
  let lab: StockLab;

  beforeAll(async () => {
    lab = await startLab({ firmware: "bios", log: silentLog, env });
    directory = lab.directory;
  });
  afterAll(() => lab?.close());
  // The command line sees a machine that came back; only the console says from what.
  beforeEach(() => {
    const mark = lab.machine.console.mark();
    onTestFailed(() => {
      process.stderr.write(
        `the console of ${lab.machine.name} since the test began:\n${lab.machine.console.since(mark)}\n`,
      );
    });
  });

  const bootId = () => lab.stock.succeed("cat /proc/sys/kernel/random/boot_id");
  /** What of ours is on the old system, the cached base aside. */
  const traces = () =>
    lab.stock.succeed(
      "ls -d /run/imgbuild 2>/dev/null; grep imgbuild /proc/mounts; cat /sys/kernel/kexec_loaded; sha256sum /srv/kept.txt",
    );

  it("refuses in preflight when a disk is not there, and changes nothing", async () => {
    const before = await bootId();
    // What a stock server lacks and a takeover must bring along or do without.
    const missing = "for name in kexec node rsync cpio; do command -v $name; done; true";
    expect(await lab.stock.succeed(missing)).toBe("");
    const report = join(directory, "refused.json");
    const args = deployArguments(lab, report, "target", await forAnotherDisk());
    const ran = await imgbuild(args, { env, timeoutMs: 10 * minute });
    expect(ran.stderr).toContain("no disk of the machine matches disk system (serial NOT-THERE");
    expect(ran.code).toBe(3);
    expect(Report.parse(JSON.parse(await readFile(report, "utf8"))).outcome).toBe("refused");
    expect(await bootId()).toBe(before);
    expect(await traces()).toBe(`0\n${keptSum}  /srv/kept.txt`);
  });

  it("returns to the old system by itself when the payload arrives damaged (F03)", async () => {
    const before = await bootId();
    const { inputs, world } = await deployHere(lab, env);
    const sent: Buffer[] = [];
    const secrets = await inputs.openSecrets!();
    const report = await deploy(
      { ...inputs, secrets, openSecrets: undefined },
      { ...world, connect: async (how) => withDamagedPayload(await world.connect(how), sent) },
    );
    // Nothing that reached the old system holds a secret or a host key: they are sealed, and sent to the base alone.
    const canaries = [...secrets.values()].map((secret) =>
      Buffer.from(secret.expose()).toString("latin1").trim(),
    );
    expect(canaries.length).toBeGreaterThan(0);
    expect(sent.length).toBeGreaterThan(0);
    const hostKey = await lab.stock.succeed("cat /etc/ssh/ssh_host_ed25519_key");
    // The first lines are alike in all keys; the fourth holds this one's secret.
    for (const canary of [...canaries, hostKey.split("\n")[3]!])
      for (const bytes of sent) {
        expect(bytes.includes(canary, 0, "latin1")).toBe(false);
        expect(bytes.includes(Buffer.from(canary, "latin1").toString("base64"), 0, "latin1")).toBe(false);
      }
    expect(report.message).toMatch(/the base refuses: .*(damaged|signature)/);
    expect(report.outcome).toBe("old-system");
    expect(report.bootIds.base).toBeNull();
    const after = await bootId();
    expect(after).not.toBe(before);
    expect(await traces()).toBe(`0\n${keptSum}  /srv/kept.txt`);
  });

  it("returns to the old system when nobody says GO (F12)", async () => {
    const before = await bootId();
    const args = [
      ...deployArguments(lab, join(directory, "lost.json")),
      ...["--dead-man", "60", "--build-on", "target"],
    ];
    const ran = await imgbuild(args, {
      env,
      timeoutMs: 10 * minute,
      onStart: (child) => {
        // The operator's machine is lost as soon as the base has been started.
        child.stderr?.on("data", (chunk: string) => {
          if (chunk.includes("waiting for the base")) child.kill("SIGKILL");
        });
      },
    });
    expect(ran.code).toBe(128);
    await lab.machine.waitForConsole(/imgbuild: the base is up/);
    const after = await lab.stock.waitForLogin({ notBoot: before });
    expect(after).not.toBe(before);
    expect(await traces()).toBe(`0\n${keptSum}  /srv/kept.txt`);
  });
});

/** `imgbuild/web` for a machine whose system disk has another serial. */
async function forAnotherDisk(): Promise<string> {
  const to = "out/other-disk";
  await rm(to, { recursive: true, force: true });
  await cp("imgbuild/web", to, { recursive: true });
  const file = join(to, "IMGBUILD.ts");
  const text = await readFile(file, "utf8");
  await writeFile(file, text.replace("IMGBUILD-SYSTEM", "NOT-THERE"));
  return to;
}

/** The same connection, but a byte inside of the payload is another when it is sent; the transport's own check agrees. */
function withDamagedPayload(host: Host, sent: Buffer[]): Host {
  return {
    name: host.name,
    openedBy: host.openedBy,
    get closed() {
      return host.closed;
    },
    exec: (argv, options) => host.exec(argv, options),
    becomeRoot: (options) => host.becomeRoot(options),
    openStreamLocal: (path) => host.openStreamLocal(path),
    forwardTcp: (address, port) => host.forwardTcp(address, port),
    close: () => host.close(),
    upload: (source, to, options) => {
      if (typeof source === "string" || !to.endsWith("/part3")) return host.upload(source, to, options);
      const bytes = Buffer.from(source);
      const name = bytes.indexOf("imgbuild/payload.tar.gz");
      if (name === -1) throw new Error("the part holds no payload");
      // The header of a cpio member: 110 characters, the size in eight hexadecimal ones from the 55th on.
      const size = Number.parseInt(bytes.toString("latin1", name - 110 + 54, name - 110 + 62), 16);
      const start = name - 110 + 4 * Math.ceil((110 + "imgbuild/payload.tar.gz".length + 1) / 4);
      sent.push(Buffer.from(source), gunzipSync(bytes.subarray(start, start + size)));
      const at = name + 4096;
      bytes[at] = bytes[at]! ^ 0x01;
      return host.upload(bytes, to, { ...options, sha256: createHash("sha256").update(bytes).digest("hex") });
    },
  };
}
