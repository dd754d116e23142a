import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import {
  type DeployOptions,
  definitionInputs,
  deployWorld,
  type Outside,
} from "../../../../src/operator/deploy/inputs.ts";
import { knownDeploy } from "../../../../src/operator/records/known-deploys.ts";
import { noteTried } from "../../../../src/operator/records/rehearsal-record.ts";
import { generateSshKey } from "../../../../src/transport/keys.ts";
import { silentLog } from "../../../../src/util/log.ts";
import { Secret } from "../../../../src/util/secret.ts";
import { notedDeploy } from "../../../helpers/fakes/noted-deploy.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const usual: DeployOptions = { deadManSeconds: 600, slow: 1 };

/** The outside of a command, with a home of its own; who is asked answers. */
function outside(change: Partial<Outside> = {}) {
  const home = tempDir();
  const asked: string[] = [];
  const warnings: string[] = [];
  const world: Outside = {
    env: { HOME: home, XDG_STATE_HOME: join(home, "state") },
    cache: join(home, "cache"),
    log: { ...silentLog, warn: (text) => void warnings.push(text) },
    signal: new AbortController().signal,
    interactive: false,
    askSecret: async (question) => {
      asked.push(question);
      return new Secret("answer", Buffer.from("wrong"));
    },
    ...change,
  };
  return { world, asked, warnings, home };
}

/** A definition's directory with that text in `image({…})`. */
function definition(fields: string): string {
  const dir = tempDir();
  writeFileSync(
    join(dir, "IMGBUILD.ts"),
    `import { image } from "imgbuild";\nexport default image({ hostname: "web", ${fields} });\n`,
  );
  return dir;
}

describe("what a deploy starts from", () => {
  it("is the definition with its lock and files, and waits as long as it is to", async () => {
    const { world, warnings } = outside();
    const inputs = await definitionInputs(
      "imgbuild/web",
      "admin@web",
      { deadManSeconds: 240, slow: 3 },
      world,
    );
    expect(inputs).toMatchObject({
      ...{ host: "admin@web", deadManSeconds: 240, slow: 3, tried: false },
      ...{ keepAccess: false, ignoreClock: false, baseCmdline: [], login: undefined },
      waitMs: { base: 900_000, build: 10_800_000, boot: 1_800_000 },
      definition: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(inputs).not.toHaveProperty("acceptDegraded");
    expect(inputs.lock.packages.length).toBeGreaterThan(100);
    expect(inputs.files.size).toBeGreaterThan(0);
    expect(inputs.mirrors.debian.length).toBeGreaterThan(0);
    expect(inputs.debs.size).toBe(0);
    expect(warnings).toEqual([]);
  });

  it("has what the user asks for", async () => {
    const options: DeployOptions = {
      ...usual,
      ...{
        keepAccess: true,
        ignoreClock: true,
        login: "admin",
        baseCmdline: ["nomodeset"],
        acceptDegraded: true,
      },
    };
    expect(await definitionInputs("imgbuild/web", "web", options, outside().world)).toMatchObject({
      ...{
        keepAccess: true,
        ignoreClock: true,
        login: "admin",
        baseCmdline: ["nomodeset"],
        acceptDegraded: true,
      },
    });
  });

  it("knows a definition that was built here before, just as it is", async () => {
    const { world } = outside();
    const { definition: digest } = await definitionInputs("imgbuild/web", "web", usual, world);
    await noteTried(world.env, digest);
    expect((await definitionInputs("imgbuild/web", "web", usual, world)).tried).toBe(true);
  });

  it("opens the secrets when it is asked to and not before, by the identities that are given", async () => {
    const options = { ...usual, identity: ["secrets/demo-identity.txt"] };
    const inputs = await definitionInputs("imgbuild/web", "web", options, outside().world);
    expect(inputs.secrets.size).toBe(0);
    const secrets = await inputs.openSecrets!();
    expect([...secrets.values()].every((secret) => secret.expose().length > 0)).toBe(true);
    expect(secrets.size).toBeGreaterThan(0);
  });

  it("does not open secrets without an identity, and asks for a passphrase where somebody is there", async () => {
    const alone = outside();
    const { openSecrets } = await definitionInputs("imgbuild/web", "web", usual, alone.world);
    await expect(openSecrets!()).rejects.toThrow();
    expect(alone.asked).toEqual([]);
  });

  it("opens none where none are wanted", async () => {
    const options = { ...usual, withoutSecrets: true };
    const inputs = await definitionInputs("imgbuild/web", "web", options, outside().world);
    expect(inputs.openSecrets).toBeUndefined();
  });

  it("is refused without storage", async () => {
    const dir = definition('packages: { install: ["nginx"] }');
    await expect(definitionInputs(dir, "web", usual, outside().world)).rejects.toThrow(
      / has no storage, so it cannot be deployed$/,
    );
  });
});

describe("the outside world of a deploy", () => {
  it("has the user's clock, confirmation and notes, and asks for a password only where somebody is there", async () => {
    const { world, asked } = outside();
    const confirm = async () => {};
    const alone = deployWorld("web", {}, world, confirm);
    expect(alone).toMatchObject({ log: world.log, signal: world.signal, confirm, password: undefined });
    expect(Math.abs(alone.now() - Date.now())).toBeLessThan(5_000);
    await alone.record(notedDeploy);
    expect(await knownDeploy(world.env, "web")).toEqual({ host: "web", ...notedDeploy });
    const there = deployWorld("web", {}, { ...world, interactive: true }, confirm);
    await there.password!();
    expect(asked).toEqual(["Password for sudo on web: "]);
  });

  it("logs in by the keys that are named", async () => {
    const { world, home } = outside();
    const key = generateSshKey("me");
    writeFileSync(join(home, "key"), key.private, { mode: 0o600 });
    writeFileSync(join(home, "key.pub"), `${key.public}\n`);
    const { publicKeys } = deployWorld("web", { sshKey: [join(home, "key")] }, world, async () => {});
    expect(await publicKeys()).toEqual([key.public]);
  });

  it("gets from the host's record what the options do not say", async () => {
    const { world } = outside();
    const record = {
      ...{ name: "web", definition: "", address: "web", parameters: {}, place: () => "hosts.yaml:2" },
      ...{ hostKeys: ["SHA256:a"], mayWipe: ["S"], login: "root" },
    };
    const inputs = await definitionInputs("imgbuild/web", "web", { ...usual, record }, world);
    expect(inputs).toMatchObject({ login: "root", mayWipe: ["S"], pinned: true });
    const own = await definitionInputs("imgbuild/web", "web", { ...usual, record, login: "admin" }, world);
    expect(own.login).toBe("admin");
    expect(await definitionInputs("imgbuild/web", "web", usual, world)).toMatchObject({ pinned: false });
  });

  it("connects as ssh_config and known_hosts say, and leaves nothing in the home", async () => {
    const server = createServer((socket) => socket.end("SSH-2.0-none\r\n"));
    server.listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    onTestFinished(() => void server.close());
    const { port } = server.address() as { port: number };
    const { world, home } = outside();
    const [sshConfig, knownHosts] = [join(home, "config"), join(home, "hosts")];
    writeFileSync(sshConfig, `Host alias\n  HostName 127.0.0.1\n  Port ${port}\n`);
    writeFileSync(knownHosts, "");
    const { connect } = deployWorld("alias", { sshConfig, knownHosts }, world, async () => {});
    await expect(connect({ timeoutMs: 2_000 })).rejects.toThrow(/127\.0\.0\.1/);
    expect(readdirSync(home).sort()).toEqual(["config", "hosts"]);
    expect(existsSync(join(home, ".ssh"))).toBe(false);
  });
});
