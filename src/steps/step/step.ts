import type { z } from "zod";
import type { MachinePaths } from "../../disks/find-disk.ts";
import type { LockedPackage } from "../../schema/lock.ts";
import type { StepData } from "../../schema/plan.ts";
import type { TreeRunOptions } from "../../system/door/chroot.ts";
import type { FilterOptions } from "../../system/run/filter.ts";
import type { RunOptions, RunResult } from "../../system/run/run.ts";
import type { Log } from "../../util/log.ts";
import type { Secret } from "../../util/secret.ts";

/** What a step may use. The same steps run natively on the operator's machine and in the base on the target. */
export interface StepContext {
  /** Absolute path of the tree being made: a work directory, or where the new root filesystem is mounted. */
  readonly root: string;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Where disks, mounts and what a step notes in memory are looked for. */
  readonly machine: MachinePaths;
  /** Runs a tool of the base (mkfs, sfdisk, mtools …). Paths in argv are valid on both sides of the base's root. */
  tool(argv: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** Runs a tool of the base that turns one stream of bytes into another; it sees no files. */
  filter(argv: readonly string[], options: FilterOptions): Promise<void>;
  /** Runs a program of the tree, with the tree as its root directory, /proc, /sys and /dev in place, no services. */
  chroot(argv: readonly string[], options?: TreeRunOptions): Promise<RunResult>;
  /** Brings the packages, verified, to `packagePath`; a few at a time, with progress in `log`. */
  fetch(packages: readonly LockedPackage[], log: Log): Promise<void>;
  /** The .deb that `fetch` brought: outside of the tree, and as `chroot` sees it. */
  packagePath(locked: LockedPackage): { readonly outside: string; readonly inside: string };
  /** They are not needed any more; in the base they are deleted, to spare the target's disk. */
  release(packages: readonly LockedPackage[]): Promise<void>;
  /** Absolute directory with the definition's `files/`, or undefined when it has none. */
  readonly files: string | undefined;
  readonly secrets: ReadonlyMap<string, Secret>;
  /** When this build began, in seconds: what has changed since is made by it. */
  readonly began: number;
  /** Of an image whose rescue system is the base: where the base's files are, by name. In the base itself they are those that run. */
  readonly base?: Readonly<Record<string, string>> | undefined;
  /** 64 hexadecimal digits of the deploy; undefined for an image, which is of no deploy. */
  readonly nonce: string | undefined;
}

/** A word of a command line that is known only when the step runs. */
export interface LateWord {
  /** What a printed plan has in its place. */
  readonly shown: string;
  readonly value: (context: StepContext) => Promise<string> | string;
}
export type Word = string | LateWord;

/** Read on stdin, one after the other: the bytes of these secrets; `trim` leaves out the newline at the end. */
export type SecretInput = readonly { readonly name: string; readonly trim: boolean }[];

/** One program of the base. */
export interface Command {
  readonly argv: readonly Word[];
  readonly options?: RunOptions;
  readonly secrets?: SecretInput;
  /** It takes long, so it ends with the step's own signal too, and not only with the whole build's. */
  readonly long?: true;
  /** Reads its result; the step fails where this throws. */
  readonly read?: (result: RunResult) => void;
  /** Done at the end of the step, whatever happens, the last one first. */
  readonly undo?: Action;
}

/** What no program does. */
interface Code {
  /** In words: "clear the signatures of what was there". */
  readonly does: string;
  readonly run: (context: StepContext) => unknown;
  readonly undo?: Action;
}

/** What is done only where something holds. */
interface Guarded {
  /** In words: "unless it is open". */
  readonly when: string;
  readonly holds: (context: StepContext) => Promise<boolean> | boolean;
  readonly actions: readonly Action[];
}

/** What a step does, in order. It follows from the step's data alone, so that it can be printed before it is done. */
export type Action = Command | Code | Guarded;

/** A step: a schema, and how it runs. Defined once, as a value. */
export interface Step<S extends z.ZodType = z.ZodType> {
  readonly kind: string;
  /** What a printed plan shows of a step that is no list of actions. */
  readonly summary?: string;
  /** Strict; accepts the step's data without `kind` and `doing`. */
  readonly schema: S;
  readonly run: (input: z.output<S>, context: StepContext) => Promise<void>;
  /** Of a step that is a list of actions (`defineActions`). Pure. */
  readonly actions?: (input: z.output<S>) => readonly Action[];
}

export function defineStep<S extends z.ZodType>(step: Step<S>): Step<S> {
  return step;
}

/** Plain data for a plan: the step's kind and its input, checked when it is made. */
export function stepData<S extends z.ZodType>(step: Step<S>, doing: string, input: z.input<S>): StepData {
  return { kind: step.kind, doing, ...(step.schema.parse(input) as object) };
}
