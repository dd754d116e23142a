import { createHmac, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import ssh2 from "ssh2";
import { describe, expect, it, onTestFinished } from "vitest";
import { resolveTarget } from "../../../src/transport/destination.ts";
import { connect } from "../../../src/transport/host.ts";
import { generateSshKey } from "../../../src/transport/keys.ts";
import { fingerprint } from "../../../src/transport/known-hosts.ts";
import { openSession, type Session } from "../../../src/transport/session.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const client = generateSshKey("client");
const hostKey = generateSshKey("host");
const otherKey = generateSshKey("other");
const ecdsa = ssh2.utils.generateKeyPairSync("ecdsa", { bits: 256 });

/** A server on loopback that lets everybody in; tells how often somebody got as far as logging in. */
async function fakeHost(
  keys: readonly string[] = [hostKey.private],
): Promise<{ port: number; logins: () => number }> {
  let logins = 0;
  const server = new ssh2.Server({ hostKeys: [...keys] }, (connection) => {
    connection.on("error", () => {});
    connection.on("authentication", (context) => {
      logins += 1;
      context.accept();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return { port: (server.address() as { port: number }).port, logins: () => logins };
}

function homeWith(knownHosts: string): string {
  const home = tempDir();
  mkdirSync(join(home, ".ssh"));
  writeFileSync(join(home, ".ssh", "known_hosts"), knownHosts);
  return home;
}

async function attempt(
  port: number,
  knownHosts: string,
  pins?: readonly string[],
): Promise<"in" | { message: string; hint?: string }> {
  const options = { home: homeWith(knownHosts), key: client.private, pins, timeoutMs: 5_000 };
  try {
    const host = await connect(`somebody@127.0.0.1:${port}`, options);
    host.close();
    return "in";
  } catch (error) {
    expect((error as Error).name).toBe("Fail");
    return error as { message: string; hint?: string };
  }
}

/** A session for which `verify` judges the host's key. */
async function sessionJudgedBy(port: number, verify: () => unknown): Promise<Session> {
  return await openSession({
    destination: resolveTarget(`somebody@127.0.0.1:${port}`, { home: tempDir() }),
    check: {
      algorithms: ["ssh-ed25519"],
      verify: verify as () => boolean,
      problem: () => undefined,
    },
    login: { key: client.private },
    socket: undefined,
    timeoutMs: 5_000,
    signal: undefined,
  });
}

const at = (port: number) => `[127.0.0.1]:${port}`;

describe("a host's key (F24)", () => {
  it("is accepted when known, also by a hashed name, a pattern, or among several", async () => {
    const { port } = await fakeHost();
    const salt = randomBytes(20);
    const hash = createHmac("sha1", salt).update(at(port)).digest("base64");
    expect(await attempt(port, `${at(port)} ${hostKey.public}\n`)).toBe("in");
    expect(await attempt(port, `|1|${salt.toString("base64")}|${hash} ${hostKey.public}\n`)).toBe("in");
    expect(await attempt(port, `[127.0.0.*]:${port},!elsewhere ${hostKey.public}\n`)).toBe("in");
    expect(await attempt(port, `${at(port)} ${otherKey.public}\n${at(port)} ${hostKey.public} note\n`)).toBe(
      "in",
    );
  });

  it("is refused when unknown, with its fingerprint and what to do, before anybody logs in", async () => {
    const { port, logins } = await fakeHost();
    const blob = Buffer.from(hostKey.public.split(" ")[1]!, "base64");
    for (const known of [
      "",
      `127.0.0.1 ${hostKey.public}\n`,
      `${at(port)},!${at(port)} ${hostKey.public}\n`,
      `@strange ${at(port)} ${hostKey.public}\n`,
    ])
      expect(await attempt(port, known)).toMatchObject({
        message: expect.stringContaining(fingerprint(blob)),
        hint: expect.stringContaining("ssh-keyscan"),
      });
    expect(logins()).toBe(0);
  });

  it("is refused when changed, naming the line that knows another", async () => {
    const { port, logins } = await fakeHost();
    expect(await attempt(port, `# first\n${at(port)} ${otherKey.public}\n`)).toMatchObject({
      message: expect.stringMatching(/has changed.*known_hosts:2$/),
    });
    expect(logins()).toBe(0);
  });

  it("is refused when revoked, though another line knows it", async () => {
    const { port, logins } = await fakeHost();
    const known = `${at(port)} ${hostKey.public}\n@revoked * ${hostKey.public}\n`;
    expect(await attempt(port, known)).toMatchObject({
      message: expect.stringMatching(/revoked at .*known_hosts:2/),
    });
    expect(await attempt(port, `@revoked ${at(port)} ${hostKey.public}\n`)).toMatchObject({
      message: expect.stringMatching(/revoked/),
    });
    expect(logins()).toBe(0);
  });

  it("is not judged by a certificate authority's line", async () => {
    const { port } = await fakeHost();
    expect(await attempt(port, `@cert-authority * ${hostKey.public}\n`)).toMatchObject({
      message: expect.stringMatching(/not known/),
    });
  });

  it("is exactly the pinned one where there are pins, whatever known_hosts says", async () => {
    const { port, logins } = await fakeHost();
    expect(await attempt(port, "", [hostKey.public])).toBe("in");
    expect(await attempt(port, `${at(port)} ${otherKey.public}\n`, [otherKey.public, hostKey.public])).toBe(
      "in",
    );
    const before = logins();
    const known = `${at(port)} ${hostKey.public}\n`;
    expect(await attempt(port, known, [otherKey.public])).toMatchObject({
      message: expect.stringMatching(/expected host key/),
    });
    expect(await attempt(port, known, [])).not.toBe("in");
    expect(logins()).toBe(before);
  });

  it("is asked for in a type that is known, so that a second key of the host is no change", async () => {
    const { port } = await fakeHost([hostKey.private, ecdsa.private]);
    const [type, key] = ecdsa.public.split(" ");
    expect(await attempt(port, `${at(port)} ${type} ${key}\n`)).toBe("in");
    expect(await attempt(port, `${at(port)} ssh-dss AAAAB3NzaC1kc3M=\n`)).toMatchObject({
      message: expect.stringMatching(/only host keys of type ssh-dss/),
    });
  });
});

describe("a judge of host keys that does not say exactly true (F25)", () => {
  it.each<[string, () => unknown]>([
    ["a promise", () => Promise.resolve(true)],
    ["null", () => null],
    ["nothing", () => undefined],
    ["a text", () => "yes"],
    ["a number", () => 1],
    ["an object", () => ({})],
  ])("lets nobody log in by %s", async (_what, answer) => {
    const { port, logins } = await fakeHost();
    await expect(sessionJudgedBy(port, answer)).rejects.toMatchObject({ name: "Fail" });
    expect(logins()).toBe(0);
  });

  it("is what the same server is reached by with true", async () => {
    const { port, logins } = await fakeHost();
    const session = await sessionJudgedBy(port, () => true);
    session.close();
    expect(logins()).toBeGreaterThan(0);
  });
});
