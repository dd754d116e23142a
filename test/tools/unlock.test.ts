import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { fingerprintOf } from "../../src/transport/known-hosts.ts";
import { initramfs } from "../helpers/labs/initramfs.ts";
import { clientKey } from "../helpers/labs/ssh-server.ts";
import { atTerminal } from "../helpers/labs/terminal.ts";
import { tempDir } from "../helpers/temp-dir.ts";

it("imgbuild unlock asks for the passphrase in a terminal that does not show it, until it is right and the host runs", async () => {
  const early = await initramfs({ root: "the right one" }, "then");
  const home = tempDir();
  mkdirSync(join(home, ".ssh"));
  const [key, known] = [join(home, "key"), join(home, "known_hosts")];
  writeFileSync(key, clientKey.private, { mode: 0o600 });
  writeFileSync(known, `[127.0.0.1]:${early.port} ${early.pin}\n`);
  const host = `127.0.0.1:${early.port}`;
  const { code, text } = await atTerminal(
    [
      ...["unlock", host, "--ssh-key", key, "--known-hosts", known, "--verbose"],
      ...["--host-key", fingerprintOf(early.pin), "--wait", "20"],
    ],
    /Passphrase of root/,
    ["not it", "the right one"],
    { env: { ...process.env, HOME: home, XDG_STATE_HOME: home }, timeoutMs: 120_000 },
  );
  expect(text).toMatch(/that does not open root[\s\S]*root is open/);
  expect(text).toContain(`${host} runs`);
  expect(text).not.toMatch(/not it|the right one/);
  // A question stays on the screen: nothing clears it.
  expect(text).not.toContain("\x1b[0J");
  expect(early.got).toEqual(["not it", "the right one"]);
  expect(code).toBe(0);
}, 180_000);
