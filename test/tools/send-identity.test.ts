import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { tryIdentity } from "../../src/rescue/open-secrets.ts";
import { SentIdentity, serveIdentity } from "../../src/rescue/sent-identity.ts";
import { newIdentity } from "../../src/secrets/identity.ts";
import { sealFor } from "../../src/secrets/seal.ts";
import { run } from "../../src/system/run/run.ts";
import { fingerprintOf } from "../../src/transport/known-hosts.ts";
import { serverSpec } from "../helpers/builders/deployable.ts";
import { imgbuild, project } from "../helpers/imgbuild.ts";
import { startSshd } from "../helpers/labs/sshd.ts";

/** The medium's program and OpenSSH's server as in the base; the base's paths are there for the server alone. */
describe("imgbuild secrets send", () => {
  const dir = mkdtempSync(join(tmpdir(), "imgbuild-send-"));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  const [base, programs, home] = ["run/imgbuild", "programs", "home"].map((name) => join(dir, name)) as [
    string,
    string,
    string,
  ];
  const sent = new SentIdentity();
  const file = join(dir, "identity.txt");
  let identity = "";
  beforeAll(async () => {
    for (const path of [base, programs, home]) mkdirSync(path, { recursive: true, mode: 0o700 });
    const own = await newIdentity();
    ({ identity } = own);
    writeFileSync(file, `${identity}\n`, { mode: 0o600 });
    const medium = {
      spec: serverSpec({ secrets: { token: { file: "token.age", path: "/etc/token" } } }),
      sealed: new Map([["token", await sealFor(own.recipient, Buffer.from("s3cret"))]]),
      ...{ identity: undefined, kept: undefined, unlock: undefined },
    };
    serveIdentity(join(base, "identity.sock"), async (text) => {
      await tryIdentity(medium, text);
      sent.take(text);
      return "it opens the secrets; go on at the console";
    });
    const program = join(programs, "imgbuild-rescue");
    copyFileSync(join(project, "initramfs/files/usr/sbin/imgbuild-rescue"), program);
    chmodSync(program, 0o755);
  });

  const server = async () =>
    await startSshd(home, {
      around: [
        ...["unshare", "--mount", "sh", "-c"],
        `mkdir -p /run/imgbuild && mount --bind ${base} /run/imgbuild && mount --bind ${programs} /usr/local/sbin && exec "$@"`,
        "sh",
      ],
    });
  const send = async (port: number, ...more: string[]) =>
    await imgbuild(
      [
        ...["secrets", "send", `root@127.0.0.1:${port}`, "--ssh-key", join(home, ".ssh/id_ed25519")],
        ...["--ssh-config", "/dev/null", ...more],
      ],
      { env: { ...process.env, HOME: home, IMGBUILD_IDENTITY: undefined }, timeoutMs: 120_000 },
    );

  it("brings an identity over OpenSSH to the medium whose key was named, and says what it opens", async () => {
    const { port, hostKey } = await server();
    const { code, stdout, stderr } = await send(port, "-i", file, "--base-key", fingerprintOf(hostKey));
    expect(code, stderr).toBe(0);
    expect(stdout).toBe("it opens the secrets; go on at the console\n");
    expect(Buffer.from(sent.text!.expose()).toString()).toBe(`${identity}\n`);
    expect(stdout + stderr).not.toContain("AGE-SECRET");
  });

  it("sends nothing to a machine with another key", async () => {
    const { port } = await server();
    const before = sent.text;
    const { code, stderr } = await send(port, "-i", file, "--base-key", `SHA256:${"0".repeat(43)}`);
    expect(code).not.toBe(0);
    expect(stderr).toContain("host key");
    expect(sent.text).toBe(before);
  });

  it("shows why the medium refuses an identity", async () => {
    const { port, hostKey } = await server();
    const other = join(dir, "other.txt");
    writeFileSync(other, `${(await newIdentity()).identity}\n`, { mode: 0o600 });
    const { code, stderr } = await send(port, "-i", other, "--base-key", fingerprintOf(hostKey));
    expect(code).toBe(1);
    expect(stderr).toContain("no given identity opens the secret token");
  });

  it("says that a machine runs no medium", async () => {
    const { port, hostKey } = await startSshd(home);
    const { code, stderr } = await send(port, "-i", file, "--base-key", fingerprintOf(hostKey));
    expect(code).toBe(1);
    expect(stderr).toContain("what answers runs no rescue medium");
  });

  it("is done as well by OpenSSH alone", async () => {
    const { port } = await server();
    while (!existsSync(join(base, "identity.sock"))) await sleep(20);
    const argv = ["-F", "/dev/null", "-p", String(port), "-i", join(home, ".ssh/id_ed25519")];
    const options = ["-o", `UserKnownHostsFile=${join(home, ".ssh/known_hosts")}`, "-o", "BatchMode=yes"];
    const { stdout } = await run(
      ["ssh", ...argv, ...options, "root@127.0.0.1", "imgbuild-rescue", "--identity"],
      { stdin: `${identity}\n`, timeoutMs: 60_000 },
    );
    expect(stdout).toBe("it opens the secrets; go on at the console\n");
  });
});
