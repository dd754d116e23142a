import { join } from "node:path";
import type { MachinePaths } from "../../../src/disks/find-disk.ts";
import type { StepContext } from "../../../src/steps/step/step.ts";
import { isAccepted, type RunOptions, type RunResult } from "../../../src/system/run/run.ts";
import type { Log } from "../../../src/util/log.ts";
import { Secret } from "../../../src/util/secret.ts";
import { tempDir } from "../temp-dir.ts";
import { fakeMachine } from "./fake-machine.ts";

/** What a program answers, by the beginning of its command line; the last that fits. */
export type Answers = Readonly<
  Record<string, Partial<RunResult> | Error | ((argv: readonly string[]) => void)>
>;

export interface StepBench {
  readonly context: StepContext;
  /** Command lines in the order in which they were asked for; programs of the tree as "tree: dpkg …". */
  readonly asked: string[];
  /** The options of each. */
  readonly options: RunOptions[];
  /** What was said: "info …", "warn …", "task …", "progress 1/2 packages". */
  readonly said: string[];
}

/** A context whose programs do nothing and answer as they are told; a code that the step does not accept is a failure of theirs. */
export function stepBench(
  more: {
    readonly machine?: MachinePaths;
    readonly root?: string;
    readonly answers?: Answers;
    readonly secrets?: Readonly<Record<string, string | Uint8Array>>;
    readonly context?: Partial<StepContext>;
  } = {},
): StepBench {
  const {
    machine = fakeMachine().machine,
    root = join(tempDir(), "tree"),
    answers = {},
    secrets = {},
  } = more;
  const asked: string[] = [];
  const options: RunOptions[] = [];
  const said: string[] = [];
  const log: Log = {
    task: (doing, work) => {
      said.push(`task ${doing}`);
      return work(log);
    },
    info: (text) => said.push(`info ${text}`),
    warn: (text) => said.push(`warn ${text}`),
    progress: (done, total, unit) => said.push(`progress ${done}/${total} ${unit}`),
  };
  const program =
    (where: string) =>
    async (argv: readonly string[], given: RunOptions = {}) => {
      const line = `${where}${argv.join(" ")}`;
      asked.push(line);
      options.push(given);
      const own = Object.entries(answers).findLast(([start]) => line.startsWith(start))?.[1];
      if (own instanceof Error) throw own;
      const result = { code: 0, stdout: "", stderr: "", ...(typeof own === "function" ? own(argv) : own) };
      if (!isAccepted(result.code, given.accept)) throw new Error(`${line} exited ${result.code}`);
      return result;
    };
  return {
    ...{ asked, options, said },
    context: {
      ...{ root, log, machine, began: 1, files: undefined, nonce: undefined },
      signal: new AbortController().signal,
      tool: program(""),
      chroot: program("tree: "),
      filter: () => Promise.reject(new Error("no filter is at hand")),
      fetch: async (packages) => {
        asked.push(`fetch ${packages.map(({ name }) => name).join(" ")}`);
      },
      packagePath: ({ name }) => ({ outside: `/outside/${name}.deb`, inside: `/inside/${name}.deb` }),
      release: async (packages) => {
        asked.push(`release ${packages.map(({ name }) => name).join(" ")}`);
      },
      secrets: new Map(
        Object.entries(secrets).map(([name, bytes]) => [name, new Secret(name, Buffer.from(bytes))]),
      ),
      ...more.context,
    },
  };
}
