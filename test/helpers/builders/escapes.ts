import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  chownSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../../src/system/run/run.ts";

/** What nothing of a build may reach: files of root and of a user, a disk, a process, and services of this machine. */
export interface Outside {
  /** The program that tries to reach them, by each way of which it prints a line: "way: escaped", or "way: refused: why". */
  readonly attack: string;
  /** Anything that an escape would change; equal before and after. */
  state(): Record<string, unknown>;
  remove(): Promise<void>;
}

/** More than a build may start; few enough for a machine without any bound. */
const forks = 4_200;
const marker = "imgbuild-canary";
const diskBytes = 1024 * 1024;
const sysctls = ["kernel/hostname", "kernel/domainname", "vm/swappiness", "kernel/core_pattern"];

/** `home` is that of a user with this id. */
export async function makeOutside(user: { readonly home: string; readonly uid: number }): Promise<Outside> {
  const directory = mkdtempSync(join(tmpdir(), "imgbuild-outside-"));
  const [own, users] = [join(directory, "canary"), join(user.home, "canary")];
  for (const file of [own, users]) {
    writeFileSync(file, `${marker}\n`);
    chmodSync(file, 0o600);
  }
  chownSync(users, user.uid, user.uid);
  const disk = join(directory, "disk");
  writeFileSync(disk, marker);
  truncateSync(disk, diskBytes);
  const loop = (await run(["losetup", "--find", "--show", disk])).stdout.trim();
  const [major, minor] = (await run(["stat", "--format", "%t %T", loop])).stdout
    .trim()
    .split(" ")
    .map((hex) => Number.parseInt(hex, 16));
  const abstract = `imgbuild-test-${process.pid}`;
  const listening = await Promise.all([
    listen({ port: 0, host: "127.0.0.1" }),
    listen({ path: `\0${abstract}` }),
  ]);
  const { port } = listening[0].address() as { port: number };
  const victim: ChildProcess = spawn("sleep", ["3600"], { stdio: "ignore" });
  const attack = program({
    canaries: [own, users],
    device: (major! << 8) | minor!,
    ...{ port, abstract, victim: victim.pid! },
  });
  return {
    attack,
    state: () => ({
      canaries: [own, users].map((file) => [
        readFileSync(file, "utf8"),
        statSync(file).mode,
        statSync(file).ctimeMs,
      ]),
      disk: createHash("sha256").update(readFileSync(disk)).digest("hex"),
      device: createHash("sha256").update(readFileSync(loop)).digest("hex"),
      sysctls: sysctls.map((name) => readFileSync(`/proc/sys/${name}`, "utf8")),
      null: [statSync("/dev/null").mode, statSync("/dev/null").ctimeMs],
      victim: [victim.exitCode, victim.signalCode],
      traced: /^TracerPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${victim.pid}/status`, "utf8"))?.[1],
    }),
    remove: async () => {
      victim.kill("SIGKILL");
      for (const server of listening) server.close();
      await run(["losetup", "--detach", loop]);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function listen(where: { port: number; host: string } | { path: string }): Promise<Server> {
  const server = createServer((socket) => void socket.on("error", () => {}).end(`${marker}\n`));
  await new Promise<void>((done) => server.listen(where, () => done()));
  return server;
}

/** In Perl, which every Debian has, and which can call the kernel by number (those of x86-64). */
function program(outside: {
  readonly canaries: readonly string[];
  readonly device: number;
  readonly port: number;
  readonly abstract: string;
  readonly victim: number;
}): string {
  return `#!/usr/bin/perl
use strict; use warnings; use Fcntl; use Socket; use POSIX ();
my $marker = "${marker}";
my @canaries = (${outside.canaries.map((path) => `'${path}'`).join(", ")});
my $victim = ${outside.victim};
$| = 1;

sub attempt {
  my ($name, $work) = @_;
  my $pid = open(my $from, "-|") // die "fork: $!";
  if ($pid == 0) {
    $! = 0;
    my $won = eval { $work->() };
    print $won ? "escaped" : "refused: " . ($@ || "$!" || "nothing there");
    POSIX::_exit(0);
  }
  local $/;
  my $said = <$from> // "";
  close $from;
  $said =~ s/\\s+/ /g;
  print "$name: $said\\n";
}
sub has { my ($path) = @_; open(my $f, "<", $path) or return 0; my $line = <$f> // ""; return index($line, $marker) >= 0 }
sub talks { my ($socket, $to) = @_; connect($socket, $to) or return 0; my $line = <$socket> // ""; return index($line, $marker) >= 0 }

attempt("chroot", sub {
  chdir "/"; chroot("/srv") or return 0;
  chdir ".." for 1 .. 64;
  chroot(".");
  for (@canaries) { return 1 if has($_) }
  return 0;
});
attempt("proc-root", sub { for my $root (glob "/proc/[0-9]*/root") { for (@canaries) { return 1 if has("$root$_") } } return 0 });
attempt("disk", sub {
  my $node = "/srv/.disk";
  syscall(133, $node, 060600, ${outside.device}) == 0 or return 0;
  sysopen(my $disk, $node, O_RDWR) or do { my $why = $!; unlink $node; $! = $why; return 0 };
  unlink $node;
  sysread($disk, my $bytes, length $marker);
  sysseek($disk, 4096, 0); syswrite($disk, "harm");
  return $bytes eq $marker;
});
attempt("sysctl", sub {
  my $file = "/proc/sys/vm/swappiness";
  open(my $old, "<", $file) or return 0; my $value = <$old>;
  sysopen(my $new, $file, O_WRONLY) or return 0;
  return defined syswrite($new, $value);
});
attempt("proc-file", sub { return sysopen(my $file, "/proc/irq/default_smp_affinity", O_WRONLY) });
attempt("sysrq", sub { return sysopen(my $file, "/proc/sysrq-trigger", O_WRONLY) });
attempt("mount", sub { my ($fs, $at) = ("tmpfs", "/mnt"); return syscall(165, $fs, $at, $fs, 0, 0) == 0 });
attempt("namespace", sub { return syscall(272, 0x20000) == 0 });
attempt("user-namespace", sub { return syscall(272, 0x10000000) == 0 });
attempt("others-namespace", sub { sysopen(my $file, "/proc/$victim/ns/mnt", O_RDONLY) or return 0; return syscall(308, fileno($file), 0x20000) == 0 });
attempt("ptrace", sub { return syscall(101, 0x4206, $victim, 0, 0) == 0 });
attempt("signal", sub { return kill(0, $victim) });
attempt("localhost", sub { socket(my $s, PF_INET, SOCK_STREAM, 0) or return 0; return talks($s, pack_sockaddr_in(${outside.port}, INADDR_LOOPBACK)) });
attempt("abstract", sub { socket(my $s, PF_UNIX, SOCK_STREAM, 0) or return 0; return talks($s, pack("S a108", AF_UNIX, "\\0${outside.abstract}")) });
attempt("vsock", sub { return syscall(41, 40, 1, 0) >= 0 });
attempt("keyring", sub { my ($type, $name, $value) = ("user", "imgbuild-test", "x"); return syscall(248, $type, $name, $value, 1, -2) >= 0 });
attempt("terminal", sub {
  sysopen(my $master, "/dev/ptmx", O_RDWR | O_NOCTTY) or return 0;
  my $unlocked = pack("i", 0); ioctl($master, 0x40045431, $unlocked) or return 0;
  my $number = pack("i", 0); ioctl($master, 0x80045430, $number) or return 0;
  sysopen(my $slave, "/dev/pts/" . unpack("i", $number), O_RDWR | O_NOCTTY) or return 0;
  my $key = "x";
  return defined ioctl($slave, 0x5412, $key);
});
attempt("device-mode", sub { return chmod(0666, "/dev/null") });
attempt("forks", sub {
  my (@children, $why);
  while (@children < ${forks}) {
    my $pid = fork() // do { $why = $!; last };
    if ($pid == 0) { sleep 600; POSIX::_exit(0) }
    push @children, $pid;
  }
  kill 9, @children;
  waitpid $_, 0 for @children;
  return 1 if !defined $why;
  $! = $why;
  return 0;
}) if ($ARGV[0] // "") ne "quiet";
`;
}
