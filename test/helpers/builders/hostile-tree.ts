import {
  closeSync,
  cpSync,
  existsSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  realpathSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { debianLoaders, grubCopies, stubPath } from "../../../src/boot/efi-files.ts";
import { makeUkiPath } from "../../../src/boot/make-uki.ts";
import { beginDatabase } from "../../../src/debian/unpack/dpkg-db.ts";
import { thisMachine } from "../../../src/disks/find-disk.ts";
import type { StepContext } from "../../../src/steps/step/step.ts";
import type { Bind } from "../../../src/system/door/chroot.ts";
import { checkRoot, hostnameOf, readyMountPoints } from "../../../src/system/door/mount-points.ts";
import { Tree } from "../../../src/tree/tree.ts";
import { silentLog } from "../../../src/util/log.ts";
import { Secret } from "../../../src/util/secret.ts";
import { efiProgram } from "./pe.ts";

export const version = "6.1-x";
export const uuid = "7f1d9a54-3c0e-4b6a-9d58-2f6b1c8e4a90";
/** In every file outside. */
export const canary = "canary-of-the-machine-that-builds";

/** Something of all that steps look for in a tree of Debian's. */
export function fillTree(root: string): void {
  const put = (path: string, content: string | Buffer, mode = 0o644) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content, { mode });
  };
  for (const path of [
    "tmp",
    "run",
    "dev",
    "proc",
    "sys",
    "var/tmp/x",
    "var/log",
    "srv/data",
    "efi",
    "home/me",
  ])
    mkdirSync(join(root, path), { recursive: true });
  for (const name of ["bin", "sbin", "lib", "lib64"]) {
    mkdirSync(join(root, "usr", name), { recursive: true });
    symlinkSync(`usr/${name}`, join(root, name));
  }
  beginDatabase(root);
  put("var/lib/dpkg/info/tool.list", "/.\n/etc/tool.conf\n");
  put("var/lib/dpkg/info/tool.conffiles", "/etc/tool.conf\n");
  put("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nme:x:0:0::/home/me:/bin/sh\n");
  put("etc/group", "root:x:0:\nme:x:0:\n");
  put("etc/shadow", `root:*:${Math.floor(Date.now() / 86_400_000)}:0:99999:7:::\n`, 0o640);
  put("etc/machine-id", "0123456789abcdef0123456789abcdef\n", 0o444);
  put("etc/hostname", "tree\n");
  put("etc/tool.conf", "one\ntwo\n");
  put("etc/motd", "old\n");
  put("etc/ssh/ssh_host_rsa_key", "of the package\n", 0o600);
  put("etc/sudoers.d/README", "");
  put("etc/dropbear/initramfs/dropbear.conf", "");
  put("srv/net/resolv.conf", "nameserver 192.0.2.1\n");
  symlinkSync("../srv/net/resolv.conf", join(root, "etc/resolv.conf"));
  put("etc/fstab", `UUID=${uuid} / ext4 errors=remount-ro 0 1\n`);
  put("etc/kernel/cmdline", "ro\n");
  put("etc/initramfs-tools/conf.d/x", "MODULES=list\n");
  put("usr/share/initramfs-tools/hooks/y", "copy_exec /usr/bin/tool\n");
  put("usr/lib/os-release", "ID=debian\n");
  put("usr/bin/sh", "", 0o755);
  put("usr/lib/imgbuild/signed-loader.sha256", "");
  put(`usr/lib/modules/${version}/modules.builtin`, "kernel/fs/ext4.ko\n");
  put("usr/share/zoneinfo/Etc/UTC", "TZif");
  put("usr/lib/sysusers.d/basic.conf", "u other -\n");
  put("usr/lib/systemd/system/a.service", "");
  for (const path of ["etc/passwd-", "root/.bash_history", "var/log/dpkg.log", "var/log/alternatives.log"])
    put(path, "trace\n");
  for (const path of ["var/lib/systemd/random-seed", "tmp/left", "var/cache/apt/archives/x.deb", "run/left"])
    put(path, "trace\n");
  put("boot/grub/grub.cfg", `search --fs-uuid --set=root ${uuid}\n  linux /vmlinuz root=UUID=${uuid} ro\n`);
  put(`boot/vmlinuz-${version}`, efiProgram());
  put(`boot/initrd.img-${version}`, "");
  for (const name of ["vmlinuz", "initrd.img"]) {
    truncateSync(join(root, `boot/${name}-${version}`), 2 ** 20 + 512);
    symlinkSync(`boot/${name}-${version}`, join(root, name));
  }
  for (const path of [
    ...Object.values(debianLoaders),
    ...grubCopies(true).map(([from]) => from),
    stubPath,
    `${debianLoaders.systemdBoot}.signed`,
  ])
    put(path, efiProgram());
  put(makeUkiPath, "#!/usr/bin/perl\n", 0o755);
}

/**
 * A context whose programs say that they have done their work. A tool that is given a path which leads out of the directory is a
 * failure.
 */
export function fakeContext(dir: string, root: string, more: Partial<StepContext> = {}): StepContext {
  const done = (stdout = "") => ({ code: 0, stdout, stderr: "" });
  return {
    ...{ root, log: silentLog, signal: new AbortController().signal, files: join(dir, "files") },
    machine: thisMachine,
    ...{
      began: Date.now() / 1000 - 60,
      nonce: "a".repeat(64),
      release: async () => {},
      fetch: async () => {},
    },
    secrets: new Map(
      ["token", "hash", "hostkey:ssh_host_ed25519_key"].map((name) => [
        name,
        new Secret(name, Buffer.from(name === "hash" ? "$y$j9T$x$y" : "a secret")),
      ]),
    ),
    tool: async (argv) => {
      for (const word of argv) {
        if (word.startsWith(`${dir}/`)) lookAtWay(argv[0]!, dir, word);
        else if (word.startsWith(`${dirname(dir)}/`)) throw new Error(`${argv[0]} is given ${word}`);
      }
      if (argv[0] === "fallocate") truncateSync(argv.at(-1)!, Number(argv[2]));
      return done();
    },
    filter: () => Promise.reject(new Error("not used")),
    packagePath: () => ({ outside: "", inside: "" }),
    chroot: async (argv, options) => {
      lookAtMounts(root, options?.binds);
      if (argv[0] === "lsinitramfs") return done(`init\nusr/lib/modules/${version}/kernel/virtio_blk.ko\n`);
      // As the program does, to which the tree is all there is.
      if (argv[0] === makeUkiPath) new Tree(root).write(argv[argv.indexOf("--output") + 1]!, efiProgram());
      return done(argv[0] === "ssh-keygen" ? "ssh-ed25519 AAAA\n" : "");
    },
    ...more,
  };
}

/** What the door does to a tree before a program of it runs; a place of a mount that lies outside then is a failure. */
export function lookAtMounts(root: string, binds: readonly Bind[] = []): void {
  checkRoot(root);
  const clear = readyMountPoints(
    root,
    binds.map(({ from, to }) => ({ to, isDirectory: lstatSync(from).isDirectory() })),
  );
  // The rest is in memory that is mounted on the tree before.
  const places = binds.map(({ to }) => to).filter((to) => !/^\/(run|tmp|dev\/shm)\//.test(to));
  for (const place of ["/dev", "/proc", "/run", "/sys", "/tmp", ...places])
    lookAtWay("bwrap", root, join(root, place));
  hostnameOf(root);
  clear();
}

/** A failure where a path below the directory leads out of it, to something that is there or could be made. */
function lookAtWay(program: string, dir: string, path: string): void {
  let at = dir;
  for (const name of path.slice(dir.length + 1).split("/")) {
    at = join(at, name);
    if (!lstatSync(at, { throwIfNoEntry: false })?.isSymbolicLink()) continue;
    const to = existsSync(at) ? realpathSync(at) : resolve(dirname(at), readlinkSync(at));
    if (!`${to}/`.startsWith(`${dir}/`)) throw new Error(`${program} is given ${path}, which leads to ${to}`);
  }
}

/** Ways to make a path of a tree lead out, to a place that has whatever the tree has there. */
export const plants = ["absolute", "relative", "to a directory", "to a file", "to what is missing"] as const;
export type Plant = (typeof plants)[number];

/** Puts a link out in the place of a path, and moves what was there outside; false where that makes no difference. */
export function plant(root: string, path: string, outside: string, how: Plant): boolean {
  const at = join(root, path);
  const there = lstatSync(at, { throwIfNoEntry: false });
  const copied = how === "absolute" || how === "relative";
  if (copied && (there === undefined || !existsSync(at))) return false;
  mkdirSync(join(outside, "empty"), { recursive: true });
  const to = copied ? "copy" : how === "to a directory" ? "empty" : how === "to a file" ? "file" : "missing";
  if (copied) cpSync(realpathSync(at), join(outside, "copy"), { recursive: true, verbatimSymlinks: true });
  writeFileSync(join(outside, "file"), "");
  mark(outside);
  if (there !== undefined) rmSync(at, { recursive: true });
  mkdirSync(dirname(at), { recursive: true });
  const up = "../".repeat(30);
  symlinkSync(how === "relative" ? `${up}${outside.slice(1)}/${to}` : join(outside, to), at);
  return true;
}

/** Every file has the canary at its end, every directory one beside. */
function mark(directory: string): void {
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    const found = lstatSync(path);
    if (found.isDirectory()) mark(path);
    else if (found.isFile()) writeFileSync(path, `\n${canary}\n`, { flag: "a" });
  }
  writeFileSync(join(directory, "canary"), canary);
}

/** All that can be seen of a directory: what it holds, whose that is, and every time, that of the last reading too. */
export function watchState(directory: string): { before: State; now(): State } {
  const paths = below(directory);
  // Old enough for a reading to be noted (relatime); those above it come last.
  for (const path of [...paths].reverse()) lutimesSync(path, 1_000_000_000, 1_000_000_000);
  const look = (): State => ({
    paths,
    seen: paths.map((path) => (existsSync(path) ? lstatSync(path) : undefined)),
  });
  return { before: look(), now: () => ({ ...look(), paths: below(directory) }) };
}

type State = { readonly paths: readonly string[]; readonly seen: readonly unknown[] };

function below(path: string): string[] {
  if (!lstatSync(path).isDirectory()) return [path];
  return [
    path,
    ...readdirSync(path)
      .sort()
      .flatMap((name) => below(join(path, name))),
  ];
}

/** Files below a directory that end with the canary. */
export function leaks(directory: string): string[] {
  const found: string[] = [];
  const look = (path: string) => {
    const one = lstatSync(path);
    if (one.isDirectory()) for (const name of readdirSync(path)) look(join(path, name));
    else if (one.isFile() && endOf(path, one.size).includes(canary)) found.push(path);
  };
  look(directory);
  return found;
}

function endOf(path: string, size: number): Buffer {
  const fd = openSync(path, "r");
  try {
    const end = Buffer.alloc(Math.min(size, 4096));
    readSync(fd, end, 0, end.length, size - end.length);
    return end;
  } finally {
    closeSync(fd);
  }
}
