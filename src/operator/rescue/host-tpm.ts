import type { SendToTpm } from "../../secrets/tpm2.ts";
import type { Host } from "../../transport/host.ts";
import { Fail } from "../../util/fail.ts";
import { deployWorld, type LoginOptions, type Outside } from "../deploy/inputs.ts";
import { hostFor } from "../host/target.ts";

const askMs = 120_000;
/** A command comes on stdin, and goes to the TPM in one write; the answer is one read. The kernel keeps it apart from what others do. */
const script = `[ -e "$1" ] || { echo "$1 is not there" >&2; exit 3; }
exec 3<>"$1" && cat >&3 && dd bs=4096 count=1 <&3 2>/dev/null | od -An -v -tx1`;

/** Speaks to the TPM of a host. */
export type TpmOf = <T>(host: string, ask: (send: SendToTpm) => Promise<T>) => Promise<T>;

/** To that of a host that runs, as root over SSH; the host needs no program for it. Each command is on its own. */
export function tpmOverSsh(login: LoginOptions, outside: Outside): TpmOf {
  return (word, ask) => connected(word, login, outside, ask);
}

async function connected<T>(
  word: string,
  login: LoginOptions,
  outside: Outside,
  ask: (send: SendToTpm) => Promise<T>,
): Promise<T> {
  const { host, record } = await hostFor(word, outside.log);
  const world = deployWorld(host, { ...login, record }, outside, async () => {});
  const old = await world.connect({});
  try {
    const by = await old.becomeRoot(world.password === undefined ? {} : { askPassword: world.password });
    if (by === "impossible")
      throw new Fail(`the login to ${host} is not root, and neither sudo nor doas makes it so`, {
        hint: "log in as root, or allow sudo",
      });
    return await ask(sendTo(old, by !== "none"));
  } finally {
    old.close();
  }
}

export function sendTo(host: Pick<Host, "name" | "exec">, root: boolean, device = "/dev/tpmrm0"): SendToTpm {
  return async (command) => {
    const { code, stdout, stderr } = await host.exec(["sh", "-c", script, "sh", device], {
      ...{ stdin: command, timeoutMs: askMs, accept: "any", root },
    });
    if (code !== 0)
      throw new Fail(`the TPM 2.0 of ${host.name} cannot be asked: ${stderr.trim() || `exit ${code}`}`, {
        hint: "is it switched on in the firmware, and has the host's kernel its driver?",
      });
    return Buffer.from(stdout.replace(/\s+/g, ""), "hex");
  };
}
