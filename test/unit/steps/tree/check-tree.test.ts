import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import type { StepContext } from "../../../../src/steps/step/step.ts";
import { checkTree, type Expectation } from "../../../../src/steps/tree/check-tree.ts";
import { WrongFields } from "../../../../src/util/problem.ts";
import { type Answers, stepBench } from "../../../helpers/fakes/step-bench.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

/** A tree with a little of everything that is looked for. */
function tree(): string {
  const root = join(tempDir(), "tree");
  const write = (path: string, text = "", mode = 0o644) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
    chmodSync(join(root, path), mode);
  };
  write("etc/passwd", "root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/:/usr/sbin/nologin\n");
  write("etc/group", "root:x:0:\nadm:x:4:\n");
  write("usr/lib/sysusers.d/app.conf", '# made at the start\nu app - "App"\ng appgroup 900\n');
  write("usr/share/zoneinfo/Europe/Berlin");
  write("usr/share/i18n/SUPPORTED", "de_DE.UTF-8 UTF-8\nde_DE ISO-8859-1\n");
  write("usr/bin/dash", "", 0o755);
  write("usr/bin/notes", "text", 0o644);
  write("usr/lib/systemd/system/ssh.service");
  write("usr/lib/systemd/system/openvpn@.service");
  write("etc/init.d/old");
  symlinkSync("usr/bin", join(root, "bin"));
  symlinkSync("dash", join(root, "usr/bin/sh"));
  symlinkSync("/usr/bin/sh", join(root, "usr/bin/shell"));
  symlinkSync("/usr/bin/round", join(root, "usr/bin/round"));
  symlinkSync("/usr/lib/systemd/system/ssh.service", join(root, "etc/sshd.service"));
  return root;
}

async function problems(...wanted: (readonly [Expectation["kind"], string])[]) {
  const context = { root: tree() } as unknown as StepContext;
  const expected = wanted.map(([kind, name]) => ({ path: ["field"], kind, name }));
  try {
    await checkTree.run({ expected }, context);
    return [];
  } catch (error) {
    if (!(error instanceof WrongFields)) throw error;
    return error.problems.map(({ message }) => message);
  }
}

describe("check-tree", () => {
  it("finds what is there, by links of the tree too", async () => {
    expect(
      await problems(
        ...[["time zone", "Europe/Berlin"] as const, ["locale", "de_DE.UTF-8"] as const],
        ...[["user", "www-data"] as const, ["user", "app"] as const],
        ...[["group", "adm"] as const, ["group", "appgroup"] as const, ["group", "app"] as const],
        ...[["unit", "ssh.service"] as const, ["unit", "old.service"] as const],
        ["unit", "openvpn@a.b.service"],
        ...[["program", "/bin/sh"] as const, ["program", "shell"] as const, ["program", "dash"] as const],
        ["calendar event", "hourly"],
      ),
    ).toEqual([]);
  });

  it.each<[Expectation["kind"], string, RegExp]>([
    ["time zone", "Europe/Berln", /^Europe\/Berln is no time zone/],
    ["time zone", "Europe", /^Europe is no time zone/],
    ["locale", "en_XX.UTF-8", /^en_XX.UTF-8 is no locale of the package `locales`/],
    ["user", "nobody-here", /^the system has no user nobody-here/],
    ["group", "docker", /^the system has no group docker; install the package/],
    ["unit", "nginx.service", /^the system has no unit nginx.service/],
    ["program", "/usr/bin/stampp", /^the system has no program \/usr\/bin\/stampp/],
    ["program", "none", /^the system has no program none/],
    ["program", "round", /^the system has no program round/],
    ["program", "/usr/bin/notes", /cannot be run/],
    ["program", "/usr/bin", /cannot be run/],
  ])("lacks the %s %s", async (kind, name, message) => {
    expect(await problems([kind, name])).toEqual([expect.stringMatching(message)]);
  });

  it("shows all that is missing at once, each with its field", async () => {
    const expected: Expectation[] = [
      { path: ["users", "a", "groups", 0], kind: "group", name: "docker" },
      { path: ["services", "x.service"], kind: "unit", name: "x.service" },
    ];
    await expect(
      checkTree.run({ expected }, { root: tree() } as unknown as StepContext),
    ).rejects.toMatchObject({
      message: expect.stringMatching(
        /^users\.a\.groups\[0\]: .*docker.*\nservices\["x\.service"\]: .*x\.service/,
      ),
    });
  });

  /** What is wrong with these, in a tree of these files. */
  async function problemsIn(
    files: Readonly<Record<string, string>>,
    wanted: readonly (readonly [Expectation["kind"], string])[],
    answers: Answers = {},
  ) {
    const root = tempDir();
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text, { mode: 0o755 });
    }
    const { context, asked, options } = stepBench({ root, answers });
    const expected = wanted.map(([kind, name]) => ({ path: ["field", name], kind, name }));
    const error: unknown = await checkTree.run({ expected }, context).catch((one: unknown) => one);
    const found = error instanceof WrongFields ? error.problems : [];
    if (error !== undefined && !(error instanceof WrongFields)) throw error;
    return {
      asked,
      options,
      wrong: found.map(({ path }) => path[1]),
      messages: found.map((one) => one.message),
    };
  }

  it("asks the tree's systemd whether it understands a calendar event, where there is one", async () => {
    const files = { "usr/bin/systemd-analyze": "" };
    const bad = "Failed to parse calendar specification 'offen'\nmore\n";
    const { asked, options, messages } = await problemsIn(
      files,
      [
        ["calendar event", "daily"],
        ["calendar event", "offen"],
      ],
      { "tree: systemd-analyze calendar -- offen": { code: 1, stderr: bad } },
    );
    expect(asked).toEqual(["daily", "offen"].map((text) => `tree: systemd-analyze calendar -- ${text}`));
    expect(options[0]).toEqual({ accept: [0, 1], timeoutMs: 30_000 });
    expect(messages).toEqual(["offen is no calendar event: Failed to parse calendar specification 'offen'"]);
    expect((await problemsIn({}, [["calendar event", "offen"]])).asked).toEqual([]);
  });

  it.each([
    ["sshd configuration", "sshd", "sshd -G -f /etc/x", "/etc/x: line 1: Bad configuration option: Foo"],
    ["nftables rules", "nft", "nft --check --file /etc/x", "/etc/x:2:24-28: Error: syntax error"],
    ["tmpfiles.d lines", "systemd-tmpfiles", "systemd-tmpfiles --dry-run --create /etc/x", "/etc/x:1: Bad"],
  ] as const)("asks the tree's own program what it makes of %s", async (kind, program, argv, bad) => {
    const files = { [`usr/sbin/${program}`]: "" };
    const wanted = [[kind, "/etc/x"]] as const;
    const { asked, messages } = await problemsIn(files, wanted);
    expect([asked, messages]).toEqual([[`tree: ${argv}`], []]);
    const refusal = { [`tree: ${argv}`]: { code: 1, stderr: `\n${bad}\nmore\n` } };
    expect((await problemsIn(files, wanted, refusal)).messages).toEqual([
      `${program} does not take /etc/x: ${bad}`,
    ]);
    expect((await problemsIn({}, wanted)).messages).toEqual([
      `the system has no program ${program}; install its package, or place it by \`files\``,
    ]);
  });

  it("asks no program for what it cannot do: an older one, or nft without rights over a network", async () => {
    const files = { "usr/sbin/sshd": "", "usr/sbin/nft": "", "usr/bin/systemd-tmpfiles": "" };
    const { messages, asked } = await problemsIn(
      files,
      [
        ["sshd configuration", "/a"],
        ["nftables rules", "/b"],
        ["tmpfiles.d lines", "/c"],
      ],
      {
        "tree: sshd": {
          code: 1,
          stderr: "unknown option -- G\nOpenSSH_9.2p1\nusage: sshd [-46D]\n            [-E log]\n",
        },
        "tree: nft": {
          code: 1,
          stderr: "/b:1:1-14: Error: Could not process rule: Operation not permitted\nflush ruleset\n^^^^^\n",
        },
        "tree: systemd-tmpfiles": {
          code: 1,
          stderr: "systemd-tmpfiles: unrecognized option '--dry-run'\n",
        },
      },
    );
    expect(asked).toHaveLength(3);
    expect(messages).toEqual([]);
  });

  it("shows what nft finds among what it cannot try", async () => {
    const stderr =
      "/b:2:4-8: Error: syntax error\n  tpc\n  ^^^\nnetlink: Error: cache initialization failed: Operation not permitted\n";
    const answer = { "tree: nft": { code: 1, stderr } };
    const wanted = [["nftables rules", "/b"]] as const;
    expect((await problemsIn({ "usr/sbin/nft": "" }, wanted, answer)).messages).toEqual([
      "nft does not take /b: /b:2:4-8: Error: syntax error",
    ]);
    const silent = { "tree: nft": { code: 2, stderr: "" } };
    expect((await problemsIn({ "usr/sbin/nft": "" }, wanted, silent)).messages).toEqual([
      "nft does not take /b: exit code 2",
    ]);
  });

  it("reads users and groups that are made at the next start as systemd-sysusers does", async () => {
    const { wrong } = await problemsIn(
      {
        "usr/lib/sysusers.d/a.conf": "u one\nu! two 5\n#u three\n u four\ng five\nm six\nru seven\n",
        "etc/sysusers.d/b.conf": "u\teight - -\n",
        "etc/sysusers.d/c.conf.old": "u nine\n",
      },
      [
        ...["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"].map(
          (name) => ["user", name] as const,
        ),
        ...["two", "five", "six"].map((name) => ["group", name] as const),
      ],
    );
    expect(wrong).toEqual(["three", "four", "five", "six", "seven", "nine", "six"]);
  });

  it("takes the whole name of a user, a group and a locale", async () => {
    const { wrong } = await problemsIn(
      {
        "etc/passwd": "web-app:x:1:1:::\n",
        "etc/group": "web-app:x:1:web\n",
        "usr/share/i18n/SUPPORTED": "de_DE.UTF-8 UTF-8\n",
      },
      [
        ["user", "web"],
        ["user", "web-app"],
        ["group", "web"],
        ["group", "web-app"],
        ["locale", "de_DE"],
        ["locale", "UTF-8"],
        ["locale", "de_DE.UTF-8"],
      ],
    );
    expect(wrong).toEqual(["web", "web", "de_DE", "UTF-8"]);
  });

  it("takes a kernel module by its name in either form, by an alias, and built in; any where there is no kernel", async () => {
    const asked = ["nf_log_syslog", "nf-log-syslog", "net-pf-10", "unix", "syslog", "nf_log", "loop"];
    const wanted = asked.map((name) => ["kernel module", name] as const);
    expect((await problemsIn({}, wanted)).wrong).toEqual([]);
    const files = {
      "usr/lib/modules/6.1.0/modules.dep": "kernel/net/netfilter/nf_log_syslog.ko.xz: kernel/net/x.ko.xz\n",
      "usr/lib/modules/6.1.0/modules.builtin": "kernel/net/unix/unix.ko\n",
      "usr/lib/modules/6.1.0/modules.alias": "alias net-pf-10 ipv6\n",
    };
    const { wrong, messages } = await problemsIn(files, wanted);
    expect(wrong).toEqual(["syslog", "nf_log", "loop"]);
    expect(messages[2]).toBe("no kernel of the system has a module loop");
  });

  it("says which package brings time zones, where none are there", async () => {
    const { messages } = await problemsIn({}, [["time zone", "Europe/Berlin"]]);
    expect(messages).toEqual(["Europe/Berlin needs the package `tzdata` in packages.install"]);
  });

  it.each([
    "etc/systemd/system",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
  ])("finds a unit, an instance and a masked one in %s", async (directory) => {
    const files = { [`${directory}/a.timer`]: "", [`${directory}/b@.service`]: "" };
    const wanted = ["a.timer", "b@one.service", "b@.service", "b@one.timer", "b.service", "a.service"];
    const { wrong } = await problemsIn(
      files,
      wanted.map((name) => ["unit", name] as const),
    );
    expect(wrong).toEqual(["b@one.timer", "b.service", "a.service"]);
  });

  it("takes an old init script for a service, and for no other unit", async () => {
    const { wrong } = await problemsIn({ "etc/init.d/old": "" }, [
      ["unit", "old.service"],
      ["unit", "old.timer"],
      ["unit", "old.service.d"],
      ["unit", "older.service"],
    ]);
    expect(wrong).toEqual(["old.timer", "old.service.d", "older.service"]);
  });

  it.each(["usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin", "sbin", "bin"])(
    "finds a program in %s, and one by its path",
    async (directory) => {
      const files = { [`${directory}/tool`]: "", "opt/tool2": "" };
      const wanted = ["tool", "/opt/tool2", "tool2"].map((name) => ["program", name] as const);
      expect((await problemsIn(files, wanted)).wrong).toEqual(["tool2"]);
    },
  );

  it("keeps what the definition itself says at the field", async () => {
    const { context } = stepBench({ root: tempDir() });
    const expected = [{ path: ["x"], kind: "user" as const, name: "app", says: "user: app" }];
    const error = (await checkTree.run({ expected }, context).catch((one: unknown) => one)) as WrongFields;
    expect(error.problems).toEqual([{ path: ["x"], message: expect.any(String), says: "user: app" }]);
  });
});
