import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import type { z } from "zod";
import { isCryptHash, makeUsers } from "../../../../src/steps/tree/make-users.ts";
import { type Answers, stepBench } from "../../../helpers/fakes/step-bench.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

type User = z.input<typeof makeUsers.schema>["users"][number];
const plain: User = { name: "ann", comment: "Ann", shell: "/bin/sh", groups: [], sudo: false, keys: [] };
const hash = "$y$j9T$salt$abcdefghijkl";

/** A tree in which useradd makes a user of whoever runs this. */
function bench(answers: Answers = {}) {
  const root = tempDir();
  const put = (path: string, content: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  };
  put("bin/sh", "");
  put("etc/passwd", "root:x:0:0::/root:/bin/sh\nanna:x:9:9::/home/anna:/bin/sh\n");
  mkdirSync(join(root, "home/ann"), { recursive: true });
  const line = (name: string) =>
    `${name}:x:${process.getuid!()}:${process.getgid!()}:c:/home/${name}:/bin/sh\n`;
  const useradd = () => put("etc/passwd", `root:x:0:0::/root:/bin/sh\n${line("ann")}`);
  const one = stepBench({
    root,
    answers: { "tree: useradd": useradd, ...answers },
    secrets: { hash: `${hash}\n`, typed: "a password" },
  });
  const make = async (...users: Partial<User>[]) =>
    await makeUsers.run({ users: users.map((user) => ({ ...plain, ...user })) }, one.context);
  return { ...one, root, put, line, make };
}

describe("make-users", () => {
  it("makes a user with home and group, and no more than is asked", async () => {
    const { make, asked } = bench();
    await make({});
    expect(asked).toEqual(["tree: useradd --create-home --user-group --comment Ann --shell /bin/sh -- ann"]);
  });

  it("gives the number, the groups and the password that are declared", async () => {
    const { make, asked, options } = bench();
    await make({ uid: 1234, groups: ["adm", "www"], hashedPassword: hash });
    expect(asked).toEqual([
      "tree: useradd --create-home --user-group --uid 1234 --comment Ann --shell /bin/sh -- ann",
      "tree: usermod --append --groups adm,www -- ann",
      "tree: chpasswd --encrypted",
    ]);
    expect(options[2]!.stdin).toBe(`ann:${hash}\n`);
  });

  it("changes a user that is there, and takes no other of a like name for it", async () => {
    const { make, asked, put, line } = bench();
    put("etc/passwd", line("ann"));
    await make({ hashedPasswordSecret: "hash" });
    expect(asked).toEqual(["tree: usermod --shell /bin/sh -- ann", "tree: chpasswd --encrypted"]);
  });

  it("takes a password's hash from a secret, by stdin", async () => {
    const { make, options } = bench();
    await make({ hashedPasswordSecret: "hash" });
    expect(options[1]!.stdin).toBe(`ann:${hash}\n`);
  });

  it.each(["typed", "gone"])("refuses the secret %s, which holds no hash", async (hashedPasswordSecret) => {
    const { make, asked } = bench();
    await expect(make({ hashedPasswordSecret })).rejects.toMatchObject({
      message: `the secret ${hashedPasswordSecret} for the password of ann is not a crypt(3) hash`,
      hint: expect.stringMatching(/mkpasswd/),
    });
    expect(asked).toHaveLength(1);
  });

  it("gives a home of another place or mode", async () => {
    const { make, asked, root } = bench();
    await make({ home: { path: "/home/ann", mode: "0700" } });
    expect(asked[0]).toContain(" --home-dir /home/ann ");
    expect(lstatSync(join(root, "home/ann")).mode & 0o777).toBe(0o700);
  });

  it("gives the ids that are declared in place of those that useradd chose, which are free of them", async () => {
    const seen: string[] = [];
    const { make, root, put, line } = bench({
      "tree: useradd": () => {
        const before = readFileSync(join(root, "etc/subuid"), "utf8");
        seen.push(before);
        put("etc/passwd", line("ann"));
        put("etc/subuid", `${before}ann:200000:65536\n`);
      },
    });
    put("etc/subuid", "anna:300000:65536\n");
    await make({ subuid: { start: 100_000, count: 65_536 }, subgid: { start: 500_000, count: 1 } });
    expect(seen).toEqual(["anna:300000:65536\nann:100000:65536\n"]);
    expect(readFileSync(join(root, "etc/subuid"), "utf8")).toBe("anna:300000:65536\nann:100000:65536\n");
    expect(readFileSync(join(root, "etc/subgid"), "utf8")).toBe("ann:500000:1\n");
  });

  it("places keys for the user's eyes alone", async () => {
    const { make, root } = bench();
    await make({ keys: ["ssh-ed25519 A", "ssh-ed25519 B"] });
    const file = join(root, "home/ann/.ssh/authorized_keys");
    expect(readFileSync(file, "utf8")).toBe("ssh-ed25519 A\nssh-ed25519 B\n");
    expect([file, dirname(file)].map((path) => lstatSync(path).mode & 0o777)).toEqual([0o600, 0o700]);
  });

  it("makes no directory for a user without keys, and puts none through a link", async () => {
    const { make, root } = bench();
    await make({});
    expect(existsSync(join(root, "home/ann/.ssh"))).toBe(false);
    const outside = tempDir();
    symlinkSync(outside, join(root, "home/ann/.ssh"));
    await expect(make({ keys: ["k"] })).rejects.toThrow("symbolic link in the tree");
    expect(readdirSync(outside)).toEqual([]);
  });

  it("lets a user be root by sudo, in a file whose name sudo reads; root needs none", async () => {
    const { make, root } = bench();
    mkdirSync(join(root, "etc/sudoers.d"), { recursive: true });
    await make({ sudo: true }, { name: "root", sudo: true });
    const file = join(root, "etc/sudoers.d/imgbuild-ann");
    expect(readFileSync(file, "utf8")).toBe("ann ALL=(ALL:ALL) NOPASSWD: ALL\n");
    expect(lstatSync(file).mode & 0o777).toBe(0o440);
    expect(existsSync(join(root, "etc/sudoers.d/imgbuild-root"))).toBe(false);
  });

  it("names a file for a user with dots so that sudo reads it", async () => {
    const { make, root, put, line } = bench();
    put("etc/passwd", line("a.n.n"));
    mkdirSync(join(root, "etc/sudoers.d"), { recursive: true });
    await make({ name: "a.n.n", sudo: true });
    expect(existsSync(join(root, "etc/sudoers.d/imgbuild-a_n_n"))).toBe(true);
  });

  it.each([
    [{ shell: "/bin/zsh" }, {}, "the shell /bin/zsh of user ann is not in the tree"],
    [{ sudo: true }, {}, "user ann has `sudo: true`, but the package sudo is not installed"],
    [{}, { "tree: useradd": {} }, "useradd did not make the user ann"],
  ])("refuses %j", async (user, answers, message) => {
    await expect(bench(answers).make(user)).rejects.toThrow(message);
  });
});

describe("isCryptHash", () => {
  it.each([
    [hash, true],
    [`${hash}\n`, true],
    ["$6$salt$x", true],
    ["a password", false],
    ["$y$", false],
    ["$y$a:b", false],
    ["$y$a\n$y$b", false],
    ["x$y$a", false],
    ["$$a", false],
    ["", false],
  ])("takes %j for one: %s", (text, is) => {
    expect(isCryptHash(text)).toBe(is);
  });
});
