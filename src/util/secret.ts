import { inspect } from "node:util";

/** Bytes that must not be seen: prints as `<secret name>` wherever it is formatted; leaves only by `expose()`. */
export class Secret {
  readonly name: string;
  readonly #bytes: Uint8Array;

  constructor(name: string, bytes: Uint8Array) {
    this.name = name;
    this.#bytes = bytes;
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
