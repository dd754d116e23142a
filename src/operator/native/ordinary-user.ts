import { constants, existsSync } from "node:fs";
import { access, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import type { Env, Surroundings } from "../../system/files/cache.ts";
import { showArgv } from "../../system/run/run.ts";
import { mapsName } from "../../system/user/id-maps.ts";
import { namespaceTroubles, type Trouble } from "../../system/user/namespace-troubles.ts";
import { exitCodeOf, ownMaps, spawnAsRoot } from "../../system/user/user-namespace.ts";
import { exitCodes, Fail } from "../../util/fail.ts";
import { LogEvent, replayTo } from "./replay-log.ts";

const program = fileURLToPath(new URL("../../../bin/start.js", import.meta.url));

/** Like spawn's; stdin is the terminal's or none. */
type Stdio = Parameters<typeof spawnAsRoot>[2]["stdio"];

/**
 * Starts imgbuild as root of a user namespace, refusing at once where there can be none. Environment and home stay the
 * user's. `instead`: what root would run to the same end.
 */
export async function imgbuildAsRoot(
  args: readonly string[],
  options: { readonly env: Env; readonly cache: string; readonly stdio: Stdio; readonly instead: string },
): Promise<Awaited<ReturnType<typeof spawnAsRoot>>> {
  refuseTroubles(await namespaceTroubles(), options.instead);
  await refuseForeignCache(options.cache);
  const maps = await ownMaps();
  if (maps === undefined) throw new Error("a user without an entry in passwd, which is a trouble");
  const env = {
    ...options.env,
    HOME: options.env.HOME || homedir(),
    // tsx keeps what it compiles by the number of the user, so root would later find there what this user has put.
    TSX_DISABLE_CACHE: "1",
  };
  return await spawnAsRoot([process.execPath, ...process.execArgv, program, ...args], maps, {
    env,
    stdio: options.stdio,
  });
}

/** All reasons, then all commands that remove them as one line to type. */
export function refuseTroubles(troubles: readonly Trouble[], instead: string): void {
  if (troubles.length === 0) return;
  const reasons = troubles.map(({ reason }) => reason).join("\n");
  const fixes = fixOf(troubles);
  throw new Fail(`building needs root, or a user namespace, which cannot be had:\n${reasons}`, {
    hint: fixes.length === 0 ? instead : `${fixes.join(" && ")}\nor ${instead}`,
  });
}

/** What to type to mend all that can be mended. */
export function fixOf(troubles: readonly Trouble[]): string[] {
  return troubles.flatMap(({ fix }) => (fix === undefined ? [] : [showArgv(["sudo", ...fix])]));
}

/** A cache that root has filled, as sudo does where it keeps HOME, is reported before minutes have gone. */
async function refuseForeignCache(cache: string): Promise<void> {
  for (const directory of [cache, ...["packages", "index", "image"].map((name) => join(cache, name))])
    await access(directory, constants.R_OK | constants.W_OK).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return;
      const recursive = directory === cache ? [] : ["--recursive"];
      const owner = `${process.getuid?.()}:${process.getgid?.()}`;
      throw new Fail(`${directory} cannot be written by this user (${error.code}); did root make it?`, {
        hint: `${showArgv(["sudo", "chown", ...recursive, owner, directory])}, or name another place by IMGBUILD_CACHE`,
      });
    });
}

/**
 * Where bases are made, and where root's are. A tree's owners are numbers: a tree that was made under other ids is wrong
 * here, so every mapping has a directory of its own, root's plain one that of old.
 */
export async function basePlaces(cache: string): Promise<{ own: string; roots: string }> {
  const roots = join(cache, "base");
  const maps = await ownMaps();
  const name = maps === undefined ? undefined : mapsName(maps);
  return { roots, own: name === undefined ? roots : `${roots}-${name}` };
}

/** Trees hold files of many owners, which none but root, or the namespace's root, can delete. */
export async function removeBases(cache: string): Promise<string[]> {
  const { own } = await basePlaces(cache);
  if (!existsSync(own)) return [];
  await rm(own, { recursive: true, force: true, maxRetries: 5 });
  return [own];
}

/** Makes the base in a process of its own, so that all else keeps the user's own ids: keys, agent, known hosts. */
export async function makeBaseAsRoot(options: Surroundings): Promise<void> {
  await workAsRoot(["base", "build"], options, {
    what: "making the base",
    instead: "make it once by: sudo --preserve-env=HOME,XDG_CACHE_HOME,IMGBUILD_CACHE imgbuild base build",
  });
}

/** Runs a command of imgbuild's as root of a user namespace, as a part of this one: what it says is shown here. */
export async function workAsRoot(
  args: readonly string[],
  options: Surroundings,
  about: { readonly what: string; readonly instead: string },
): Promise<void> {
  const { log, signal } = options;
  const child = await imgbuildAsRoot(["--json", ...args], {
    ...options,
    env: { ...options.env, IMGBUILD_CACHE: options.cache },
    stdio: ["ignore", "pipe", "pipe"],
    instead: about.instead,
  });
  const pass = () => void child.kill("SIGINT");
  signal.addEventListener("abort", pass, { once: true });
  if (signal.aborted) pass();
  const stderr = text(child.stderr!);
  const { tell, close } = replayTo(log);
  let failure: LogEvent | undefined;
  for await (const line of createInterface({ input: child.stdout! })) {
    const event = LogEvent.parse(JSON.parse(line));
    if (event.event === "error") failure = event;
    await tell(event);
  }
  await close();
  const code = await exitCodeOf(child);
  signal.removeEventListener("abort", pass);
  signal.throwIfAborted();
  if (code === 0) return;
  const message =
    failure?.message ?? `${about.what} ended with ${code}: ${(await stderr).slice(-2_000).trim()}`;
  if (code === exitCodes.bug) throw new Error(message);
  throw new Fail(message, { exitCode: code, ...(failure?.hint === undefined ? {} : { hint: failure.hint }) });
}
