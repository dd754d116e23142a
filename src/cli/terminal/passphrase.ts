import { Fail } from "../../util/fail.ts";
import type { Secret } from "../../util/secret.ts";
import type { Cli } from "./context.ts";

/** Asks twice for a passphrase that something is to be encrypted with. */
export async function newPassphrase(
  cli: Pick<Cli, "askSecret">,
  question = "New passphrase: ",
): Promise<Secret> {
  const [first, second] = [await cli.askSecret(question), await cli.askSecret("Once more: ")];
  if (first.expose().length === 0) throw new Fail("the passphrase is empty");
  if (Buffer.compare(first.expose(), second.expose()) !== 0) throw new Fail("the two passphrases differ");
  return first;
}
