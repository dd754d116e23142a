import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { bootstrapSources } from "../../../src/operator/lock/bootstrap-sources.ts";
import { run } from "../../../src/system/run/run.ts";
import type { ReleaseName } from "../../../src/tables/release.ts";

/** What a Debian has that somebody has just installed, for those who look for more. */
const packages = ["ca-certificates", "sudo"];
const makeMs = 20 * 60_000;
/** A machine is switched off in this time. */
const leaveMs = 10_000;
const user = "me";

/**
 * A new user's computer: the smallest Debian, with a user who may use sudo. Of this computer it sees the processes, the network and a few
 * devices; no disk.
 */
export interface BareRoot {
  readonly home: string;
  /** A terminal of the user's, with a shell. */
  terminal(show?: (text: string) => void): BareTerminal;
  remove(): void;
}

export interface BareTerminal {
  /** All that was shown so far. */
  readonly text: string;
  /** Types what is given, as it is. */
  type(text: string): void;
  /** Types a line, and waits until it has ended; answers what it asks. Gives what it showed; throws where it fails. */
  line(line: string, boundMs: number, answer?: (text: string) => string | undefined): Promise<string>;
  /** When that is shown, after the mark. */
  until(pattern: RegExp, boundMs: number, after?: number): Promise<void>;
  close(): Promise<void>;
}

/** Mounts are seen by what runs inside alone, and are gone with it. */
const enter = `set -eu
root=$1 user=$2; shift 2
mount --bind "$root" "$root"
cd "$root"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=755 tmpfs dev
for name in null zero full random urandom tty; do : >dev/$name; mount --bind /dev/$name dev/$name; done
[ ! -e /dev/kvm ] || { : >dev/kvm; mount --bind /dev/kvm dev/kvm; }
ln -s /proc/self/fd dev/fd
ln -s pts/ptmx dev/ptmx
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t tmpfs -o mode=755 tmpfs run
hostname laptop
mkdir -p .old
pivot_root . .old
cd /
umount -l .old
home=$(getent passwd "$user" | cut -d: -f6)
cd "$home"
exec setpriv --reuid "$user" --regid "$user" --init-groups --pdeathsig KILL -- env -i HOME="$home" USER="$user" TERM=dumb LANG=C.UTF-8 \\
  PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin "$@"`;

/** Made anew each time, with what the archive has today. `env`: what this computer's network asks for. */
export async function makeBareRoot(suite: ReleaseName): Promise<BareRoot> {
  const directory = mkdtempSync(join(tmpdir(), "imgbuild-bare-"));
  const root = join(directory, "root");
  const sources = await bootstrapSources(suite, { env: process.env });
  const options = ["--mode=root", "--variant=minbase", "--aptopt=APT::Install-Recommends false"];
  await run(["mmdebstrap", ...options, `--include=${packages.join(",")}`, suite, root, ...sources], {
    timeoutMs: makeMs,
  });
  copyFileSync("/etc/resolv.conf", join(root, "etc/resolv.conf"));
  appendFileSync(join(root, "etc/hosts"), "127.0.0.1 localhost\n127.0.1.1 laptop\n");
  await run(["chroot", root, "useradd", "--create-home", "--shell", "/bin/bash", user]);
  writeFileSync(
    join(root, "etc/sudoers.d/me"),
    `${user} ALL=(ALL) NOPASSWD:ALL\nDefaults env_keep += "DEBIAN_FRONTEND NODE_EXTRA_CA_CERTS"\n`,
  );
  const words = [`DEBIAN_FRONTEND=noninteractive`, ...networkWords(root)];
  for (const name of ["IMGBUILD_ACCEL", "IMGBUILD_MIRROR"] as const)
    if (process.env[name] !== undefined) words.push(`${name}=${process.env[name]}`);
  return {
    home: join(root, "home", user),
    terminal: (show) => openTerminal(root, words, show),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** A computer whose network wants a certificate of its own gives it to npm. */
function networkWords(root: string): string[] {
  const own = process.env.NODE_EXTRA_CA_CERTS;
  if (own === undefined || !existsSync(own)) return [];
  mkdirSync(join(root, "usr/local/share/own"), { recursive: true });
  copyFileSync(own, join(root, "usr/local/share/own/ca.crt"));
  return ["NODE_EXTRA_CA_CERTS=/usr/local/share/own/ca.crt"];
}

function openTerminal(root: string, words: readonly string[], show?: (text: string) => void): BareTerminal {
  // It ends with us: the terminal dies with its parent (after the change of user, which unshare's own way does not outlive).
  const argv = ["--mount", "--ipc", "--uts", "--fork", "--kill-child", "--propagation", "private"];
  const shell = [
    ...words,
    "script",
    "--quiet",
    "--flush",
    "--command",
    "bash --norc --noprofile",
    "/dev/null",
  ];
  const child = spawn("unshare", [...argv, "sh", "-c", enter, "sh", root, user, ...shell], { stdio: "pipe" });
  let text = "";
  let ended = false;
  const watchers = new Set<() => void>();
  const changed = () => {
    for (const watcher of [...watchers]) watcher();
  };
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      show?.(chunk);
      changed();
    });
  child.stdin.on("error", () => {});
  const exited = once(child, "exit").then(() => {
    ended = true;
    changed();
  });
  const when = (look: () => boolean, what: string, boundMs: number) =>
    new Promise<void>((done, fail) => {
      const end = (then: () => void) => {
        watchers.delete(watch);
        clearTimeout(late);
        then();
      };
      const missing = (why: string) => () => fail(new Error(`${what}: ${why}: ${text.slice(-2000)}`));
      const watch = () => {
        if (look()) end(done);
        else if (ended) end(missing("the terminal has ended"));
      };
      const late = setTimeout(() => end(missing("it did not come in time")), boundMs);
      watchers.add(watch);
      watch();
    });
  let count = 0;
  return {
    get text() {
      return text;
    },
    type: (typed) => void child.stdin.write(typed),
    until: async (pattern, boundMs, after = 0) =>
      await when(() => pattern.test(text.slice(after)), String(pattern), boundMs),
    line: async (line, boundMs, answer) => {
      count += 1;
      // What is typed is shown too, and has no number there.
      const mark = new RegExp(`<${count} (\\d+)>`);
      const from = text.length;
      let answered = 0;
      // As one line: a program may read, or throw away, what is typed after it.
      child.stdin.write(`${line}; printf '<%s %s>\\n' ${count} $?\n`);
      const look = () => {
        const reply = answer?.(text.slice(from + answered));
        if (reply !== undefined) {
          answered = text.length - from;
          child.stdin.write(`${reply}\n`);
        }
        return mark.test(text.slice(from));
      };
      await when(look, line, boundMs);
      const code = mark.exec(text.slice(from))![1];
      if (code !== "0") throw new Error(`${line} ended with ${code}: ${text.slice(from)}`);
      return text.slice(from);
    },
    close: async () => {
      // Leaves a machine's console, if there is one; what is left is hung up with the terminal.
      child.stdin.write("\x1d");
      await sleep(leaveMs);
      child.kill("SIGKILL");
      await exited;
    },
  };
}
