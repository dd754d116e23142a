import { sign } from "node:crypto";
import { gunzipSync, gzipSync } from "node:zlib";
import { pack } from "tar-stream";
import { describe, expect, it } from "vitest";
import { generateSigningKey, readPayload, writePayload } from "../../src/archive/payload.ts";
import { tarGz } from "../../src/archive/tar.ts";
import { sha256 } from "../../src/util/digest.ts";
import { Fail } from "../../src/util/fail.ts";

const { privateKey, publicKey } = generateSigningKey();
const created = new Date("2024-05-01T00:00:00Z");
const expires = new Date("2024-05-02T00:00:00Z");
const long = `files/${"deep/".repeat(60)}näme`;
const files = new Map<string, Uint8Array>([
  ["plan.json", Buffer.from("{}")],
  ["files/empty", new Uint8Array()],
  [long, Buffer.alloc(70_000, 7)],
]);
const whole = { created, expires, nonce: "n1", machineId: "m1", files, privateKey };
const expected = { publicKey, nonce: "n1", machineId: "m1", now: created };

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
    version: 1,
    nonce: "n1",
    machineId: "m1",
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

const refusal = async (bytes: Uint8Array, over: Partial<typeof expected> = {}) => {
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

  it("has equal bytes for equal input, in whatever order the files come", async () => {
    const reversed = new Map([...files].reverse());
    expect(sha256(await writePayload({ ...whole, files: reversed }))).toBe(sha256(await writePayload(whole)));
  });

  it("is refused with another key, nonce, machine or after its time", async () => {
    const bytes = await writePayload(whole);
    expect(await refusal(bytes, { publicKey: generateSigningKey().publicKey })).toMatch(/signature/);
    expect(await refusal(bytes, { publicKey: "AAAA" })).toMatch(/no Ed25519 key/);
    expect(await refusal(bytes, { nonce: "n2" })).toMatch(/another deploy/);
    expect(await refusal(bytes, { machineId: "m2" })).toMatch(/for machine m1, this is m2/);
    expect(await refusal(bytes, { now: expires })).toMatch(/expired/);
  });

  it("is of any age where the clock is not known", async () => {
    const bytes = await writePayload({ ...whole, expires: new Date(0) });
    expect((await readPayload(bytes, { ...expected, now: undefined })).files.size).toBe(3);
  });

  it("is refused when any of its bytes is another", async () => {
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
});
