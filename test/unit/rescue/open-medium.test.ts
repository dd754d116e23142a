import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openMedium } from "../../../src/rescue/open-medium.ts";
import { serverSpec } from "../../helpers/builders/deployable.ts";
import { mediumParts } from "../../helpers/builders/medium.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

type Parts = Awaited<ReturnType<typeof mediumParts>>;

function laid({ json, payload }: Pick<Parts, "json" | "payload">): string {
  const directory = tempDir();
  writeFileSync(join(directory, "medium.json"), json);
  writeFileSync(join(directory, "medium.tar.gz"), payload);
  return directory;
}

describe("F49: what a rescue medium brings along", () => {
  it("is the definition as it was, with its files and its secrets, which stay closed", async () => {
    const more = new Map([
      ["secrets/token.age", Buffer.from("sealed")],
      ["debs/own.deb", Buffer.from("a package")],
    ]);
    const parts = await mediumParts({ more });
    const open = await openMedium(laid(parts), `quiet ${parts.word}`);
    expect(open.spec).toEqual(serverSpec());
    expect([...open.files]).toEqual([
      ["/etc/motd", { bytes: expect.anything(), mode: 0o644 }],
      ["/usr/local/bin/tool", { bytes: expect.anything(), mode: 0o755 }],
    ]);
    expect([...open.sealed.keys()]).toEqual(["token"]);
    expect([...open.carried.keys()].sort()).toEqual([
      "debs/own.deb",
      "files/etc/motd",
      "files/usr/local/bin/tool",
    ]);
    expect(open.identity).toBeUndefined();
  });

  it("has what opens its secrets with nothing typed, and those secrets apart from the others", async () => {
    const ways = [{ type: "tang", url: "http://192.0.2.10", sealed: "a.b.c.d.e" }];
    const more = new Map([
      ["secrets/token.age", Buffer.from("for a person")],
      ["unlock.json", Buffer.from(JSON.stringify(ways))],
      ["unlock/secrets/token.age", Buffer.from("for the medium")],
      ["unlock/host-keys.age", Buffer.from("kept")],
    ]);
    const parts = await mediumParts({ more });
    const open = await openMedium(laid(parts), `quiet ${parts.word}`);
    const text = (bytes: Uint8Array | undefined) => Buffer.from(bytes!).toString();
    expect(open.unlock?.ways).toEqual(ways);
    expect(text(open.sealed.get("token"))).toBe("for a person");
    expect(text(open.unlock?.sealed.get("token"))).toBe("for the medium");
    expect([open.kept, text(open.unlock?.kept)]).toEqual([undefined, "kept"]);
    const without = await mediumParts();
    expect((await openMedium(laid(without), without.word)).unlock).toBeUndefined();
  });

  it("is refused where a byte of either part is another, or the command line names none", async () => {
    const parts = await mediumParts();
    const flipped = (bytes: Uint8Array, at: number) => {
      const copy = Buffer.from(bytes);
      copy[at]! ^= 1;
      return copy;
    };
    const { json, payload, word } = parts;
    await expect(openMedium(laid(parts), "quiet")).rejects.toThrow("has no imgbuild.medium");
    await expect(openMedium(laid({ json: flipped(json, 40), payload }), word)).rejects.toThrow("is not what");
    await expect(
      openMedium(laid({ json, payload: flipped(payload, payload.length >> 1) }), word),
    ).rejects.toThrow();
    const other = await mediumParts();
    await expect(openMedium(laid({ json, payload: other.payload }), word)).rejects.toThrow("signature");
  });
});
