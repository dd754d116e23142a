import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseLock } from "../../../src/debian/lock/lock.ts";
import type { LockedPackage } from "../../../src/schema/lock.ts";
import { cacheRoot } from "../../../src/system/files/cache.ts";
import { run } from "../../../src/system/run/run.ts";
import { linkOrCopy } from "../link-or-copy.ts";
import { warmCache, webPackages } from "./cli-lab.ts";

/** A user of this machine for the length of a test, and the checkout as that user sees it. */
export interface TestUser {
  readonly name: string;
  readonly uid: number;
  /** Holds `home`, and nothing else that is the user's. */
  readonly dir: string;
  readonly home: string;
  /** The user's cache. */
  readonly cache: string;
  /** The argv that runs a program as the user, in the checkout. */
  argv(words: readonly string[], options?: EnterOptions): string[];
  remove(): Promise<void>;
}

export interface EnterOptions {
  /** Shell that root runs before, in the same mount namespace. */
  readonly prepare?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** How the home is mounted. */
  readonly flags?: string;
}

const project = resolve(import.meta.dirname, "../../..");

/**
 * The checkout may lie where others cannot go, so it is bound to a place of the test's own. The home is mounted as careful
 * machines mount it: those flags are locked in a user namespace, and times of access are not kept.
 */
const carefulFlags = "nosuid,nodev,noatime";
const enter = `set -eu
dir=$1 name=$2 project=$3 flags=$4 prepare=$5; shift 5
mount --make-rprivate /
mount --bind "$project" "$dir/checkout"
mount --bind "$dir/home" "$dir/home"
[ -z "$flags" ] || mount -o "remount,bind,$flags" "$dir/home"
cd "$dir/checkout"
eval "$prepare"
exec setpriv --reuid "$name" --regid "$name" --init-groups -- "$@"`;

/** useradd gives subordinate ids to every user but those of the system. */
const kindOf = { "with ids": [], "without ids": ["--system"] } as const;

export async function makeUser(ids: keyof typeof kindOf): Promise<TestUser> {
  const name = `imgbuild-${randomBytes(5).toString("hex")}`;
  const dir = mkdtempSync(join(tmpdir(), "imgbuild-user-"));
  chmodSync(dir, 0o755);
  const home = join(dir, "home");
  mkdirSync(join(dir, "checkout"));
  const kind = kindOf[ids];
  const place = ["--user-group", "--home-dir", home, "--create-home", "--shell", "/bin/sh"];
  await run(["useradd", ...kind, ...place, name]);
  const uid = Number((await run(["id", "-u", name])).stdout);
  const gid = Number((await run(["id", "-g", name])).stdout);
  const cache = join(home, ".cache/imgbuild");
  for (const each of [join(home, "tmp"), join(home, ".cache"), cache, join(cache, "packages")]) {
    mkdirSync(each);
    chownSync(each, uid, gid);
  }
  return {
    name,
    uid,
    dir,
    home,
    cache,
    argv: (words, options = {}) => {
      const env = {
        PATH: process.env.PATH ?? "",
        HOME: home,
        USER: name,
        TMPDIR: join(home, "tmp"),
        LANG: "C.UTF-8",
        ...options.env,
      };
      const set = Object.entries(env).map(([key, value]) => `${key}=${value}`);
      const { flags = carefulFlags, prepare = "" } = options;
      const outer = ["unshare", "--mount", "sh", "-c", enter, "sh", dir, name, project, flags, prepare];
      return [...outer, "env", "-i", ...set, ...words];
    },
    remove: async () => {
      await run(["userdel", name]);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** A user who may build: with subordinate ids, and the packages of `imgbuild/web` and the base at hand. */
export async function makeBuilder(): Promise<TestUser> {
  await warmCache();
  const user = await makeUser("with ids");
  const base = parseLock(readFileSync("initramfs/imgbuild.lock.yaml", "utf8")).packages;
  givePackages(user, [...webPackages(), ...base]);
  return user;
}

/** Puts packages of the usual cache into the user's. */
export function givePackages(user: TestUser, packages: readonly LockedPackage[]): void {
  for (const { sha256 } of packages) {
    const [from, to] = [cacheRoot(process.env), user.cache].map((cache) =>
      join(cache, "packages", `${sha256}.deb`),
    );
    if (existsSync(to!)) continue;
    linkOrCopy(from!, to!);
  }
}

/** A running command line with what it has said so far. */
export interface Started {
  readonly child: ChildProcess;
  readonly said: () => { stdout: string; stderr: string };
  /** When that text has come on either. */
  until(text: string, timeoutMs: number): Promise<void>;
  readonly ended: Promise<{ code: number; stdout: string; stderr: string }>;
}

/** Starts an argv, with so many more pipes than three; it is killed when it takes too long. */
export function start(argv: readonly string[], timeoutMs: number, more = 0): Started {
  const stdio = Array.from({ length: 3 + more }, () => "pipe" as const);
  const child = spawn(argv[0]!, argv.slice(1), { stdio }) as ChildProcessWithoutNullStreams;
  const text = { stdout: "", stderr: "" };
  const watchers = new Set<() => void>();
  for (const name of ["stdout", "stderr"] as const)
    child[name].setEncoding("utf8").on("data", (chunk: string) => {
      text[name] += chunk;
      for (const watcher of watchers) watcher();
    });
  child.stdin.on("error", () => {});
  const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
  const ended = new Promise<{ code: number; stdout: string; stderr: string }>((done) => {
    child.on("close", (code) => {
      clearTimeout(timer);
      done({ code: code ?? 128, ...text });
    });
  });
  const until = (wanted: string, boundMs: number) =>
    new Promise<void>((done, fail) => {
      const missing = () => fail(new Error(`"${wanted}" did not come: ${text.stdout}${text.stderr}`));
      const late = setTimeout(missing, boundMs);
      const look = () => {
        if (!(text.stdout + text.stderr).includes(wanted)) return;
        watchers.delete(look);
        clearTimeout(late);
        done();
      };
      watchers.add(look);
      look();
      ended.then(missing);
    });
  return { child, said: () => ({ ...text }), until, ended };
}
