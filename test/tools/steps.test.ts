import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { generateSshKey } from "../../src/transport/keys.ts";
import { sha256 } from "../../src/util/digest.ts";
import { Secret } from "../../src/util/secret.ts";
import { workshop, writableBase } from "../helpers/labs/native.ts";
import { tempDir } from "../helpers/temp-dir.ts";

/** "0:0 640" of a path that is itself looked at. */
function owned(root: string, path: string): string {
  const { uid, gid, mode } = lstatSync(join(root, path));
  return `${uid}:${gid} ${(mode & 0o7777).toString(8)}`;
}

/** A tree with two users, a group, and a link that leads out of it. */
function smallTree(): { root: string; outside: string } {
  const root = join(tempDir(), "tree");
  const outside = mkdtempSync(join(tempDir(), "outside-"));
  for (const dir of ["etc", "usr/bin", "srv"]) mkdirSync(join(root, dir), { recursive: true });
  writeFileSync(join(root, "etc/passwd"), "root:x:0:0::/root:/bin/sh\nweb:x:1234:2345::/srv:/bin/sh\n");
  writeFileSync(join(root, "etc/group"), "root:x:0:\nweb:x:2345:\nlog:x:77:\n");
  symlinkSync("usr/bin", join(root, "bin"));
  symlinkSync(outside, join(root, "out"));
  return { root, outside };
}

const secret = (name: string, text: string) => [name, new Secret(name, Buffer.from(text))] as const;

describe("write-files", () => {
  it("gives each file its owner and mode, and the directories above to root, whatever the umask", async () => {
    const { root } = smallTree();
    const { run } = await workshop({ root });
    const own = process.umask(0o077);
    try {
      await run("write-files", {
        files: [
          { path: "/srv/www/deep/page", content: "x", mode: "0640", owner: "web", group: "log" },
          { path: "/bin/tool", content: "#!/bin/sh\n", mode: "4755" },
          { path: "/var/lib/empty", directory: true, mode: "1777" },
          { path: "/etc/deep/link", link: "/nowhere" },
        ],
      });
    } finally {
      process.umask(own);
    }
    expect(
      [
        "srv/www",
        "srv/www/deep",
        "srv/www/deep/page",
        "usr/bin/tool",
        "var/lib",
        "var/lib/empty",
        "etc/deep",
      ].map((path) => `${path} ${owned(root, path)}`),
    ).toEqual([
      "srv/www 0:0 755",
      "srv/www/deep 0:0 755",
      "srv/www/deep/page 1234:77 640",
      "usr/bin/tool 0:0 4755",
      "var/lib 0:0 755",
      "var/lib/empty 0:0 1777",
      "etc/deep 0:0 755",
    ]);
    expect(readlinkSync(join(root, "etc/deep/link"))).toBe("/nowhere");
  });
});

describe("what leads out of the tree", () => {
  it("is refused by every step that writes, and nothing is written there", async () => {
    const { root, outside } = smallTree();
    const files = tempDir();
    mkdirSync(join(files, "out"));
    writeFileSync(join(files, "out/x"), "x");
    const { run } = await workshop({ root, files, secrets: new Map([secret("token", "s3cret")]) });
    for (const path of ["/out/x", "/out/deep/x", "/../outside/x", "/etc/../../x"]) {
      const refused = /symbolic link in the tree|has no `\.` and no `\.\.`/;
      await expect(run("write-files", { files: [{ path, content: "x" }] }), path).rejects.toThrow(refused);
      const placed = { path: "/out/x", mode: "0644", sha256: sha256("x") };
      await expect(run("place-files", { files: [placed] })).rejects.toThrow(refused);
      const written = { name: "token", path, mode: "0600", owner: "root", group: "root" };
      await expect(run("write-secrets", { secrets: [written] }), path).rejects.toThrow(refused);
    }
    expect(readdirSync(outside)).toEqual([]);
  });
});

describe("place-files", () => {
  it("lays the definition's files over the tree, root's, and checks that they are those of the plan", async () => {
    const { root } = smallTree();
    const files = tempDir();
    mkdirSync(join(files, "usr/local/bin"), { recursive: true });
    writeFileSync(join(files, "usr/local/bin/tool"), "new");
    mkdirSync(join(root, "usr/local/bin"), { recursive: true });
    symlinkSync("/etc/passwd", join(root, "usr/local/bin/tool"));
    const { run } = await workshop({ root, files });
    const placed = { path: "/usr/local/bin/tool", mode: "0755", sha256: sha256("new") };
    await run("place-files", { files: [placed] });
    expect(readFileSync(join(root, "usr/local/bin/tool"), "utf8")).toBe("new");
    expect(owned(root, "usr/local/bin/tool")).toBe("0:0 755");
    writeFileSync(join(files, "usr/local/bin/tool"), "changed");
    await expect(run("place-files", { files: [placed] })).rejects.toThrow(
      "/usr/local/bin/tool of files/ has changed since the plan was made",
    );
    await expect((await workshop({ root })).run("place-files", { files: [placed] })).rejects.toThrow(
      "/usr/local/bin/tool did not come along",
    );
  });
});

describe("write-secrets", () => {
  it("writes the bytes as they are, to their owner alone, in place of what was there", async () => {
    const { root, outside } = smallTree();
    writeFileSync(join(outside, "victim"), "untouched");
    symlinkSync(join(outside, "victim"), join(root, "etc/token"));
    const bytes = Buffer.from([0, 255, 10, 13]);
    const { run } = await workshop({ root, secrets: new Map([["token", new Secret("token", bytes)]]) });
    const declared = { name: "token", path: "/etc/token", mode: "0440", owner: "web", group: "web" };
    await run("write-secrets", { secrets: [declared] });
    expect(readFileSync(join(root, "etc/token")).equals(bytes)).toBe(true);
    expect(owned(root, "etc/token")).toBe("1234:2345 440");
    expect(readFileSync(join(outside, "victim"), "utf8")).toBe("untouched");
    await expect(run("write-secrets", { secrets: [{ ...declared, name: "other" }] })).rejects.toThrow(
      "the secret other is not at hand",
    );
    await expect(run("write-secrets", { secrets: [{ ...declared, path: "/srv" }] })).rejects.toThrow(
      "/srv of secret token is a directory in the tree",
    );
  });
});

describe("make-users", () => {
  it("makes users with home, keys, groups and password, by the tree's own tools, and changes known ones", async () => {
    const root = await writableBase();
    const hash = "$6$salt$abcdefghijklmnopqrstuvwxyz";
    const { run } = await workshop({ root, secrets: new Map([secret("hash", `${hash}\n`)]) });
    mkdirSync(join(root, "etc/sudoers.d"), { recursive: true });
    const user = { comment: "", shell: "/bin/sh", groups: [], sudo: false, keys: [] };
    const key = "ssh-ed25519 AAAA me";
    await run("make-users", {
      users: [
        {
          ...user,
          name: "admin",
          uid: 1500,
          comment: "An admin",
          sudo: true,
          keys: [key],
          groups: ["adm", "games"],
        },
        { ...user, name: "other", hashedPasswordSecret: "hash" },
        { ...user, name: "root", keys: [key] },
      ],
    });
    const passwd = readFileSync(join(root, "etc/passwd"), "utf8");
    expect(passwd).toMatch(/^admin:x:1500:1500:An admin:\/home\/admin:\/bin\/sh$/m);
    expect(passwd).toMatch(/^root:x:0:0:.*:\/bin\/sh$/m);
    expect(owned(root, "home/admin")).toMatch(/^1500:1500 7[05][05]$/);
    expect(owned(root, "home/admin/.ssh")).toBe("1500:1500 700");
    expect(owned(root, "home/admin/.ssh/authorized_keys")).toBe("1500:1500 600");
    expect(readFileSync(join(root, "home/admin/.ssh/authorized_keys"), "utf8")).toBe(`${key}\n`);
    expect(readFileSync(join(root, "root/.ssh/authorized_keys"), "utf8")).toBe(`${key}\n`);
    const groups = readFileSync(join(root, "etc/group"), "utf8");
    for (const group of ["adm", "games"])
      expect(groups).toMatch(new RegExp(`^${group}:x:\\d+:.*\\badmin\\b`, "m"));
    const shadow = readFileSync(join(root, "etc/shadow"), "utf8");
    expect(shadow).toContain(`other:${hash}:`);
    expect(shadow).toMatch(/^admin:!/m);
    expect(readFileSync(join(root, "etc/sudoers.d/imgbuild-admin"), "utf8")).toBe(
      "admin ALL=(ALL:ALL) NOPASSWD: ALL\n",
    );
    expect(owned(root, "etc/sudoers.d/imgbuild-admin")).toBe("0:0 440");
    expect(readdirSync(join(root, "etc/sudoers.d"))).not.toContain("imgbuild-other");
  });

  it("refuses a shell that is not there, sudo without its package, and a secret that is no hash", async () => {
    const root = await writableBase();
    const { run } = await workshop({ root, secrets: new Map([secret("hash", "hunter2")]) });
    const user = { name: "admin", comment: "", shell: "/bin/sh", groups: [], sudo: false, keys: [] };
    for (const [change, message] of [
      [{ shell: "/bin/fish" }, "the shell /bin/fish of user admin is not in the tree"],
      [{ sudo: true }, "user admin has `sudo: true`, but the package sudo is not installed"],
      [{ hashedPasswordSecret: "hash" }, "for the password of admin is not a crypt(3) hash"],
    ] as const) {
      const failure = run("make-users", { users: [{ ...user, ...change }] });
      await expect(failure).rejects.toThrow(message);
      await expect(failure).rejects.not.toThrow(/hunter2/);
    }
  });
});

describe("place-host-keys", () => {
  it("places those that came along, with their public halves, and removes all others", async () => {
    const root = await writableBase();
    const key = generateSshKey("host");
    const name = "hostkey:ssh_host_ed25519_key";
    const { run } = await workshop({
      root,
      secrets: new Map([secret(name, key.private), secret("token", "x")]),
    });
    for (const made of ["ssh_host_rsa_key", "ssh_host_rsa_key.pub", "ssh_host_ed25519_key"])
      writeFileSync(join(root, "etc/ssh", made), "made by the package");
    await run("place-host-keys", { expected: true });
    expect(readdirSync(join(root, "etc/ssh")).filter((file) => file.includes("_key"))).toEqual([
      "ssh_host_ed25519_key",
      "ssh_host_ed25519_key.pub",
    ]);
    expect(readFileSync(join(root, "etc/ssh/ssh_host_ed25519_key"), "utf8")).toBe(key.private);
    expect(owned(root, "etc/ssh/ssh_host_ed25519_key")).toBe("0:0 600");
    expect(readFileSync(join(root, "etc/ssh/ssh_host_ed25519_key.pub"), "utf8")).toContain(key.public);
  });

  it("leaves an image without any, and refuses a deploy that brought none or one of a strange name", async () => {
    const root = await writableBase();
    mkdirSync(join(root, "etc/ssh"), { recursive: true });
    writeFileSync(join(root, "etc/ssh/ssh_host_rsa_key"), "made by the package");
    const { run } = await workshop({ root });
    await run("place-host-keys", { expected: false });
    expect(existsSync(join(root, "etc/ssh/ssh_host_rsa_key"))).toBe(false);
    await expect(run("place-host-keys", { expected: true })).rejects.toThrow("no SSH host keys came along");
    const strange = await workshop({ root, secrets: new Map([secret("hostkey:../passwd", "x")]) });
    await expect(strange.run("place-host-keys", { expected: true })).rejects.toThrow(
      "../passwd is not the name of a host key",
    );
  });
});

describe("finish-tree", () => {
  const traces = [
    "tmp/x/y",
    "run/x",
    "var/tmp/.x",
    "var/cache/apt/archives/a.deb",
    "var/cache/apt/archives/partial/b.deb",
    "etc/shadow-",
    "var/lib/dpkg/status-old",
  ];

  function used(): string {
    const { root } = smallTree();
    for (const path of [...traces, "var/log/dpkg.log", "etc/hostname", "var/lib/dpkg/status"]) {
      mkdirSync(join(root, path, ".."), { recursive: true });
      writeFileSync(join(root, path), "used");
    }
    return root;
  }

  it("clears the traces of the making and leaves an image without an identity", async () => {
    const root = used();
    const { run } = await workshop({ root });
    await run("finish-tree", { definition: "d", epoch: 1_600_000_000 });
    for (const path of traces) expect(existsSync(join(root, path)), path).toBe(false);
    expect(readdirSync(join(root, "tmp"))).toEqual([]);
    expect(readdirSync(join(root, "var/cache/apt/archives"))).toEqual(["partial"]);
    expect(readFileSync(join(root, "var/log/dpkg.log"), "utf8")).toBe("");
    for (const path of ["etc/hostname", "var/lib/dpkg/status"])
      expect(readFileSync(join(root, path), "utf8")).toBe("used");
    expect(readFileSync(join(root, "etc/machine-id"), "utf8")).toBe("");
    expect(existsSync(join(root, "var/lib/imgbuild"))).toBe(false);
  });

  it("gives each deploy a machine-id of its own and its mark", async () => {
    const ids: string[] = [];
    for (const nonce of ["a".repeat(64), "b".repeat(64)]) {
      const root = used();
      await (await workshop({ root, nonce })).run("finish-tree", { definition: "d", epoch: 1_600_000_000 });
      ids.push(readFileSync(join(root, "etc/machine-id"), "utf8"));
      expect(JSON.parse(readFileSync(join(root, "var/lib/imgbuild/deploy.json"), "utf8"))).toEqual({
        version: 1,
        nonce,
        definition: "d",
      });
      expect(ids.at(-1)).not.toContain(nonce.slice(0, 8));
    }
    expect(ids[0]).toMatch(/^[0-9a-f]{32}\n$/);
    expect(ids[0]).not.toBe(ids[1]);
  });
});
