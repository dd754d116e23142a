import { inspect } from "node:util";

/** Those that something still holds; see `redacted`. */
const known = new Set<WeakRef<Secret>>();

/** The secrets that this process holds. */
export function knownSecrets(): Secret[] {
  return [...known].flatMap((one) => {
    const secret = one.deref();
    if (secret === undefined) known.delete(one);
    return secret ?? [];
  });
}

/** Bytes that must not be seen: prints as `<secret name>` wherever it is formatted; leaves only by `expose()`. */
export class Secret {
  readonly name: string;
  readonly #bytes: Uint8Array;

  constructor(name: string, bytes: Uint8Array) {
    this.name = name;
    this.#bytes = bytes;
    known.add(new WeakRef(this));
  }

  /** The bytes themselves, for a child's stdin, a sealed envelope or a file at the declared path. */
  expose(): Uint8Array {
    return this.#bytes;
  }

  /** Overwrites the bytes; the secret is empty afterwards. */
  wipe(): void {
    this.#bytes.fill(0);
  }

  toString(): string {
    return `<secret ${this.name}>`;
  }

  toJSON(): string {
    return this.toString();
  }

  [inspect.custom](): string {
    return this.toString();
  }
}
