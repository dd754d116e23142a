import { constants } from "node:fs";
import { access, readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { installArgv } from "../../tables/distribution.ts";
import { messageOf } from "../../util/fail.ts";
import { plainEnv } from "../run/run.ts";
import { countIds, type IdMaps, neededIds, wantedIds } from "./id-maps.ts";
import { exitCodeOf, mapsFor, type OrdinaryUser, spawnAsRoot, thisUser } from "./user-namespace.ts";

/** Why an ordinary user cannot build here, and the command that changes it, where there is one. */
export interface Trouble {
  readonly reason: string;
  readonly fix?: readonly string[];
}

/** What decides it, as the machine says it; undefined for a file that this kernel does not have. */
export interface NamespaceFacts {
  readonly user: OrdinaryUser | undefined;
  readonly subuid: string;
  readonly subgid: string;
  /** newuidmap and newgidmap are there. */
  readonly programs: boolean;
  /** /proc/self/status: setuid programs gain nothing. */
  readonly noNewPrivileges: boolean;
  /** Debian's own switch, before kernel 6. */
  readonly unprivilegedClone: string | undefined;
  readonly maxNamespaces: string | undefined;
  /** Ubuntu's switch: a namespace of a program without a profile has no rights in it. */
  readonly appArmorRestricts: string | undefined;
}

/** Everything in the way, to be mended at once; first what can be read, then what only a try shows. */
export async function namespaceTroubles(): Promise<Trouble[]> {
  const facts = await namespaceFacts();
  const known = troublesIn(facts);
  if (known.length > 0 || facts.user === undefined) return known;
  const printed = await tryNamespace(mapsFor(facts.user, facts.subuid, facts.subgid));
  return printed === undefined ? [] : [troubleOf(printed, facts)];
}

/** What the facts alone show. */
export function troublesIn(facts: NamespaceFacts): Trouble[] {
  const { user } = facts;
  const troubles: Trouble[] = [];
  if (facts.unprivilegedClone?.trim() === "0")
    troubles.push({
      reason: "the kernel gives user namespaces to root alone (kernel.unprivileged_userns_clone=0)",
      fix: ["sysctl", "-w", "kernel.unprivileged_userns_clone=1"],
    });
  if (facts.maxNamespaces?.trim() === "0")
    troubles.push({
      reason: "the kernel gives no user namespaces (user.max_user_namespaces=0)",
      fix: ["sysctl", "-w", "user.max_user_namespaces=10000"],
    });
  if (facts.noNewPrivileges)
    troubles.push({
      reason: "newuidmap gains no rights here: this process runs with no_new_privs, as in a container",
    });
  if (!facts.programs)
    troubles.push({
      reason: "newuidmap and newgidmap are missing (package uidmap)",
      fix: installArgv("uidmap"),
    });
  if (user === undefined) troubles.push({ reason: "this user has no entry in /etc/passwd" });
  else troubles.push(...lackingIds(user, facts));
  return troubles;
}

function lackingIds(user: OrdinaryUser, { subuid, subgid }: NamespaceFacts): Trouble[] {
  const maps = mapsFor(user, subuid, subgid);
  const lacking = (["uids", "gids"] as const).filter((kind) => countIds(maps[kind]) < neededIds);
  if (lacking.length === 0) return [];
  const first = Math.max(100_000, endOf(subuid), endOf(subgid));
  const range = `${first}-${first + wantedIds - 1}`;
  const reasons = lacking.map((kind) => {
    const file = kind === "uids" ? "/etc/subuid" : "/etc/subgid";
    const has = countIds(maps[kind]) - 1;
    return `${file} gives ${user.name} ${has === 0 ? "no" : `only ${has}`} subordinate ids, ${neededIds - 1} are needed`;
  });
  const options = lacking.flatMap((kind) => [kind === "uids" ? "--add-subuids" : "--add-subgids", range]);
  return [{ reason: reasons.join("\n"), fix: ["usermod", ...options, user.name] }];
}

/** The first id after all that a user has. */
function endOf(text: string): number {
  const ends = [...text.matchAll(/^[^:\n]+:(\d+):(\d+)\s*$/gm)].map(
    (match) => Number(match[1]) + Number(match[2]),
  );
  return Math.max(0, ...ends);
}

/** What the try's words mean, with the facts. */
export function troubleOf(
  printed: string,
  { appArmorRestricts }: Pick<NamespaceFacts, "appArmorRestricts">,
): Trouble {
  if (appArmorRestricts?.trim() === "1")
    return {
      reason: `AppArmor takes the rights from user namespaces (kernel.apparmor_restrict_unprivileged_userns=1): ${printed}`,
      fix: ["sysctl", "-w", "kernel.apparmor_restrict_unprivileged_userns=0"],
    };
  if (/no space left on device/i.test(printed))
    return {
      reason: `there are as many user namespaces as the kernel allows (user.max_user_namespaces): ${printed}`,
      fix: ["sysctl", "-w", "user.max_user_namespaces=10000"],
    };
  if (/^mount: \/proc: permission denied/m.test(printed))
    return {
      reason: "parts of /proc are hidden, as in a container, so that a namespace can have none of its own",
    };
  return { reason: `a user namespace cannot do here what builds need: ${printed}` };
}

/** What every program of a build is given; see `door.ts`. */
const trial = `exec unshare --mount --propagation private --pid --ipc --fork --kill-child sh -ec '
mount -t tmpfs tmpfs /run
mount -t proc proc /proc'`;

/** The words of what failed, undefined where all went well. */
async function tryNamespace(maps: IdMaps): Promise<string | undefined> {
  const stdio = ["ignore", "ignore", "pipe"] as const;
  try {
    const child = await spawnAsRoot(["sh", "-c", trial], maps, { env: plainEnv, stdio });
    const [printed, code] = await Promise.all([text(child.stderr!), exitCodeOf(child)]);
    if (code === 0) return undefined;
    return printed.replace(/^\s*dmesg\(1\) may have more.*$/m, "").trim() || `exit code ${code}`;
  } catch (error) {
    return messageOf(error);
  }
}

async function namespaceFacts(): Promise<NamespaceFacts> {
  const read = (file: string) => readFile(file, "utf8").catch(() => undefined);
  const there = await Promise.all(["newuidmap", "newgidmap"].map(isProgram));
  return {
    user: thisUser(),
    subuid: (await read("/etc/subuid")) ?? "",
    subgid: (await read("/etc/subgid")) ?? "",
    programs: there.every((is) => is),
    noNewPrivileges: /^NoNewPrivs:\s*1$/m.test((await read("/proc/self/status")) ?? ""),
    unprivilegedClone: await read("/proc/sys/kernel/unprivileged_userns_clone"),
    maxNamespaces: await read("/proc/sys/user/max_user_namespaces"),
    appArmorRestricts: await read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
  };
}

async function isProgram(name: string): Promise<boolean> {
  const tries = plainEnv.PATH!.split(":").map((directory) => access(`${directory}/${name}`, constants.X_OK));
  return (await Promise.allSettled(tries)).some(({ status }) => status === "fulfilled");
}
