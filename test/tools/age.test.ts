import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { imgbuild, project } from "../helpers/imgbuild.ts";
import { tempDir } from "../helpers/temp-dir.ts";

// Against the program age: files, identities and recipients go both ways.
const timeoutMs = 60_000;

function place() {
  const dir = tempDir();
  mkdirSync(join(dir, "home"));
  return { dir, env: { PATH: process.env.PATH, HOME: join(dir, "home") } };
}

function sshKey(dir: string, type: string, passphrase = ""): string {
  const file = join(dir, `id_${type}`);
  execFileSync("ssh-keygen", ["-q", "-t", type, "-N", passphrase, "-C", "", "-f", file]);
  return file;
}

describe("secrets keygen", () => {
  it("makes an identity that is found without being named, and that age knows", async () => {
    const { dir, env } = place();
    const made = await imgbuild(["secrets", "keygen"], { env, timeoutMs });
    expect(made.code).toBe(0);
    const file = join(dir, "home/.config/imgbuild/identity.txt");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const recipient = made.stdout.trim();
    expect(execFileSync("age-keygen", ["-y", file], { encoding: "utf8" }).trim()).toBe(recipient);
    const sealed = join(dir, "a.age");
    execFileSync("age", ["--encrypt", "--recipient", recipient, "--output", sealed], { input: "from age\n" });
    const shown = await imgbuild(["secrets", "show", sealed], { env, timeoutMs });
    expect(shown).toMatchObject({ code: 0, stdout: "from age\n" });

    const again = await imgbuild(["secrets", "keygen"], { env, timeoutMs });
    expect(again).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/exists already.*\n.*hint: name another/),
    });
    expect(readFileSync(file, "utf8")).toContain(recipient);
  });

  it("encrypts an identity with a passphrase, which is asked for when it is used", async () => {
    const { dir, env } = place();
    const file = join(dir, "ops.txt");
    const keygen = ["secrets", "keygen", file, "--passphrase"];
    const differing = await typed(keygen, env, { "New passphrase: ": "one", "Once more: ": "two" });
    expect(differing).toMatchObject({
      code: 1,
      shown: expect.stringContaining("the two passphrases differ"),
    });
    expect(existsSync(file)).toBe(false);
    const made = await typed(keygen, env, { "New passphrase: ": "open it", "Once more: ": "open it" });
    expect(made.code).toBe(0);
    const recipient = /age1[0-9a-z]+/.exec(made.shown)![0];
    expect(readFileSync(file, "latin1")).toMatch(/^age-encryption\.org\/v1\n-> scrypt /);
    const sealed = join(dir, "a.age");
    execFileSync("age", ["--encrypt", "--recipient", recipient, "--output", sealed], { input: "from age\n" });

    const show = ["secrets", "show", sealed, "--identity", file];
    const unasked = await imgbuild(show, { env, timeoutMs });
    expect(unasked).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("add --passphrase to be asked"),
    });
    const question = `Passphrase of ${file}: `;
    const shown = await typed([...show, "--passphrase"], env, { [question]: "open it" });
    expect(shown).toMatchObject({ code: 0, shown: expect.stringContaining("from age") });
    const wrong = await typed([...show, "--passphrase"], env, { [question]: "not it" });
    expect(wrong).toMatchObject({ code: 1, shown: expect.stringContaining("the passphrase does not open") });
  });
});

describe("an ed25519 key of OpenSSH", () => {
  it("opens what age encrypted for it, and what is encrypted for it opens by age", async () => {
    const { dir, env } = place();
    const key = sshKey(dir, "ed25519");
    const sealed = join(dir, "a.age");
    execFileSync("age", ["--encrypt", "--recipients-file", `${key}.pub`, "--output", sealed], {
      input: "from age\n",
    });
    expect(await imgbuild(["secrets", "show", sealed, "--identity", key], { env, timeoutMs })).toMatchObject({
      code: 0,
      stdout: "from age\n",
    });

    writeFileSync(join(dir, "recipients"), readFileSync(`${key}.pub`));
    const ours = join(dir, "ours.age");
    const edited = await imgbuild(["secrets", "edit", ours], { env, timeoutMs, stdin: "from imgbuild\n" });
    expect(edited).toMatchObject({ code: 0 });
    const opened = execFileSync("age", ["--decrypt", "--identity", key, ours], { encoding: "utf8" });
    expect(opened).toBe("from imgbuild\n");
  });

  it("asks for its passphrase, and only with --passphrase", async () => {
    const { dir, env } = place();
    const key = sshKey(dir, "ed25519", "open it");
    const sealed = join(dir, "a.age");
    execFileSync("age", ["--encrypt", "--recipients-file", `${key}.pub`, "--output", sealed], {
      input: "from age\n",
    });
    const show = ["secrets", "show", sealed, "--identity", key];
    const unasked = await imgbuild(show, { env, timeoutMs });
    expect(unasked).toMatchObject({ code: 1, stderr: expect.stringContaining(`${key} is encrypted`) });
    const question = `Passphrase of ${key}: `;
    expect(await typed([...show, "--passphrase"], env, { [question]: "open it" })).toMatchObject({
      code: 0,
      shown: expect.stringContaining("from age"),
    });
    expect(await typed([...show, "--passphrase"], env, { [question]: "no" })).toMatchObject({
      code: 1,
      shown: expect.stringContaining(`the passphrase does not open ${key}`),
    });
  });

  it("is the only type that is taken", async () => {
    const { dir, env } = place();
    const key = sshKey(dir, "rsa");
    const show = ["secrets", "show", join(project, "secrets/web-htpasswd.age"), "--identity", key];
    expect(await imgbuild(show, { env, timeoutMs })).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/is a key of type ssh-rsa\n.*hint: an OpenSSH key of type ed25519/),
    });
    writeFileSync(join(dir, "recipients"), readFileSync(`${key}.pub`));
    const edit = await imgbuild(["secrets", "edit", join(dir, "a.age")], { env, timeoutMs, stdin: "x" });
    expect(edit).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('"age1…" and "ssh-ed25519 …" are'),
    });
  });
});

/** imgbuild on a pseudo-terminal, where each question gets its answer once. */
async function typed(
  args: readonly string[],
  env: Record<string, string | undefined>,
  answers: Readonly<Record<string, string>>,
): Promise<{ code: number | null; shown: string }> {
  const command = [join(project, "bin/imgbuild"), ...args].join(" ");
  const child = spawn("script", ["--quiet", "--return", "--command", command, "/dev/null"], {
    env: { ...env, TERM: "dumb" },
    stdio: ["pipe", "pipe", "ignore"],
  });
  const open = new Map(Object.entries(answers));
  let shown = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    shown += text;
    for (const [question, answer] of open) {
      if (!shown.includes(question)) continue;
      open.delete(question);
      child.stdin.write(`${answer}\r`);
    }
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
  const [code] = (await once(child, "close")) as [number | null];
  clearTimeout(timer);
  return { code, shown: shown.replaceAll("\r", "") };
}
