import { createCipheriv, createECDH, createHash, createHmac, randomBytes } from "node:crypto";
import { Fail } from "../util/fail.ts";

/**
 * What a machine's TPM 2.0 opens, sealed without the machine: encrypted for the storage key of its owner's hierarchy, as an object that
 * is moved to it (TPM 2.0 Library, part 1, 23.3 and part 3; numbers of part 2). The TPM makes that key anew from its own seed each time, so
 * nothing is left in it.
 */
interface TpmSealed {
  readonly public: string;
  readonly duplicate: string;
  readonly seed: string;
  /** Whether register 7, Secure Boot's state, has to be what it was. */
  readonly register7: boolean;
}

/** Gives a command to a TPM; all of one opening go to the same session with it. */
export type SendToTpm = (command: Uint8Array) => Promise<Uint8Array>;

interface Point {
  readonly x: Buffer;
  readonly y: Buffer;
}

const sha256Id = 0x000b;
const nullId = 0x0010;
const owner = 0x40000001;
const nothing = 0x40000007;
const codes = {
  CreatePrimary: 0x131,
  Import: 0x156,
  Load: 0x157,
  Unseal: 0x15e,
  StartAuthSession: 0x176,
  PCR_Read: 0x17e,
  PolicyPCR: 0x17f,
} as const;
type Command = keyof typeof codes;

const u8 = (value: number) => Buffer.from([value]);
const u16 = (value: number) => Buffer.from([value >> 8, value & 0xff]);
const u32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};
const sized = (...parts: readonly Uint8Array[]) => {
  const bytes = Buffer.concat(parts);
  return Buffer.concat([u16(bytes.length), bytes]);
};
const hash = (...parts: readonly Uint8Array[]) => createHash("sha256").update(Buffer.concat(parts)).digest();
const none = u16(0);
/** One register, 7, of the bank of SHA-256. */
const selection = Buffer.concat([u32(1), u16(sha256Id), Buffer.from([3, 0x80, 0, 0])]);
/** An empty password, which is the authorization of the owner's hierarchy, of its storage key and of what is sealed. */
const password = Buffer.concat([u32(0x40000009), none, u8(0), none]);

/** The storage key's template, ECC P-256 with AES-128 (TCG EK Credential Profile, H-2), of an owner without a password. */
const storageKey = Buffer.concat([
  ...[u16(0x0023), u16(sha256Id), u32(0x00030472), none],
  ...[u16(0x0006), u16(128), u16(0x0043), u16(nullId), u16(0x0003), u16(nullId)],
  ...[sized(Buffer.alloc(32)), sized(Buffer.alloc(32))],
]);

/** Asks for the public half of the storage key; the TPM is as it was afterwards. */
export async function storageKeyOf(send: SendToTpm): Promise<Point> {
  return (await makeStorageKey(send)).point;
}

/** The value of register 7. */
export async function valueOfRegister7(send: SendToTpm): Promise<Buffer> {
  const answer = await call(send, "PCR_Read", { parameters: [selection] });
  // A counter, the selection, and the number of values come first.
  const value = answer.subarray(4 + selection.length + 4 + 2);
  if (value.length !== 32) throw new Fail("the TPM has no SHA-256 value of register 7");
  return Buffer.from(value);
}

/** Seals up to 128 bytes for the TPM of that storage key; with a value of register 7 for as long as it has that. */
export function sealForTpm(key: Point, plain: Uint8Array, register?: Uint8Array): TpmSealed {
  const policy = register === undefined ? Buffer.alloc(0) : policyOf(register);
  const obfuscation = randomBytes(32);
  // Any TPM that has the parent may load it; without a policy the empty password opens it. It counts for no lockout.
  const attributes = 0x400 | (register === undefined ? 0x40 : 0);
  const area = Buffer.concat([
    ...[u16(0x0008), u16(sha256Id), u32(attributes), sized(policy), u16(nullId)],
    sized(hash(obfuscation, plain)),
  ]);
  const name = Buffer.concat([u16(sha256Id), hash(area)]);
  const sensitive = sized(Buffer.concat([u16(0x0008), none, sized(obfuscation), sized(plain)]));
  const ephemeral = createECDH("prime256v1");
  const own = ephemeral.generateKeys();
  const [x, y] = [own.subarray(1, 33), own.subarray(33)];
  const shared = ephemeral.computeSecret(Buffer.concat([u8(4), key.x, key.y]));
  const seed = hash(u32(1), shared, Buffer.from("DUPLICATE\0"), x, key.x);
  const cipher = createCipheriv("aes-128-cfb", derive(seed, "STORAGE", name, 128), Buffer.alloc(16));
  const encrypted = Buffer.concat([cipher.update(sensitive), cipher.final()]);
  const mac = createHmac("sha256", derive(seed, "INTEGRITY", Buffer.alloc(0), 256));
  const integrity = mac.update(Buffer.concat([encrypted, name])).digest();
  const base64 = (bytes: Buffer) => bytes.toString("base64");
  return {
    public: base64(sized(area)),
    duplicate: base64(sized(sized(integrity), encrypted)),
    seed: base64(sized(sized(x), sized(y))),
    register7: register !== undefined,
  };
}

/** Opens it. */
export async function openByTpm(sealed: TpmSealed, send: SendToTpm): Promise<Uint8Array> {
  const bytes = (text: string) => Buffer.from(text, "base64");
  const area = bytes(sealed.public);
  const { handle: parent } = await makeStorageKey(send);
  const imported = await call(send, "Import", {
    ...{ handles: [parent], session: password },
    parameters: [none, area, bytes(sealed.duplicate), bytes(sealed.seed), u16(nullId)],
  }).catch((error: unknown) => {
    throw new Fail("the machine's TPM is another than that for which the medium was made", { cause: error });
  });
  const loaded = await call(send, "Load", {
    ...{ handles: [parent], session: password, parameters: [sizedIn(imported, 0), area] },
    givesHandle: true,
  });
  const session = sealed.register7 ? await policySession(send) : password;
  const opened = await call(send, "Unseal", { handles: [loaded.subarray(0, 4)], session }).catch(
    (error: unknown) => {
      throw sealed.register7
        ? new Fail("the TPM does not open it: Secure Boot's state, its register 7, is another", {
            cause: error,
          })
        : error;
    },
  );
  return Uint8Array.from(sizedIn(opened, 0).subarray(2));
}

async function makeStorageKey(send: SendToTpm): Promise<{ handle: Buffer; point: Point }> {
  const answer = await call(send, "CreatePrimary", {
    ...{ handles: [u32(owner)], session: password, givesHandle: true },
    parameters: [sized(none, none), sized(storageKey), none, u32(0)],
  });
  // After handle and size the public area; its point is the last of it.
  const area = sizedIn(answer, 4);
  const [x, y] = [area.subarray(-66, -34), area.subarray(-32)].map((one) => Buffer.from(one));
  return { handle: answer.subarray(0, 4), point: { x: x!, y: y! } };
}

async function policySession(send: SendToTpm): Promise<Buffer> {
  const answer = await call(send, "StartAuthSession", {
    handles: [u32(nothing), u32(nothing)],
    parameters: [sized(randomBytes(16)), none, u8(1), u16(nullId), u16(sha256Id)],
  });
  const session = answer.subarray(0, 4);
  await call(send, "PolicyPCR", { handles: [session], parameters: [none, selection] });
  return Buffer.concat([session, none, u8(0), none]);
}

function policyOf(register: Uint8Array): Buffer {
  return hash(Buffer.alloc(32), u32(codes.PolicyPCR), selection, hash(register));
}

/** KDFa: one round of HMAC is all that is needed. */
function derive(seed: Buffer, label: string, context: Buffer, bits: number): Buffer {
  const text = Buffer.concat([u32(1), Buffer.from(`${label}\0`), context, u32(bits)]);
  return createHmac("sha256", seed)
    .update(text)
    .digest()
    .subarray(0, bits / 8);
}

/** The answer without its head; where a command with a session gives parameters alone, without their size as well. */
async function call(
  send: SendToTpm,
  name: Command,
  about: {
    readonly handles?: readonly Uint8Array[];
    readonly session?: Uint8Array;
    readonly parameters?: readonly Uint8Array[];
    readonly givesHandle?: boolean;
  },
): Promise<Buffer> {
  const { handles = [], session, parameters = [], givesHandle = false } = about;
  const body = Buffer.concat([
    u32(codes[name]),
    ...handles,
    ...(session === undefined ? [] : [u32(session.length), session]),
    ...parameters,
  ]);
  const answer = Buffer.from(
    await send(Buffer.concat([u16(session === undefined ? 0x8001 : 0x8002), u32(body.length + 6), body])),
  );
  const code = answer.length < 10 ? undefined : answer.readUInt32BE(6);
  if (code !== 0)
    throw new Fail(
      `the TPM answered ${code === undefined ? "nothing" : `0x${code.toString(16)}`} to ${name}`,
    );
  const rest = answer.subarray(10);
  if (session === undefined) return rest;
  // The size of the parameters stands after the handle.
  const at = givesHandle ? 4 : 0;
  const size = rest.readUInt32BE(at);
  return Buffer.concat([rest.subarray(0, at), rest.subarray(at + 4, at + 4 + size)]);
}

/** A sized part with its size. */
function sizedIn(bytes: Buffer, at: number): Buffer {
  return bytes.subarray(at, at + 2 + bytes.readUInt16BE(at));
}
