import { openBytes, readAgeFile } from "../../secrets/open.ts";
import { Fail } from "../../util/fail.ts";
import { Secret } from "../../util/secret.ts";
import type { DeployWorld } from "../deploy/world.ts";
import { identityLinesOf, isLockedIdentity, readIdentityFile } from "./identity-file.ts";

const connectMs = 30_000;
/** An emulated machine opens every secret once. */
const answerMs = 300_000;

/** What is sent, and by what the machine is known; without a fingerprint by known_hosts. */
interface Sending {
  readonly files: readonly string[];
  readonly baseKey?: string | undefined;
  readonly passphrase: (of: string) => Promise<Secret>;
}

/** Gives a machine that runs a rescue medium an age identity for its secrets, and what the medium answers. It goes on stdin, by a pinned key. */
export async function sendIdentity(
  { files, baseKey, passphrase }: Sending,
  world: Pick<DeployWorld, "connect" | "log">,
): Promise<string> {
  if (files.length === 0)
    throw new Fail("no identity was given to send", {
      hint: "name your age identity file by --identity FILE or in IMGBUILD_IDENTITY",
    });
  const identity = await identityIn(files, passphrase);
  try {
    const pins = baseKey === undefined ? {} : { pins: [baseKey] };
    const host = await world.log.task("connecting to the medium's base", () =>
      world.connect({ user: "root", timeoutMs: connectMs, ...pins }),
    );
    try {
      const argv = ["imgbuild-rescue", "--identity"];
      const { code, stdout, stderr } = await host.exec(argv, {
        ...{ stdin: identity.expose(), timeoutMs: answerMs, accept: "any" },
      });
      if (code === 0) return stdout.trim();
      if (code === 127)
        throw new Fail("what answers runs no rescue medium", { hint: "look at the machine's console" });
      const [why = "", ...hint] = (stdout.trim() || stderr.trim()).replace(/^FAILED: /, "").split("\n");
      throw new Fail(why, hint.length === 0 ? {} : { hint: hint.join("\n") });
    } finally {
      host.close();
    }
  } finally {
    identity.wipe();
  }
}

/** The keys of all files, each line once; of a file with a passphrase, what that opens. */
async function identityIn(files: readonly string[], passphrase: Sending["passphrase"]): Promise<Secret> {
  const texts: string[] = [];
  for (const file of files) {
    const text = await readIdentityFile(file);
    if (!isLockedIdentity(text)) {
      texts.push(text);
      continue;
    }
    const how = { identities: [], name: "identity", passphrase: () => passphrase(file) };
    const opened = await openBytes(await readAgeFile(file), file, how);
    texts.push(Buffer.from(opened.expose()).toString("utf8"));
    opened.wipe();
  }
  const lines = identityLinesOf(texts);
  if (lines === "")
    throw new Fail(`${files.join(", ")}: a medium takes an age identity alone, not an SSH key`, {
      hint: "make one with `imgbuild secrets keygen`, add its recipient to secrets/recipients, and run `imgbuild secrets rekey`",
    });
  return new Secret("identity", Buffer.from(lines));
}
