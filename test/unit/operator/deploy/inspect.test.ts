import { describe, expect, it } from "vitest";
import { loginUser, mirrorOrder, reachedAt, showFinding } from "../../../../src/operator/deploy/inspect.ts";
import { planFor } from "../../../../src/operator/plan/planned.ts";
import { matchOrProblem } from "../../../../src/storage/match/match-disks.ts";
import type { Host } from "../../../../src/transport/host.ts";
import { isPlainKey } from "../../../../src/transport/keys.ts";
import { digestOf } from "../../../../src/util/digest.ts";
import { Secret } from "../../../../src/util/secret.ts";
import { adminKey, inputsOfDeploy, machineFacts, serverSpec } from "../../../helpers/builders/deployable.ts";
import { diskFacts, keptUuid } from "../../../helpers/builders/storage.ts";

const key = (name: string) => `ssh-ed25519 AAAA${name}`;

describe("the mirrors of a deploy", () => {
  const [own, ours, said] = [
    "http://own.example/debian",
    "http://ours.example/debian",
    "http://said.example/debian",
  ];
  const security = "http://security.example/debian-security";
  const facts = machineFacts({
    mirrors: [
      { archive: "debian", url: own },
      { archive: "debian-security", url: security },
      { archive: "debian", url: ours },
    ],
  });
  const mirrors = { debian: [ours], "debian-security": [] };

  it("are the host's own first, then this machine's, each once", () => {
    expect(mirrorOrder(inputsOfDeploy({ mirrors }), facts)).toEqual({
      debian: [own, ours],
      "debian-security": [security],
    });
  });

  it("are the definition's alone where it names one, and those of its repositories as it says", () => {
    const spec = serverSpec({ system: { mirror: said } });
    const more = { debian: [said], "debian-security": [security], tools: ["https://tools.example"] };
    expect(mirrorOrder(inputsOfDeploy({ spec, mirrors: more }), facts)).toEqual(more);
  });

  it("of the new system's apt are shown with who named them", () => {
    const matched = {
      system: diskFacts("vda", { serial: "SYS" }),
      data: diskFacts("vdb", { serial: "DATA", fsType: "ext4", uuid: keptUuid }),
    };
    const apt = (debian: string[], change: Parameters<typeof serverSpec>[0] = {}) =>
      planFor(inputsOfDeploy({ spec: serverSpec(change) }), facts, matched, { debian, "debian-security": [] })
        .apt;
    expect(apt([own])).toEqual([{ archive: "debian", url: own, from: "the host's own sources" }]);
    expect(apt([said])).toEqual([{ archive: "debian", url: said, from: "this machine" }]);
    // Its other archive is elsewhere.
    expect(apt([security])).toEqual([{ archive: "debian", url: security, from: "this machine" }]);
    expect(apt([own], { system: { mirror: own } })).toEqual([
      { archive: "debian", url: own, from: "the definition" },
    ]);
    const both = { debian: [own], "debian-security": [security] };
    expect(planFor(inputsOfDeploy(), facts, matched, both).apt).toContainEqual({
      archive: "debian-security",
      url: security,
      from: "the host's own sources",
    });
    // A directory of the operator's is no mirror of the machine's.
    expect(apt(["file:///srv/debian"])).toEqual([]);
  });
});

describe("the plan that is shown and signed", () => {
  const matched = {
    system: diskFacts("vda", { serial: "SYS", model: "Fast", wwn: "0x5000" }),
    data: diskFacts("vdb", { serial: "DATA", fsType: "ext4", uuid: keptUuid }),
  };
  const mirrors = { debian: ["http://deb.example.org/debian"], "debian-security": [] };

  it("names every disk with what becomes of it, and what it is found by afterwards", () => {
    const { disks, fates, plan, planDigest, order } = planFor(
      inputsOfDeploy(),
      machineFacts(),
      matched,
      mirrors,
    );
    expect(disks).toEqual([
      {
        ...{ name: "system", serial: "SYS", wwn: "0x5000", model: "Fast", action: "written" },
        ...{ sizeBytes: matched.system.sizeBytes, tableUuid: expect.stringMatching(/^[0-9a-f-]{36}$/i) },
      },
      { name: "data", serial: "DATA", model: null, sizeBytes: matched.data.sizeBytes, action: "kept" },
    ]);
    expect(fates).toHaveLength(2);
    expect(planDigest).toBe(digestOf(plan));
    expect(order).toMatchObject({ definition: "def", planDigest, mirrors });
    expect(order.disks.map(({ serial }) => serial)).toEqual(["SYS", "DATA"]);
  });

  it("names every secret once, whether the definition declares it or it is another", () => {
    const spec = serverSpec({ secrets: { token: { file: "token.age", path: "/etc/token" } } });
    const secrets = new Map(["token", "luks"].map((name) => [name, new Secret(name, Buffer.from("x"))]));
    const { order } = planFor(inputsOfDeploy({ spec, secrets }), machineFacts(), matched, mirrors);
    expect([...order.secrets].sort()).toEqual(["luks", "token"]);
  });

  it("goes by the port of a disk that has neither serial nor WWN", () => {
    const bare = { ...matched.system, byPath: ["pci-0000:00:06.0"] };
    delete (bare as { serial?: string }).serial;
    delete (bare as { wwn?: string }).wwn;
    const [system] = planFor(inputsOfDeploy(), machineFacts(), { ...matched, system: bare }, mirrors).disks;
    expect(system).toMatchObject({ serial: null, path: "pci-0000:00:06.0" });
    expect(system).not.toHaveProperty("wwn");
  });
});

describe("disks", () => {
  it("that cannot be matched are a problem with a hint, and a bug is none", () => {
    expect(matchOrProblem(serverSpec().storage, machineFacts().disks)).toEqual({
      matched: {
        system: expect.objectContaining({ serial: "SYS" }),
        data: expect.objectContaining({ serial: "DATA" }),
      },
    });
    const none = matchOrProblem(serverSpec().storage, []);
    expect(none).toEqual({ problem: expect.objectContaining({ message: expect.stringMatching(/SYS/) }) });
    expect(() => matchOrProblem(serverSpec().storage, undefined as never)).toThrow(TypeError);
  });

  it("are missed in a definition without storage", () => {
    expect(matchOrProblem(undefined, machineFacts().disks)).toEqual({
      problem: { message: "the definition has no storage" },
    });
  });
});

describe("the user to verify the new system with", () => {
  const users = {
    guest: { keys: [`${key("guest")} guest@home`] },
    admin: { sudo: true, keys: [key("admin")] },
    root: { keys: [key("root")] },
  };
  const chosen = (held: string[], login?: string) =>
    loginUser(inputsOfDeploy({ spec: serverSpec({ users }), login }), held);

  it("is one whom a key of ours opens, root's rights preferred", () => {
    expect(chosen([key("guest"), key("admin")])).toEqual({ user: "admin" });
    expect(chosen([key("guest"), key("root")])).toEqual({ user: "root" });
    expect(chosen([key("guest")])).toEqual({ user: "guest" });
    const two = { admin: { sudo: true, keys: [key("lost"), key("held")] } };
    expect(loginUser(inputsOfDeploy({ spec: serverSpec({ users: two }) }), [key("held")])).toEqual({
      user: "admin",
    });
  });

  it("is the one that is asked for, if a key of ours opens it", () => {
    expect(chosen([key("guest"), key("admin")], "guest")).toEqual({ user: "guest" });
    expect(chosen([key("admin")], "guest")).toEqual({
      problem: expect.stringMatching(/^no key that you hold is among those of the user guest /),
    });
  });

  it("has rights without a password, if there is a choice", () => {
    const some = {
      typed: { sudo: "password" as const, hashedPassword: "$y$j9T$a$b", keys: [key("held")] },
      admin: { sudo: true, keys: [key("held")] },
    };
    const spec = (change: object) => serverSpec({ users: some, ...change });
    expect(loginUser(inputsOfDeploy({ spec: spec({}) }), [key("held")])).toEqual({ user: "admin" });
    const typedAlone = spec({ sshd: { allowUsers: ["typed"] } });
    expect(loginUser(inputsOfDeploy({ spec: typedAlone }), [key("held")])).toEqual({ user: "typed" });
  });

  it("is one whom the SSH server lets in", () => {
    const sshd = { permitRootLogin: "no" as const, allowUsers: ["guest"] };
    const spec = serverSpec({ users, sshd });
    expect(loginUser(inputsOfDeploy({ spec }), [key("guest"), key("admin"), key("root")])).toEqual({
      user: "guest",
    });
    expect(loginUser(inputsOfDeploy({ spec }), [key("admin"), key("root")])).toEqual({
      problem: expect.stringMatching(/^no user of the definition has a key that you hold and is let in by/),
    });
  });

  it("is nobody where no key of ours opens any", () => {
    expect(chosen([key("other")])).toEqual({
      problem: expect.stringMatching(/^no user of the definition has a key/),
    });
    expect(loginUser(inputsOfDeploy(), [adminKey])).toEqual({ user: "admin" });
  });
});

describe("how the host was reached", () => {
  const at = async (said: string) =>
    await reachedAt({
      exec: async (_argv: readonly string[], options: { timeoutMs: number }) => {
        expect(options.timeoutMs).toBeGreaterThan(0);
        return { code: 0, stdout: said, stderr: "" };
      },
    } as unknown as Host);

  it("is its own address and port of our connection, or the usual port where its server says nothing", async () => {
    expect(await at("198.51.100.1 40000 192.0.2.10 2222\n")).toEqual({ address: "192.0.2.10", port: 2222 });
    expect(await at("2001:db8::1 40000 2001:db8::2 22\n")).toEqual({ address: "2001:db8::2", port: 22 });
    expect(await at("\n")).toEqual({ address: "", port: 22 });
    const back = "192.0.2.99 from 192.0.2.10 via 192.0.2.1 dev bond0.20 uid 0 \n    cache \n";
    expect(await at(`192.0.2.99 40000 192.0.2.10 22\n${back}`)).toEqual({
      ...{ address: "192.0.2.10", port: 22, link: "bond0.20" },
    });
    expect(await at("192.0.2.10 22 more")).toEqual({ address: "", port: 22 });
  });
});

it("a key with options before it is no plain one, of whatever type", () => {
  for (const type of ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "sk-ssh-ed25519@openssh.com"])
    expect(isPlainKey(`${type} AAAA me`)).toBe(true);
  for (const line of ['command="ls" ssh-ed25519 AAAA', "", "# ssh-rsa", "dsa AAAA", "restrict ssh-rsa AAAA"])
    expect(isPlainKey(line)).toBe(false);
});

it("a finding is shown by its verdict, and what is not well with what to do", () => {
  const lines: string[] = [];
  const log = {
    info: (text: string) => lines.push(`i ${text}`),
    warn: (text: string) => lines.push(`w ${text}`),
  };
  showFinding(log, { check: "memory", verdict: "go", detail: "enough", hint: "not shown" });
  showFinding(log, { check: "room", verdict: "warn", detail: "little", hint: "install less" });
  showFinding(log, { check: "machine", verdict: "no-go", detail: "a container" });
  expect(lines).toEqual([
    "i ok    memory: enough",
    "w warn  room: little; install less",
    "w NO-GO machine: a container",
  ]);
});
