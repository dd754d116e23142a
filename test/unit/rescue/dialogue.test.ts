import { mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { converse } from "../../../src/rescue/dialogue.ts";
import { type OpenMedium, openMedium } from "../../../src/rescue/open-medium.ts";
import { openAlone, openSecrets } from "../../../src/rescue/open-secrets.ts";
import { planRecovery } from "../../../src/rescue/plan-recovery.ts";
import { SentIdentity } from "../../../src/rescue/sent-identity.ts";
import type { Facts } from "../../../src/schema/facts.ts";
import { newIdentity } from "../../../src/secrets/identity.ts";
import { sealFor, sealForAll, sealWithPassphrase } from "../../../src/secrets/seal.ts";
import { Fail } from "../../../src/util/fail.ts";
import { Secret } from "../../../src/util/secret.ts";
import { machineFacts, serverSpec } from "../../helpers/builders/deployable.ts";
import { mediumParts } from "../../helpers/builders/medium.ts";
import { consolesWith } from "../../helpers/fakes/fake-consoles.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

type Change = Parameters<typeof mediumParts>[0];

async function opened(change: Change = {}): Promise<OpenMedium> {
  const { json, payload, word } = await mediumParts(change);
  const directory = mkdtempSync(join(tempDir(), "medium-"));
  writeFileSync(join(directory, "medium.json"), json);
  writeFileSync(join(directory, "medium.tar.gz"), payload);
  return await openMedium(directory, word);
}

/** Ends the dialogue, as a restart does. */
class Restarted extends Error {}

async function talk(
  answers: readonly (readonly [string, string])[],
  options: {
    change?: Change;
    facts?: Facts;
    rebuild?: () => Promise<string[]>;
    sent?: SentIdentity;
    byItself?: () => Promise<Secret>;
  } = {},
) {
  const { consoles, shown, left } = consolesWith(answers);
  const open = await opened(options.change);
  const rebuild = vi.fn(options.rebuild ?? (async () => ["its SSH host key is SHA256:abc"]));
  const ended: string[] = [];
  const end = async (how: string) => {
    ended.push(how);
    throw new Restarted();
  };
  const facts = options.facts ?? machineFacts();
  await converse({
    ...{ consoles, open, rebuild, waitMs: { stop: 50, restart: 50 } },
    look: async (said) => ({ facts, recovery: planRecovery(open, facts, undefined, said) }),
    reached: async () => ["over SSH  ssh -t root@192.0.2.10 imgbuild-rescue"],
    openSecrets: () =>
      openSecrets(open, {
        ...{ consoles, sent: options.sent ?? new SentIdentity() },
        reached: async () => ({ address: "192.0.2.10", hostKey: "SHA256:abc" }),
      }),
    openAlone: () => openAlone(open, { consoles, ...(options.byItself && { byItself: options.byItself }) }),
    restart: () => end("restart") as Promise<never>,
    powerOff: () => end("off") as Promise<never>,
  }).catch((error: unknown) => {
    if (!(error instanceof Restarted)) throw error;
  });
  return { shown: shown(), left: left(), rebuild, ended };
}

const choose = (number: string) => ["Type a number", number] as const;
const restart = choose("4");
const serial = ["Type the serial", "SYS"] as const;

describe("the dialogue of a rescue medium", () => {
  it("shows what would become of each disk, and writes nothing when it is left", async () => {
    const { shown, rebuild, ended } = await talk([restart]);
    expect(shown).toContain("imgbuild rescue medium for web.example.org");
    expect(shown).toMatch(/WIPE +system:.*serial SYS/);
    expect(shown).toMatch(/keep +data:/);
    expect(rebuild).not.toHaveBeenCalled();
    expect(ended).toEqual(["restart"]);
  });

  it("rebuilds once the disk to be wiped was named by its serial, and restarts", async () => {
    const { rebuild, ended, left } = await talk([choose("1"), serial, ["Take the medium out", ""]]);
    expect(rebuild).toHaveBeenCalledOnce();
    expect(ended).toEqual(["restart"]);
    expect(left).toBe(0);
  });

  it("writes nothing for another serial", async () => {
    const { rebuild, shown } = await talk([choose("1"), ["Type the serial", "DATA"], restart]);
    expect(rebuild).not.toHaveBeenCalled();
    expect(shown).toContain('"DATA" is not SYS; nothing was written');
  });

  it("offers no rebuild where something speaks against it, and says what", async () => {
    const facts = machineFacts({ disks: [] });
    const { shown, rebuild } = await talk([choose("1"), restart], { facts });
    expect(shown).toContain("STOP  disks: no disk of the machine matches disk");
    expect(shown).not.toContain("rebuild this machine");
    expect(rebuild).not.toHaveBeenCalled();
  });

  it("takes another disk that somebody names, and asks for that one's serial", async () => {
    const [system, ...others] = machineFacts().disks;
    const facts = machineFacts({ disks: [{ ...system!, serial: "NEW-DISK" }, ...others] });
    const { shown, rebuild } = await talk(
      [
        choose("5"),
        ["Which disk is which", "system=serial:NEW-DISK"],
        choose("1"),
        ["Type the serial", "NEW-DISK"],
        ["Take the medium out", ""],
      ],
      { facts },
    );
    expect(shown).toContain("STOP  disks: no disk of the machine matches disk");
    expect(rebuild).toHaveBeenCalledOnce();
  });

  it("asks again where the answer names no disk, and keeps nothing of it", async () => {
    const [system, ...others] = machineFacts().disks;
    const facts = machineFacts({ disks: [{ ...system!, serial: "NEW-DISK" }, ...others] });
    const odd = await talk(
      [
        choose("5"),
        ["Which disk is which", "system=sda"],
        ["Which disk is which", "sytem=serial:NEW-DISK"],
        ["Which disk is which", "system=serial:NEW-DISK"],
        choose("7"),
        ["Type a number", "1"],
        ["Type the serial", "NEW-DISK"],
        ["Take the medium out", ""],
      ],
      { facts },
    );
    expect(odd.shown).toContain('"system=sda" names no disk');
    expect(odd.shown).toContain('"sytem=serial:NEW-DISK" names no disk');
    expect(odd.shown).toMatch(/Type one of 1, 2, /);
    expect(odd.shown).toContain("its SSH host key is SHA256:abc");
    expect(odd.rebuild).toHaveBeenCalledOnce();
  });

  it("shows every step on demand", async () => {
    const { shown } = await talk([choose("2"), restart]);
    expect(shown).toMatch(/ 1\. \S/);
    expect(shown).toContain("unmounting");
  });

  it("asks again for a passphrase that was wrong, three times in all", async () => {
    const identity = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";
    const recipient = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";
    const spec = serverSpec({ secrets: { token: { file: "token.age", path: "/etc/token" } } });
    const more = new Map([
      ["secrets/token.age", await sealForAll([recipient], Buffer.from("s3cret"))],
      [
        "identity.age",
        await sealWithPassphrase(new Secret("p", Buffer.from("open sesame")), Buffer.from(identity)),
      ],
    ]);
    const type = (text: string) => ["Passphrase of the medium", text] as const;
    const change = { spec, more };
    const { rebuild, shown } = await talk(
      [choose("1"), type("wrong"), type("open sesame"), serial, ["Take the medium out", ""]],
      { change },
    );
    const [, { secrets }] = rebuild.mock.calls[0]! as unknown as [unknown, { secrets: Map<string, Secret> }];
    expect(Buffer.from(secrets.get("token")!.expose()).toString()).toBe("s3cret");
    expect(shown).toContain("2 more tries");
    expect(shown).not.toMatch(/sesame|s3cret|AGE-SECRET/);
    const never = await talk([choose("1"), type("a"), type("b"), type("c"), restart], { change });
    expect(never.rebuild).not.toHaveBeenCalled();
    expect(never.shown).toContain("the passphrase does not open the identity on the medium");
    expect(never.shown.replace(/\s+/g, " ")).toContain("for three more tries type 1 again");
  }, 60_000);

  it("says what failed, and can be tried again", async () => {
    let calls = 0;
    const rebuild = async () => {
      calls += 1;
      if (calls === 1) throw new Fail("the mirror does not answer", { hint: "look at the cable" });
      return [];
    };
    const { shown, ended } = await talk(
      [choose("1"), serial, choose("1"), serial, ["Take the medium out", ""]],
      { rebuild },
    );
    expect(shown).toContain("FAILED: the mirror does not answer");
    expect(shown).toContain("look at the cable");
    expect(calls).toBe(2);
    expect(ended).toEqual(["restart"]);
  });
});

describe("an unattended medium", () => {
  const medium = { unattended: true };

  it("waits for somebody who stops it", async () => {
    const { rebuild } = await talk([["Press Enter", ""], restart], { change: { medium } });
    expect(rebuild).not.toHaveBeenCalled();
  });

  it("rebuilds without a question, and switches the machine off, so that it is done once", async () => {
    const { rebuild, ended } = await talk([], { change: { medium } });
    expect(rebuild).toHaveBeenCalledOnce();
    expect(ended).toEqual(["off"]);
  });

  it("rebuilds a server with secrets only where something opens them with nothing typed", async () => {
    const { identity, recipient } = await newIdentity();
    const more = new Map([
      ["secrets/token.age", await sealFor((await newIdentity()).recipient, Buffer.from("s3cret"))],
      ["unlock.json", Buffer.from("[]")],
      ["unlock/secrets/token.age", await sealFor(recipient, Buffer.from("s3cret"))],
    ]);
    const spec = serverSpec({ secrets: { token: { file: "token.age", path: "/etc/token" } } });
    const change = { spec, more, medium };
    const byItself = async () => new Secret("identity", Buffer.from(identity));
    const opened = await talk([], { change, byItself });
    expect(opened.rebuild).toHaveBeenCalledOnce();
    expect(opened.ended).toEqual(["off"]);
    const closed = await talk([restart], { change });
    expect(closed.rebuild).not.toHaveBeenCalled();
    expect(closed.shown).toContain("it does not begin: the definition has secrets");
  });
});
