import { Fail } from "../util/fail.ts";
import type { Secret } from "../util/secret.ts";
import { execOn } from "./exec.ts";
import type { Session } from "./session.ts";

export type RootBy = "none" | "sudo" | "doas" | "impossible";

/** How a command runs as root: what goes before its argv, and before its stdin. */
export interface RootWay {
  readonly by: RootBy;
  readonly wrap: (argv: readonly string[]) => readonly string[];
  readonly password: Secret | undefined;
}

const smallMs = 30_000;
const tries = 3;

/** Finds out how to act as root, and proves it by `id -u`. The password stays in memory and goes only into sudo's stdin. */
export async function findRoot(session: Session, ask: (() => Promise<Secret>) | undefined): Promise<RootWay> {
  const isRoot = async (argv: readonly string[], stdin = "") => {
    const { code, stdout } = await execOn(session, [...argv, "id", "-u"], {
      stdin,
      accept: "any",
      timeoutMs: smallMs,
    });
    return code === 0 && stdout.trim() === "0";
  };
  const way = (by: RootBy, before: readonly string[]): RootWay => ({
    by,
    wrap: (argv) => [...before, ...argv],
    password: undefined,
  });
  if (await isRoot([])) return way("none", []);
  if (await isRoot(sudoPlain)) return way("sudo", sudoPlain);
  if (await isRoot(doas)) return way("doas", doas);
  const hasSudo =
    (await execOn(session, ["sh", "-c", "command -v sudo"], { accept: "any", timeoutMs: smallMs })).code ===
    0;
  if (!hasSudo || ask === undefined) return way("impossible", []);
  for (let attempt = 1; attempt <= tries; attempt += 1) {
    const password = await ask();
    if (await isRoot(sudoPassword, `${Buffer.from(password.expose()).toString("utf8")}\n`))
      return { by: "sudo", wrap: (argv) => [...sudoPassword, ...argv], password };
    password.wipe();
  }
  throw new Fail(`sudo on ${session.name} refused the password, or the user may not become root`, {
    hint: "`sudo -v` on the host shows which; log in as root, or as a user with sudo",
  });
}

/** stdin of a command as root: the password's line first, where sudo reads one. */
export function passwordLine(way: RootWay): Uint8Array {
  return way.password === undefined
    ? new Uint8Array()
    : Buffer.concat([way.password.expose(), Buffer.from("\n")]);
}

const sudoPlain = ["sudo", "-n", "--"];
const doas = ["doas", "-n"];
// -k: sudo asks every time, even with a valid ticket; else the password's line would be the command's stdin. For the same
// reason sudo always sees the same command, because a rule may need no password for some.
const sudoPassword = ["sudo", "-k", "-S", "-p", "", "--", "sh", "-c", 'exec "$@"', "sh"];
