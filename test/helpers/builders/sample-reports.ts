import type { BuildReport, RecoveryReport, Report } from "../../../src/schema/report.ts";

const gib = 2 ** 30;
const passed = (check: string, seconds: number) => ({ check, ok: true, seconds, detail: "passed" });

const done: Report = {
  version: 1,
  outcome: "done",
  host: "admin@web.example.org",
  hostname: "web.example.org",
  definition: "5d1c7f0a9b3e4c6d8f2a1b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2c1d0e",
  planDigest: "9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a8b",
  started: "2026-11-29T01:02:03.456Z",
  seconds: {
    total: 400,
    downtime: 255.4,
    phases: [
      { phase: "inspect", seconds: 6.2 },
      { phase: "confirm", seconds: 21 },
      { phase: "ship", seconds: 48.3 },
      { phase: "takeover", seconds: 24.5 },
      { phase: "build", seconds: 188 },
      { phase: "verify", seconds: 112 },
    ],
    steps: [
      { doing: "asking the mirrors for 312 packages", seconds: 4.1 },
      { doing: "partitioning /dev/vda", seconds: 1.2 },
      { doing: "formatting /dev/vda2 as ext4", seconds: 0.6 },
      { doing: "unpacking 312 packages", seconds: 71.3 },
      { doing: "configuring 312 packages", seconds: 84.9 },
      { doing: "installing GRUB for UEFI", seconds: 6.4 },
    ],
  },
  bytes: { base: 115 * 2 ** 20, payload: 41_200 },
  fetched: { packages: 312, bytes: 214 * 2 ** 20, mirror: "http://deb.example.org/debian" },
  packages: { count: 312, security: 12 },
  peakMemoryMib: 611.4,
  bootIds: {
    old: "0b1d3c52-7d56-4a0e-9a53-6d1b6f2f9f01",
    base: "5f7f2a19-65b9-4f1f-8e61-3a2a4f8f9e02",
    new: "c3f9a1b4-0f0a-4b0b-bb19-2f7c5d6e7f03",
  },
  os: { old: "Debian GNU/Linux 12 (bookworm)", new: "Debian GNU/Linux 13 (trixie)" },
  disks: [
    {
      name: "system",
      serial: "QM00001",
      model: "QEMU HARDDISK",
      sizeBytes: 40 * gib,
      tableUuid: "7a3c1e5b-2d4f-4a6b-8c9d-0e1f2a3b4c5d",
      action: "written",
      before: [
        { name: "vda1", sizeBytes: 38 * gib, holds: "ext4 on /", fate: "lost" },
        { name: "vda2", sizeBytes: 2 * gib, holds: "swap", fate: "lost" },
      ],
      after: [
        { name: "esp", sizeBytes: 256 * 2 ** 20, holds: "vfat on /boot/efi", fate: "made" },
        { name: "root", sizeBytes: 39 * gib, holds: "LUKS root: ext4 on /", fate: "made" },
      ],
    },
    {
      name: "data",
      serial: "QM00002",
      model: "QEMU HARDDISK",
      sizeBytes: 100 * gib,
      action: "kept",
      before: [{ name: "vdb", sizeBytes: 100 * gib, holds: "ext4 on /srv", fate: "kept" }],
      after: [],
    },
  ],
  preflight: [
    { check: "architecture", verdict: "go", detail: "x86_64" },
    { check: "memory", verdict: "go", detail: "2048 MiB in all, 1713 MiB available" },
    {
      check: "built here",
      verdict: "warn",
      detail: "this definition was never built here",
      hint: "imgbuild test imgbuild/web",
    },
    { check: "disk system", verdict: "go", detail: "vda by serial QM00001" },
  ],
  health: [
    passed("no unit has failed", 3.1),
    passed("every filesystem is mounted", 0.4),
    passed("dpkg has nothing to complain of", 1.9),
    passed("the packages' files are as they were packed", 14.2),
    passed("unit nginx.service", 0.3),
    passed("http http://localhost/ answers 200", 0.2),
  ],
};

const nginx = {
  check: "unit nginx.service",
  ok: false,
  seconds: 30.1,
  detail:
    "failed (exit-code)\nnginx[612]: bind() to 0.0.0.0:80 failed (98: Address already in use)\nnginx[612]: still could not bind()",
};

const oldOnly = { new: null, old: done.os.old };

/** Reports of deploys that end in each way there is. */
export const sampleReports = {
  done,
  degraded: {
    ...done,
    message: "1 of 6 checks of the new system failed: unit nginx.service",
    health: done.health.map((one) => (one.check === nginx.check ? nginx : one)),
  },
  refused: {
    ...done,
    outcome: "refused",
    message: "preflight refuses the host: disk system",
    hint: "give the serial of a disk of the host in `match`",
    planDigest: "",
    seconds: { total: 6.3, downtime: null, phases: done.seconds.phases.slice(0, 1), steps: [] },
    bytes: { base: 0, payload: 0 },
    peakMemoryMib: null,
    bootIds: { ...done.bootIds, base: null, new: null },
    os: oldOnly,
    disks: [],
    preflight: [
      ...done.preflight.slice(0, 3),
      {
        check: "disk system",
        verdict: "no-go",
        detail: "no disk has serial QM00001; the host has vda (QM00007)",
        hint: "disks of the host: imgbuild plan DEF HOST",
      },
    ],
    health: [],
  },
  beforeWrite: {
    ...done,
    outcome: "old-system",
    message:
      "the runner failed: asking the mirrors for 312 packages: http://deb.example.org/debian answers 503",
    hint: "no disk was written; when the mirror answers again: imgbuild deploy imgbuild/web web",
    seconds: {
      total: 240,
      downtime: null,
      phases: done.seconds.phases
        .slice(0, 5)
        .map((one, index) => (index === 4 ? { ...one, seconds: 9 } : one)),
      steps: done.seconds.steps.slice(0, 1),
    },
    bootIds: { ...done.bootIds, new: null },
    os: oldOnly,
    health: [],
  },
  afterWrite: {
    ...done,
    outcome: "failed",
    message:
      "the runner failed: configuring 312 packages: dpkg exited with 1\nError in postinst of nginx-common",
    hint: "mend the cause, then: imgbuild resume web; the secrets are wiped in 30 min",
    seconds: { ...done.seconds, downtime: null, phases: done.seconds.phases.slice(0, 5) },
    bootIds: { ...done.bootIds, new: null },
    os: oldOnly,
    health: [],
  },
} satisfies Record<string, Report>;

const build: BuildReport = {
  version: 1,
  outcome: "done",
  hostname: "web.example.org",
  definition: done.definition,
  format: "raw",
  started: done.started,
  seconds: {
    total: 96.4,
    steps: [
      { doing: "making the packages' layer", depth: 0, from: 0.3, seconds: 61.2, ok: true },
      { doing: "unpacking 312 packages", depth: 1, from: 0.9, seconds: 22.5, ok: true },
      { doing: "configuring 312 packages", depth: 1, from: 23.4, seconds: 38.1, ok: true },
      { doing: "installing GRUB for BIOS", depth: 0, from: 61.8, seconds: 2.6, ok: true },
      { doing: "writing out/web.raw", depth: 0, from: 64.4, seconds: 32, ok: true },
    ],
  },
  disks: [
    {
      name: "system",
      sizeBytes: 8 * gib,
      partitions: [
        { name: "boot", sizeBytes: 2 ** 20, holds: "bios-boot" },
        { name: "root", sizeBytes: 8 * gib - 3 * 2 ** 20, holds: "ext4 on /" },
      ],
    },
  ],
  minimized: true,
  packages: {
    count: 312,
    security: [
      { name: "nginx-common", version: "1.26.3-3+deb13u2" },
      { name: "openssl", version: "3.5.4-1~deb13u1" },
    ],
  },
  files: [
    {
      path: "out/web.raw",
      sizeBytes: 1.5 * gib,
      sha256: "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0",
    },
  ],
};

/** Reports of builds. */
export const sampleBuilds = {
  done: build,
  directory: { ...build, format: "dir", minimized: false, disks: [], files: [{ path: "out/web" }] },
  failed: {
    ...build,
    outcome: "failed",
    message: "configuring 312 packages: dpkg exited with 1\nError in postinst of nginx-common",
    hint: "look at the package's script: --verbose shows what was run",
    seconds: {
      total: 61.5,
      steps: build.seconds.steps
        .slice(0, 3)
        .map((step) => (step.doing.startsWith("unpacking") ? step : { ...step, ok: false })),
    },
    files: [],
  },
} satisfies Record<string, BuildReport>;

const recovery: RecoveryReport = {
  version: 1,
  outcome: "done",
  hostname: "guestbook.example.org",
  definition: done.definition,
  started: done.started,
  firmware: "uefi",
  accelerator: "tcg",
  medium: {
    label: "IMGBUILD_0F1E2D3C4B5A6978",
    sizeBytes: 512 * 2 ** 20,
    sha256: "1f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0",
    offline: true,
  },
  seconds: {
    total: 601,
    recover: 344.6,
    phases: [
      { phase: "medium", seconds: 41.2 },
      { phase: "rebuild", seconds: 180.4 },
      { phase: "restore", seconds: 32.1 },
      { phase: "finish", seconds: 20.9 },
      { phase: "system", seconds: 70 },
    ],
  },
  hostKeys: "of before",
  restored: {
    by: "restic",
    paths: [
      { path: "/srv/guestbook", files: 2, sizeBytes: 20 * 2 ** 20 },
      { path: "/etc/guestbook", files: 1, sizeBytes: 17 },
      { path: "/var/lib/absent", files: null, sizeBytes: null },
    ],
    databases: [
      { name: "guestbook", loaded: true },
      { name: "sessions", loaded: false },
    ],
    said: ["snapshot 4f2d8c11 of 2026-11-29 04:30:12", "Summary: Restored 3 files/dirs (20.000 MiB)"],
  },
  checks: [passed("no unit has failed", 3.1), passed("every filesystem is mounted", 0.4)],
  tests: [passed("the data is what it was", 12.4)],
};

const { medium: _medium, hostKeys: _keys, restored: _restored, ...bare } = recovery;

/** Reports of drills. */
export const sampleRecoveries = {
  done: recovery,
  unwell: {
    ...recovery,
    outcome: "failed",
    message: "1 of 3 checks failed: the data is what it was",
    restored: { ...recovery.restored!, by: "command", paths: [], said: [] },
    tests: [{ ...passed("the data is what it was", 2), ok: false, detail: "rows were\n5000\nand are\n4999" }],
  },
  failed: {
    ...bare,
    outcome: "failed",
    message: "the machine was not rebuilt: FAILED: trying the backup: no answer within 15 s",
    hint: "its console: /tmp/lab/console.log, with --keep",
    seconds: { total: 99, recover: null, phases: recovery.seconds.phases.slice(0, 1) },
    checks: [],
    tests: [],
  },
} satisfies Record<string, RecoveryReport>;

/** A report of a drill all of whose words are others. */
export function recoverySaying(word: string): RecoveryReport {
  return withWords<RecoveryReport>(sampleRecoveries.unwell, word);
}

/** A report of a build all of whose words are others. */
export function buildSaying(word: string): BuildReport {
  return withWords(sampleBuilds.failed, word);
}

/** A report of a deploy all of whose words are others. */
export function saying(word: string): Report {
  return withWords<Report>(sampleReports.degraded, word);
}

function withWords<Kind>(report: Kind, word: string): Kind {
  const own = ["outcome", "verdict", "action", "fate", "firmware", "hostKeys", "by"];
  return JSON.parse(
    JSON.stringify(report, (key, value) => (typeof value === "string" && !own.includes(key) ? word : value)),
  );
}
