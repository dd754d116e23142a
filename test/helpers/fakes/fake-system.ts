import type { HealthShell } from "../../../src/system/health/shell.ts";

interface Answer {
  readonly code?: number;
  readonly stdout?: string;
  readonly stderr?: string;
}

/** What systemctl tells of a unit; the rest is as of a service that runs. */
export type FakeUnit = Readonly<Record<string, string>>;

export interface FakeSystem {
  /** Default "running". */
  readonly state?: string;
  readonly units?: Readonly<Record<string, FakeUnit | readonly FakeUnit[]>>;
  readonly failed?: readonly string[];
  readonly journals?: Readonly<Record<string, string>>;
  /** What other commands answer, by their beginning. */
  readonly answers?: Readonly<Record<string, Answer | Error>>;
}

export const activeUnit: FakeUnit = {
  LoadState: "loaded",
  ActiveState: "active",
  SubState: "running",
  Result: "success",
  Type: "simple",
  ExecMainStatus: "0",
  ExecMainExitTimestampMonotonic: "0",
  ConditionResult: "yes",
  ConditionTimestampMonotonic: "1000",
  NRestarts: "0",
  WantedBy: "multi-user.target",
};

/** A systemd, a dpkg and a journal that answer as the real ones do; a unit given several times changes from look to look. */
export function fakeSystem(system: FakeSystem = {}): { shell: HealthShell; asked: string[] } {
  const asked: string[] = [];
  const looks = new Map<string, number>();
  const unit = (name: string): FakeUnit => {
    const known = system.units?.[name];
    if (known === undefined) return activeUnit;
    const look = looks.get(name) ?? 0;
    looks.set(name, look + 1);
    const all = Array.isArray(known) ? (known as readonly FakeUnit[]) : [known as FakeUnit];
    return { ...activeUnit, ...all[Math.min(look, all.length - 1)] };
  };
  const answer = (argv: readonly string[]): Answer => {
    const words = argv[0] === "timeout" ? argv.slice(2) : argv;
    const line = words.join(" ");
    asked.push(argv.join(" "));
    const own = Object.entries(system.answers ?? {}).find(([start]) => line.startsWith(start))?.[1];
    if (own instanceof Error) throw own;
    if (own !== undefined) return own;
    if (line.startsWith("systemctl is-system-running")) {
      const state = system.state ?? (system.failed === undefined ? "running" : "degraded");
      return { code: state === "running" ? 0 : 1, stdout: `${state}\n` };
    }
    if (line.startsWith("systemctl list-units"))
      return { stdout: (system.failed ?? []).map((one) => `${one} loaded failed failed x\n`).join("") };
    if (line.startsWith("systemctl show"))
      return {
        stdout: words
          .slice(words.indexOf("--") + 1)
          .map((name) =>
            Object.entries(unit(name))
              .map(([key, value]) => `${key}=${value}\n`)
              .join(""),
          )
          .join("\n"),
      };
    if (line.startsWith("systemctl is-active"))
      return { stdout: words.includes("multi-user.target") ? "active\n" : "inactive\n" };
    const named = /--unit=(\S+)/.exec(line)?.[1] ?? "";
    if (line.startsWith("journalctl")) return { stdout: system.journals?.[named] ?? "" };
    return {};
  };
  return {
    asked,
    shell: {
      run: async (argv) => ({ code: 0, stdout: "", stderr: "", ...answer(argv) }),
    },
  };
}
