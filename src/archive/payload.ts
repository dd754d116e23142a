import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from "node:crypto";
import { z } from "zod";
import { Machine } from "../schema/base/deploy.ts";
import { canonicalJson, sha256 } from "../util/digest.ts";
import { Fail, messageOf } from "../util/fail.ts";
import { gunzipTar, tarGz, tarMembers } from "./tar.ts";

/** What a base on the smallest machine can hold with everything else. */
const caps = { bytes: 32 * 1024 * 1024, members: 20_000 };
/** A clock may differ by this much: many keep local time instead of UTC. */
export const clockToleranceMs = 24 * 60 * 60 * 1000;
const manifestName = "manifest.json";
const signatureName = "manifest.sig";

const Manifest = z.strictObject({
  version: z.literal(2),
  nonce: z.string(),
  machine: Machine,
  created: z.iso.datetime(),
  /** Without it no clock counts. */
  expires: z.iso.datetime().optional(),
  files: z.record(
    z.string(),
    z.strictObject({ size: z.int().min(0), sha256: z.string().regex(/^[0-9a-f]{64}$/) }),
  ),
});
type Manifest = z.output<typeof Manifest>;

/** A key for one deploy. `publicKey` is an Ed25519 SPKI, DER in base64. */
export function generateSigningKey(): { privateKey: KeyObject; publicKey: string } {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  return { privateKey, publicKey: publicKey.export({ type: "spki", format: "der" }).toString("base64") };
}

/** Before the 32 bytes of an Ed25519 key in PKCS #8 (RFC 8410). */
const pkcs8Head = Buffer.from("302e020100300506032b657004220420", "hex");

/** The same pair for the same 32 bytes: where a signature only shows damage, and what is signed must be the same each time. */
export function signingKeyFrom(seed: Uint8Array): { privateKey: KeyObject; publicKey: string } {
  const key = Buffer.concat([pkcs8Head, seed]);
  const privateKey = createPrivateKey({ key, format: "der", type: "pkcs8" });
  const publicKey = createPublicKey(privateKey).export({ type: "spki", format: "der" });
  return { privateKey, publicKey: publicKey.toString("base64") };
}

/** A signed .tar.gz for one machine and one deploy: the manifest, its signature, then the files, sorted. Same input, same bytes. */
export async function writePayload(input: {
  readonly created: Date;
  /** Undefined: of any age; the machine's clock does not count. */
  readonly expires: Date | undefined;
  readonly nonce: string;
  readonly machine: Machine;
  /** Relative path → bytes. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly privateKey: KeyObject;
}): Promise<Uint8Array> {
  const files = [...input.files].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const name of [manifestName, signatureName])
    if (input.files.has(name)) throw new Fail(`a payload's own ${name} cannot be one of its files`);
  const manifest: Manifest = {
    version: 2,
    nonce: input.nonce,
    machine: input.machine,
    created: input.created.toISOString(),
    ...(input.expires === undefined ? {} : { expires: input.expires.toISOString() }),
    files: Object.fromEntries(
      files.map(([path, bytes]) => [path, { size: bytes.length, sha256: sha256(bytes) }]),
    ),
  };
  const text = Buffer.from(canonicalJson(manifest));
  const packed = await tarGz([
    { name: manifestName, content: text },
    { name: signatureName, content: sign(null, text, input.privateKey) },
    ...files.map(([name, content]) => ({ name, content })),
  ]);
  try {
    gunzipTar(packed, caps);
  } catch (error) {
    throw new Fail(`the payload is too large: ${messageOf(error)}`, {
      cause: error,
      hint: "put large files of the definition into a package",
    });
  }
  return packed;
}

/**
 * Opens a payload: signature first, then whether it is for this machine and deploy, then each file against the manifest.
 * `now` undefined: it was judged before, so the payload's age is not judged again.
 */
export async function readPayload(
  bytes: Uint8Array,
  expected: {
    readonly publicKey: string;
    readonly nonce: string;
    /** As this machine's hardware says. */
    readonly machine: Machine;
    readonly now: Date | undefined;
  },
): Promise<{ files: Map<string, Uint8Array> }> {
  const members = tarMembers(gunzipTar(bytes, caps));
  const manifestBytes = await take(members, manifestName);
  const signature = await take(members, signatureName);
  if (!isSigned(manifestBytes, signature, expected.publicKey))
    throw new Fail("the payload's signature is not that of this deploy", { hint: "nothing in it was used" });
  const manifest = parseManifest(manifestBytes);
  if (manifest.nonce !== expected.nonce)
    throw new Fail("the payload belongs to another deploy: its nonce differs");
  checkMachine(manifest.machine, expected.machine);
  if (expected.now !== undefined) checkAge(manifest, expected.now);
  const files = new Map<string, Uint8Array>();
  for await (const { name, content } of members) {
    const listed = Object.hasOwn(manifest.files, name) ? manifest.files[name] : undefined;
    if (listed === undefined)
      throw new Fail(`the payload has ${JSON.stringify(name)}, which its manifest does not name`);
    if (files.has(name)) throw new Fail(`the payload has ${JSON.stringify(name)} twice`);
    if (content.length !== listed.size || sha256(content) !== listed.sha256)
      throw new Fail(`the payload's ${JSON.stringify(name)} is not what its manifest says`);
    files.set(name, content);
  }
  const missing = Object.keys(manifest.files).find((name) => !files.has(name));
  if (missing !== undefined) throw new Fail(`the payload lacks ${JSON.stringify(missing)}`);
  return { files };
}

/** What both know of a machine must agree, and there must be something that both know, where anything was signed. */
function checkMachine(signed: Machine, own: Machine): void {
  if (signed.uuid === undefined && signed.macs.length === 0) return;
  const shown = ({ uuid, macs }: Machine) => [uuid ?? "no UUID", ...macs].join(", ");
  const refuse = (why: string) =>
    new Fail(
      `the payload is for another machine: ${why} (signed for ${shown(signed)}; this is ${shown(own)})`,
      {
        hint: "deploy to this machine itself",
      },
    );
  const bothUuids = signed.uuid !== undefined && own.uuid !== undefined;
  const bothMacs = signed.macs.length > 0 && own.macs.length > 0;
  if (bothUuids && signed.uuid !== own.uuid) throw refuse("the UUID of its hardware differs");
  if (bothMacs && !signed.macs.some((mac) => own.macs.includes(mac)))
    throw refuse("it has none of the network cards");
  if (!bothUuids && !bothMacs) throw refuse("nothing of its hardware can be compared");
}

function checkAge({ created, expires }: Manifest, now: Date): void {
  if (expires === undefined) return;
  const clock = `this machine's clock says ${now.toISOString()}`;
  const hint =
    "set its hardware clock (`hwclock --systohc` in the old system), or deploy with --ignore-clock";
  if (now.getTime() < Date.parse(created) - clockToleranceMs)
    throw new Fail(`the payload was made at ${created}, and ${clock}`, { hint });
  if (now.getTime() >= Date.parse(expires) + clockToleranceMs)
    throw new Fail(`the payload expired at ${expires}, and ${clock}`, {
      hint: `deploy again; if the clock is wrong, ${hint}`,
    });
}

async function take(
  members: AsyncGenerator<{ name: string; content: Uint8Array }>,
  name: string,
): Promise<Uint8Array> {
  const { value, done } = await members.next();
  if (done === true || value.name !== name)
    throw new Fail(`the payload does not begin with ${manifestName} and ${signatureName}`);
  return value.content;
}

function isSigned(bytes: Uint8Array, signature: Uint8Array, publicKey: string): boolean {
  let key: KeyObject;
  try {
    key = createPublicKey({ key: Buffer.from(publicKey, "base64"), format: "der", type: "spki" });
  } catch (error) {
    throw new Fail("the deploy's public key is not an Ed25519 key", { cause: error });
  }
  // Other algorithms would be accepted as well, with other strengths.
  if (key.asymmetricKeyType !== "ed25519") throw new Fail("the deploy's public key is not an Ed25519 key");
  return verify(null, bytes, key, signature);
}

function parseManifest(bytes: Uint8Array): Manifest {
  try {
    return Manifest.parse(JSON.parse(Buffer.from(bytes).toString("utf8")));
  } catch (error) {
    throw new Fail("the payload's manifest is not one this version understands", { cause: error });
  }
}
