import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { newIdentity } from "../../../../src/operator/deploy/inspect.ts";
import { newTrail } from "../../../../src/operator/deploy/phases.ts";
import type { Confirmed } from "../../../../src/operator/deploy/results.ts";
import { keysToBase, shipAndTakeOver } from "../../../../src/operator/deploy/ship.ts";
import type { DeployInputs, DeployWorld } from "../../../../src/operator/deploy/world.ts";
import { planFor } from "../../../../src/operator/plan/planned.ts";
import { readRecord } from "../../../../src/operator/records/sealed-record.ts";
import { kexec } from "../../../../src/operator/takeover/ways/kexec.ts";
import type { Facts } from "../../../../src/schema/facts.ts";
import { openPayload } from "../../../../src/target/open-payload.ts";
import type { Host } from "../../../../src/transport/host.ts";
import { sha256 } from "../../../../src/util/digest.ts";
import { Fail } from "../../../../src/util/fail.ts";
import type { Log } from "../../../../src/util/log.ts";
import { inputsOfDeploy, machineFacts, serverSpec } from "../../../helpers/builders/deployable.ts";
import { diskFacts, keptUuid } from "../../../helpers/builders/storage.ts";
import { scriptName } from "../../../helpers/fakes/script-name.ts";

const now = 1_750_000_000_000;
const admin = "ssh-ed25519 AAAAadmin me";

/** An old system that does what it is told, and a deploy that is about to be shipped to it. */
function shipping(
  story: {
    fails?: string;
    closes?: boolean;
    cached?: boolean;
    facts?: Partial<Facts>;
    inputs?: Partial<DeployInputs>;
    packed?: Confirmed["packed"];
  } = {},
) {
  const notes: string[] = [];
  const uploads = new Map<string, { bytes: Buffer; size: number }>();
  const said = { commandLine: "", size: "", closed: false };
  const rates: number[] = [];
  let clock = now;
  const stop = new AbortController();
  const spec = serverSpec({ hostKeys: "new", users: { admin: { sudo: true, keys: [admin] } } });
  const inputs = inputsOfDeploy({ spec, baseCmdline: ["mitigations=off"], ...story.inputs });
  const facts = machineFacts(story.facts);
  const host = {
    name: "old",
    openedBy: admin,
    exec: async (argv: readonly string[]) => {
      if (argv[0] === "test") return { code: story.cached ? 0 : 1, stdout: "", stderr: "" };
      const what = scriptName(argv) ?? argv.join(" ");
      notes.push(what);
      if (what === "prepare") said.size = argv.at(-2)!;
      if (what === "stage") said.commandLine = argv.at(-1)!;
      if (what === story.fails) {
        said.closed = story.closes === true;
        throw new Fail(`${what} failed`);
      }
      const whole = what === "look-in-cache" ? "kit\nkernel\nouter\nsquashfs\n" : "";
      return { code: 0, stdout: whole, stderr: "" };
    },
    upload: async (
      source: string | Uint8Array,
      path: string,
      { size, onProgress }: { size: number; onProgress?: (done: number) => void },
    ) => {
      uploads.set(path, { bytes: Buffer.from(source), size });
      clock += story.packed === undefined ? 0 : 1_000;
      onProgress?.(size);
    },
    get closed() {
      return said.closed;
    },
    close: () => void notes.push("close"),
  } as unknown as Host;
  const matched = {
    system: diskFacts("vda", { serial: "SYS" }),
    data: diskFacts("vdb", { serial: "DATA", fsType: "ext4", uuid: keptUuid }),
  };
  const identity = newIdentity();
  const { nonce } = identity;
  const confirmed: Confirmed = {
    ...{
      verdict: "go",
      old: host,
      facts,
      identity,
      findings: [],
      bound: { line: "" },
      secrets: inputs.secrets,
    },
    ...planFor(inputs, facts, matched, { debian: ["http://deb.example.org/debian"], "debian-security": [] }),
    data: {
      ...{ version: 1, nonce, oldBootId: facts.bootId, hostname: spec.hostname, deadManSeconds: 600 },
      network: { links: [], dns: [] },
    },
    loginUser: "admin",
    mirror: "http://deb.example.org/debian",
    way: kexec,
    packed: story.packed,
    access: ["ssh-ed25519 AAAAmine", 'command="ls" ssh-ed25519 AAAAforced'],
    reached: { address: "192.0.2.10", port: 2222 },
  };
  const trail = newTrail();
  const sent = () => ({
    base: trail.all("sent").reduce((sum, { base }) => sum + base, 0),
    payload: trail.all("sent").reduce((sum, { payload }) => sum + payload, 0),
  });
  const records: Parameters<DeployWorld["record"]>[0][] = [];
  const lines: string[] = [];
  const note = (text: string) => void lines.push(text);
  const log: Log = {
    task: async (doing, work) => {
      note(doing);
      return await work(log);
    },
    info: note,
    warn: note,
    progress: (done: number, total: number, unit: string) => note(`${done} of ${total} ${unit}`),
  };
  const world = {
    ...{ log, signal: stop.signal, now: () => clock },
    measured: {
      before: async () => undefined,
      note: async ({ bytesPerSecond = 0 }) => void rates.push(bytesPerSecond),
    } satisfies DeployWorld["measured"],
    record: async (known: (typeof records)[number]) => {
      notes.push("record");
      records.push(known);
    },
  } as unknown as DeployWorld;
  return {
    run: () => shipAndTakeOver(inputs, confirmed, world, trail),
    notes,
    uploads,
    said,
    ...{ confirmed, trail, sent },
    records,
    lines,
    ...{ stop, inputs, rates },
  };
}

/** A member of the deploy's archive, which the last part ends with. */
function member(
  uploads: ReturnType<typeof shipping>["uploads"],
  name: string,
): { mode: number; content: Buffer } {
  const { bytes } = uploads.get("/run/imgbuild/part3")!;
  const at = bytes.indexOf(`imgbuild/${name}\0`) - 110;
  const field = (index: number) =>
    Number.parseInt(bytes.toString("latin1", at + 6 + 8 * index, at + 14 + 8 * index), 16);
  const start = at + 4 * Math.ceil((110 + field(11)) / 4);
  return { mode: field(1) & 0o777, content: bytes.subarray(start, start + field(6)) };
}

describe("what the base lets in", () => {
  it("is the key that the operator came with, and who will be root of the new system", () => {
    const { users } = serverSpec({
      users: {
        root: { keys: ["ssh-ed25519 AAAAroot"] },
        admin: { sudo: true, keys: ["ssh-ed25519 AAAAadmin me", "ssh-ed25519 AAAAmine"] },
        guest: { keys: ["ssh-ed25519 AAAAguest"] },
      },
    });
    expect(keysToBase(["ssh-ed25519 AAAAmine"], { users })).toEqual([
      "ssh-ed25519 AAAAmine",
      "ssh-ed25519 AAAAroot",
      "ssh-ed25519 AAAAadmin me",
    ]);
  });

  it("is no key with options before it, and each key once, whatever its comment", () => {
    const { users } = serverSpec({
      users: { admin: { sudo: true, keys: ["ssh-ed25519 AAAAmine from here"] } },
    });
    const access = ["ssh-ed25519 AAAAmine", 'command="ls" ssh-ed25519 AAAAforced'];
    expect(keysToBase(access, { users })).toEqual(["ssh-ed25519 AAAAmine from here"]);
  });
});

describe("shipping and taking over", () => {
  it("claims the host first, notes how the base is found before the jump, and lets the old system go", async () => {
    const { run, notes, trail, said } = shipping();
    await run();
    expect(notes).toEqual(["claim", "prepare", "make-room", "stage", "record", "jump", "close"]);
    expect(trail.has("touched")).toBe(true);
    expect(trail.last("jumped")).toMatchObject({ now });
    // Twice the base of 4000 bytes, in whole MiB, and some room.
    expect(said.size).toBe("50");
  });

  it("counts what was sent, and shows how far it is", async () => {
    const { run, uploads, sent, lines } = shipping();
    await run();
    expect(sent().base).toBe(4000);
    const parts = [0, 1, 2, 3].map((index) => uploads.get(`/run/imgbuild/part${index}`)!.size);
    expect(sent().payload).toBe(parts.reduce((sum, size) => sum + size, 0));
    expect(lines).toContain("sending what the host lacks of the base (1 MiB)");
    expect(lines).not.toContain("the host has this base already; it was not sent");
  });

  it("takes room for the base twice, and shows in MiB how much of it is sent", async () => {
    const { base } = inputsOfDeploy();
    const squashfs = { ...base.squashfs, size: 3 * 2 ** 20 + 1 };
    const { run, said, lines } = shipping({ inputs: { base: { ...base, squashfs } } });
    await run();
    expect(said.size).toBe("56");
    expect(lines).toContain("sending what the host lacks of the base (4 MiB)");
    expect(lines).toContain("3 of 3 MiB");
  });

  it("frames kernel, outer archive and kit with their sizes, so that the new system finds the base", async () => {
    const { base } = inputsOfDeploy();
    const kernel = { ...base.kernel, size: 0x1234 };
    const { run, uploads } = shipping({ inputs: { base: { ...base, kernel } } });
    await run();
    // Seven fields of a cpio header, of eight digits each, precede the size.
    const sizeAt = (part: number, name: string) => {
      const { bytes } = uploads.get(`/run/imgbuild/part${part}`)!;
      const at = bytes.indexOf(`imgbuild/base/${name}\0`) - 110 + 54;
      return Number.parseInt(bytes.toString("latin1", at, at + 8), 16);
    };
    expect([sizeAt(0, "kernel"), sizeAt(1, "outer"), sizeAt(2, "kit")]).toEqual([0x1234, 1000, 1000]);
  });

  it("sends no base to a host that has it", async () => {
    const { run, sent, lines, uploads } = shipping({ cached: true });
    await run();
    expect([...uploads.keys()].filter((path) => !path.includes("/part"))).toEqual(["/run/imgbuild/busybox"]);
    expect(sent().base).toBe(1000);
    expect(lines).toContain("the host has this base already; it was not sent");
  });

  it("sends a finished tree before the kernel is loaded, in place of the definition's files and packages", async () => {
    const packed = {
      archive: { path: "/c/tree.cpio", size: 20 * 2 ** 20, sha256: "1".repeat(64) },
      start: 124,
      tree: { size: 20_000_000, sha256: "2".repeat(64), contentBytes: 50_000_000 },
    };
    const files = new Map([["/etc/motd", { bytes: Buffer.from("hello"), mode: 0o644 }]]);
    const debs = new Map([["pool/a.deb", Buffer.from("a")]]);
    const { run, uploads, said, sent, trail, lines, confirmed, rates } = shipping({
      ...{ packed, cached: true, facts: { cacheMib: 4000 }, inputs: { files, debs } },
    });
    await run();
    const cached = "/var/cache/imgbuild/d1";
    expect([...uploads.keys()][1]).toBe(`${cached}/tree`);
    // One for the tree, if it should not go to the disk after all.
    expect(said.size).toBe("70");
    expect(sent().base).toBe(1000);
    expect(trail.all("sent").map(({ tree = 0 }) => tree)).toContain(20 * 2 ** 20);
    expect(lines).toContain("sending the tree (20 MiB)");
    // Two files, a second each.
    expect(rates).toEqual([Math.round((1000 + 20 * 2 ** 20) / 2)]);
    const { nonce, publicKey } = JSON.parse(member(uploads, "deploy.json").content.toString()) as {
      nonce: string;
      publicKey: string;
    };
    const here = { machine: { macs: ["52:54:00:12:34:56"] }, now: new Date(now) };
    const opened = await openPayload(member(uploads, "payload.tar.gz").content, { publicKey, nonce }, here);
    expect(opened.order).toEqual({ ...confirmed.order, tree: packed.tree });
    expect([...opened.files.keys()].filter((path) => /^(files|debs)\//.test(path))).toEqual([]);
  });

  it("lays the initramfs together in RAM where the host's disk has no room for a tree", async () => {
    const packed = {
      archive: { path: "/c/tree.cpio", size: 20 * 2 ** 20, sha256: "1".repeat(64) },
      start: 124,
      tree: { size: 20_000_000, sha256: "2".repeat(64), contentBytes: 50_000_000 },
    };
    const { run, uploads } = shipping({ packed, cached: true, facts: { cacheMib: 270 } });
    await run();
    expect([...uploads.keys()][1]).toBe("/run/imgbuild/tree");
  });

  it("gives the base's kernel its consoles, its ways back, the user's words, and the digest of the deploy's data", async () => {
    const { run, said, uploads } = shipping({ inputs: { deadManSeconds: 240 } });
    await run();
    const digest = sha256(member(uploads, "deploy.json").content);
    expect(said.commandLine).toBe(
      `console=tty0 console=ttyS0,115200 panic=20 nmi_watchdog=panic imgbuild.deadman=240 mitigations=off imgbuild.deploy=${digest}`,
    );
  });

  it("lays keys, port and a payload that is signed for this machine into the initramfs, private ones closed", async () => {
    const { run, uploads, confirmed } = shipping();
    const { identity } = confirmed;
    await run();
    const text = (name: string) => member(uploads, name).content.toString();
    expect(text("ssh/host_key")).toBe(identity.baseKey.private);
    expect(text("ssh/host_key.pub")).toBe(`${identity.baseKey.public}\n`);
    expect(text("ssh/port")).toBe("2222\n");
    expect(text("ssh/authorized_keys")).toBe(
      `${[identity.clientKey.public, "ssh-ed25519 AAAAmine", admin].join("\n")}\n`,
    );
    const modes = [
      "deploy.json",
      "record.json",
      "payload.tar.gz",
      "ssh/host_key",
      "ssh/authorized_keys",
      "ssh/host_key.pub",
      "ssh/port",
    ];
    expect(modes.map((name) => member(uploads, name).mode)).toEqual([
      0o600, 0o600, 0o600, 0o600, 0o600, 0o644, 0o644,
    ]);
    const { nonce, publicKey } = JSON.parse(text("deploy.json")) as { nonce: string; publicKey: string };
    expect(nonce).toBe(identity.nonce);
    const payload = member(uploads, "payload.tar.gz").content;
    expect(gunzipSync(payload).includes("plan.json")).toBe(true);
    const machine = { macs: ["52:54:00:12:34:56"] };
    const { order } = await openPayload(payload, { publicKey, nonce }, { machine, now: new Date(now) });
    expect(order.planDigest).toBe(confirmed.planDigest);
  });

  it.each([
    [false, /clock|time|old|expired/i],
    [true, undefined],
  ])("lets the payload expire, unless clocks are not to be gone by (%s)", async (ignoreClock, message) => {
    const { run, uploads } = shipping({ inputs: { ignoreClock } });
    await run();
    const { nonce, publicKey } = JSON.parse(member(uploads, "deploy.json").content.toString()) as {
      nonce: string;
      publicKey: string;
    };
    const later = { machine: { macs: ["52:54:00:12:34:56"] }, now: new Date(now + 30 * 86_400_000) };
    const opened = openPayload(member(uploads, "payload.tar.gz").content, { publicKey, nonce }, later);
    if (message === undefined) await opened;
    else await expect(opened).rejects.toThrow(message);
  });

  it("notes what another run of the operator needs to find the base, and nothing secret", async () => {
    const links = [
      { name: "ens4", mac: "52:54:00:AA:00:02", mtu: 1500, up: true, addresses: [] },
      { name: "ens3", mac: "52:54:00:aa:00:01", mtu: 1500, up: true, addresses: [] },
      { name: "ens5", mac: "52:54:00:aa:00:02", mtu: 1500, up: true, addresses: [] },
      { name: "vlan7", mac: "52:54:00:aa:00:07", mtu: 1500, up: true, addresses: [], kind: "vlan" },
      { name: "tun0", mac: "", mtu: 1500, up: true, addresses: [] },
    ];
    const uuid = "4c4c4544-0042-3510-8051-b6c04f4e3233";
    const facts = { links: links as unknown as Facts["links"], dmiUuid: uuid };
    const { run, records, confirmed, uploads } = shipping({ facts });
    const { identity } = confirmed;
    const { hostKeys } = await run();
    expect(records).toEqual([
      {
        started: "2025-06-15T15:06:40.000Z",
        nonce: identity.nonce,
        planDigest: confirmed.planDigest,
        baseHostKey: identity.baseKey.public,
        newSystem: expect.objectContaining({
          nonce: identity.nonce,
          pins: hostKeys.pins,
          user: "admin",
        }),
        // Whoever follows it completes it.
        report: expect.objectContaining({ outcome: "failed", hostname: "web.example.org" }),
        machine: {
          machineId: "0123456789abcdef0123456789abcdef",
          // Physical cards alone, each once, in one order.
          hardware: { uuid, macs: ["52:54:00:aa:00:01", "52:54:00:aa:00:02"] },
          ...{ bootId: confirmed.facts.bootId, firmware: "uefi", consoles: ["tty0", "ttyS0,115200"] },
          hostKeys: ["ssh-ed25519 AAAAold"],
        },
      },
    ]);
    expect(JSON.stringify(records)).not.toContain(identity.baseKey.private.split("\n")[3]);
    // The base has it too.
    expect(readRecord(member(uploads, "record.json").content.toString())).toEqual(records[0]);
  });

  it("has not touched a host that another deploy holds, and has one whose preparing failed", async () => {
    const held = shipping({ fails: "claim" });
    await expect(held.run()).rejects.toThrow("claim failed");
    expect(held.trail.has("touched")).toBe(false);
    const small = shipping({ fails: "prepare" });
    await expect(small.run()).rejects.toThrow("prepare failed");
    expect(small.trail.has("touched")).toBe(true);
    expect(small.trail.has("jumped")).toBe(false);
  });

  it("takes a connection that breaks in the jump for the jump, but no refusal and no interruption", async () => {
    const broken = shipping({ fails: "jump", closes: true });
    await broken.run();
    expect(broken.trail.has("jumped")).toBe(true);
    expect(broken.lines).toContain("jump failed; looking whether the base comes");
    const refused = shipping({ fails: "jump" });
    await expect(refused.run()).rejects.toThrow("jump failed");
    expect(refused.trail.has("jumped")).toBe(false);
    const stopped = shipping({ fails: "jump", closes: true });
    stopped.stop.abort();
    await expect(stopped.run()).rejects.toThrow("jump failed");
  });
});

it("each deploy has a nonce and keys of its own", () => {
  const [one, other] = [newIdentity(), newIdentity()];
  expect(one.nonce).toMatch(/^[0-9a-f]{64}$/);
  const all = [one, other].flatMap(({ nonce, baseKey, clientKey }) => [
    nonce,
    baseKey.public,
    clientKey.public,
  ]);
  expect(new Set(all).size).toBe(6);
});
