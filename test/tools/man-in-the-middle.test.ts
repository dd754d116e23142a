import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { buildInBase } from "../../src/operator/deploy/build.ts";
import { newTrail } from "../../src/operator/deploy/phases.ts";
import { proveNewSystem } from "../../src/operator/deploy/prove.ts";
import type { Shipped } from "../../src/operator/deploy/results.ts";
import { waitForBase } from "../../src/operator/deploy/take-over.ts";
import type { DeployWorld } from "../../src/operator/deploy/world.ts";
import { kexec } from "../../src/operator/takeover/ways/kexec.ts";
import { type FromRunner, protocolVersion } from "../../src/schema/base/journal.ts";
import { run } from "../../src/system/run/run.ts";
import { connect } from "../../src/transport/host.ts";
import { generateSshKey } from "../../src/transport/keys.ts";
import { fingerprint } from "../../src/transport/known-hosts.ts";
import { silentLog } from "../../src/util/log.ts";
import { Secret } from "../../src/util/secret.ts";
import { inputsOfDeploy, machineFacts } from "../helpers/builders/deployable.ts";
import { generateIdentity } from "../helpers/builders/identity.ts";
import { startSshd } from "../helpers/labs/sshd.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const nonce = "b".repeat(64);
const planDigest = "plan";
const token = new Secret("token", Buffer.from("s3cret"));
const fingerprintOf = (publicKey: string) => fingerprint(Buffer.from(publicKey.split(" ")[1]!, "base64"));

/** OpenSSH with a /run of its own. What logs in, and what is said to a runner there, is written down. */
async function system(operatorKey: string, greeting: Partial<Extract<FromRunner, { type: "hello" }>> = {}) {
  const home = tempDir();
  const inside = "mount -t tmpfs -o mode=755 tmpfs /run; mkdir -p /run/sshd /run/imgbuild";
  const server = await startSshd(home, {
    around: [
      ...["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "sh", "-ec"],
      `${inside}; exec "$@"`,
      "sh",
    ],
  });
  // Whoever stands in between knows who is to come.
  appendFileSync(join(home, "authorized_keys"), `${operatorKey}\n`);
  const heard: string[] = [];
  const { recipient } = await generateIdentity();
  const hello: FromRunner = {
    ...{ type: "hello", protocol: protocolVersion, nonce, bootId: "b", state: "waiting", seq: 0 },
    ...{ recipient, planDigest, ...greeting },
  };
  const runner = createServer((socket) => {
    heard.push("attached");
    socket.on("error", () => {});
    socket.write(`${JSON.stringify(hello)}\n`);
    socket.setEncoding("utf8").on("data", (text: string) => {
      heard.push(text);
      if (text.includes('"go"')) socket.write(`${JSON.stringify({ type: "refused", message: "enough" })}\n`);
    });
  });
  runner.listen(`/proc/${server.pid}/root/run/imgbuild/runner.sock`);
  onTestFinished(() => void runner.close());
  return { ...server, home, heard };
}

/** A deploy that has told the old system to jump, and now connects to whatever answers at `port`. */
function jumped(port: number, operator: { private: string; public: string }, pin: string) {
  const takenOver = {
    ...{ facts: machineFacts(), planDigest, secrets: new Map([["token", token]]) },
    ...{ hostKeys: { secrets: new Map(), pins: [] }, newSystem: { nonce } },
    identity: { nonce, clientKey: operator, baseKey: { private: "", public: pin } },
    way: kexec,
  } as unknown as Shipped;
  const trail = newTrail();
  const world = {
    ...{ log: silentLog, signal: new AbortController().signal, now: Date.now, password: undefined },
    connect: (options: object) => connect(`root@127.0.0.1:${port}`, { home: tempDir(), ...options }),
  } as unknown as DeployWorld;
  const inputs = inputsOfDeploy({ waitMs: { base: 2_000, build: 5_000, boot: 2_000 } });
  return {
    world,
    trail,
    waitForBase: () => waitForBase(inputs, takenOver, world, trail),
    buildInBase: () => buildInBase(inputs, takenOver, world, trail),
  };
}

describe("a man in the middle (F24), with OpenSSH", () => {
  it("between operator and base is refused by its key, which is shown, before anything is said to it", async () => {
    const operator = generateSshKey("operator");
    const [base, middle] = [await system(operator.public), await system(operator.public)];
    const wrong = jumped(middle.port, operator, base.hostKey);
    await expect(wrong.waitForBase()).rejects.toThrow(
      `does not answer with the expected host key, but with ssh-ed25519 ${fingerprintOf(middle.hostKey)}`,
    );
    await expect(wrong.buildInBase()).rejects.toThrow("expected host key");
    expect(middle.heard).toEqual([]);
    expect(wrong.trail.has("go")).toBe(false);
    // The same way leads to the base itself, which is told GO: only the key made the difference.
    const right = jumped(base.port, operator, base.hostKey);
    await right.waitForBase();
    await expect(right.buildInBase()).rejects.toThrow("enough");
    expect(base.heard.join("")).toContain('"type":"go"');
  });

  it.each([
    ["another nonce", { nonce: "f".repeat(64) }, /the base that answers is not the one of this deploy/],
    ["another plan", { planDigest: "another" }, /holds another plan than the one confirmed/],
  ])("that has the base's key and tells of %s gets no secret", async (_what, greeting, message) => {
    const operator = generateSshKey("operator");
    const base = await system(operator.public, greeting);
    await expect(jumped(base.port, operator, base.hostKey).waitForBase()).rejects.toThrow(message);
    expect([...new Set(base.heard)]).toEqual(["attached"]);
  });

  it("in place of the new system is refused by its key, and so is every system where no key is expected", async () => {
    const operator = generateSshKey("operator");
    const middle = await system(operator.public);
    for (const pins of [[generateSshKey("new").public], []]) {
      const { world } = jumped(middle.port, operator, "");
      const fresh = {
        ...world,
        connect: (options: object) => world.connect({ ...options, key: operator.private, user: "root" }),
      };
      const wanted = {
        nonce,
        pins,
        health: [],
        units: [],
        placed: [],
        scripts: false,
        slow: 1,
        bootMs: 1_000,
      };
      await expect(proveNewSystem(wanted, fresh)).rejects.toThrow(
        pins.length === 0 ? /only host keys of type/ : `ssh-ed25519 ${fingerprintOf(middle.hostKey)}`,
      );
    }
  });

  it("in place of the old system is refused by every kind of line in known_hosts that knows the right key", async () => {
    const operator = generateSshKey("operator");
    const [old, middle] = [await system(operator.public), await system(operator.public)];
    const knownHosts = join(tempDir(), "known_hosts");
    const at = (port: number) => `[127.0.0.1]:${port}`;
    const login = async (port: number, lines: string, hashed = false) => {
      writeFileSync(knownHosts, lines);
      if (hashed) await run(["ssh-keygen", "-q", "-H", "-f", knownHosts]);
      if (hashed) expect(readFileSync(knownHosts, "utf8")).toMatch(/^\|1\|/);
      const host = await connect(`root@127.0.0.1:${port}`, {
        ...{ home: tempDir(), knownHostsFiles: [knownHosts], key: operator.private },
      });
      host.close();
      return "in";
    };
    const key = old.hostKey;
    for (const [line, hashed] of [
      [(port: number) => `${at(port)} ${key}\n`, false],
      [(port: number) => `${at(port)} ${key}\n`, true],
      [() => `[127.0.0.*]:* ${key}\n`, false],
    ] as const) {
      expect(await login(old.port, line(old.port), hashed)).toBe("in");
      await expect(login(middle.port, line(middle.port), hashed)).rejects.toThrow(
        `has changed: ssh-ed25519 ${fingerprintOf(middle.hostKey)}`,
      );
    }
    const revoked = `${at(old.port)} ${key}\n@revoked * ${key}\n`;
    await expect(login(old.port, revoked)).rejects.toThrow(/is revoked at/);
    await expect(login(old.port, "")).rejects.toThrow(`is not known: ssh-ed25519 ${fingerprintOf(key)}`);
  });
});
