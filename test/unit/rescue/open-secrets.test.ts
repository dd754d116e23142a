import { describe, expect, it } from "vitest";
import type { Consoles } from "../../../src/rescue/consoles.ts";
import { openSecrets } from "../../../src/rescue/open-secrets.ts";
import { newIdentity } from "../../../src/secrets/identity.ts";
import { sealFor, sealWithPassphrase } from "../../../src/secrets/seal.ts";
import { keptIdentityText } from "../../../src/steps/tree/kept-identity.ts";
import { Secret } from "../../../src/util/secret.ts";
import { serverSpec } from "../../helpers/builders/deployable.ts";

const key = "hostkey:ssh_host_ed25519_key";
const typed = (text: string) => new Secret("typed", Buffer.from(text));
const consoles = { askSecret: async () => typed("night"), print: () => {} } as unknown as Consoles;

describe("the secrets of a medium", () => {
  it("have the host keys of before among them, where a deploy kept them", async () => {
    const { identity, recipient } = await newIdentity();
    const text = keptIdentityText(
      { hostname: "web", machineId: "ab".repeat(16) },
      new Map([[key, typed("PRIVATE")]]),
    );
    const medium = {
      spec: serverSpec(),
      sealed: new Map<string, Uint8Array>(),
      identity: await sealWithPassphrase(typed("night"), Buffer.from(identity)),
      kept: await sealFor(recipient, text),
    };
    const opened = await openSecrets(medium, consoles);
    expect(opened.machineId).toBe("ab".repeat(16));
    expect(Buffer.from(opened.secrets.get(key)!.expose()).toString()).toBe("PRIVATE");
    expect((await openSecrets({ ...medium, kept: undefined }, consoles)).secrets.size).toBe(0);
    // Without an identity they cannot be opened, and the machine is rebuilt with new ones.
    expect((await openSecrets({ ...medium, identity: undefined }, consoles)).secrets.size).toBe(0);
  });
});
