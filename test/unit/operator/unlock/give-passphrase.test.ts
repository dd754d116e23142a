import { describe, expect, it } from "vitest";
import { givePassphrases, type Passphrases } from "../../../../src/operator/unlock/give-passphrase.ts";
import { silentLog } from "../../../../src/util/log.ts";
import { Secret } from "../../../../src/util/secret.ts";
import { initramfs } from "../../../helpers/labs/initramfs.ts";

const how = { log: silentLog, signal: new AbortController().signal, again: true };
const secret = (text: string) => new Secret("x", Buffer.from(text));

/** What a waiting initramfs makes of passphrases: what was opened, and what it got. */
async function given(
  volumes: Record<string, string>,
  passphrases: Passphrases,
  change: { ends?: "then" | "later"; again?: boolean } = {},
) {
  const { got, locked, reach, commands } = await initramfs(volumes, change.ends);
  const host = await reach({ user: "root" });
  try {
    const opened = await givePassphrases(host, passphrases, { ...how, ...change });
    return { opened, got, locked, commands };
  } finally {
    host.close();
  }
}

describe("givePassphrases", () => {
  it("gives each volume that is asked for its own, without the newline of its file, on stdin alone", async () => {
    const own: Record<string, string> = { root: "first\n", swap: "second" };
    const { opened, got, commands } = await given({ root: "first", swap: "second" }, async (name) =>
      secret(own[name]!),
    );
    expect(opened).toEqual(["root", "swap"]);
    expect(got).toEqual(["first", "second"]);
    expect(new Set(commands)).toEqual(new Set(["'cryptroot-unlock'"]));
  });

  it.each(["then", "later"] as const)(
    "takes it for opened when the start goes on and the connection is gone (%s)",
    async (ends) => {
      expect((await given({ root: "p" }, async () => secret("p"), { ends })).opened).toEqual(["root"]);
    },
  );

  it("asks a person again after a wrong one", async () => {
    const { opened, got } = await given({ root: "right" }, async (_, tries) =>
      secret(tries === 0 ? "wrong" : "right"),
    );
    expect([opened, got]).toEqual([["root"], ["wrong", "right"]]);
  });

  it("tries a secret once, as the machine takes no endless number", async () => {
    await expect(given({ root: "right" }, async () => secret("wrong"), { again: false })).rejects.toThrow(
      "the passphrase does not open root",
    );
  });

  it("says why it has none, and sends nothing", async () => {
    await expect(given({ root: "p" }, async () => Promise.reject(new Error("no terminal")))).rejects.toThrow(
      "no terminal",
    );
  });
});
