import { generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { gunzipSync, gzipSync } from "node:zlib";
import { pack } from "tar-stream";
import { describe, expect, it } from "vitest";
import {
  clockToleranceMs,
  generateSigningKey,
  readPayload,
  writePayload,
} from "../../../src/archive/payload.ts";
import { tarGz, tarMembers } from "../../../src/archive/tar.ts";
import type { Machine } from "../../../src/schema/base/deploy.ts";
import { sha256 } from "../../../src/util/digest.ts";
import { Fail } from "../../../src/util/fail.ts";

const { privateKey, publicKey } = generateSigningKey();
const created = new Date("2024-05-01T00:00:00Z");
const expires = new Date("2024-05-02T00:00:00Z");
const long = `files/${"deep/".repeat(60)}näme`;
const files = new Map<string, Uint8Array>([
  ["plan.json", Buffer.from("{}")],
  ["files/empty", new Uint8Array()],
  [long, Buffer.alloc(70_000, 7)],
]);
const machine: Machine = { uuid: "11111111-2222-3333-4444-555555555555", macs: ["52:54:00:00:00:01"] };
const whole = { created, expires, nonce: "n1", machine, files, privateKey };
const expected: Expected = { publicKey, nonce: "n1", machine, now: created };
type Expected = Parameters<typeof readPayload>[1];

interface Member {
  name: string;
  content: Uint8Array;
}

/** A payload whose manifest is rightly signed, whatever else is wrong with it. */
function signed(
  names: readonly string[],
  content: Uint8Array,
  extra: Record<string, unknown> = {},
): Member[] {
  const manifest = {
    version: 2,
    nonce: "n1",
    machine,
    created: created.toISOString(),
    expires: expires.toISOString(),
    files: Object.fromEntries(names.map((name) => [name, { size: content.length, sha256: sha256(content) }])),
    ...extra,
  };
  const text = Buffer.from(JSON.stringify(manifest));
  return [
    { name: "manifest.json", content: text },
    { name: "manifest.sig", content: sign(null, text, privateKey) },
  ];
}

/** Packed without the checks of `tar`. */
async function packed(
  add: (archive: ReturnType<typeof pack>) => void,
  before: readonly Member[] = [],
): Promise<Uint8Array> {
  const archive = pack();
  for (const { name, content } of before) archive.entry({ name }, Buffer.from(content));
  add(archive);
  archive.finalize();
  const chunks: Uint8Array[] = [];
  for await (const chunk of archive) chunks.push(chunk as Uint8Array);
  return gzipSync(Buffer.concat(chunks));
}

const refusal = async (bytes: Uint8Array, over: Partial<Expected> = {}) => {
  const error = await readPayload(bytes, { ...expected, ...over }).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(Fail);
  return (error as Fail).message;
};

describe("a payload", () => {
  it("comes back as it was written", async () => {
    const read = await readPayload(await writePayload(whole), expected);
    expect([...read.files.keys()].sort()).toEqual([...files.keys()].sort());
    for (const [path, bytes] of files) expect(Buffer.compare(read.files.get(path)!, bytes)).toBe(0);
  });

  it("begins with the manifest and its signature; the files come in their names' order", async () => {
    const names: string[] = [];
    for await (const { name } of tarMembers(gunzipSync(await writePayload(whole)))) names.push(name);
    expect(names).toEqual(["manifest.json", "manifest.sig", long, "files/empty", "plan.json"]);
  });

  it("has equal bytes for equal input, in whatever order the files come", async () => {
    const reversed = new Map([...files].reverse());
    expect(sha256(await writePayload({ ...whole, files: reversed }))).toBe(sha256(await writePayload(whole)));
  });

  it("cannot hold files by the names of its own manifest and signature", async () => {
    for (const name of ["manifest.json", "manifest.sig"])
      await expect(writePayload({ ...whole, files: new Map([[name, Buffer.from("x")]]) })).rejects.toThrow(
        `a payload's own ${name} cannot be one of its files`,
      );
  });

  it("is refused with another key, and with another deploy's nonce (F22)", async () => {
    const bytes = await writePayload(whole);
    expect(await refusal(bytes, { publicKey: generateSigningKey().publicKey })).toMatch(/signature/);
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey;
    const rsaKey = rsa.export({ type: "spki", format: "der" }).toString("base64");
    for (const publicKey of ["AAAA", rsaKey])
      expect(await refusal(bytes, { publicKey })).toMatch(/not an Ed25519 key/);
    expect(await refusal(bytes, { nonce: "n2" })).toMatch(/another deploy/);
  });

  it("is refused unsigned, and signed by a key of the sender's own (F22)", async () => {
    const content = Buffer.from("x");
    const a = { name: "a", content };
    const [manifest] = signed(["a"], content) as [Member, Member];
    expect(await refusal(await tarGz([manifest, a]))).toMatch(/does not begin/);
    for (const signature of [Buffer.alloc(0), Buffer.alloc(64), randomBytes(64)])
      expect(await refusal(await tarGz([manifest, { name: "manifest.sig", content: signature }, a]))).toMatch(
        /signature/,
      );
    const other = generateSigningKey();
    const own = sign(null, manifest.content, other.privateKey);
    expect(await refusal(await tarGz([manifest, { name: "manifest.sig", content: own }, a]))).toMatch(
      /signature/,
    );
  });

  it("is refused on another host, told by what the hardware there says (F22)", async () => {
    const bytes = await writePayload(whole);
    const uuid = "99999999-2222-3333-4444-555555555555";
    const macs = ["52:54:00:00:00:02"];
    const on = (own: Machine) => refusal(bytes, { machine: own });
    expect(await on({ uuid, macs })).toMatch(/UUID of its hardware differs .*this is 99999999/);
    // A copied disk has the same machine-id; its network cards and its firmware are others.
    expect(await on({ uuid, macs: machine.macs })).toMatch(/UUID of its hardware differs/);
    expect(await on({ uuid: machine.uuid, macs })).toMatch(/none of the network cards/);
    expect(await on({ macs })).toMatch(/none of the network cards/);
    expect(await on({ macs: [] })).toMatch(/nothing of its hardware can be compared/);
  });

  it("is taken where what both know of the machine agrees: a base need not see it all", async () => {
    const bytes = await writePayload(whole);
    for (const own of [
      { macs: [...machine.macs, "52:54:00:00:00:09"] },
      { uuid: machine.uuid, macs: [] },
      machine,
    ] as Machine[])
      expect((await readPayload(bytes, { ...expected, machine: own })).files.size).toBe(3);
    const unbound = await writePayload({ ...whole, machine: { macs: [] } });
    expect((await readPayload(unbound, { ...expected, machine: { macs: [] } })).files.size).toBe(3);
  });

  it.each<[string, Machine, Machine, RegExp | undefined]>([
    [
      "a UUID alone, which the base does not see",
      { uuid: "u1", macs: [] },
      { macs: ["m1"] },
      /nothing of its/,
    ],
    [
      "cards alone, of which the base sees none",
      { macs: ["m1"] },
      { uuid: "u1", macs: [] },
      /nothing of its/,
    ],
    [
      "cards alone, of which the base sees others",
      { macs: ["m1"] },
      { uuid: "u1", macs: ["m2"] },
      /none of the/,
    ],
    ["cards alone, of which the base sees some", { macs: ["m1", "m2"] }, { macs: ["m3", "m2"] }, undefined],
    ["a UUID alone, which the base sees", { uuid: "u1", macs: [] }, { uuid: "u1", macs: ["m1"] }, undefined],
    ["nothing", { macs: [] }, { uuid: "u1", macs: ["m1"] }, undefined],
  ])("that was signed for %s is judged by the rest", async (_what, signedFor, own, message) => {
    const bytes = await writePayload({ ...whole, machine: signedFor });
    if (message === undefined)
      expect((await readPayload(bytes, { ...expected, machine: own })).files.size).toBe(3);
    else expect(await refusal(bytes, { machine: own })).toMatch(message);
  });

  it("says for which machine it is, and which this is", async () => {
    const bytes = await writePayload({ ...whole, machine: { macs: ["m1", "m2"] } });
    expect(await refusal(bytes, { machine: { uuid: "u1", macs: ["m3"] } })).toMatch(
      /\(signed for no UUID, m1, m2; this is u1, m3\)$/,
    );
  });

  it.each<[string, Record<string, unknown>]>([
    ["another version", { version: 1 }],
    ["a field that is not known", { more: true }],
    ["no time", { created: "yesterday" }],
    ["no machine", { machine: undefined }],
    ["a digest that is none", { files: { a: { size: 0, sha256: "00" } } }],
    ["a longer digest", { files: { a: { size: 0, sha256: "0".repeat(65) } } }],
    ["a size below zero", { files: { a: { size: -1, sha256: "0".repeat(64) } } }],
    ["half a byte", { files: { a: { size: 0.5, sha256: "0".repeat(64) } } }],
    ["more about a file", { files: { a: { size: 0, sha256: "0".repeat(64), mode: 1 } } }],
  ])("is refused with a manifest of %s, though signed", async (_what, extra) => {
    const bytes = await tarGz(signed([], Buffer.alloc(0), extra));
    expect(await refusal(bytes)).toMatch(/not one this version understands/);
  });

  it("is refused after its time and long before it was made, with a clock's tolerance (F22, F11)", async () => {
    const bytes = await writePayload(whole);
    const at = (time: number) => refusal(bytes, { now: new Date(time) });
    expect(await at(expires.getTime() + clockToleranceMs)).toMatch(
      /expired at 2024-05-02.*clock says 2024-05-03/,
    );
    expect(await at(Date.parse("2099-01-01"))).toMatch(/expired at 2024-05-02.*clock says 2099-01-01/);
    expect(await at(0)).toMatch(/made at 2024-05-01.*clock says 1970-01-01/);
    for (const now of [created.getTime() - clockToleranceMs, expires.getTime() + clockToleranceMs - 1])
      expect((await readPayload(bytes, { ...expected, now: new Date(now) })).files.size).toBe(3);
    const hint = expect.stringMatching(/hwclock --systohc.*--ignore-clock/);
    await expect(readPayload(bytes, { ...expected, now: new Date(0) })).rejects.toMatchObject({ hint });
  });

  it("is of any age where it says no time, and where its time was judged before", async () => {
    const ageless = await writePayload({ ...whole, expires: undefined });
    expect((await readPayload(ageless, { ...expected, now: new Date(0) })).files.size).toBe(3);
    const old = await writePayload({ ...whole, expires: new Date(0) });
    expect((await readPayload(old, { ...expected, now: undefined })).files.size).toBe(3);
  });

  it("is refused with a file, or the whole manifest, of another valid payload in it (F22)", async () => {
    const name = "plan.json";
    const plans = ['{"wipe":"a"}', '{"wipe":"b"}'].map((text) => Buffer.from(text));
    const [one, other] = plans.map((content) => signed([name], content));
    const file = (index: number) => ({ name, content: plans[index]! });
    expect(await refusal(await tarGz([...one!, file(1)]))).toMatch(
      /"plan\.json" is not what its manifest says/,
    );
    expect(await refusal(await tarGz([one![0]!, other![1]!, file(0)]))).toMatch(/signature/);
    expect(await refusal(await tarGz([other![0]!, one![1]!, file(1)]))).toMatch(/signature/);
  });

  it("is refused when any of its bytes is another (F22)", async () => {
    const tar = gunzipSync(await writePayload(whole));
    const signature = tar.indexOf("manifest.sig\0") + 512;
    for (const at of [600, signature + 10, tar.indexOf(Buffer.alloc(100, 7)) + 50]) {
      const bad = Buffer.from(tar);
      bad[at]! ^= 1;
      await refusal(gzipSync(bad));
    }
  });

  it("is refused when cut off or followed by anything", async () => {
    const bytes = await writePayload(whole);
    const tar = gunzipSync(bytes);
    expect(await refusal(bytes.subarray(0, bytes.length - 5))).toMatch(/damaged/);
    expect(await refusal(gzipSync(tar.subarray(0, tar.length - 1024)))).toMatch(/cut off/);
    expect(await refusal(Buffer.concat([bytes, Buffer.alloc(512)]))).toMatch(/followed/);
    expect(await refusal(Buffer.concat([bytes, gzipSync("x")]))).toMatch(/end where/);
    expect(await refusal(gzipSync(Buffer.concat([tar, Buffer.alloc(512)])))).toMatch(/end where/);
  });

  it("is refused with files its manifest does not name, names twice or lacks", async () => {
    const content = Buffer.from("x");
    const [manifest, signature] = signed(["a"], content) as [Member, Member];
    expect(await refusal(await tarGz([manifest, signature]))).toMatch(/lacks "a"/);
    const a = { name: "a", content };
    expect(await refusal(await tarGz([manifest, signature, a, a]))).toMatch(/"a" twice/);
    expect(await refusal(await tarGz([manifest, signature, a, { ...a, name: "b" }]))).toMatch(
      /does not name/,
    );
    expect(await refusal(await tarGz([manifest, signature, a, { ...a, name: "__proto__" }]))).toMatch(
      /does not name/,
    );
    expect(await refusal(await tarGz([manifest, signature, { ...a, content: Buffer.from("y") }]))).toMatch(
      /is not what/,
    );
    expect(await refusal(await tarGz([signature, manifest, a]))).toMatch(/does not begin/);
    expect(await refusal(await tarGz([]))).toMatch(/does not begin/);
  });

  it("is refused with paths that lead elsewhere, though signed", async () => {
    for (const name of ["../a", "/etc/passwd", "a/../../b", "a//b", "./a"]) {
      const content = Buffer.from("x");
      const bytes = await packed((archive) => archive.entry({ name }, content), signed([name], content));
      expect(await refusal(bytes), name).toMatch(/relative path|does not name/);
    }
  });

  it("is refused with links, devices and directories", async () => {
    for (const type of [
      "symlink",
      "link",
      "character-device",
      "block-device",
      "fifo",
      "directory",
    ] as const) {
      const bytes = await packed(
        (archive) => archive.entry({ name: "a", type, linkname: "/etc/shadow" }),
        signed([], Buffer.alloc(0)),
      );
      expect(await refusal(bytes), type).toMatch(/only files/);
    }
  });

  it("is refused with a huge extended header, too many members or too much content", async () => {
    const bomb = gunzipSync(await tarGz([{ name: "a", content: Buffer.alloc(1024 * 1024, 49) }]));
    bomb[156] = "x".charCodeAt(0);
    expect(await refusal(gzipSync(bomb))).toMatch(/extended header of 1048576/);
    const many = await packed((archive) => {
      for (let index = 0; index <= 20_000; index += 1) archive.entry({ name: `f${index}` }, "");
    });
    expect(await refusal(many)).toMatch(/more than 20000 members/);
    expect(await refusal(gzipSync(Buffer.alloc(40 * 1024 * 1024)))).toMatch(/unpacks to more/);
    const large = { ...whole, files: new Map([["a", Buffer.alloc(33 * 1024 * 1024)]]) };
    await expect(writePayload(large)).rejects.toThrow(/too large/);
  });

  /** One raw member behind a rightly signed beginning, its header bent. */
  async function bent(
    change: (block: Buffer) => void,
    content: Buffer = Buffer.alloc(0),
  ): Promise<Uint8Array> {
    const start = gunzipSync(await tarGz(signed(["a"], content)));
    const member = gunzipSync(await tarGz([{ name: "a", content }]));
    const block = member.subarray(0, 512);
    change(block);
    block.fill(" ", 148, 156);
    const sum = block.reduce((all, byte) => all + byte, 0);
    block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
    return gzipSync(Buffer.concat([start.subarray(0, -1024), member]));
  }

  it("is refused with members that no payload has: odd names, sizes, types, levels (F38)", async () => {
    const named = (name: string) => bent((block) => block.fill(0, 0, 100).write(name, 0, "latin1"));
    for (const name of ["a\nb", "a\x1b[2J", "a\x7f", "\tb"])
      expect(await refusal(await named(name)), name).toMatch(/a relative path without control characters/);
    // Beyond a NUL there is no name: it is the "a" that was signed.
    expect((await readPayload(await named("a\0../../b"), expected)).files.size).toBe(1);
    const sized = (field: string) => bent((block) => block.fill(0, 124, 136).write(field, 124, "latin1"));
    for (const size of [
      "-0000000001\0",
      "\x80\0\0\0\0\0\0\0\x7f\xff\xff\xff",
      "\xff".repeat(12),
      "0x0000000ff\0",
    ])
      expect(await refusal(await sized(size)), size).toMatch(/without a plain size/);
    expect(await refusal(await sized("77777777777\0"))).toMatch(/cut off/);
    for (const flag of ["S", "g", "L", "K", "M", "V", "7", "1", "2", "3", "4", "5", "6", "\0", "Z"])
      expect(await refusal(await bent((block) => block.write(flag, 156, "latin1"))), flag).toMatch(
        /only files/,
      );
    const deep = { name: `${"a/".repeat(10_000)}x`, content: Buffer.alloc(0) };
    const packing = packed((archive) => archive.entry({ name: deep.name }, deep.content));
    expect(await refusal(await packing)).toMatch(/extended header of/);
  });

  it("believes no extended header that names, sizes or links a member otherwise than was signed (F38)", async () => {
    const content = Buffer.from("x");
    for (const [field, value] of [
      ["path", "../../etc/cron.d/x"],
      ["path", "/etc/cron.d/x"],
      ["path", "b"],
      ["size", "999999999"],
      ["size", "-1"],
      ["size", "0"],
      ["linkpath", "/etc/shadow"],
    ] as const) {
      const bytes = await packed(
        (archive) => archive.entry({ name: "a", pax: { [field]: value }, size: content.length }, content),
        signed(["a"], content),
      );
      const read = await readPayload(bytes, expected).catch((error: unknown) => error);
      if (read instanceof Fail) continue;
      // What is let through is exactly what was signed.
      expect([...(read as Awaited<ReturnType<typeof readPayload>>).files], field).toEqual([["a", content]]);
    }
  });
});
