import { describe, expect, it } from "vitest";
import type { Consoles } from "../../../src/rescue/consoles.ts";
import { openAlone, openSecrets, tryIdentity } from "../../../src/rescue/open-secrets.ts";
import { SentIdentity } from "../../../src/rescue/sent-identity.ts";
import { newIdentity } from "../../../src/secrets/identity.ts";
import { sealFor } from "../../../src/secrets/seal.ts";
import { keptIdentityText } from "../../../src/steps/tree/kept-identity.ts";
import { Secret } from "../../../src/util/secret.ts";
import { serverSpec } from "../../helpers/builders/deployable.ts";
import { sealLightly } from "../../helpers/builders/identity.ts";
import { consolesWith } from "../../helpers/fakes/fake-consoles.ts";

const key = "hostkey:ssh_host_ed25519_key";
const typed = (text: string) => new Secret("typed", Buffer.from(text));
const reached = async () => ({ address: "192.0.2.10", hostKey: "SHA256:abc" });
const text = (secret: Secret | undefined) => Buffer.from(secret!.expose()).toString();

/** A medium with a secret, without what opens it. */
async function sealedMedium() {
  const { identity, recipient } = await newIdentity();
  const medium = {
    spec: serverSpec({ secrets: { token: { file: "token.age", path: "/etc/token" } } }),
    sealed: new Map([["token", await sealFor(recipient, Buffer.from("s3cret"))]]),
    ...{ identity: undefined, kept: undefined, unlock: undefined },
  };
  return { medium, identity, recipient };
}

describe("the secrets of a medium", () => {
  it("have the host keys of before among them, where a deploy kept them", async () => {
    const { identity, recipient } = await newIdentity();
    const kept = keptIdentityText(
      { hostname: "web", machineId: "ab".repeat(16) },
      new Map([[key, typed("PRIVATE")]]),
    );
    const medium = {
      spec: serverSpec(),
      sealed: new Map<string, Uint8Array>(),
      identity: await sealLightly("night", identity),
      kept: await sealFor(recipient, kept),
      unlock: undefined,
    };
    const open = async (of: typeof medium | (typeof medium & { identity: undefined }), answer = "night") => {
      const { consoles } = consolesWith([[answer === "" ? "Enter" : "Passphrase", answer]]);
      return await openSecrets(of, { consoles, sent: new SentIdentity(), reached });
    };
    const opened = await open(medium);
    expect(opened.machineId).toBe("ab".repeat(16));
    expect(text(opened.secrets.get(key))).toBe("PRIVATE");
    expect((await openSecrets({ ...medium, kept: undefined }, {} as never)).secrets.size).toBe(0);
    // Without an identity they cannot be opened, and the machine is rebuilt with new ones once somebody says so.
    const { consoles, shown } = consolesWith([["Enter goes on with new host keys", ""]]);
    const without = { ...medium, identity: undefined };
    expect((await openSecrets(without, { consoles, sent: new SentIdentity(), reached })).secrets.size).toBe(
      0,
    );
    expect(shown()).toContain("has no identity");
  });

  it("are opened by an identity that was sent, without a question", async () => {
    const { medium, identity } = await sealedMedium();
    const sent = new SentIdentity();
    sent.take(typed(identity));
    const { consoles, shown } = consolesWith();
    const { secrets } = await openSecrets(medium, { consoles, sent, reached });
    expect(text(secrets.get("token"))).toBe("s3cret");
    expect(shown()).toBe("");
    // It opens them again, should the rebuild fail.
    expect((await openSecrets(medium, { consoles, sent, reached })).secrets.size).toBe(1);
  });

  it("are opened by an identity that comes while a passphrase or it is waited for", async () => {
    const { medium, identity } = await sealedMedium();
    const locked = await sealLightly("night", identity);
    for (const own of [locked, undefined]) {
      const sent = new SentIdentity();
      const { consoles, shown, echoes } = consolesWith();
      const opening = openSecrets({ ...medium, identity: own }, { consoles, sent, reached });
      await new Promise((resolve) => setTimeout(resolve, 20));
      sent.take(typed(identity));
      expect(text((await opening).secrets.get("token"))).toBe("s3cret");
      if (own === undefined)
        expect(shown()).toContain("imgbuild secrets send root@192.0.2.10 --base-key SHA256:abc");
      else expect(echoes).toEqual([false, true]);
      expect(shown()).not.toContain("AGE-SECRET");
    }
  });

  it("stay closed when Enter is pressed instead", async () => {
    const { medium } = await sealedMedium();
    const { consoles } = consolesWith([["Waiting; Enter leads back to the menu", ""]]);
    await expect(openSecrets(medium, { consoles, sent: new SentIdentity(), reached })).rejects.toThrow(
      "no identity was sent; nothing was written",
    );
  });
});

describe("an identity that is sent to a medium", () => {
  it("is taken if it opens all that no passphrase does", async () => {
    const { medium, identity } = await sealedMedium();
    const own = await sealLightly("own", "x");
    const spec = serverSpec({
      secrets: { token: { file: "a.age", path: "/etc/a" }, own: { file: "b.age", path: "/etc/b" } },
    });
    const sealed = new Map([...medium.sealed, ["own", own] as const]);
    await expect(tryIdentity({ ...medium, spec, sealed }, typed(identity))).resolves.toBeUndefined();
  });

  it("is refused where it opens nothing, is closed itself, or is none", async () => {
    const { medium, identity } = await sealedMedium();
    const other = (await newIdentity()).identity;
    await expect(tryIdentity(medium, typed(other))).rejects.toThrow(
      "no given identity opens the secret token",
    );
    const locked = await sealLightly("night", identity);
    await expect(tryIdentity(medium, new Secret("identity", locked))).rejects.toThrow(
      "the identity is encrypted with a passphrase",
    );
    await expect(tryIdentity(medium, typed("hello"))).rejects.toThrow(
      "other lines than AGE-SECRET-KEY lines",
    );
    await expect(tryIdentity({ ...medium, spec: serverSpec() }, typed(identity))).rejects.toThrow(
      "has no secrets to open",
    );
  });
});

describe("the secrets of a medium that something opens with nothing typed", () => {
  const asks = async () => Promise.reject(new Error("it was asked for"));
  const silent = { askSecret: asks, askSecretUntil: asks, print: () => {} } as unknown as Consoles;
  const wayOf = { type: "tang", url: "http://192.0.2.10", sealed: "" } as const;

  /** A medium with a secret for a person's identity and for its own. */
  async function medium(more: Record<string, { file: string; path: string }> = {}) {
    const [person, own] = [await newIdentity(), await newIdentity()];
    const seal = async (recipient: string) =>
      new Map([["token", await sealFor(recipient, Buffer.from("s3cret"))]]);
    const kept = keptIdentityText({ hostname: "web", machineId: "ab".repeat(16) }, new Map());
    return {
      own: async () => typed(own.identity),
      person: async () => typed(person.identity),
      of: {
        spec: serverSpec({ secrets: { token: { file: "a.age", path: "/etc/a" }, ...more } }),
        sealed: await seal(person.recipient),
        identity: await sealLightly("night", person.identity),
        kept: undefined,
        unlock: {
          ways: [wayOf],
          sealed: await seal(own.recipient),
          kept: await sealFor(own.recipient, kept),
        },
      },
    };
  }

  it("are opened without a question, and by the passphrase where that does not open them", async () => {
    const { of, own, person } = await medium();
    const asked: unknown[] = [];
    const byItself = async (ways: readonly unknown[]) => {
      asked.push(...ways);
      return await own();
    };
    const none = async () => undefined;
    const ways = { sent: new SentIdentity(), reached };
    const opened = await openSecrets(of, { ...ways, consoles: silent, byItself });
    expect(asked).toEqual([wayOf]);
    expect(text(opened.secrets.get("token"))).toBe("s3cret");
    expect(opened.machineId).toBe("ab".repeat(16));
    const { consoles, left } = consolesWith([["Passphrase of the medium", "night"]]);
    const byHand = await openSecrets(of, { ...ways, consoles, byItself: none });
    expect(text(byHand.secrets.get("token"))).toBe("s3cret");
    expect(left()).toBe(0);
    // What was sent comes first: no server is asked.
    const sent = new SentIdentity();
    sent.take(await person());
    await openSecrets(of, { sent, reached, consoles: silent, byItself });
    expect(asked).toHaveLength(1);
  });

  it("are all that an unattended medium opens, or it does not begin", async () => {
    const { of, own } = await medium();
    expect((await openAlone(of, { consoles: silent, byItself: own })).secrets.has("token")).toBe(true);
    await expect(openAlone(of, { consoles: silent, byItself: async () => undefined })).rejects.toThrow(
      "somebody has to type",
    );
    await expect(openAlone({ ...of, unlock: undefined }, { consoles: silent })).rejects.toThrow(
      "somebody has to type",
    );
    const closed = await sealLightly("own", "x");
    const also = await medium({ own: { file: "b.age", path: "/etc/b" } });
    const sealed = new Map([...also.of.sealed, ["own", closed] as const]);
    await expect(openAlone({ ...also.of, sealed }, { consoles: silent, byItself: also.own })).rejects.toThrow(
      "somebody has to type",
    );
    const nothing = { ...of, spec: serverSpec(), unlock: undefined };
    expect((await openAlone(nothing, { consoles: silent })).secrets.size).toBe(0);
  });
});
