import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readPayload } from "../../../../src/archive/payload.ts";
import type { OpenDefinition } from "../../../../src/operator/lock/open-definition.ts";
import { contentOf, mediumArchive } from "../../../../src/operator/rescue/medium-archive.ts";
import { Medium } from "../../../../src/schema/base/medium.ts";
import { sealFor } from "../../../../src/secrets/seal.ts";
import { sha256 } from "../../../../src/util/digest.ts";
import { lockOf, serverSpec } from "../../../helpers/builders/deployable.ts";
import { generateIdentity } from "../../../helpers/builders/identity.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const mirrors = { debian: ["http://deb.example.org/debian"] };
const file = { size: 1, sha256: sha256("x") };
const shared = {
  ...{ volume: "IMGBUILD_0123456789ABCDEF", tree: undefined, files: { "imgbuild/base/kernel": file } },
  ...{ squashfs: file, unattended: false, program: Buffer.from("program") },
};

async function definitionIn(dir: string): Promise<OpenDefinition> {
  mkdirSync(join(dir, "secrets"));
  const { recipient } = await generateIdentity();
  writeFileSync(join(dir, "secrets/key.age"), await sealFor(recipient, Buffer.from("the plain secret")));
  const spec = serverSpec({ secrets: { key: { file: "secrets/key.age", path: "/etc/key" } } });
  return {
    ...{ spec, lock: lockOf(spec), digest: "d" },
    ...{ dir, file: join(dir, "IMGBUILD.ts"), unfinished: [] },
    files: new Map([["/usr/local/bin/tool", { bytes: Buffer.from("#!/bin/sh\n"), mode: 0o755 }]]),
    links: [{ path: "/etc/link", link: "target" }],
  };
}

/** Members of a newc archive by their names. */
function members(archive: Buffer): Map<string, Buffer> {
  const found = new Map<string, Buffer>();
  for (let at = 0; ; ) {
    const field = (index: number) =>
      Number.parseInt(archive.toString("latin1", at + 6 + 8 * index, at + 14 + 8 * index), 16);
    const [size, length] = [field(6), field(11)];
    const name = archive.toString("latin1", at + 110, at + 110 + length - 1);
    if (name === "TRAILER!!!") return found;
    const start = Math.ceil((at + 110 + length) / 4) * 4;
    found.set(name, archive.subarray(start, start + size));
    at = Math.ceil((start + size) / 4) * 4;
  }
}

describe("what a definition brings to a medium", () => {
  it("is opened by what the kernel's command line names, and holds all that a rebuild needs", async () => {
    const definition = await definitionIn(tempDir());
    const content = await contentOf(definition, mirrors, Buffer.from("sealed identity"));
    const { archive, word } = await mediumArchive(definition, content, shared);
    const found = members(Buffer.from(archive));
    const json = found.get("imgbuild/medium.json")!;
    expect(word).toBe(`imgbuild.medium=${sha256(json)}`);
    const medium = Medium.parse(JSON.parse(json.toString()));
    expect(medium).toMatchObject({ definition: "d", volume: shared.volume, files: shared.files });
    const { publicKey, nonce } = medium;
    const how = { publicKey, nonce, machine: { macs: ["52:54:00:00:00:01"] }, now: undefined };
    const { files } = await readPayload(found.get("imgbuild/medium.tar.gz")!, how);
    expect([...files.keys()].sort()).toEqual([
      ...["executable.json", "files/usr/local/bin/tool", "identity.age", "links.json", "lock.yaml"],
      ...["mirrors.json", "secrets/key.age", "spec.json"],
    ]);
    expect(Buffer.from(files.get("executable.json")!).toString()).toBe('["/usr/local/bin/tool"]');
    expect(found.get("imgbuild/rescue.cjs")!.toString()).toBe("program");
    const sums = found.get("imgbuild/medium.sums")!.toString().trimEnd().split("\n");
    expect(sums.sort()).toEqual(
      [...found]
        .filter(([name]) => !["imgbuild", "imgbuild/ssh", "imgbuild/medium.sums"].includes(name))
        .map(([name, bytes]) => `${sha256(bytes)}  ${name.slice("imgbuild/".length)}`)
        .sort(),
    );
    expect(found.get("imgbuild/ssh/authorized_keys")!.toString()).toMatch(/^ssh-ed25519 /);
    expect(Buffer.from(archive).includes("the plain secret")).toBe(false);
  });

  it("is the same each time, and another for another content", async () => {
    const definition = await definitionIn(tempDir());
    const made = async (identity: string) =>
      (await mediumArchive(definition, await contentOf(definition, mirrors, Buffer.from(identity)), shared))
        .archive;
    expect(sha256(await made("a"))).toBe(sha256(await made("a")));
    expect(sha256(await made("a"))).not.toBe(sha256(await made("b")));
  });

  it("has the host keys of before, where a deploy kept them beside the secrets", async () => {
    const dir = tempDir();
    const definition = await definitionIn(dir);
    const { recipient } = await generateIdentity();
    const sealed = await sealFor(recipient, Buffer.from("host keys"));
    writeFileSync(join(dir, "secrets/web.example.org-host-keys.age"), sealed);
    const { files } = await contentOf(definition, mirrors, Buffer.from("sealed identity"));
    expect(Buffer.from(files.get("host-keys.age")!).equals(sealed)).toBe(true);
  });

  it("is refused where a secret is not encrypted", async () => {
    const dir = tempDir();
    const definition = await definitionIn(dir);
    writeFileSync(join(dir, "secrets/key.age"), "the plain secret");
    await expect(contentOf(definition, mirrors, undefined)).rejects.toThrow(/key\.age is not an age file/);
  });
});
