import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { constants, userInfo } from "node:os";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { Fail } from "../../util/fail.ts";
import { run } from "../run/run.ts";
import { type IdMaps, mapIds, mapsName, mapWords, outsideOf, parseIdMap, subordinateIds } from "./id-maps.ts";

/** Making a namespace and mapping its ids take milliseconds. */
const enterMs = 20_000;

export interface OrdinaryUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** Who runs this, by the passwd database; undefined for an id that has no entry there, which newuidmap refuses. */
export function thisUser(): OrdinaryUser | undefined {
  try {
    const { username, uid, gid } = userInfo();
    return { name: username, uid, gid };
  } catch {
    return undefined;
  }
}

/** The number by which the machine knows this user, in a namespace too, where we are root: for names that users share. */
export function realUid(): number {
  const uid = process.getuid?.() ?? 0;
  try {
    const map = parseIdMap(readFileSync("/proc/self/uid_map", "utf8"));
    return outsideOf(map, uid) ?? uid;
  } catch {
    return uid;
  }
}

/** The ids that builds of this process see: root's as they are, a user's as in the namespace that `spawnAsRoot` makes. */
export async function ownMaps(): Promise<IdMaps | undefined> {
  const read = (file: string) => readFile(file, "utf8").catch(() => "");
  if (process.getuid?.() === 0)
    return {
      uids: parseIdMap(await read("/proc/self/uid_map")),
      gids: parseIdMap(await read("/proc/self/gid_map")),
    };
  const user = thisUser();
  return user && mapsFor(user, await read("/etc/subuid"), await read("/etc/subgid"));
}

/** Whether the numbers of owners that we see are others outside. */
export async function idsAreMapped(): Promise<boolean> {
  const maps = await ownMaps();
  return maps !== undefined && mapsName(maps) !== undefined;
}

export function mapsFor(user: OrdinaryUser, subuid: string, subgid: string): IdMaps {
  const owner = { name: user.name, id: user.uid };
  return {
    uids: mapIds(user.uid, subordinateIds(subuid, owner)),
    gids: mapIds(user.gid, subordinateIds(subgid, owner)),
  };
}

/**
 * Waits until its ids are mapped, because only then it is root. The signal comes when we die, for any reason: no build goes
 * on alone. The group is set anew, since the user may have another one at present (newgrp) than is mapped.
 */
const gate = `echo >&3 && read -r _ <&3 && exec 3>&- && exec setpriv --pdeathsig TERM --regid 0 --keep-groups -- "$@"`;

/** The argv that waits in a namespace of its own to become `argv`. */
export function gateArgv(argv: readonly string[]): string[] {
  return ["unshare", "--user", "--mount", "--", "sh", "-c", gate, "sh", ...argv];
}

/** What maps the ids of a process' namespace: both programs are setuid root, and look into /etc/subuid and /etc/subgid. */
export function mapArgv(pid: number, maps: IdMaps): string[][] {
  return [
    ["newuidmap", String(pid), ...mapWords(maps.uids)],
    ["newgidmap", String(pid), ...mapWords(maps.gids)],
  ];
}

/**
 * Starts a program as root of a new user namespace, in our process group: keys typed at the terminal reach it as they
 * reach us. What it writes as root is the user's outside. The ids are mapped by newuidmap itself and not by unshare's
 * own options, whose meaning differs between versions of util-linux.
 */
export async function spawnAsRoot(
  argv: readonly string[],
  maps: IdMaps,
  options: {
    readonly env: Readonly<Record<string, string | undefined>>;
    readonly stdio: readonly ["inherit" | "ignore", "inherit" | "ignore" | "pipe", "inherit" | "pipe"];
  },
): Promise<ChildProcess> {
  const [program, ...args] = gateArgv(argv);
  const child = spawn(program!, args, { env: { ...options.env }, stdio: [...options.stdio, "pipe"] });
  const line = child.stdio[3] as Socket;
  line.on("error", () => {});
  const ended = once(child, "exit").then(
    () => undefined,
    (error: Error) => error,
  );
  try {
    const late = sleep(enterMs, undefined, { ref: false });
    const first = await Promise.race([once(line, "data"), ended, late]);
    if (first instanceof Error) throw new Fail(`unshare could not be started: ${first.message}`);
    if (first === undefined) throw new Fail(`a user namespace could not be made${await lastWords(child)}`);
    for (const map of mapArgv(child.pid!, maps)) await run(map, { timeoutMs: enterMs });
    line.end("\n");
    return child;
  } catch (error) {
    // The gate never opens then, and the program that waits at it ends.
    line.destroy();
    throw error;
  }
}

/** As a shell shows it: the exit code, or 128 plus the signal's number. */
export async function exitCodeOf(child: ChildProcess): Promise<number> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  return child.exitCode ?? 128 + (constants.signals[child.signalCode!] ?? 0);
}

async function lastWords(child: ChildProcess): Promise<string> {
  child.kill("SIGKILL");
  const printed = child.stderr === null ? "" : (await text(child.stderr)).trim();
  return printed === "" ? "" : `: ${printed}`;
}
