import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadDefinition } from "../../src/operator/definition/load.ts";
import { settingsFiles } from "../../src/operator/settings/settings.ts";
import { Spec, type SpecInput } from "../../src/schema/spec.ts";
import { checkTree } from "../../src/steps/tree/check-tree.ts";
import { chrootRun } from "../../src/system/door/chroot.ts";
import { run } from "../../src/system/run/run.ts";
import { oddStrings, seed } from "../helpers/builders/odd-strings.ts";
import { imgbuild } from "../helpers/imgbuild.ts";
import { workshop } from "../helpers/labs/native.ts";

const buildMs = 800_000;
let spec: Spec;
/** The tree of `imgbuild/rented`, in which all of these words are said. */
let tree: string;

beforeAll(async () => {
  spec = (await loadDefinition("imgbuild/rented")).spec;
  tree = join(mkdtempSync(join(tmpdir(), "imgbuild-settings-")), "tree");
  const built = await imgbuild(["build", "imgbuild/rented", "-o", tree, "--format", "dir"], {
    env: process.env,
    timeoutMs: buildMs,
  });
  expect(built.code, built.stderr).toBe(0);
});

afterAll(() => rmSync(dirname(tree), { recursive: true, force: true }));

/** What a program of the tree says. */
async function says(...argv: string[]): Promise<string> {
  const { stdout } = await chrootRun(tree, argv);
  return stdout;
}

function place(path: string, content: string): void {
  writeFileSync(join(tree, path), content);
}

/** The files of these words, as a definition that says nothing else has them. */
function filesOf(change: Partial<SpecInput>): Map<string, string> {
  const files = settingsFiles(Spec.parse({ hostname: "x", ...change }));
  return new Map(files.map(({ path, content }) => [path, content]));
}

describe("a server of profiles", () => {
  it("is whole for dpkg, systemd and sudo", async () => {
    expect(await says("dpkg", "--audit")).toBe("");
    const units = ["pages.timer", "pages.service", "nftables.service", "ssh.service", "fstrim.timer"];
    expect(await chrootRun(tree, ["systemd-analyze", "verify", "--man=no", ...units])).toMatchObject({
      stdout: "",
      stderr: "",
    });
    expect(await says("visudo", "--check", "--strict")).toContain("imgbuild-admin: parsed OK");
    const enabled = await says("systemctl", "is-enabled", "nftables.service", "pages.timer", "fstrim.timer");
    expect(enabled).toBe("enabled\n".repeat(3));
  });

  it("has an sshd that takes keys alone, and no root", async () => {
    const settings = (await says("sshd", "-G", "-f", "/etc/ssh/sshd_config")).split("\n");
    expect(settings).toEqual(
      expect.arrayContaining([
        ...["port 22", "passwordauthentication no", "kbdinteractiveauthentication no"],
        ...["permitrootlogin no", "x11forwarding no", "pubkeyauthentication yes"],
      ]),
    );
  });

  it("has a firewall that the kernel takes, twice over, and that lets in what is named", () => {
    const load = "nft --file /etc/nftables.conf && nft --file /etc/nftables.conf && nft list ruleset";
    const argv = ["--net", "chroot", tree, "sh", "-ec", load];
    const rules = execFileSync("unshare", argv, { encoding: "utf8" });
    expect(rules.match(/policy drop;/g)).toHaveLength(1);
    expect(rules).toContain("tcp dport { 22, 80, 443 } accept");
  });

  it("loads and blocks modules of its kernel", async () => {
    const [kernel = ""] = readdirSync(join(tree, "usr/lib/modules"));
    const asked = (name: string) => says("modprobe", "--set-version", kernel, "--dry-run", "--verbose", name);
    expect(await asked("tcp_bbr")).toMatch(/^insmod .*\/tcp_bbr\.ko/m);
    for (const name of spec.modules?.blocked ?? []) {
      const would = await asked(name);
      expect(would).toMatch(/^install \/bin\/false $/m);
      expect(would).not.toContain(`/${name}.ko`);
    }
  });

  it("has its users of services, their directories, and names of other hosts", async () => {
    expect(await says("id", "pages")).toMatch(
      /^uid=\d+\(pages\) gid=\d+\(pages\) groups=\d+\(pages\),33\(www-data\)$/m,
    );
    const { stderr } = await chrootRun(tree, [
      ...["systemd-tmpfiles", "--dry-run", "--create", "/etc/tmpfiles.d/imgbuild.conf"],
    ]);
    expect(stderr).toContain("Would create directory /var/lib/pages");
    expect(await says("getent", "hosts", "db.example.org")).toMatch(/^192\.0\.2\.7\s+db\.example\.org db$/m);
  });

  it("has settings of the kernel that sysctl reads as they are said", async () => {
    const file = join(tree, "etc/sysctl.d/90-imgbuild.conf");
    // It passes over those that the kernel here does not have.
    const { stdout } = await run(["sysctl", "--dry-run", "--ignore", `--load=${file}`]);
    const said = Object.entries(spec.sysctl ?? {}).filter(([name]) =>
      existsSync(`/proc/sys/${name.replaceAll(".", "/")}`),
    );
    expect(said.length).toBeGreaterThan(5);
    expect(stdout.trimEnd().split("\n")).toEqual(said.map(([name, value]) => `${name} = ${value}`));
  });
});

describe("users", () => {
  it("have the home and the ids that are said, and useradd gives those to no one else", async () => {
    const { run: step } = await workshop({ root: tree });
    const usual = { comment: "", shell: "/bin/sh", groups: [], sudo: false, keys: [] };
    const range = { start: 165_536, count: 65_536 };
    await step("make-users", {
      users: [
        // The first of them would get the range that follows admin's.
        { name: "ann", ...usual },
        { name: "ops", ...usual, home: { path: "/srv/ops", mode: "0710" }, subuid: range, subgid: range },
        { name: "zoe", ...usual, home: { mode: "0711" } },
      ],
    });
    for (const file of ["etc/subuid", "etc/subgid"]) {
      const lines = readFileSync(join(tree, file), "utf8").trim().split("\n");
      const ranges = Object.fromEntries(lines.map((line) => [line.split(":")[0], line.slice(4)]));
      expect(ranges.ops).toBe("165536:65536");
      expect(lines.filter((line) => line.startsWith("ops:"))).toHaveLength(1);
      expect(ranges.ann).toBe("231072:65536");
    }
    expect(await says("sh", "-c", "stat -c '%a %U %n' ~ops ~zoe ~ann")).toMatch(
      /^710 ops \/srv\/ops\n711 zoe \/home\/zoe\n7\d\d ann \/home\/ann\n$/,
    );
  });
});

describe("what the tree's own programs do not take", () => {
  it.each<[string, string, Partial<SpecInput>, RegExp]>([
    [
      "sshd configuration",
      "/etc/ssh/sshd_config",
      { sshd: { options: { Colour: "red" } } },
      /Bad configuration option: Colour/,
    ],
    [
      "sshd configuration",
      "/etc/ssh/sshd_config",
      { sshd: { options: { Ciphers: "rot13" } } },
      /Bad SSH2 cipher spec/,
    ],
    [
      "nftables rules",
      "/etc/nftables.conf",
      { firewall: { tcp: [22], rules: ["tpc dport 80 accept"] } },
      /syntax error/,
    ],
    [
      "nftables rules",
      "/etc/nftables.conf",
      { firewall: { tcp: [22], rules: ["ip saddr @friends accept"] } },
      /No such file or directory/,
    ],
    [
      "tmpfiles.d lines",
      "/etc/tmpfiles.d/imgbuild.conf",
      { tmpfiles: ["d /run/a 0755 ghost - -"] },
      /Failed to resolve user 'ghost'/,
    ],
  ])("is refused at its field: %s of %s", async (kind, file, change, why) => {
    const before = new Map<string, string>();
    for (const [path, content] of filesOf(change)) {
      before.set(path, readFileSync(join(tree, path), "utf8"));
      place(path, content);
    }
    try {
      const { context } = await workshop({ root: tree });
      const expected = checkTree.schema.parse({ expected: [{ path: ["x"], kind, name: file }] });
      await expect(checkTree.run(expected, context)).rejects.toThrow(why);
    } finally {
      for (const [path, content] of before) place(path, content);
    }
  });
});

describe(`odd words reach the programs that they are for (F39, IMGBUILD_SEED=${seed})`, () => {
  const count = 300;
  const kept = <T>(strings: readonly T[], isGood: (one: T) => boolean) =>
    [...new Set(strings)].filter(isGood);

  it("parameters of modules reach modprobe", async () => {
    const words = kept(oddStrings(10 * count, seed), (word) => {
      const one = Spec.safeParse({ hostname: "x", modules: { options: { loop: { a: word } } } });
      return one.success;
    });
    expect(words.length).toBeGreaterThan(count);
    const options = { loop: Object.fromEntries(words.map((word, index) => [`p${index}`, word])) };
    const path = "/etc/modprobe.d/odd.conf";
    place(path, filesOf({ modules: { options } }).get("/etc/modprobe.d/imgbuild.conf")!);
    const shown = (await says("modprobe", "--showconfig")).split("\n");
    rmSync(join(tree, path));
    expect(shown).toContain(`options loop ${words.map((word, index) => `p${index}=${word}`).join(" ")}`);
  });

  it("comments of users reach passwd", async () => {
    const comments = kept(oddStrings(10 * count, seed, { maxBytes: 60 }), (comment) => {
      const one = Spec.safeParse({ hostname: "x", sysusers: { a: { comment } } });
      return one.success;
    }).slice(0, count);
    expect(comments.length).toBeGreaterThan(count / 2);
    const sysusers = Object.fromEntries(comments.map((comment, index) => [`odd${index}`, { comment }]));
    const path = "/etc/sysusers.d/odd.conf";
    place(path, filesOf({ sysusers }).get("/etc/sysusers.d/imgbuild.conf")!);
    await says("systemd-sysusers", path);
    const passwd = readFileSync(join(tree, "etc/passwd"), "utf8").split("\n");
    const known = passwd.map((line) => line.split(":")).filter(([name]) => /^odd\d/.test(name!));
    expect(Object.fromEntries(known.map(([name, , , , comment]) => [name, comment]))).toEqual(
      Object.fromEntries(comments.map((comment, index) => [`odd${index}`, comment])),
    );
  });
});
