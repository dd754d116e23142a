import type { StepContext } from "../step/step.ts";

const timeoutMs = 120_000;
/** What a program asks of the kernel before it could have the kernel load it by itself. */
const modulesOf: Readonly<Record<string, readonly string[]>> = {
  cryptsetup: ["dm-crypt"],
  dmsetup: ["dm-mod"],
  lvm: ["dm-mod"],
  mdadm: ["md-mod"],
  snapshot: ["dm-snapshot", "loop"],
};

/** Loads what these programs need; what is built in, or loaded, is fine. */
export async function loadModules(
  { tool }: Pick<StepContext, "tool">,
  programs: readonly string[],
): Promise<void> {
  const names = [...new Set(programs.flatMap((program) => modulesOf[program] ?? []))].sort();
  if (names.length > 0) await tool(["modprobe", "--all", ...names], { timeoutMs });
}
