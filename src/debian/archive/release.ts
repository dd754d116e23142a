import * as openpgp from "openpgp";
import { Fail } from "../../util/fail.ts";
import type { Origin } from "../package/candidate.ts";

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
  /** As it is written; absent where it has no end. */
  readonly validUntil?: string;
  readonly signedBy: readonly string[];
  /** Path below dists/<suite>/ → size in bytes and SHA-256. */
  readonly files: ReadonlyMap<string, { size: number; sha256: string }>;
}

export interface Expected {
  /** As in dists/<suite>. */
  readonly suite: string;
  /** Armored public keys; the signature of one is enough. */
  readonly keyring: string;
  /** The one key of the keyring that counts; all do where it is not given. */
  readonly fingerprint?: string | undefined;
  readonly now: Date;
  /** The suite may be meant by its codename or its `Suite`; Debian's is always meant by its codename. */
  readonly byRelease?: boolean;
  /** Reported instead of refused: what is in the cache when nothing may be fetched. */
  readonly onExpired?: (until: string) => void;
}

type Refuse = (why: string, hint?: string) => never;

const aside = "the mirror is damaged, or somebody stands between: try another one";

/** Verifies an InRelease file and reads it; anything but one signed text from the first byte to the last is refused. */
export async function verifyRelease(inRelease: Uint8Array, expected: Expected): Promise<Release> {
  const refuse = refusal("InRelease", expected);
  const text = plainText(inRelease, refuse);
  if (!text.startsWith("-----BEGIN PGP SIGNED MESSAGE-----\n"))
    refuse("does not begin with a signed message (a login page?)");
  const wanted = ["BEGIN PGP SIGNED MESSAGE", "BEGIN PGP SIGNATURE", "END PGP SIGNATURE"];
  if (!hasBlocks(text, wanted)) refuse("is not exactly one signed text");
  const message = await openpgp
    .readCleartextMessage({ cleartextMessage: text })
    .catch(() => refuse("is no OpenPGP message"));
  const keys = await keysOf(expected, refuse);
  const result = await openpgp.verify({ message, verificationKeys: keys, ...terms(expected) });
  return readRelease(result.data, expected, await signers(result.signatures, keys, refuse), refuse);
}

/** Verifies a Release file by the signature in its Release.gpg, for archives that have no InRelease. */
export async function verifyDetached(
  release: Uint8Array,
  signature: Uint8Array,
  expected: Expected,
): Promise<Release> {
  const refuse = refusal("Release", expected);
  const text = plainText(release, refuse);
  const armored = plainText(signature, refusal("Release.gpg", expected));
  if (
    !armored.startsWith("-----BEGIN PGP SIGNATURE-----\n") ||
    !hasBlocks(armored, ["BEGIN PGP SIGNATURE", "END PGP SIGNATURE"])
  )
    refuse("its Release.gpg is not exactly one signature (a login page?)");
  const read = await openpgp
    .readSignature({ armoredSignature: armored })
    .catch(() => refuse("its Release.gpg is no OpenPGP signature"));
  const keys = await keysOf(expected, refuse);
  const message = await openpgp.createMessage({ binary: release });
  const result = await openpgp.verify({
    message,
    signature: read,
    verificationKeys: keys,
    ...terms(expected),
  });
  return readRelease(text, expected, await signers(result.signatures, keys, refuse), refuse);
}

function refusal(file: string, { suite }: Expected): Refuse {
  return (why, hint = aside) => {
    throw new Fail(`${file} of ${suite}: ${why}`, { hint });
  };
}

function plainText(bytes: Uint8Array, refuse: Refuse): string {
  if (bytes.length > maxReleaseBytes) refuse(`more than ${maxReleaseBytes} bytes`);
  const text = Buffer.from(bytes).toString("utf8");
  if (/[\0\f\v]|\r/.test(text)) refuse("holds control characters or CRLF line ends");
  return text;
}

/** Exactly these lines of armor, and nothing after the last. */
function hasBlocks(text: string, wanted: readonly string[]): boolean {
  const lines = text.match(/^-----(BEGIN|END) PGP [A-Z ]+-----$/gm) ?? [];
  const last = `-----${wanted.at(-1)}-----`;
  return lines.join() === wanted.map((want) => `-----${want}-----`).join() && text.trimEnd().endsWith(last);
}

async function keysOf({ keyring, fingerprint }: Expected, refuse: Refuse): Promise<openpgp.Key[]> {
  const keys: openpgp.Key[] = await openpgp
    .readKeys({ armoredKeys: keyring })
    .catch(() => refuse("its key is no armored OpenPGP key", "gpg --export --armor FINGERPRINT"));
  if (fingerprint === undefined) return keys;
  const named = keys.filter((key) => key.getFingerprint().toUpperCase() === fingerprint);
  const held = keys.map((key) => key.getFingerprint().toUpperCase()).join(", ");
  if (named.length === 0) refuse(`no key has the fingerprint ${fingerprint}`, `there is ${held || "none"}`);
  return named;
}

function terms({ now }: Expected): { readonly date: Date; readonly config: openpgp.PartialConfig } {
  const { md5, ripemd, sha1 } = openpgp.enums.hash;
  return { date: now, config: { rejectHashAlgorithms: new Set([md5, ripemd, sha1]) } };
}

/** Fingerprints of the keys whose signatures verify. */
async function signers(
  signatures: openpgp.VerifyMessageResult["signatures"],
  keys: readonly openpgp.Key[],
  refuse: Refuse,
): Promise<string[]> {
  const signedBy = new Set<string>();
  for (const { verified, keyID } of signatures) {
    if (!(await verified.catch(() => false))) continue;
    const key = keys.find((known) => known.getKeys(keyID).length > 0);
    if (key !== undefined) signedBy.add(key.getFingerprint().toUpperCase());
  }
  if (signedBy.size === 0)
    refuse(
      "no signature by a key of this archive that imgbuild knows",
      "its keys may have changed: update imgbuild, or the key that the definition names",
    );
  return [...signedBy].sort();
}

function readRelease(text: string, expected: Expected, signedBy: readonly string[], refuse: Refuse): Release {
  const field = (name: string) => new RegExp(`^${name}: *(.*)$`, "m").exec(text)?.[1]?.trim() ?? "";
  const suite = field("Suite");
  const codename = field("Codename");
  const meant = expected.byRelease ? [codename, suite] : [codename];
  if (!meant.includes(expected.suite))
    refuse(`is for ${codename || suite || "no codename"}, not ${expected.suite}`);
  const date = new Date(field("Date"));
  if (Number.isNaN(date.getTime())) refuse("has no date");
  if (date.getTime() > expected.now.getTime() + clockSkewMs)
    refuse(`is dated ${date.toISOString()}, in the future`, "set this machine's clock");
  const until = field("Valid-Until");
  const expired = until !== "" && !(new Date(until).getTime() > expected.now.getTime());
  if (expired && expected.onExpired !== undefined) expected.onExpired(until);
  else if (expired)
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
  return {
    ...{ suite, codename, about, date: date.toISOString(), signedBy, files },
    ...(until === "" ? {} : { validUntil: until }),
  };
}
