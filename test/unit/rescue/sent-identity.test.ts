import { existsSync, mkdtempSync, statSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { SentIdentity, serveIdentity } from "../../../src/rescue/sent-identity.ts";
import { Fail } from "../../../src/util/fail.ts";
import { Secret } from "../../../src/util/secret.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

async function served(take: (text: Secret) => Promise<string>): Promise<string> {
  const path = join(mkdtempSync(join(tempDir(), "sent-")), "identity.sock");
  serveIdentity(path, take);
  while (!existsSync(path)) await sleep(5);
  return path;
}

async function send(path: string, bytes: string): Promise<string> {
  const socket = connect(path);
  socket.end(bytes);
  return await text(socket);
}

describe("an identity on its way to a medium", () => {
  it("is taken whole, from root's logins alone, and answered", async () => {
    let got = "";
    const path = await served(async (secret) => {
      got = Buffer.from(secret.expose()).toString();
      return "it opens the secrets";
    });
    expect(await send(path, "AGE-SECRET-KEY-1\n".repeat(1_000))).toBe("it opens the secrets\n");
    expect(got).toBe("AGE-SECRET-KEY-1\n".repeat(1_000));
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it("is refused with the reason and what to do, and where it is too large", async () => {
    const path = await served(async () => {
      throw new Fail("no given identity opens the secret token", { hint: "send another" });
    });
    expect(await send(path, "x")).toBe("FAILED: no given identity opens the secret token\nsend another\n");
    expect(await send(path, "x".repeat(70_000))).toContain("FAILED: an identity has at most 65536 bytes");
  });

  it("replaces what was sent before, which is wiped, and wakes who waits", async () => {
    const sent = new SentIdentity();
    const [first, second] = ["one", "two"].map((word) => new Secret("identity", Buffer.from(word)));
    expect(sent.text).toBeUndefined();
    const woken = sent.next();
    sent.take(first!);
    await woken;
    sent.take(second!);
    expect(sent.text).toBe(second);
    expect([...first!.expose()]).toEqual([0, 0, 0]);
  });
});
