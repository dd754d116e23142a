import { Fail } from "../../util/fail.ts";
import type { Secret } from "../../util/secret.ts";
import type { SecretInput, StepContext } from "./step.ts";

export function secretBytes(
  context: Pick<StepContext, "secrets">,
  { name, trim }: SecretInput[number],
): Uint8Array {
  const bytes = secretIn(context, name).expose();
  return trim ? trimmed(bytes) : bytes;
}

export function secretIn({ secrets }: Pick<StepContext, "secrets">, name: string): Secret {
  const secret = secrets.get(name);
  if (secret === undefined) throw new Fail(`the secret ${name} is not at hand`);
  return secret;
}

/** A passphrase as it is typed: without the newline that ends its file. */
export function trimmed(bytes: Uint8Array): Uint8Array {
  const last = bytes.length - 1;
  return bytes[last] === 0x0a ? bytes.subarray(0, last) : bytes;
}
