import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { connect, type Host } from "../../src/transport/host.ts";
import { sha256 } from "../../src/util/digest.ts";
import { Secret } from "../../src/util/secret.ts";
import { clientKey, runHere, serverKey, serveSsh } from "../helpers/ssh-server.ts";
import { tempDir } from "../helpers/temp-dir.ts";

/** `id` of an ordinary user, unless sudo or doas set ROOT. */
const id = `if [ "$ROOT" = 1 ]; then echo 0; else echo 1000; fi`;
/** sudo as far as we use it: -n refuses, -S reads one line byte by byte, the rest is the command's. */
const sudo = (dir: string) => `
echo "$*" >> ${dir}/argv
case $1 in -n) echo "sudo: a password is required" >&2; exit 1 ;; esac
[ "$1 $2 $3 $4 $5" = "-k -S -p  --" ] || exit 99
shift 5
IFS= read -r given
[ "$given" = "open sesame" ] || exit 1
ROOT=1 exec "$@"`;
const doas = `shift; ROOT=1 exec "$@"`;

/** A host of an ordinary user with these programs before all others; its commands run here, in a shell. */
async function userHost(programs: Record<string, string>, dir: string): Promise<Host> {
  for (const [name, script] of Object.entries({ id, ...programs })) {
    writeFileSync(join(dir, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(dir, name), 0o755);
  }
  // Only what is linked or written there is found: a sudo of this machine is not.
  for (const name of ["sh", "cat", "rm", "mv", "chmod", "sha256sum", "wc"])
    writeFileSync(join(dir, name), `#!/bin/sh\nPATH=/usr/bin:/bin exec ${name} "$@"\n`, { mode: 0o755 });
  writeFileSync(join(dir, "sh"), `#!/bin/sh\nexec /bin/sh "$@"\n`, { mode: 0o755 });
  const { port } = await serveSsh(runHere(dir));
  const host = await connect(`u@127.0.0.1:${port}`, {
    home: dir,
    key: clientKey.private,
    pins: [serverKey.public],
  });
  onTestFinished(() => host.close());
  return host;
}

const ask =
  (...answers: string[]) =>
  async () =>
    new Secret("answer", Buffer.from(answers.shift() ?? ""));

describe("becoming root (F04)", () => {
  it("gives sudo the password on stdin and the command the rest, never in argv", async () => {
    const dir = tempDir();
    const host = await userHost({ sudo: sudo(dir) }, dir);
    expect(await host.becomeRoot({ askPassword: ask("wrong", "open sesame") })).toBe("sudo");
    expect((await host.exec(["cat"], { root: true, stdin: "own input\n" })).stdout).toBe("own input\n");
    expect((await host.exec(["id", "-u"], { root: true })).stdout).toBe("0\n");
    expect((await host.exec(["id", "-u"])).stdout).toBe("1000\n");
    const bytes = Buffer.from("open sesame\nis no password here\n");
    const to = join(dir, "uploaded");
    await host.upload(bytes, to, { mode: 0o600, size: bytes.length, sha256: sha256(bytes), root: true });
    expect(readFileSync(to, "utf8")).toBe(bytes.toString());
    expect(readFileSync(join(dir, "argv"), "utf8")).not.toContain("sesame");
    await expect(host.exec(["sh", "-c", "exit 5"], { root: true })).rejects.toThrow(
      /^sh -c "exit 5" on 127.0.0.1 exited 5/,
    );
  });

  it("gives up after three wrong passwords", async () => {
    const dir = tempDir();
    const host = await userHost({ sudo: sudo(dir) }, dir);
    await expect(host.becomeRoot({ askPassword: ask("a", "b", "c", "open sesame") })).rejects.toThrow(
      /refused the password/,
    );
  });

  it("takes doas where there is no sudo, and says so where there is neither", async () => {
    expect(await (await userHost({ doas }, tempDir())).becomeRoot({})).toBe("doas");
    const host = await userHost({}, tempDir());
    expect(await host.becomeRoot({ askPassword: ask("open sesame") })).toBe("impossible");
    await expect(host.exec(["id"], { root: true })).rejects.toThrow(/nobody can become root/);
  });

  it("asks for no password without being given a way to", async () => {
    const dir = tempDir();
    const host = await userHost({ sudo: sudo(dir) }, dir);
    expect(await host.becomeRoot({})).toBe("impossible");
    expect(existsSync(join(dir, "argv"))).toBe(true);
  });
});
