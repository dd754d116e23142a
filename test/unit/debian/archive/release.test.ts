import { beforeAll, describe, expect, it } from "vitest";
import { verifyRelease } from "../../../../src/debian/archive/release.ts";
import { debianKeyring } from "../../../../src/debian/archive/sources.ts";
import { Fail } from "../../../../src/util/fail.ts";
import { releaseText, type SigningKey, signingKey } from "../../../helpers/builders/signing.ts";

let key: SigningKey;
let other: SigningKey;
beforeAll(async () => {
  key = await signingKey();
  other = await signingKey();
});

const now = new Date("2024-06-02T00:00:00Z");

async function verify(text: string | Uint8Array, at: Date = now) {
  const bytes = typeof text === "string" ? Buffer.from(text) : text;
  return await verifyRelease(bytes, { suite: "trixie", keyring: key.armored, now: at });
}

describe("verifyRelease", () => {
  it("reads what was signed, and by whom", async () => {
    const release = await verify(await key.sign(releaseText({})));
    expect(release).toEqual({
      suite: "stable",
      codename: "trixie",
      about: {
        codename: "trixie",
        release: "stable",
        vendor: "Debian",
        label: "",
        notAutomatic: false,
        butAutomaticUpgrades: false,
      },
      date: "2024-06-01T00:00:00.000Z",
      signedBy: [key.fingerprint],
      files: new Map([["main/binary-amd64/Packages.xz", { size: 1234, sha256: "a".repeat(64) }]]),
    });
  });

  it("accepts a Valid-Until that is to come", async () => {
    const text = releaseText({ validUntil: "Sun, 09 Jun 2024 00:00:00 UTC" });
    expect((await verify(await key.sign(text))).codename).toBe("trixie");
  });

  // Each turns a good InRelease into one that must not be believed.
  const refusals: [string, (good: string) => string | Promise<string>, RegExp][] = [
    ["another key's signature", () => other.sign(releaseText({})), /no signature by a key/],
    ["a changed size", (good) => good.replace(" 1234 ", " 1235 "), /no signature by a key/],
    ["an added line", (good) => good.replace("Origin:", "Extra: yes\nOrigin:"), /no signature by a key/],
    ["text before the signed part", (good) => `Codename: trixie\n${good}`, /does not begin with/],
    ["text after the signed part", (good) => `${good}\nCodename: trixie\n`, /not exactly one signed text/],
    ["two signed parts", (good) => `${good}${good}`, /not exactly one signed text/],
    [
      "no signature",
      (good) => good.replace(/-----BEGIN PGP SIGNATURE-----[\s\S]*/, ""),
      /not exactly one signed text/,
    ],
    ["half of the file", (good) => good.slice(0, good.length / 2), /not exactly one signed text/],
    ["a login page", () => "<html>Please accept our terms</html>", /login page/],
    ["CRLF line ends", (good) => good.replaceAll("\n", "\r\n"), /control characters/],
    ["a NUL", (good) => good.replace("Origin", "Ori\0gin"), /control characters/],
    ["a form feed", (good) => good.replace("Origin", "\fOrigin"), /control characters/],
    ["nothing at all", () => "", /does not begin with/],
    ["another suite", () => key.sign(releaseText({ codename: "bookworm" })), /is for bookworm, not trixie/],
    ["a suite's updates", () => key.sign(releaseText({ codename: "trixie-updates" })), /not trixie$/],
    [
      "a past Valid-Until",
      () => key.sign(releaseText({ validUntil: "Sat, 01 Jun 2024 12:00:00 UTC" })),
      /expired on/,
    ],
    ["an unreadable Valid-Until", () => key.sign(releaseText({ validUntil: "soon" })), /expired on soon/],
    [
      "a date to come",
      () => key.sign(releaseText({ date: "Mon, 10 Jun 2024 00:00:00 UTC" })),
      /in the future/,
    ],
    ["no date", () => key.sign(releaseText({ date: "" })), /has no date/],
    ["no sums", () => key.sign(releaseText({ sums: [] })), /lists no SHA-256/],
  ];
  it.each(refusals)("refuses %s", async (_name, change, message) => {
    const bad = await change(await key.sign(releaseText({})));
    const error = await verify(bad).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Fail);
    expect((error as Fail).message).toMatch(/^InRelease of trixie: /);
    expect((error as Fail).message).toMatch(message);
    expect((error as Fail).hint).toBeTruthy();
  });

  it("refuses a signature from the future", async () => {
    const signed = await key.sign(releaseText({}), new Date("2024-07-01T00:00:00Z"));
    await expect(verify(signed)).rejects.toThrow(/no signature by a key/);
  });

  it("refuses a file without an end before reading it", async () => {
    await expect(verify(Buffer.alloc(5 * 1024 * 1024, 0x61))).rejects.toThrow(/more than \d+ bytes/);
  });

  it("passes over an index too large to be one", async () => {
    const sums = [
      ` ${"a".repeat(64)} 999999999999 main/binary-amd64/Packages.xz`,
      ` ${"b".repeat(64)} 5 main/binary-amd64/Packages.gz`,
      ` short 5 main/binary-amd64/Packages`,
    ];
    const release = await verify(await key.sign(releaseText({ sums })));
    expect([...release.files.keys()]).toEqual(["main/binary-amd64/Packages.gz"]);
  });
});

describe("the shipped keyrings", () => {
  it.each(["bookworm", "trixie"])("of %s hold keys, and do not trust the test's", async (suite) => {
    const keyring = await debianKeyring(suite);
    expect(keyring).toContain("-----BEGIN PGP PUBLIC KEY BLOCK-----");
    const signed = Buffer.from(await key.sign(releaseText({ codename: suite })));
    await expect(verifyRelease(signed, { suite, keyring, now })).rejects.toThrow(/no signature by a key/);
  });
});
