import { join } from "node:path";
import type { z } from "zod";
import { type DeviceRef, openDevice, printedDevice } from "../../disks/device.ts";
import { targetRoot } from "../../schema/plan.ts";
import { Tree } from "../../tree/tree.ts";
import { shellWord } from "../../util/shell-word.ts";
import { secretBytes, secretIn } from "./secret-input.ts";
import type { Action, Command, LateWord, Step, StepContext, Word } from "./step.ts";

/** A step that is a list of actions: what a plan prints of it is what runs. */
export function defineActions<S extends z.ZodType>(
  step: Omit<Step<S>, "run"> & Required<Pick<Step<S>, "actions">>,
): Step<S> {
  return { ...step, run: (input, context) => runActions(step.actions(input), context) };
}

/** Does all of it in order; what has to be undone is, whatever fails. */
export async function runActions(actions: readonly Action[], context: StepContext): Promise<void> {
  for (const action of actions)
    if ("argv" in action) for (const { name } of action.secrets ?? []) secretIn(context, name);
  const undo: Action[] = [];
  try {
    for (const action of actions) {
      // Our own code may fail when half of it is done; a program that fails has done nothing.
      if ("does" in action && action.undo !== undefined) undo.unshift(action.undo);
      await runAction(action, context);
      if ("argv" in action && action.undo !== undefined) undo.unshift(action.undo);
    }
  } catch (error) {
    // What cannot be undone now does not hide why.
    for (const action of undo) await runAction(action, context).catch(() => {});
    throw error;
  }
  for (const action of undo) await runAction(action, context);
}

async function runAction(action: Action, context: StepContext): Promise<void> {
  if ("does" in action) return void (await action.run(context));
  if ("when" in action) {
    if (await action.holds(context)) await runActions(action.actions, context);
    return;
  }
  const { argv, options, secrets = [], long, read } = action;
  const stdin = secrets.map((secret) => secretBytes(context, secret));
  const result = await context.tool(await valuesOf(argv, context), {
    ...options,
    ...(long ? { signal: context.signal } : {}),
    ...(stdin.length === 0 ? {} : { stdin: Buffer.concat(stdin) }),
  });
  read?.(result);
}

/** What a printed plan has for a step, a line each; what is only in words begins with "#". */
export function actionLines(actions: readonly Action[]): string[] {
  const undo = actions.flatMap((action) => ("undo" in action && action.undo ? [action.undo] : [])).reverse();
  const lines = actions.flatMap((action) => {
    if ("does" in action) return [`# ${action.does}`];
    if ("when" in action)
      return [`# ${action.when}:`, ...actionLines(action.actions).map((line) => `  ${line}`)];
    return commandLines(action);
  });
  return undo.length === 0 ? lines : [...lines, ...actionLines(undo)];
}

function commandLines({ argv, options, secrets = [] }: Command): string[] {
  const line = argv.map((word) => (typeof word === "string" ? quoted(word) : word.shown)).join(" ");
  if (secrets.length > 0) return [`${line} < ${secrets.map(({ name }) => `<secret ${name}>`).join(" ")}`];
  const { stdin } = options ?? {};
  return stdin === undefined ? [line] : [`${line} << END`, ...String(stdin).trimEnd().split("\n"), "END"];
}

/** As a shell reads it. */
function quoted(word: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : shellWord(word);
}

/** The path of a device. */
export function device(ref: DeviceRef): LateWord {
  return {
    shown: printedDevice(ref),
    value: async ({ machine }) => (await openDevice(ref, machine)).path,
  };
}

/** The path of a directory of the tree, from outside. A link in it leads where it leads in the tree. */
export function inTree(path: string): LateWord {
  return {
    shown: (targetRoot + path).replace(/\/$/, ""),
    value: ({ root }) => new Tree(root).directory(path),
  };
}

/** A path in memory. */
export function inMemory(name: string): LateWord {
  return {
    shown: join("/run/imgbuild", name),
    value: ({ machine }) => join(machine.run, "imgbuild", name),
  };
}

/** Words that are one. */
export function joined(words: readonly Word[], by = ""): LateWord {
  return {
    shown: words.map((word) => (typeof word === "string" ? word : word.shown)).join(by),
    value: async (context) => (await valuesOf(words, context)).join(by),
  };
}

/** One after the other: a device may be in what the one before it was made into. */
async function valuesOf(words: readonly Word[], context: StepContext): Promise<string[]> {
  const values: string[] = [];
  for (const word of words) values.push(typeof word === "string" ? word : await word.value(context));
  return values;
}
