import { spawn } from "node:child_process";
import { once } from "node:events";
import { openSync, readFileSync, writeFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { Fail } from "../../util/fail.ts";
import { plainEnv } from "../run/run.ts";
import { parseIdMap } from "../user/id-maps.ts";
import { boundArgv } from "./process-bound.ts";

/** Making a namespace and mapping its ids take milliseconds. */
const makeMs = 20_000;

/**
 * Says that it is there, waits for its ids, and forbids further namespaces of users below itself. Only a program started after the ids are
 * mapped has the rights to do so.
 */
const gate = `echo && read -r _ && exec sh -c '
{ echo 0 > /proc/sys/user/max_user_namespaces; } 2> /dev/null
echo && read -r _'`;

let namespace: Promise<number> | undefined;

/**
 * The user namespace in which this process' foreign programs run, as a descriptor: made once, and there until this process ends. Its
 * ids are ours, so that files keep their owners; its root is not the machine's root, even where this process is: it has none of the machine's
 * capabilities.
 */
export async function doorNamespace(): Promise<number> {
  namespace ??= makeNamespace(boundArgv(["unshare", "--user", "--", "sh", "-c", gate]));
  return await namespace;
}

/** The namespace of a program that follows the gate's protocol; `proc` is where the kernel shows processes. */
export async function makeNamespace(
  [program, ...args]: readonly string[],
  proc = "/proc",
  boundMs = makeMs,
): Promise<number> {
  const child = spawn(program!, args, { env: plainEnv, stdio: ["pipe", "pipe", "pipe"] });
  child.stdin.on("error", () => {});
  const printed = text(child.stderr);
  const failed = once(child, "exit").then(
    () => false,
    () => false,
  );
  const late = sleep(boundMs, false, { ref: false });
  const line = async () => {
    if (await Promise.race([once(child.stdout, "data").then(() => true), failed, late])) return;
    // Its output ends with it.
    child.kill("SIGKILL");
    throw refusal((await printed).trim());
  };
  try {
    await line();
    for (const map of ["uid_map", "gid_map"])
      writeFileSync(`${proc}/${child.pid}/${map}`, identity(readFileSync(`/proc/self/${map}`, "utf8")));
    child.stdin.write("\n");
    await line();
    return openSync(`${proc}/${child.pid}/ns/user`, "r");
  } finally {
    child.kill("SIGKILL");
  }
}

/** The map that leaves every id that we have as it is. */
export function identity(map: string): string {
  return parseIdMap(map)
    .map(({ inside, count }) => `${inside} ${inside} ${count}\n`)
    .join("");
}

function refusal(printed: string): Fail {
  return new Fail(
    `packages' programs run in a user namespace, which cannot be made${printed === "" ? "" : `: ${printed}`}`,
    { hint: "is user.max_user_namespaces 0 (sysctl), or is this a container that forbids them?" },
  );
}
