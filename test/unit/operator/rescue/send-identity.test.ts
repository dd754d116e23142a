import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { sendIdentity } from "../../../../src/operator/rescue/send-identity.ts";
import { newIdentity } from "../../../../src/secrets/identity.ts";
import type { Host } from "../../../../src/transport/host.ts";
import { silentLog } from "../../../../src/util/log.ts";
import { Secret } from "../../../../src/util/secret.ts";
import { sealLightly } from "../../../helpers/builders/identity.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

/** A machine that answers so. */
function machine(answer: { readonly code: number; readonly stdout?: string; readonly stderr?: string }) {
  const seen: { argv: readonly string[]; stdin: string }[] = [];
  const asked: unknown[] = [];
  const host = {
    exec: async (argv: readonly string[], { stdin }: { stdin: Uint8Array }) => {
      seen.push({ argv, stdin: Buffer.from(stdin).toString() });
      return { stdout: "", stderr: "", ...answer };
    },
    close: () => {},
  } as unknown as Host;
  const connect = async (how: unknown) => {
    asked.push(how);
    return host;
  };
  return { world: { connect, log: silentLog }, seen, asked };
}

const never = async () => {
  throw new Error("not asked");
};

describe("an identity for a medium", () => {
  it("goes on stdin to the machine with the key that was named, each key once", async () => {
    const dir = tempDir();
    const { identity } = await newIdentity();
    const files = ["a.txt", "b.txt"].map((name) => join(dir, name));
    for (const file of files) writeFileSync(file, `# mine\n${identity}\n`);
    const { world, seen, asked } = machine({ code: 0, stdout: "it opens the secrets\n" });
    const said = await sendIdentity({ files, baseKey: "SHA256:abc", passphrase: never }, world);
    expect(said).toBe("it opens the secrets");
    expect(asked).toEqual([{ user: "root", timeoutMs: 30_000, pins: ["SHA256:abc"] }]);
    expect(seen).toEqual([{ argv: ["imgbuild-rescue", "--identity"], stdin: `${identity}\n` }]);
  });

  it("is opened here where it has a passphrase", async () => {
    const { identity } = await newIdentity();
    const file = join(tempDir(), "locked.age");
    writeFileSync(file, await sealLightly("night", identity));
    const { world, seen, asked } = machine({ code: 0, stdout: "taken" });
    const passphrase = async (of: string) => {
      expect(of).toBe(file);
      return new Secret("p", Buffer.from("night"));
    };
    await sendIdentity({ files: [file], passphrase }, world);
    expect(seen[0]!.stdin).toBe(`${identity}\n`);
    // Known by known_hosts.
    expect(asked).toEqual([{ user: "root", timeoutMs: 30_000 }]);
  });

  it("is refused with the medium's own words, and where there is no medium or no identity", async () => {
    const dir = tempDir();
    const [file, other] = [join(dir, "mine.txt"), join(dir, "id_ed25519")];
    writeFileSync(file, `${(await newIdentity()).identity}\n`);
    writeFileSync(other, "-----BEGIN OPENSSH PRIVATE KEY-----\n");
    const sending = { files: [file], passphrase: never };
    await expect(
      sendIdentity(sending, machine({ code: 1, stdout: "FAILED: it opens nothing\nsend another\n" }).world),
    ).rejects.toMatchObject({ message: "it opens nothing", hint: "send another" });
    await expect(
      sendIdentity(sending, machine({ code: 127, stderr: "sh: imgbuild-rescue: not found" }).world),
    ).rejects.toThrow("what answers runs no rescue medium");
    const { world, seen } = machine({ code: 0 });
    await expect(sendIdentity({ ...sending, files: [] }, world)).rejects.toThrow("no identity was given");
    await expect(sendIdentity({ ...sending, files: [other] }, world)).rejects.toThrow(
      "an age identity alone",
    );
    expect(seen).toEqual([]);
  });
});
