import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import ssh2, { type BaseAgent, type ParsedKey } from "ssh2";
import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { type Destination, resolveTarget } from "../../../src/transport/destination.ts";
import { generateSshKey } from "../../../src/transport/keys.ts";
import { heldKeys, type LoginOptions, login } from "../../../src/transport/login.ts";
import { Secret } from "../../../src/util/secret.ts";
import { serveAgent } from "../../helpers/labs/ssh-agent.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

afterEach(() => void vi.useRealTimers());

const keys = Object.fromEntries(
  ["memory", "given", "agent", "spare", "file"].map((name) => [name, generateSshKey(name)]),
) as Record<"memory" | "given" | "agent" | "spare" | "file", { private: string; public: string }>;
const nameOf = (publicKey: string) =>
  Object.entries(keys).find(([, key]) => key.public === publicKey)?.[0] ?? publicKey;
const encrypted = ssh2.utils.generateKeyPairSync("ed25519", {
  ...{ passphrase: "open it", cipher: "aes256-cbc", rounds: 1 },
});
const publicOfEncrypted = encrypted.public.split(" ").slice(0, 2).join(" ");

function destinationOf(changes: Partial<Destination> = {}): Destination {
  const plain = resolveTarget("ops@web", { home: "/nowhere", sshConfigFile: "/dev/null" });
  return { ...plain, identityFiles: [], ...changes };
}

function fileOf(content: string, publicContent?: string): string {
  const file = join(tempDir(), "key");
  writeFileSync(file, content);
  if (publicContent !== undefined) writeFileSync(`${file}.pub`, publicContent);
  return file;
}

/** What a host that takes no key is offered, by name, and what could not be tried. */
async function offered(
  destination: Destination,
  options: LoginOptions,
): Promise<{ offers: string[]; shown: string[]; skipped: readonly string[] }> {
  const { handler, skipped, shown } = login(destination, options);
  const [offers, wasShown]: [string[], string[]] = [[], []];
  for (;;) {
    const method = await new Promise<unknown>((resolve) => {
      expect(handler([] as never, false, resolve as never)).toBeUndefined();
    });
    if (method === false) return { offers, shown: wasShown, skipped };
    const { type, username, key, agent } = method as {
      type: string;
      username: string;
      key: string | ParsedKey;
      agent: BaseAgent<ParsedKey>;
    };
    expect(username).toBe("ops");
    if (type === "agent") offers.push(`agent: ${(await identities(agent)).map(nameOf)}`);
    else {
      const parsed = (typeof key === "string" ? ssh2.utils.parseKey(key) : key) as ParsedKey;
      offers.push(`${type}: ${nameOf(publicOf(parsed))}`);
    }
    wasShown.push(nameOf(shown()));
  }
}

const publicOf = (key: ParsedKey) => `${key.type} ${key.getPublicSSH().toString("base64")}`;

async function identities(agent: BaseAgent<ParsedKey>): Promise<string[]> {
  return await new Promise((resolve, reject) => {
    agent.getIdentities((error, found) =>
      error ? reject(error) : resolve(((found ?? []) as ParsedKey[]).map(publicOf)),
    );
  });
}

describe("the keys that a host is offered", () => {
  it("are the one in memory, given files, the agent's, then ssh_config's files, each once", async () => {
    const destination = destinationOf({
      agent: await serveAgent([keys.agent.private, keys.spare.private]),
      identityFiles: ["/nowhere/id_rsa", fileOf(keys.file.private)],
    });
    const options = { key: keys.memory.private, keyFiles: [fileOf(keys.given.private)] };
    expect(await offered(destination, options)).toEqual({
      offers: ["publickey: memory", "publickey: given", "agent: agent,spare", "publickey: file"],
      // The agent's is known once it signs.
      shown: ["memory", "given", "given", "file"],
      skipped: [],
    });
    expect(await offered(destinationOf(), {})).toEqual({ offers: [], shown: [], skipped: [] });
  });

  it("are only those of the files where ssh_config says so, by their public half", async () => {
    const agent = await serveAgent([keys.agent.private, keys.spare.private, keys.given.private]);
    const files = { identityFiles: [fileOf("in the agent alone", `${keys.spare.public} a note\n`)], agent };
    const options = { keyFiles: [fileOf(keys.given.private)] };
    const { offers } = await offered(destinationOf({ ...files, identitiesOnly: true }), options);
    expect(offers).toContain("agent: spare,given");
    expect((await offered(destinationOf({ ...files, identitiesOnly: false }), options)).offers).toContain(
      "agent: agent,spare,given",
    );
    expect((await offered(destinationOf({ agent, identitiesOnly: true }), {})).offers).toEqual(["agent: "]);
  });

  it("end where a given file is not there, and go on without one of ssh_config", async () => {
    const identityFiles = [fileOf(keys.file.private)];
    expect(await offered(destinationOf({ identityFiles }), { keyFiles: ["/nowhere/key"] })).toMatchObject({
      offers: [],
      skipped: ["no key file /nowhere/key"],
    });
    expect(
      await offered(destinationOf({ identityFiles: ["/nowhere/key", ...identityFiles] }), {}),
    ).toMatchObject({ offers: ["publickey: file"], skipped: [] });
  });

  it("have those of an encrypted file when its passphrase is given; else it is said why not", async () => {
    const file = fileOf(encrypted.private);
    const asked: string[] = [];
    const ask = (answer: string) => async (name: string) => {
      asked.push(name);
      return new Secret("passphrase", Buffer.from(answer));
    };
    const identityFiles = [file, fileOf(keys.file.private)];
    expect(await offered(destinationOf({ identityFiles }), { askPassphrase: ask("open it") })).toEqual({
      ...{ offers: [`publickey: ${publicOfEncrypted}`, "publickey: file"], skipped: [] },
      shown: [publicOfEncrypted, "file"],
    });
    expect(await offered(destinationOf({ identityFiles }), { askPassphrase: ask("wrong") })).toMatchObject({
      ...{ offers: ["publickey: file"], skipped: [`${file}: the passphrase does not open it`] },
    });
    expect(asked).toEqual([file, file]);
    expect(await offered(destinationOf({ identityFiles }), {})).toMatchObject({
      ...{ offers: ["publickey: file"], skipped: [expect.stringMatching(/key: Encrypted/)] },
    });
  });

  it("have none of a file that is no key, for which no passphrase is asked", async () => {
    const file = fileOf("no key");
    const askPassphrase = async () => expect.unreachable();
    const { offers, skipped } = await offered(destinationOf({ identityFiles: [file] }), { askPassphrase });
    expect(offers).toEqual([]);
    expect(skipped).toEqual([expect.stringMatching(`^${file}: `)]);
  });

  it("end, with the reason, where nobody says the passphrase", async () => {
    const askPassphrase = async () => Promise.reject(new Error("interrupted"));
    const identityFiles = [fileOf(encrypted.private), fileOf(keys.file.private)];
    expect(await offered(destinationOf({ identityFiles }), { askPassphrase })).toEqual({
      ...{ offers: [], shown: [], skipped: ["interrupted"] },
    });
  });

  it("have none of an agent that is not there, or does not answer within ten seconds", async () => {
    expect((await offered(destinationOf({ agent: "/nowhere/agent" }), {})).offers).toEqual(["agent: "]);
    const mute = createServer();
    const path = join(tempDir(), "agent");
    mute.listen(path);
    await once(mute, "listening");
    onTestFinished(() => void mute.close());
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const done = offered(destinationOf({ agent: path }), {});
    await once(mute, "connection");
    await vi.advanceTimersByTimeAsync(9_900);
    expect(await Promise.race([done, turn("waits")])).toBe("waits");
    await vi.advanceTimersByTimeAsync(100);
    expect((await done).offers).toEqual(["agent: "]);
    const agent = await serveAgent([keys.agent.private]);
    expect((await offered(destinationOf({ agent }), {})).offers).toEqual(["agent: agent"]);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("the public keys that an operator holds", () => {
  it("are those of given files, of ssh_config's, in memory and of the agent, each once", async () => {
    const destination = destinationOf({
      agent: await serveAgent([keys.agent.private, keys.memory.private]),
      identityFiles: [fileOf(encrypted.private, `${encrypted.public} note\n`), "/nowhere/id_rsa"],
    });
    const options = { key: keys.memory.private, keyFiles: [fileOf(keys.given.private)] };
    expect((await heldKeys(destination, options)).map(nameOf)).toEqual([
      "given",
      publicOfEncrypted,
      "memory",
      "agent",
    ]);
  });

  it("are none of an encrypted file alone, a damaged public half, what is no key, or no agent", async () => {
    const destination = destinationOf({
      agent: "/nowhere/agent",
      identityFiles: [fileOf(encrypted.private), fileOf("no key", "ssh-ed25519\n"), fileOf("", "")],
    });
    expect(await heldKeys(destination, { key: "no key" })).toEqual([]);
    const half = destinationOf({ identityFiles: [fileOf(keys.file.private, "ssh-ed25519\n")] });
    expect((await heldKeys(half, {})).map(nameOf)).toEqual(["file"]);
  });
});
