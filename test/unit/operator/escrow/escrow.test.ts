import { describe, expect, it } from "vitest";
import { tarGz } from "../../../../src/archive/tar.ts";
import { type Found, packEscrow, unpackEscrow } from "../../../../src/operator/escrow/escrow.ts";
import { escrowPage } from "../../../../src/operator/escrow/page.ts";
import { newIdentity } from "../../../../src/secrets/identity.ts";
import { openBytes } from "../../../../src/secrets/open.ts";
import { openWith } from "../../../../src/secrets/seal.ts";

const found: Found = {
  about: {
    ...{ hostname: "web", made: "2026-11-29T00:00:00.000Z", definition: "d".repeat(64), place: "web" },
    wanted: { identity: true, keys: ["disk-key"], volumes: [], disks: 0 },
  },
  entries: [
    { name: "repository/web/IMGBUILD.ts", content: Buffer.from("export default {}") },
    { name: "identity/identity.txt", content: Buffer.from("AGE-SECRET-KEY-PLAIN") },
    { name: "keys/disk-key", content: Buffer.alloc(9000, "k") },
  ],
};

describe("an escrow", () => {
  it("is opened by each of its recipients, with all that was put in", async () => {
    const [one, two] = [await newIdentity(), await newIdentity()];
    const sealed = await packEscrow(found, { to: [one.recipient, two.recipient] });
    for (const { identity } of [one, two]) {
      const { files, manifest, missing } = await unpackEscrow(await openWith(identity, sealed), "web.escrow");
      expect(manifest.hostname).toBe("web");
      expect(Buffer.from(files.get("identity/identity.txt")!).toString()).toBe("AGE-SECRET-KEY-PLAIN");
      expect(missing).toEqual([expect.stringMatching(/SSH host keys/), expect.stringMatching(/machine-id/)]);
    }
  });

  it("is refused where it is none, or is not what it was", async () => {
    const other = await tarGz([{ name: "escrow.json", content: Buffer.from("{}") }]);
    await expect(unpackEscrow(other, "x")).rejects.toThrow(/^x is no escrow$/);
    const manifest = { version: 1, ...found.about, files: { a: "0".repeat(64) } };
    const own = { name: "escrow.json", content: Buffer.from(JSON.stringify(manifest)) };
    const changed = await tarGz([own, { name: "a", content: Buffer.from("b") }]);
    await expect(unpackEscrow(changed, "x")).rejects.toThrow(/^x is damaged: a is not what was put in$/);
    await expect(unpackEscrow(await tarGz([own]), "x")).rejects.toThrow(/^x is damaged/);
  });
});

describe("the page of an escrow", () => {
  it("has the identity as an age file that the recipient opens, and nothing in plain text", async () => {
    const { identity, recipient } = await newIdentity();
    const page = await escrowPage(found, { to: [recipient] });
    expect(page).not.toContain("AGE-SECRET-KEY");
    expect(page).not.toMatch(/https?:\/\/(?!www\.w3\.org)/);
    expect(page).toMatch(/<figure><svg/);
    const texts = [...page.matchAll(/<pre>([\s\S]*?)<\/pre>/g)].map((match) => match[1]!);
    // A key that is too long for paper is named, and is in the file alone.
    expect(texts).toHaveLength(1);
    expect(page).toMatch(/keys\/disk-key<\/h2><p>It has 9000 bytes/);
    const opened = await openBytes(Buffer.from(texts[0]!), "page", { identities: [identity], name: "part" });
    expect(Buffer.from(opened.expose()).toString()).toBe("AGE-SECRET-KEY-PLAIN");
  });
});
