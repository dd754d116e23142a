import ssh2 from "ssh2";
import { describe, expect, it } from "vitest";
import { hostKeysFor } from "../../../../src/operator/deploy/host-keys.ts";
import type { DeployState } from "../../../../src/operator/deploy/state.ts";
import { generateSshKey, publicKeyOf } from "../../../../src/transport/keys.ts";
import { type Log, silentLog } from "../../../../src/util/log.ts";
import { Secret } from "../../../../src/util/secret.ts";
import { inputsOfDeploy } from "../../../helpers/deployable.ts";

const name = "hostkey:ssh_host_ed25519_key";
type State = Pick<DeployState, "facts" | "newHostKeys" | "old">;

function inputsWith(hostKeys: "keep" | "new" | { secret: string }, secrets: Record<string, string> = {}) {
  const inputs = inputsOfDeploy({
    secrets: new Map(Object.entries(secrets).map(([key, text]) => [key, new Secret(key, Buffer.from(text))])),
  });
  return { ...inputs, spec: { ...inputs.spec, hostKeys } } as ReturnType<typeof inputsOfDeploy>;
}

const textOf = (secret: Secret | undefined) => Buffer.from(secret?.expose() ?? []).toString();

/** An old system with these files in /etc/ssh; `known` are the public keys that were seen of it. */
function oldSystem(files: Record<string, string>, known: string[]): State {
  const exec = async (argv: readonly string[]) => ({
    ...{ code: 0, stderr: "" },
    stdout:
      argv[0] === "cat"
        ? files[argv.at(-1)!.slice("/etc/ssh/".length)]!
        : Object.keys(files)
            .map((file) => `/etc/ssh/${file}\n`)
            .join(""),
  });
  return { old: { exec }, facts: { hostKeys: known } } as unknown as State;
}

describe("the SSH host keys of a new system", () => {
  it("F30: are others at each deploy where the definition wants new ones, and are pinned", async () => {
    const made = await Promise.all(
      [1, 2].map(async () => {
        const state = {} as State;
        const keys = await hostKeysFor(inputsWith("new"), state, silentLog);
        expect([...keys.keys()]).toEqual([name]);
        expect(state.newHostKeys).toEqual([publicKeyOf(keys.get(name)!.expose())]);
        return state.newHostKeys![0];
      }),
    );
    expect(made[0]).not.toBe(made[1]);
  });

  it("are the one of a secret, if it can be used as it is", async () => {
    const key = generateSshKey("web");
    const state = {} as State;
    const keys = await hostKeysFor(inputsWith({ secret: "key" }, { key: key.private }), state, silentLog);
    expect([[...keys.keys()], textOf(keys.get(name))]).toEqual([[name], key.private]);
    expect(state.newHostKeys).toEqual([key.public]);
    const other = ssh2.utils.generateKeyPairSync("ecdsa", { bits: 256 }).private;
    const locked = ssh2.utils.generateKeyPairSync("ed25519", {
      ...{ passphrase: "open it", cipher: "aes256-cbc", rounds: 1 },
    }).private;
    for (const secrets of [{}, { key: "no key" }, { key: other }, { key: locked }] as Record<
      string,
      string
    >[])
      await expect(
        hostKeysFor(inputsWith({ secret: "key" }, secrets), {} as State, silentLog),
      ).rejects.toThrow(/^the secret key is no OpenSSH private key of type ed25519 without a passphrase$/);
  });

  it("are the old system's where they are kept, as far as the new one can use them", async () => {
    const key = generateSshKey("old");
    const warned: string[] = [];
    const log: Log = { ...silentLog, warn: (text: string) => void warned.push(text) };
    const files = {
      ssh_host_ed25519_key: key.private,
      ssh_host_rsa_key: "damaged",
      ssh_host_dsa_key: generateSshKey("x").private,
    };
    const kept = await hostKeysFor(inputsWith("keep"), oldSystem(files, [key.public]), log);
    expect([[...kept.keys()], textOf(kept.get(name))]).toEqual([[name], key.private]);
    expect(warned).toEqual([
      expect.stringMatching(/ssh_host_rsa_key/),
      expect.stringMatching(/ssh_host_dsa_key/),
    ]);
    for (const state of [
      oldSystem(files, [generateSshKey("another").public]),
      oldSystem({}, [key.public]),
      { ...oldSystem(files, []), facts: undefined } as unknown as State,
    ])
      await expect(hostKeysFor(inputsWith("keep"), state, silentLog)).rejects.toMatchObject({
        ...{ name: "Fail", message: expect.stringMatching(/^none of the host's SSH keys can be kept/) },
        hint: 'say hostKeys: "new" in the definition',
      });
    expect((await hostKeysFor(inputsWith("keep"), {} as State, silentLog)).size).toBe(0);
  });
});
