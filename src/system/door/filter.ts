/**
 * The seccomp filter of the door (seccomp(2), classic BPF): what no program of a build needs, and what reaches the kernel that all
 * share. Namespaces and capabilities come before it, and refuse most of it already.
 */

type Architecture = "x64" | "arm64";

/** AUDIT_ARCH_* of linux/audit.h. */
const auditArch: Record<Architecture, number> = { x64: 0xc000003e, arm64: 0xc00000b7 };
/** Calls of x32 have this bit; the kernel takes them for x86-64's. */
const x32Bit = 0x4000_0000;

const EPERM = 1;
const ENOSYS = 38;
const EAFNOSUPPORT = 97;

/** Numbers by the kernel's tables: arch/x86/entry/syscalls/syscall_64.tbl, and include/uapi/asm-generic/unistd.h for arm64. */
type Numbers = readonly [x64: number | undefined, arm64: number | undefined];

const refused: Readonly<Record<string, Numbers>> = {
  // Mounts.
  mount: [165, 40],
  umount2: [166, 39],
  pivot_root: [155, 41],
  open_tree: [428, 428],
  move_mount: [429, 429],
  fsopen: [430, 430],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  fspick: [433, 433],
  mount_setattr: [442, 442],
  open_tree_attr: [467, 467],
  quotactl: [179, 60],
  quotactl_fd: [443, 443],
  open_by_handle_at: [304, 265],
  fanotify_init: [300, 262],
  // Namespaces of others.
  setns: [308, 268],
  // Keys are no part of any namespace.
  add_key: [248, 217],
  request_key: [249, 218],
  keyctl: [250, 219],
  // The kernel itself.
  bpf: [321, 280],
  perf_event_open: [298, 241],
  userfaultfd: [323, 282],
  kexec_load: [246, 104],
  kexec_file_load: [320, 294],
  init_module: [175, 105],
  finit_module: [313, 273],
  delete_module: [176, 106],
  lookup_dcookie: [212, 18],
  uselib: [134, undefined],
  // The machine.
  acct: [163, 89],
  swapon: [167, 224],
  swapoff: [168, 225],
  reboot: [169, 142],
  iopl: [172, undefined],
  ioperm: [173, undefined],
  vhangup: [153, 58],
  settimeofday: [164, 170],
  clock_settime: [227, 112],
  adjtimex: [159, 171],
  clock_adjtime: [305, 266],
};

/** As on a kernel that does not have them: a program that asks for these does without. The flags of clone3 are where no filter sees them. */
const unknown: Readonly<Record<string, Numbers>> = {
  clone3: [435, 435],
  io_uring_setup: [425, 425],
  io_uring_enter: [426, 426],
  io_uring_register: [427, 427],
};

/** New namespaces of any kind (CLONE_NEW* of linux/sched.h); the low byte of clone's flags is a signal, and CLONE_NEWTIME unshare's alone. */
const newNamespaces = 0x7e02_0000;
const newTime = 0x80;
/** What types into a terminal. */
const TIOCSTI = 0x5412;
const TIOCLINUX = 0x541c;
/** AF_UNIX, AF_INET, AF_INET6 and AF_NETLINK, which network namespaces divide; AF_VSOCK and others they do not. */
const families = [1, 2, 10, 16];

interface Rule {
  readonly numbers: Numbers;
  readonly argument: number;
  /** What follows once the argument is loaded. */
  readonly checks: readonly Instruction[];
}

type Instruction = readonly [code: number, jumpTrue: number, jumpFalse: number, k: number];

const load = (offset: number): Instruction => [0x20, 0, 0, offset];
const ifEqual = (k: number, yes: number, no: number): Instruction => [0x15, yes, no, k];
const ifAtLeast = (k: number, yes: number, no: number): Instruction => [0x35, yes, no, k];
const ifAnySet = (k: number, yes: number, no: number): Instruction => [0x45, yes, no, k];
const allow: Instruction = [0x06, 0, 0, 0x7fff_0000];
const fail = (errno: number): Instruction => [0x06, 0, 0, 0x0005_0000 | errno];
/** Offsets in struct seccomp_data. An argument is 64 bits, of which the kernel looks at the lower half here; both architectures are little-endian. */
const atNumber = 0;
const atArchitecture = 4;
const atArgument = (index: number) => 16 + 8 * index;

const ruled: Readonly<Record<string, Rule>> = {
  clone: { numbers: [56, 220], argument: 0, checks: [ifAnySet(newNamespaces, 0, 1), fail(EPERM), allow] },
  unshare: {
    numbers: [272, 97],
    argument: 0,
    checks: [ifAnySet(newNamespaces | newTime, 0, 1), fail(EPERM), allow],
  },
  ioctl: {
    numbers: [16, 29],
    argument: 1,
    checks: [ifEqual(TIOCSTI, 1, 0), ifEqual(TIOCLINUX, 0, 1), fail(EPERM), allow],
  },
  socket: { numbers: [41, 198], argument: 0, checks: ofFamilies() },
  socketpair: { numbers: [53, 199], argument: 0, checks: ofFamilies() },
};

/** The program as bubblewrap reads it: struct sock_filter, one after another. */
export function doorFilter(architecture: string): Buffer {
  if (architecture !== "x64" && architecture !== "arm64")
    throw new Error(`no seccomp filter for ${architecture}`);
  const numberOf = ([x64, arm64]: Numbers) => (architecture === "x64" ? x64 : arm64);
  const program: Instruction[] = [
    load(atArchitecture),
    ifEqual(auditArch[architecture], 1, 0),
    fail(ENOSYS),
    load(atNumber),
  ];
  if (architecture === "x64") program.push(ifAtLeast(x32Bit, 0, 1), fail(ENOSYS));
  for (const [calls, errno] of [
    [refused, EPERM],
    [unknown, ENOSYS],
  ] as const)
    for (const numbers of Object.values(calls)) {
      const number = numberOf(numbers);
      if (number !== undefined) program.push(ifEqual(number, 0, 1), fail(errno));
    }
  for (const { numbers, argument, checks } of Object.values(ruled))
    program.push(ifEqual(numberOf(numbers)!, 0, checks.length + 1), load(atArgument(argument)), ...checks);
  return encode([...program, allow]);
}

function ofFamilies(): Instruction[] {
  const allowed = families.map((family, index) => ifEqual(family, families.length - index, 0));
  return [...allowed, fail(EAFNOSUPPORT), allow];
}

function encode(program: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(program.length * 8);
  program.forEach(([code, yes, no, k], index) => {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(yes, index * 8 + 2);
    bytes.writeUInt8(no, index * 8 + 3);
    bytes.writeUInt32LE(k >>> 0, index * 8 + 4);
  });
  return bytes;
}
