import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { connect, type Host } from "../../../src/transport/host.ts";
import { sha256 } from "../../../src/util/digest.ts";
import { Secret } from "../../../src/util/secret.ts";
import { clientKey, runHere, serverKey, serveSsh } from "../../helpers/labs/ssh-server.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

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

  it("takes the third password, gives up after three wrong ones, and wipes these", async () => {
    const dir = tempDir();
    const host = await userHost({ sudo: sudo(dir) }, dir);
    const given: Secret[] = [];
    const asking = (...answers: string[]) => {
      const next = ask(...answers);
      return async () => {
        const answer = await next();
        given.push(answer);
        return answer;
      };
    };
    const askPassword = asking("a", "b", "c", "open sesame");
    await expect(host.becomeRoot({ askPassword })).rejects.toMatchObject({
      ...{ name: "Fail", message: expect.stringMatching(/^sudo on 127.0.0.1 refused the password/) },
      hint: expect.stringMatching(/sudo -v/),
    });
    expect(given.map((secret) => Buffer.from(secret.expose()).toString())).toEqual(["\0", "\0", "\0"]);
    expect(await host.becomeRoot({ askPassword: asking("a", "b", "open sesame") })).toBe("sudo");
    expect(given.map((secret) => Buffer.from(secret.expose()).toString()).slice(3)).toEqual([
      ...["\0", "\0", "open sesame"],
    ]);
  });

  it("asks nothing where the user is root, or sudo or doas want no password", async () => {
    const askPassword = async () => expect.unreachable();
    const free = (options: number) =>
      `echo "$*" >> "$(dirname "$0")/argv"; shift ${options}; ROOT=1 exec "$@"`;
    const root = await userHost({ id: "echo 0", sudo: "exit 1" }, tempDir());
    expect(await root.becomeRoot({ askPassword })).toBe("none");
    expect((await root.exec(["cat"], { root: true, stdin: "own\n" })).stdout).toBe("own\n");
    expect((await root.exec(["cat"], { root: true })).stdout).toBe("");
    for (const [program, options] of [
      ["sudo", ["-n", "--"]],
      ["doas", ["-n"]],
    ] as const) {
      const dir = tempDir();
      const host = await userHost({ [program]: free(options.length), dirname: `echo ${dir}` }, dir);
      expect(await host.becomeRoot({ askPassword })).toBe(program);
      // Nothing is put before the command's own input.
      expect((await host.exec(["cat"], { root: true, stdin: "own\n" })).stdout).toBe("own\n");
      const bytes = Buffer.from("own bytes\n");
      const to = join(dir, "uploaded");
      await host.upload(bytes, to, { mode: 0o600, size: bytes.length, sha256: sha256(bytes), root: true });
      expect(readFileSync(to, "utf8")).toBe("own bytes\n");
      const argv = readFileSync(join(dir, "argv"), "utf8").trim().split("\n");
      expect(argv.slice(0, 2)).toEqual([`${options.join(" ")} id -u`, `${options.join(" ")} cat`]);
    }
  });

  it.each([
    ["says 0 and fails", "echo 0; exit 1"],
    ["makes another user of it", "echo 1000"],
    ["says nothing", "true"],
  ])("believes no sudo that %s", async (_what, script) => {
    const host = await userHost({ sudo: script }, tempDir());
    expect(await host.becomeRoot({})).toBe("impossible");
    await expect(host.becomeRoot({ askPassword: ask("a", "b", "c") })).rejects.toThrow(
      /refused the password/,
    );
  });

  it("takes doas where there is no sudo, and says so where there is neither", async () => {
    expect(await (await userHost({ doas }, tempDir())).becomeRoot({})).toBe("doas");
    const host = await userHost({}, tempDir());
    expect(await host.becomeRoot({ askPassword: async () => expect.unreachable() })).toBe("impossible");
    await expect(host.exec(["id"], { root: true })).rejects.toMatchObject({
      ...{
        name: "Fail",
        message: "no way to become root on 127.0.0.1",
        hint: expect.stringMatching(/sudo or doas/),
      },
    });
    const options = { mode: 0o600, size: 0, sha256: "", root: true };
    await expect(async () => host.upload(new Uint8Array(), "/nowhere/x", options)).rejects.toThrow(
      /no way to become root/,
    );
  });

  it("asks for no password without being given a way to", async () => {
    const dir = tempDir();
    const host = await userHost({ sudo: sudo(dir) }, dir);
    expect(await host.becomeRoot({})).toBe("impossible");
    expect(existsSync(join(dir, "argv"))).toBe(true);
  });
});
