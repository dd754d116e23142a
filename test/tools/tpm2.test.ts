import { describe, expect, it } from "vitest";
import { openByTpm, sealForTpm, storageKeyOf, valueOfRegister7 } from "../../src/secrets/tpm2.ts";
import { startSwtpm } from "../helpers/labs/swtpm.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const plain = Buffer.from("AGE-SECRET-KEY-1QQPQYZ0S7Q9PHYV7UXD3GYPJ5VEDCWSQFDN6KZ2P4XWY5Y9QPLZ");

/** TPM2_PCR_Extend of register 7, as the firmware does it when another key starts the machine. */
function extend(): Buffer {
  const head = Buffer.from("80020000004100000182000000070000000940000009000000000000000001000b", "hex");
  return Buffer.concat([head, Buffer.alloc(32, 7)]);
}

describe("a TPM", () => {
  it("opens what was sealed for it without it, again after a restart, and another does not", async () => {
    const [tpm, other] = [await startSwtpm(tempDir()), await startSwtpm(tempDir())];
    const sealed = sealForTpm(await storageKeyOf(tpm.send), plain);
    await tpm.forget();
    for (let index = 0; index < 2; index += 1) {
      expect(Buffer.from(await openByTpm(sealed, tpm.send))).toEqual(plain);
      await tpm.forget();
    }
    await expect(openByTpm(sealed, other.send)).rejects.toThrow("TPM is another than that");
    expect(JSON.stringify(sealed)).not.toContain(plain.toString("base64").slice(8, 40));
  });

  it("opens what is bound to register 7 as long as that is as it was", async () => {
    const tpm = await startSwtpm(tempDir());
    const sealed = sealForTpm(await storageKeyOf(tpm.send), plain, await valueOfRegister7(tpm.send));
    await tpm.forget();
    expect(Buffer.from(await openByTpm(sealed, tpm.send))).toEqual(plain);
    await tpm.forget();
    expect(Buffer.from(await tpm.send(extend())).readUInt32BE(6)).toBe(0);
    await expect(openByTpm(sealed, tpm.send)).rejects.toThrow(
      "Secure Boot's state, its register 7, is another",
    );
    // Without the binding it would open.
    await tpm.forget();
    const free = sealForTpm(await storageKeyOf(tpm.send), plain);
    await tpm.forget();
    expect(Buffer.from(await openByTpm(free, tpm.send))).toEqual(plain);
  });
});
