import { Unlock } from "../../schema/storage-content.ts";
import { exitCodes, Fail } from "../../util/fail.ts";

/** What opens the secrets of a medium with nothing typed. */
export type UnlockOption =
  | {
      readonly type: "tang";
      readonly url: string;
      readonly thumbprint: string;
      /** A file with what the server says of its keys, where it is not reached from here. */
      readonly adv?: string | undefined;
    }
  | { readonly type: "tpm2"; readonly host: string; readonly register7: boolean };

const forms = "tang:URL,thumbprint=…[,adv=FILE] and tpm2:HOST[,pcrs=7] are accepted";

/** "tang:http://192.0.2.10,thumbprint=…" or "tpm2:root@192.0.2.10": words as those of a volume that is unlocked so. */
export function parseUnlock(word: string): UnlockOption {
  const [kind, rest = ""] = splitAt(word, ":");
  const [where = "", ...more] = rest.split(",");
  const said = new Map(more.map((one) => splitAt(one, "=")));
  const refuse = (why: string, hint = forms) =>
    new Fail(`--unlock ${word}: ${why}`, { exitCode: exitCodes.usage, hint });
  const onlyWords = (...known: readonly string[]) => {
    for (const [name, value] of said)
      if (!known.includes(name) || !value) throw refuse(`${name} is not accepted after ${kind}:${where}`);
  };
  if (kind === "tpm2") {
    onlyWords("pcrs");
    const registers = said.get("pcrs");
    if (where === "") throw refuse("the host is missing");
    if (registers !== undefined && registers !== "7")
      throw refuse(
        "register 7 alone is accepted",
        "it has Secure Boot's state and keys; the others have what was started, which a medium is not",
      );
    return { type: "tpm2", host: where, register7: registers !== undefined };
  }
  if (kind !== "tang") throw refuse(`${kind} opens no medium`);
  onlyWords("thumbprint", "adv");
  const thumbprint = said.get("thumbprint");
  if (thumbprint === undefined)
    throw refuse("the thumbprint of the server's signing key is missing", "`tang-show-keys` on it prints it");
  const url = where.replace(/\/+$/, "");
  const read = Unlock.safeParse({ type: "tang", url, thumbprint });
  if (!read.success) throw refuse(read.error.issues.map(({ message }) => `expected ${message}`).join("; "));
  return { type: "tang", url, thumbprint, adv: said.get("adv") };
}

function splitAt(text: string, mark: string): [string, string | undefined] {
  const at = text.indexOf(mark);
  return at === -1 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}
