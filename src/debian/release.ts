import * as openpgp from "openpgp";
import { Fail } from "../util/fail.ts";
import type { Origin } from "./candidate.ts";

/** Suites' clocks and ours may differ by this much before a Release counts as from the future. */
const clockSkewMs = 24 * 60 * 60 * 1000;
const maxReleaseBytes = 4 * 1024 * 1024;
const maxIndexBytes = 512 * 1024 * 1024;

export interface Release {
  readonly suite: string;
  readonly codename: string;
  /** What the preferences of apt_preferences(5) ask for. */
  readonly about: Omit<Origin, "archive" | "suite">;
  /** ISO 8601. */
  readonly date: string;
  readonly signedBy: readonly string[];
  /** Path below dists/<suite>/ → size in bytes and SHA-256. */
  readonly files: ReadonlyMap<string, { size: number; sha256: string }>;
}

/** Verifies an InRelease file and reads it; anything but one signed text from the first byte to the last is refused. */
export async function verifyRelease(
  inRelease: Uint8Array,
  expected: {
    readonly codename: string;
    readonly suite: string;
    readonly keyring: string;
    readonly now: Date;
  },
): Promise<Release> {
  const refuse = (
    why: string,
    hint = "the mirror is damaged, or somebody stands between: try another one",
  ) => {
    throw new Fail(`InRelease of ${expected.suite}: ${why}`, { hint });
  };
  if (inRelease.length > maxReleaseBytes) refuse(`more than ${maxReleaseBytes} bytes`);
  const text = Buffer.from(inRelease).toString("utf8");
  if (/[\0\f\v]|\r/.test(text)) refuse("holds control characters or CRLF line ends");
  if (!text.startsWith("-----BEGIN PGP SIGNED MESSAGE-----\n"))
    refuse("does not begin with a signed message (a login page?)");
  const markers = text.match(/^-----(BEGIN|END) PGP [A-Z ]+-----$/gm) ?? [];
  const wanted = [
    "-----BEGIN PGP SIGNED MESSAGE-----",
    "-----BEGIN PGP SIGNATURE-----",
    "-----END PGP SIGNATURE-----",
  ];
  if (markers.join() !== wanted.join() || !text.trimEnd().endsWith("-----END PGP SIGNATURE-----"))
    refuse("is not exactly one signed text");
  const message = await openpgp
    .readCleartextMessage({ cleartextMessage: text })
    .catch(() => refuse("is no OpenPGP message"));
  const keys = await openpgp.readKeys({ armoredKeys: expected.keyring });
  const result = await openpgp.verify({
    message: message as openpgp.CleartextMessage,
    verificationKeys: keys,
    date: expected.now,
    config: {
      rejectHashAlgorithms: new Set([
        openpgp.enums.hash.md5,
        openpgp.enums.hash.ripemd,
        openpgp.enums.hash.sha1,
      ]),
    },
  });
  const signedBy = new Set<string>();
  for (const signature of result.signatures) {
    try {
      await signature.verified;
    } catch {
      continue;
    }
    const key = keys.find((one) => one.getKeys(signature.keyID).length > 0);
    if (key !== undefined) signedBy.add(key.getFingerprint().toUpperCase());
  }
  if (signedBy.size === 0)
    refuse(
      "no signature by a key of Debian's archive that imgbuild knows",
      "the keys may have changed: update imgbuild",
    );
  return readRelease(result.data, expected, [...signedBy].sort(), refuse);
}

function readRelease(
  text: string,
  expected: { readonly codename: string; readonly suite: string; readonly now: Date },
  signedBy: readonly string[],
  refuse: (why: string, hint?: string) => void,
): Release {
  const field = (name: string) => new RegExp(`^${name}: *(.*)$`, "m").exec(text)?.[1]?.trim() ?? "";
  const suite = field("Suite");
  const codename = field("Codename");
  if (codename !== expected.codename) refuse(`is for ${codename || "no codename"}, not ${expected.codename}`);
  const date = new Date(field("Date"));
  if (Number.isNaN(date.getTime())) refuse("has no date");
  if (date.getTime() > expected.now.getTime() + clockSkewMs)
    refuse(`is dated ${date.toISOString()}, in the future`, "set this machine's clock");
  const until = field("Valid-Until");
  if (until !== "" && !(new Date(until).getTime() > expected.now.getTime()))
    refuse(`expired on ${until}`, "the mirror is out of date, or this machine's clock is wrong");
  const files = new Map<string, { size: number; sha256: string }>();
  const list = /^SHA256:\n((?: .*\n?)*)/m.exec(text)?.[1] ?? "";
  for (const line of list.split("\n")) {
    const match = /^ ([0-9a-f]{64}) +(\d+) +(\S+)$/.exec(line);
    if (match === null || Number(match[2]) > maxIndexBytes) continue;
    files.set(match[3]!, { sha256: match[1]!, size: Number(match[2]) });
  }
  if (files.size === 0) refuse("lists no SHA-256 sums");
  const about = {
    codename,
    release: suite,
    vendor: field("Origin"),
    label: field("Label"),
    notAutomatic: field("NotAutomatic") === "yes",
    butAutomaticUpgrades: field("ButAutomaticUpgrades") === "yes",
  };
  return { suite, codename, about, date: date.toISOString(), signedBy, files };
}
