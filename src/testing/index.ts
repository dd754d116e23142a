/**
 * What a test of a server imports as "imgbuild/testing", in a definition's own IMGBUILD.test.ts or in vitest. See
 * docs/TESTING.md.
 */
import { cacheRoot } from "../system/files/cache.ts";
import { silentLog } from "../util/log.ts";
import { openTestLab, type TestLab, type TestLabOptions } from "./lab.ts";

export type {
  DiskFault,
  Machine,
  MachineDisk,
  MachineNic,
  MachineOptions,
  Part,
} from "../vm/machine/machine.ts";
export type { Switch } from "../vm/network/switch.ts";
export type { Command, Executed, ExecuteOptions, Shell } from "../vm/shell/shell.ts";
export type { SshLogin, SshShell } from "../vm/shell/ssh-shell.ts";
export type { Case, CaseContext, MachineShape } from "./declare.ts";
export { test, testMachine } from "./declare.ts";
export type { DefinedMachine, DefinedOptions, TestLab } from "./lab.ts";

/** A lab of its own, with the caller's cache and accelerator. Always close it: its machines end with it. */
export async function openLab(options: Partial<TestLabOptions> = {}): Promise<TestLab> {
  const env = options.env ?? process.env;
  return await openTestLab({
    env,
    cache: cacheRoot(env),
    log: silentLog,
    signal: new AbortController().signal,
    ...options,
  });
}
